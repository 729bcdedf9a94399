"""How long to wait before connecting again (ours)."""

from __future__ import annotations

from random import Random

import msgspec


class Backoff(msgspec.Struct, frozen=True):
    """Before round n a wait drawn from 0 to `first_s` * `factor`**n, at most `most_s` (full jitter).

    A round is one attempt at each endpoint. A link that held for `stable_s` makes the round after it the first, 0.
    """

    first_s: float = 0.1
    most_s: float = 20.0
    factor: float = 2.0
    stable_s: float = 5.0

    def wait_s(self, attempt: int, random: Random) -> float:
        """Seconds to wait before a round."""
        span = self.first_s * self.factor ** min(attempt, 64)
        return random.uniform(0.0, min(self.most_s, span))
