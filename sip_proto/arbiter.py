"""The arbiter of a leg: one exchange of offer and answer at a time, the offers of ours that wait for it (RFC 3264
section 4, RFC 3261 section 14)."""

import msgspec

from sip_proto.errors import LocalError
from sip_proto.tables_session import CROSSINGS, OFFER_TRANSITIONS, OfferInput, OfferState


class Wish:
    """An offer of ours on its way to its one outcome; without a body the peer is asked for its offer. A `number` of
    0 is the endpoint's own, and told to nobody (ours)."""

    __slots__ = ("before", "body", "extra", "number", "tries")

    def __init__(self, number: int, body: bytes, extra: str) -> None:
        self.number = number
        self.body = body
        self.extra = extra
        # What was described before it, which holds again when it is refused.
        self.before = b""
        self.tries = 0


class Arbiter(msgspec.Struct, gc=False, eq=False):
    """What is open between two descriptions; transactions are named by their handles (ours).

    `carrier` is the transaction that the open exchange began with, 0 for none, `tag` the early dialog that it is in,
    empty for any; `wish` is ours that is out, `waiting` those after it.
    """

    state: OfferState = OfferState.STABLE
    carrier: int = 0
    tag: str = ""
    wish: Wish | None = None
    waiting: tuple[Wish, ...] = ()
    last: int = 0

    def add(self, body: bytes, extra: str, most: int) -> int:
        """Take an offer of ours into the queue; its number. LocalError when `most` wait already."""
        if len(self.waiting) >= most:
            raise LocalError(f"{most} offers wait already")
        self.last += 1
        self.waiting += (Wish(self.last, body, extra),)
        return self.last

    def add_own(self, body: bytes, extra: str) -> None:
        """Take a request of the endpoint's own into the queue."""
        self.waiting += (Wish(0, body, extra),)

    def take(self, event: OfferInput) -> bool:
        """Step by the table; False when there is no row."""
        state = OFFER_TRANSITIONS.get((self.state, event))
        if state is None:
            return False
        self.state = state
        if state is OfferState.STABLE:
            self.carrier = 0
        return True

    def is_open(self, carrier: int) -> bool:
        """Whether the open exchange began with this transaction."""
        return self.carrier == carrier and self.state is not OfferState.STABLE

    def sent(self, carrier: int, body: bytes, tag: str = "") -> None:
        """A request of ours that begins an exchange went out."""
        known = self.take(OfferInput.OFFER if body else OfferInput.ASK)
        assert known
        self.carrier = carrier
        self.tag = tag

    def crossing(self) -> int:
        """The status that an offer of the peer gets now, 0 when it is taken."""
        row = CROSSINGS.get(self.state)
        return 0 if row is None else row[0]

    def came(self, carrier: int, body: bytes, tag: str = "") -> None:
        """A request of the peer that begins an exchange is taken."""
        known = self.take(OfferInput.GOT_OFFER if body else OfferInput.GOT_ASK)
        assert known
        self.carrier = carrier
        self.tag = tag

    def answered(self) -> Wish | None:
        """The peer's answer came: the wish that it fulfils."""
        wish, self.wish = self.wish, None
        self.take(OfferInput.GOT_ANSWER)
        return wish

    def refused(self) -> Wish | None:
        """The peer's refusal of our offer came, or nothing did: the wish that it ends."""
        wish, self.wish = self.wish, None
        self.take(OfferInput.GOT_REFUSAL)
        return wish

    def postpone(self) -> bool:
        """The peer's 491 came: the wish goes out again, before those that wait; False when it is answered already."""
        if self.wish is None or not self.take(OfferInput.GOT_PENDING):
            return False
        self.waiting = (self.wish, *self.waiting)
        self.wish = None
        return True

    def abandon(self) -> None:
        """The early dialog with the open exchange is no more: a wish of ours goes out again in the one that is."""
        if self.wish is not None:
            self.waiting = (self.wish, *self.waiting)
            self.wish = None
        self.take(OfferInput.ABANDON)

    def restart(self) -> None:
        """The INVITE goes out anew: nothing is open, a wish of ours waits for its dialog."""
        self.abandon()
        self.state = OfferState.STABLE

    def withdraw(self, number: int) -> bool:
        """Take one of ours out of the queue; False when it is not there."""
        left = tuple([wish for wish in self.waiting if wish.number != number])
        found = len(left) < len(self.waiting)
        self.waiting = left
        return found

    def pop(self) -> Wish:
        """The next of ours, which goes out now."""
        wish, *left = self.waiting
        self.waiting = tuple(left)
        self.wish = wish
        wish.tries += 1
        return wish

    def close(self) -> None:
        """The leg is over: nothing is open, nothing waits."""
        self.state = OfferState.STABLE
        self.carrier = 0
        self.wish = None
        self.waiting = ()
