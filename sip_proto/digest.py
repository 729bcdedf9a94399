"""Digest authentication: how a response is computed, the server's side, one answer of a client (RFC 2617, RFC 7616,
RFC 8760, RFC 3261 section 22)."""

import hashlib
from collections.abc import Callable, Sequence
from enum import IntEnum
from hmac import compare_digest
from typing import NamedTuple

from sip_proto.errors import LocalError, ParseError
from sip_proto.headers import parse_auth, quote
from sip_proto.limits import DEFAULT_LIMITS, Limits
from sip_proto.message import Message, Request, Response

_NONCE_HEAD = 24
_NONCE_SIZE = _NONCE_HEAD + 32


class Outcome(IntEnum):
    """What credentials are worth; answers: 401, 401, 401 with stale, 403, 400 for all but OK."""

    OK = 0
    MISSING = 1
    STALE = 2
    WRONG = 3
    MALFORMED = 4


class Verdict(NamedTuple):
    """The outcome and the user name that was claimed, empty when none was."""

    outcome: Outcome
    username: str


# By the name that the wire has in upper case; the -SESS forms differ in the secret alone.
ALGORITHMS = ("SHA-256", "SHA-256-SESS", "MD5", "MD5-SESS")


def _digest(algorithm: str, raw: bytes) -> str:
    if algorithm[:3] == "MD5":
        return hashlib.md5(raw, usedforsecurity=False).hexdigest()
    return hashlib.sha256(raw).hexdigest()


def known_algorithms(names: Sequence[str]) -> tuple[str, ...]:
    """The names in upper case; LocalError for one that is none of ALGORITHMS, or when there is none (ours)."""
    known = tuple(name.upper() for name in names)
    if not known or not set(known) <= set(ALGORITHMS):
        raise LocalError(f"digest algorithms {', '.join(names)}: not all of {', '.join(ALGORITHMS)}")
    return known


def digest_response(
    username: str,
    realm: str,
    password: str,
    method: str,
    uri: str,
    nonce: str,
    nc: str = "",
    cnonce: str = "",
    qop: str = "",
    *,
    algorithm: str = "MD5",
    body: bytes = b"",
) -> str:
    """The response value; an empty `qop` is the old form without, `body` counts for auth-int alone (RFC 7616
    section 3.4.1)."""
    algorithm = algorithm.upper()

    def digest(text: str) -> str:
        return _digest(algorithm, text.encode("utf-8", "surrogateescape"))

    secret = digest(f"{username}:{realm}:{password}")
    if algorithm.endswith("-SESS"):
        secret = digest(f"{secret}:{nonce}:{cnonce}")
    whole = f":{_digest(algorithm, body)}" if qop.lower() == "auth-int" else ""
    what = digest(f"{method}:{uri}{whole}")
    return digest(f"{secret}:{nonce}:{nc}:{cnonce}:{qop}:{what}" if qop else f"{secret}:{nonce}:{what}")


