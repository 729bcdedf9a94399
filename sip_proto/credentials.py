"""A client's answers to digest challenges: only for accounts that are configured, nonces used again (RFC 3261 section
22.3, RFC 7616 section 3.4)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from sip_proto.digest import challenges_of, credentials, known_algorithms
from sip_proto.errors import LocalError
from sip_proto.ids import Ids
from sip_proto.limits import DEFAULT_LIMITS, Limits
from sip_proto.message import Response


class Account(msgspec.Struct, frozen=True):
    """Name and password for one realm; `hosts`, unless empty, are the IP literals that may ask for it. Of two accounts
    for a realm the one that names the host counts; a realm of "" stands for every other realm of its hosts."""

    realm: str
    username: str
    password: str
    hosts: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Account(realm={self.realm!r}, username={self.username!r}, password=***, hosts={self.hosts!r})"


# So often in a row may a server say that a nonce of its own is stale.
_STALES = 3
# So often does one request go again: two realms, and what is stale.
MOST_TURNS = 5


class _Known:
    """The challenge of a realm that was answered last: how often its nonce was used, how often since the challenge, how
    many before it were stale."""

    __slots__ = ("account", "challenge", "count", "stales", "uses")

    def __init__(self, account: Account, challenge: dict[str, str], stales: int, before: "_Known | None") -> None:
        self.account = account
        self.challenge = challenge
        self.stales = stales
        self.uses = 0
        # A server may name a nonce again: its count goes on.
        same = before is not None and before.challenge["nonce"] == challenge["nonce"]
        self.count: int = before.count if before is not None and same else 0

    def value(self, method: str, uri: str, body: bytes, cnonce: str) -> str:
        """The header value for the next request."""
        self.count += 1
        self.uses += 1
        account = self.account
        return credentials(
            self.challenge, method, uri, account.username, account.password, cnonce, self.count, body
        )


class _Accounts:
    """Accounts by realm and host, "" for any host, and what of a response they can answer."""

    __slots__ = ("_algorithms", "_by_place")

    def __init__(self, accounts: Sequence[Account], algorithms: Sequence[str]) -> None:
        self._by_place: dict[tuple[str, str], Account] = {}
        for account in accounts:
            for host in account.hosts or ("",):
                if (account.realm, host) in self._by_place:
                    raise LocalError("a realm has more than one account")
                self._by_place[account.realm, host] = account
        if ("", "") in self._by_place:
            raise LocalError("an account for every realm names its hosts")
        self._algorithms = known_algorithms(algorithms)

    def _of(self, realm: str, host: str) -> Account | None:
        found = self._by_place
        return found.get((realm, host)) or found.get((realm, "")) or found.get(("", host))

    def challenges(self, response: Response, host: str) -> Iterator[tuple[str, Account, dict[str, str]]]:
        """The header to answer by, account and challenge of each realm that may ask, by the first algorithm that we
        use."""
        proxy = response.status == 407
        header = "Proxy-Authorization" if proxy else "Authorization"
        seen: set[str] = set()
        for challenge in challenges_of(response, "Proxy-Authenticate" if proxy else "WWW-Authenticate"):
            realm = challenge.get("realm", "")
            account = self._of(realm, host)
            if account is None or realm in seen or challenge["algorithm"] not in self._algorithms:
                continue
            seen.add(realm)
            yield header, account, challenge


class Credentials:
    """Answers challenges for its accounts and for nobody else's, to requests that go out one after the other; holds one
    nonce a realm and header (ours).

    `algorithms` are those that it uses; of several challenges for a realm the first of these is answered.
    """

    __slots__ = ("_accounts", "_ids", "_known")

    def __init__(self, seed: bytes, accounts: Sequence[Account], algorithms: Sequence[str] = ("MD5",)) -> None:
        self._accounts = _Accounts(accounts, algorithms)
        self._ids = Ids(seed, 0)
        self._known: dict[tuple[str, str], _Known] = {}

    def challenged(self, response: Response, host: str) -> bool:
        """Take the challenges of a 401 or 407 from the IP literal `host`; whether it is worth asking again with
        headers(): an account has a new nonce (RFC 3261 section 22.2).

        A challenge after the first use of a nonce means a wrong password, unless it says stale.
        """
        worth = False
        for header, account, challenge in self._accounts.challenges(response, host):
            realm = challenge.get("realm", "")
            known = self._known.pop((header, realm), None)
            stales = 0
            if known is not None and known.uses == 1:
                stales = known.stales + 1
                if not _is_stale(challenge) or stales > _STALES:
                    # Refused; the next request starts afresh.
                    continue
            self._known[header, realm] = _Known(account, challenge, stales, known)
            worth = True
        return worth

    def headers(self, method: str, uri: str, body: bytes = b"") -> tuple[tuple[str, str], ...]:
        """Header pairs with credentials for a request to `uri`, one for each realm that has asked (RFC 7616 section
        3.4)."""
        pairs: list[tuple[str, str]] = []
        for (header, _), known in self._known.items():
            pairs.append((header, known.value(method, uri, body, self._ids.token())))
        return tuple(pairs)


class Tries(NamedTuple):
    """What a request of ours has answered: how often, and header, realm and nonce (ours)."""

    turns: int
    answered: tuple[tuple[str, str, str], ...]


UNTRIED = Tries(0, ())


class Keyring:
    """Answers challenges for its accounts, to requests of which many are under way: nonces by host, what was tried by
    request (ours)."""

    __slots__ = ("_accounts", "_ids", "_known", "_limits")

    def __init__(
        self,
        seed: bytes,
        accounts: Sequence[Account],
        algorithms: Sequence[str],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._accounts = _Accounts(accounts, algorithms)
        self._ids = Ids(seed, 0)
        self._limits = limits
        self._known: dict[str, dict[tuple[str, str], _Known]] = {}

    def challenged(self, response: Response, host: str, tries: Tries) -> Tries | None:
        """Take the challenges of a 401 or 407 from the IP literal `host` to a request that has answered `tries`; what
        it answers when it goes again with lines(), None when that is useless (RFC 3261 section 22.2).

        A second challenge of a realm is a refusal, unless it says stale and has another nonce.
        """
        if tries.turns >= MOST_TURNS:
            return None
        answered = {(header, realm): nonce for header, realm, nonce in tries.answered}
        worth = False
        for header, account, challenge in self._accounts.challenges(response, host):
            realm = challenge.get("realm", "")
            nonces = self._known.get(host, {})
            known = nonces.get((header, realm))
            before = answered.get((header, realm))
            if before is not None and (before == challenge["nonce"] or not _is_stale(challenge)):
                if known is not None and known.challenge["nonce"] == before:
                    del nonces[header, realm]
                continue
            self._learn(host, (header, realm), _Known(account, challenge, 0, known))
            answered[header, realm] = challenge["nonce"]
            worth = True
        if not worth:
            return None
        return Tries(tries.turns + 1, tuple([(*place, nonce) for place, nonce in answered.items()]))

    def lines(self, host: str, method: str, uri: str, body: bytes = b"") -> str:
        """Header lines with credentials for a request to the IP literal `host`, one for each realm that has asked from
        there (RFC 7616 section 3.4)."""
        text = ""
        for (header, _), known in self._known.get(host, {}).items():
            text += f"{header}: {known.value(method, uri, body, self._ids.token())}\r\n"
        return text

    def _learn(self, host: str, place: tuple[str, str], known: _Known) -> None:
        nonces = self._known.get(host)
        if nonces is None:
            if len(self._known) >= self._limits.nonces:
                del self._known[next(iter(self._known))]
            nonces = self._known[host] = {}
        if place not in nonces and len(nonces) >= self._limits.realms:
            del nonces[next(iter(nonces))]
        nonces[place] = known


def _is_stale(challenge: dict[str, str]) -> bool:
    return challenge.get("stale", "").lower() == "true"
