"""A client's answers to digest challenges: only for accounts that are configured, nonces used again (RFC 3261 section
22.3, RFC 7616 section 3.4)."""

from collections.abc import Sequence

import msgspec

from sip_proto.digest import challenges_of, credentials, known_algorithms
from sip_proto.errors import LocalError
from sip_proto.ids import Ids
from sip_proto.message import Response


class Account(msgspec.Struct, frozen=True):
    """Name and password for one realm; `hosts`, unless empty, are the IP literals that may ask for it."""

    realm: str
    username: str
    password: str
    hosts: tuple[str, ...] = ()


# So often in a row may a server say that a nonce of its own is stale.
_STALES = 3


class _Known:
    """The challenge of a realm that was answered last, how often its nonce was used, how many before it were stale."""

    __slots__ = ("challenge", "count", "stales")

    def __init__(self, challenge: dict[str, str], stales: int) -> None:
        self.challenge = challenge
        self.count = 0
        self.stales = stales


class Credentials:
    """Answers challenges for its accounts and for nobody else's; holds one nonce a realm and header (ours).

    `algorithms` are those that it uses; of several challenges for a realm the first of these is answered.
    """

    __slots__ = ("_accounts", "_algorithms", "_ids", "_known")

    def __init__(self, seed: bytes, accounts: Sequence[Account], algorithms: Sequence[str] = ("MD5",)) -> None:
        self._accounts = {account.realm: account for account in accounts}
        if len(self._accounts) != len(accounts):
            raise LocalError("a realm has more than one account")
        self._algorithms = known_algorithms(algorithms)
        self._ids = Ids(seed, 0)
        self._known: dict[tuple[str, str], _Known] = {}

    def challenged(self, response: Response, host: str) -> bool:
        """Take the challenges of a 401 or 407 from the IP literal `host`; whether it is worth asking again with
        headers(): an account has a new nonce (RFC 3261 section 22.2).

        A challenge after the first use of a nonce means a wrong password, unless it says stale.
        """
        proxy = response.status == 407
        header = "Proxy-Authorization" if proxy else "Authorization"
        worth = False
        seen: set[str] = set()
        for challenge in challenges_of(response, "Proxy-Authenticate" if proxy else "WWW-Authenticate"):
            realm = challenge.get("realm", "")
            account = self._accounts.get(realm)
            if account is None or realm in seen or challenge["algorithm"] not in self._algorithms:
                continue
            if account.hosts and host not in account.hosts:
                continue
            seen.add(realm)
            known = self._known.pop((header, realm), None)
            stales = 0
            if known is not None and known.count == 1:
                stales = known.stales + 1
                if challenge.get("stale", "").lower() != "true" or stales > _STALES:
                    # Refused; the next request starts afresh.
                    continue
            self._known[header, realm] = _Known(challenge, stales)
            worth = True
        return worth

    def headers(self, method: str, uri: str, body: bytes = b"") -> tuple[tuple[str, str], ...]:
        """Header pairs with credentials for a request to `uri`, one for each realm that has asked (RFC 7616 section
        3.4)."""
        pairs: list[tuple[str, str]] = []
        for (header, realm), known in self._known.items():
            account = self._accounts[realm]
            known.count += 1
            value = credentials(
                known.challenge, method, uri, account.username, account.password, self._ids.token(), known.count, body
            )
            pairs.append((header, value))
        return tuple(pairs)
