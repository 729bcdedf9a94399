"""Readings of header values that tie messages to dialogs, subscriptions and earlier responses."""

import re
from typing import NamedTuple

from sip_proto.errors import ParseError
from sip_proto.headers import is_token, parse_number, parse_params, split_quoted, unquote
from sip_proto.values import read_word

_RACK = re.compile(r"([0-9]{1,10})[ \t]+([0-9]{1,10})[ \t]+([A-Za-z0-9.!%*_+`'~-]+)\Z")
_SESSION_ID = re.compile(r"[0-9a-f]{32}\Z")


class Event(NamedTuple):
    """An event package, with templates as written, and parameters (RFC 6665 section 8.2.1)."""

    package: str
    params: dict[str, str]

    @property
    def id(self) -> str:
        return self.params.get("id", "")


class SubscriptionState(NamedTuple):
    """State and reason in lower case; None for times that are not written (RFC 6665 section 8.2.3)."""

    state: str
    reason: str
    expires_s: int | None
    retry_after_s: int | None
    params: dict[str, str]


class DialogId(NamedTuple):
    """A dialog as its receiver names it: `local_tag` is the receiver's (RFC 3891 section 6.1, RFC 3911, RFC 4538)."""

    call_id: str
    local_tag: str
    remote_tag: str
    params: dict[str, str]

    @property
    def early_only(self) -> bool:
        """Whether a dialog that is confirmed must not be replaced (RFC 3891 section 3)."""
        return "early-only" in self.params


class RAck(NamedTuple):
    """The RSeq, CSeq and method of the response that a PRACK is for (RFC 3262 section 7.2)."""

    rseq: int
    cseq: int
    method: str


class Reason(NamedTuple):
    """Why a request was sent: protocol as written, cause or None, text unquoted (RFC 3326 section 2)."""

    protocol: str
    cause: int | None
    text: str
    params: dict[str, str]


class SessionId(NamedTuple):
    """Two identifiers of 32 hex digits; `remote` is empty when not written (RFC 7989 section 5)."""

    local: str
    remote: str


def read_event(text: str) -> Event:
    """A package and its parameters; ParseError (RFC 6665 section 8.2.1)."""
    package, _, tail = text.partition(";")
    package = package.strip(" \t")
    if not is_token(package):
        raise ParseError("event", 0, "no token")
    return Event(package, parse_params(tail))


def read_subscription_state(text: str) -> SubscriptionState:
    """A state and its parameters; ParseError (RFC 6665 section 8.2.3)."""
    state, params = read_event(text)
    expires = params.get("expires")
    retry = params.get("retry-after")
    return SubscriptionState(
        state.lower(),
        params.get("reason", "").lower(),
        None if expires is None else _seconds(expires),
        None if retry is None else _seconds(retry),
        params,
    )


def read_dialog_id(text: str) -> DialogId:
    """Replaces, Join or Target-Dialog: a Call-ID and both tags; ParseError (RFC 3891 section 6.1)."""
    call_id, _, tail = text.partition(";")
    params = parse_params(tail)
    to_tag = params.get("to-tag") or params.get("local-tag")
    from_tag = params.get("from-tag") or params.get("remote-tag")
    if not to_tag or not from_tag:
        raise ParseError("dialog", len(call_id), "not both tags")
    return DialogId(read_word(call_id.strip(" \t")), to_tag, from_tag, params)


def read_rack(text: str) -> RAck:
    """Two numbers and a method; ParseError (RFC 3262 section 7.2)."""
    found = _RACK.match(text)
    if found is None:
        raise ParseError("rack", 0, "no two numbers and a method")
    return RAck(_seconds(found[1]), _seconds(found[2]), found[3])


def read_reason(text: str) -> Reason:
    """A protocol and its parameters; ParseError (RFC 3326 section 2)."""
    protocol, *tail = split_quoted(text, ";")
    if not is_token(protocol):
        raise ParseError("reason", 0, "no protocol")
    params = parse_params(";".join(tail))
    return Reason(protocol, parse_number(params.get("cause", "")), unquote(params.get("text", "")), params)


def read_session_id(text: str) -> SessionId:
    """One or two identifiers; ParseError (RFC 7989 section 5)."""
    local, _, tail = text.partition(";")
    remote = parse_params(tail).get("remote", "")
    local = local.strip(" \t").lower()
    if not _SESSION_ID.match(local) or (remote and not _SESSION_ID.match(remote.lower())):
        raise ParseError("session", 0, "no 32 hex digits")
    return SessionId(local, remote.lower())


def _seconds(text: str) -> int:
    number = parse_number(text)
    if number is None:
        raise ParseError("number", 0, "no number below 2**32")
    return number
