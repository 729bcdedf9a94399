"""Digest authentication with MD5, as server and as client (RFC 2617, RFC 3261 section 22)."""

import hashlib
from collections.abc import Callable
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


def _md5(text: str) -> str:
    return hashlib.md5(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


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
) -> str:
    """The MD5 response value; an empty `qop` is the old form without (RFC 2617 section 3.2.2.1)."""
    secret = _md5(f"{username}:{realm}:{password}")
    what = _md5(f"{method}:{uri}")
    return _md5(f"{secret}:{nonce}:{nc}:{cnonce}:{qop}:{what}" if qop else f"{secret}:{nonce}:{what}")


class Challenger:
    """The server's side of one realm: makes nonces that expire by themselves and sees through replays (ours).

    A nonce carries its expiry and a keyed hash, so none is stored until it is used; then its highest
    count is.
    """

    __slots__ = ("_counter", "_floor", "_key", "_limit", "_used", "realm", "ttl_us")

    def __init__(self, seed: bytes, realm: str, ttl_us: int = 300_000_000, limits: Limits = DEFAULT_LIMITS) -> None:
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
        """Header name and value of a fresh challenge for a 401, or a 407 with `proxy` (RFC 2617 section
        3.2.1)."""
        self._counter += 1
        head = f"{now + self.ttl_us:016x}{self._counter & 0xFFFFFFFF:08x}"
        value = f'Digest realm="{self.realm}", nonce="{head}{self._mac(head)}", algorithm=MD5, qop="auth"'
        name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
        return name, value + ", stale=true" if stale else value

    def check(self, now: int, request: Request, password_of: Callable[[str], str | None]) -> Verdict:
        """Judge the request's credentials for this realm; `password_of` gives None for unknown users
        (section 3.2.2).

        The digest's `uri` need not equal the Request-URI: proxies rewrite that one.
        """
        found = self._credentials(request)
        if found is None:
            return Verdict(Outcome.MISSING, "")
        username = found.get("username", "")
        response = found.get("response", "").lower()
        nonce = found.get("nonce", "")
        uri = found.get("uri", "")
        qop = found.get("qop", "").lower()
        nc = found.get("nc", "")
        if not (username and response and nonce and uri) or found.get("algorithm", "MD5").upper() != "MD5":
            return Verdict(Outcome.MALFORMED, username)
        count = 0
        if qop:
            count = int(nc, 16) if len(nc) == 8 and all(char in "0123456789abcdefABCDEF" for char in nc) else 0
            if qop != "auth" or not count or not found.get("cnonce"):
                return Verdict(Outcome.MALFORMED, username)
        expiry_us = self._expiry(nonce)
        if expiry_us is None or expiry_us <= now:
            return Verdict(Outcome.STALE, username)
        password = password_of(username)
        if password is None:
            return Verdict(Outcome.WRONG, username)
        expected = digest_response(
            username,
            self.realm,
            password,
            request.method,
            uri,
            nonce,
            nc,
            found.get("cnonce", ""),
            found.get("qop", ""),
        )
        if not compare_digest(expected.encode(), response.encode("utf-8", "surrogateescape")):
            return Verdict(Outcome.WRONG, username)
        if not self._fresh(nonce, expiry_us, count):
            return Verdict(Outcome.STALE, username)
        return Verdict(Outcome.OK, username)

    def _credentials(self, request: Message) -> dict[str, str] | None:
        values = request.get_all("Authorization") + request.get_all("Proxy-Authorization")
        for value in values:
            try:
                scheme, params = parse_auth(value)
            except ParseError:
                if value[:7].lower() == "digest ":
                    return {}
                continue
            if scheme == "digest" and params.get("realm") == self.realm:
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
        elif count and count <= last:
            return False
        self._used[nonce] = count
        return True


def answer(
    response: Response, method: str, uri: str, username: str, password: str, cnonce: str, nc: int = 1
) -> tuple[str, str] | None:
    """Header name and value that answer a 401 or 407; None when it holds no MD5 digest challenge (RFC 2617
    section 3.2.2)."""
    name = "Proxy-Authenticate" if response.status == 407 else "WWW-Authenticate"
    for value in response.get_all(name):
        try:
            scheme, params = parse_auth(value)
        except ParseError:
            continue
        offered = [word.strip().lower() for word in params.get("qop", "").split(",")]
        if scheme != "digest" or params.get("algorithm", "MD5").upper() != "MD5" or not params.get("nonce"):
            continue
        if offered != [""] and "auth" not in offered:
            continue
        qop = "auth" if "auth" in offered else ""
        realm, nonce, count = params.get("realm", ""), params["nonce"], f"{nc:08x}"
        result = digest_response(username, realm, password, method, uri, nonce, count, cnonce, qop)
        text = (
            f"Digest username={quote(username)}, realm={quote(realm)}, nonce={quote(nonce)}, "
            f'uri={quote(uri)}, response="{result}", algorithm=MD5'
        )
        if qop:
            text += f", cnonce={quote(cnonce)}, qop=auth, nc={count}"
        if "opaque" in params:
            text += f", opaque={quote(params['opaque'])}"
        return ("Proxy-Authorization" if response.status == 407 else "Authorization"), text
    return None


def is_stale(response: Response) -> bool:
    """Whether a 401 or 407 says that only the nonce was too old (RFC 2617 section 3.2.1)."""
    for value in response.get_all("WWW-Authenticate") + response.get_all("Proxy-Authenticate"):
        try:
            if parse_auth(value)[1].get("stale", "").lower() == "true":
                return True
        except ParseError:
            continue
    return False