class Challenger:
    """The server's side of one realm: makes nonces that expire by themselves and sees through replays (ours).

    A nonce carries its expiry and a keyed hash, so none is stored until it is used; then its highest
    count is, 0 for the one response without qop that it serves. `algorithms` are offered and taken in
    this order, `qop` holds "auth", "auth-int" or both.
    """

    __slots__ = ("_counter", "_floor", "_key", "_limit", "_used", "algorithms", "qop", "realm", "ttl_us")

    def __init__(
        self,
        seed: bytes,
        realm: str,
        ttl_us: int = 300_000_000,
        limits: Limits = DEFAULT_LIMITS,
        *,
        algorithms: Sequence[str] = ("MD5",),
        qop: Sequence[str] = ("auth",),
    ) -> None:
        self.algorithms = known_algorithms(algorithms)
        if not qop or not set(qop) <= {"auth", "auth-int"}:
            raise LocalError("qop is auth, auth-int or both")
        self.qop = tuple(qop)
        if '"' in realm or "\r" in realm or "\n" in realm or "\\" in realm:
            raise LocalError("a realm is text without quotes, backslashes and line ends")
        self.realm = realm
        self.ttl_us = ttl_us
        self._key = hashlib.blake2s(seed, person=b"sip-auth").digest()
        self._counter = 0
        self._limit = limits.nonces
        self._used: dict[str, int] = {}
        # Expiry up to which a nonce without entry may have been used and dropped.
        self._floor = -1

    def challenge(self, now: int, *, stale: bool = False, proxy: bool = False) -> tuple[str, str]:
        """Header name and value of a fresh challenge for a 401, or a 407 with `proxy`, by the first algorithm (RFC
        7616 section 3.3)."""
        return self.challenges(now, stale=stale, proxy=proxy)[0]

    def challenges(
        self, now: int, *, stale: bool = False, proxy: bool = False, algorithms: Sequence[str] | None = None
    ) -> list[tuple[str, str]]:
        """The same for every algorithm, or for those `algorithms` of a user, the preferred one first (RFC 8760
        section 2.4)."""
        return [self._challenge(now, name, stale, proxy) for name in self._offered(algorithms)]

    def _challenge(self, now: int, algorithm: str, stale: bool, proxy: bool) -> tuple[str, str]:
        self._counter += 1
        head = f"{now + self.ttl_us:016x}{self._counter & 0xFFFFFFFF:08x}"
        name = algorithm.replace("SESS", "sess")
        qop = ",".join(self.qop)
        value = f'Digest realm="{self.realm}", nonce="{head}{self._mac(head)}", algorithm={name}, qop="{qop}"'
        name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
        return name, value + ", stale=true" if stale else value

    def check(
        self,
        now: int,
        request: Request,
        password_of: Callable[[str], str | None],
        *,
        algorithms: Sequence[str] | None = None,
    ) -> Verdict:
        """Judge the request's credentials for this realm; `password_of` gives None for unknown users, who are judged
        in the same steps as a wrong password (RFC 7616 section 3.4).

        The digest's `uri` need not equal the Request-URI: proxies rewrite that one. Credentials by another algorithm
        than those of the challenge are none (ours).
        """
        found = self._credentials(request, self._offered(algorithms))
        if found is None:
            return Verdict(Outcome.MISSING, "")
        username = found.get("username", "")
        response = found.get("response", "").lower()
        nonce = found.get("nonce", "")
        uri = found.get("uri", "")
        qop = found.get("qop", "").lower()
        nc = found.get("nc", "")
        algorithm = found.get("algorithm", "MD5").upper()
        if not (username and response and nonce and uri):
            return Verdict(Outcome.MALFORMED, username)
        count = 0
        if qop:
            count = int(nc, 16) if len(nc) == 8 and all(char in "0123456789abcdefABCDEF" for char in nc) else 0
            if qop not in self.qop or not count or not found.get("cnonce"):
                return Verdict(Outcome.MALFORMED, username)
        elif "auth" not in self.qop or (algorithm.endswith("-SESS") and not found.get("cnonce")):
            return Verdict(Outcome.MALFORMED, username)
        expiry_us = self._expiry(nonce)
        if expiry_us is None or expiry_us <= now:
            return Verdict(Outcome.STALE, username)
        password = password_of(username)
        expected = digest_response(
            username,
            self.realm,
            password or "",
            request.method,
            uri,
            nonce,
            nc,
            found.get("cnonce", ""),
            found.get("qop", ""),
            algorithm=algorithm,
            body=request.body,
        )
        same = compare_digest(expected.encode(), response.encode("utf-8", "surrogateescape"))
        if password is None or not same:
            return Verdict(Outcome.WRONG, username)
        if not self._fresh(nonce, expiry_us, count):
            return Verdict(Outcome.STALE, username)
        return Verdict(Outcome.OK, username)

    def _offered(self, algorithms: Sequence[str] | None) -> tuple[str, ...]:
        return self.algorithms if algorithms is None else known_algorithms(algorithms)

    def _credentials(self, request: Message, offered: tuple[str, ...]) -> dict[str, str] | None:
        values = request.get_all("Authorization") + request.get_all("Proxy-Authorization")
        for value in values:
            try:
                scheme, params = parse_auth(value)
            except ParseError:
                if value[:7].lower() == "digest ":
                    return {}
                continue
            algorithm = params.get("algorithm", "MD5").upper()
            if scheme == "digest" and params.get("realm") == self.realm and algorithm in offered:
                return params
        return None

    def _mac(self, head: str) -> str:
        text = f"{head}{self.realm}".encode("utf-8", "surrogateescape")
        return hashlib.blake2s(text, key=self._key, digest_size=16).hexdigest()

    def _expiry(self, nonce: str) -> int | None:
        head = nonce[:_NONCE_HEAD]
        if len(nonce) != _NONCE_SIZE or not nonce.isascii() or not compare_digest(self._mac(head), nonce[_NONCE_HEAD:]):
            return None
        return int(head[:16], 16)

    def _fresh(self, nonce: str, expiry_us: int, count: int) -> bool:
        last = self._used.get(nonce)
        if last is None:
            if expiry_us <= self._floor:
                return False
            if len(self._used) >= self._limit:
                oldest = next(iter(self._used))
                del self._used[oldest]
                self._floor = max(self._floor, int(oldest[:16], 16))
        elif count <= last:
            # Without a count every response looks like the one before: a nonce serves one such.
            return False
        self._used[nonce] = count
        return True


def answer(
    response: Response,
    method: str,
    uri: str,
    username: str,
    password: str,
    cnonce: str,
    nc: int = 1,
    *,
    body: bytes = b"",
    algorithms: Sequence[str] = ("MD5",),
    realm: str | None = None,
) -> tuple[str, str] | None:
    """Header name and value that answer a 401 or 407; None when it holds no challenge of `algorithms` (and of `realm`,
    when given) that we can answer.

    The first such challenge is answered: its order is the server's (RFC 8760 section 2.4).
    """
    known = known_algorithms(algorithms)
    name = "Proxy-Authenticate" if response.status == 407 else "WWW-Authenticate"
    for params in challenges_of(response, name):
        if params["algorithm"] in known and realm in (None, params.get("realm", "")):
            value = credentials(params, method, uri, username, password, cnonce, nc, body)
            return ("Proxy-Authorization" if response.status == 407 else "Authorization"), value
    return None


def challenges_of(response: Response, name: str) -> list[dict[str, str]]:
    """The parameters of each Digest challenge in the header `name` that a client can answer, with `algorithm` in upper
    case and `qop` as the one to use: auth if offered, else auth-int, else none (RFC 7616 section 3.3)."""
    found: list[dict[str, str]] = []
    for value in response.get_all(name):
        try:
            scheme, params = parse_auth(value)
        except ParseError:
            continue
        algorithm = params.get("algorithm", "MD5").upper()
        offered = [word.strip().lower() for word in params.get("qop", "").split(",")]
        qop = next((word for word in ("auth", "auth-int", "") if word in offered), None)
        if scheme == "digest" and algorithm in ALGORITHMS and params.get("nonce") and qop is not None:
            found.append({**params, "algorithm": algorithm, "qop": qop})
    return found


def credentials(
    challenge: dict[str, str],
    method: str,
    uri: str,
    username: str,
    password: str,
    cnonce: str,
    nc: int = 1,
    body: bytes = b"",
) -> str:
    """The header value that answers one of challenges_of() (RFC 7616 section 3.4)."""
    realm, nonce = challenge.get("realm", ""), challenge["nonce"]
    qop, algorithm, count = challenge["qop"], challenge["algorithm"], f"{nc:08x}"
    result = digest_response(
        username, realm, password, method, uri, nonce, count, cnonce, qop, algorithm=algorithm, body=body
    )
    text = (
        f"Digest username={quote(username)}, realm={quote(realm)}, nonce={quote(nonce)}, "
        f'uri={quote(uri)}, response="{result}", algorithm={algorithm.replace("SESS", "sess")}'
    )
    if qop:
        text += f", cnonce={quote(cnonce)}, qop={qop}, nc={count}"
    elif algorithm.endswith("-SESS"):
        text += f", cnonce={quote(cnonce)}"
    if "opaque" in challenge:
        text += f", opaque={quote(challenge['opaque'])}"
    return text


def is_stale(response: Response) -> bool:
    """Whether a 401 or 407 says that only the nonce was too old (RFC 2617 section 3.2.1)."""
    for value in response.get_all("WWW-Authenticate") + response.get_all("Proxy-Authenticate"):
        try:
            if parse_auth(value)[1].get("stale", "").lower() == "true":
                return True
        except ParseError:
            continue
    return False
