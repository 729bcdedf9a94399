"""Readings of header values about bodies: types, dispositions, what is accepted."""

import re
from typing import NamedTuple

from sip_proto.errors import ParseError
from sip_proto.headers import parse_params, parse_q, unquote

_TYPE = re.compile(r"([A-Za-z0-9.!%*_+`'~-]+)[ \t]*/[ \t]*([A-Za-z0-9.!%*_+`'~-]+)[ \t]*(;.*)?\Z", re.S)
_DISPOSITION = re.compile(r"([A-Za-z0-9.!%*_+`'~-]+)[ \t]*(;.*)?\Z", re.S)
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\Z")


class MediaType(NamedTuple):
    """Type and subtype in lower case, parameters as written; `*` is any (RFC 3261 sections 20.1 and 20.15)."""

    kind: str
    subtype: str
    params: dict[str, str]

    @property
    def essence(self) -> str:
        """`type/subtype` (ours)."""
        return f"{self.kind}/{self.subtype}"

    @property
    def q(self) -> int:
        """Preference in 1/1000 of an Accept's range (RFC 3261 section 20.1)."""
        return parse_q(self.params.get("q", ""))

    def param(self, name: str) -> str:
        """A parameter unquoted, empty when there is none (RFC 2045 section 5.1)."""
        return unquote(self.params.get(name, ""))

    def takes(self, other: "MediaType") -> bool:
        """Whether this range of an Accept covers `other` (RFC 3261 section 20.1)."""
        return self.kind in ("*", other.kind) and self.subtype in ("*", other.subtype)


class Disposition(NamedTuple):
    """What a body is for, in lower case, and whether it must be understood (RFC 3261 section 20.11)."""

    kind: str
    params: dict[str, str]

    @property
    def required(self) -> bool:
        """Whether a receiver that cannot do it must refuse with 415; so when nothing is said (RFC 3261 section
        20.11)."""
        return self.params.get("handling", "required").lower() != "optional"


def read_media_type(text: str) -> MediaType:
    """A type, subtype, parameters; ParseError (RFC 3261 section 20.15)."""
    found = _TYPE.match(text)
    if found is None:
        raise ParseError("media type", 0, "no type/subtype")
    return MediaType(found[1].lower(), found[2].lower(), parse_params(found[3] or ""))


def read_disposition(text: str) -> Disposition:
    """A disposition and its parameters; ParseError (RFC 3261 section 20.11)."""
    found = _DISPOSITION.match(text)
    if found is None:
        raise ParseError("disposition", 0, "no token")
    return Disposition(found[1].lower(), parse_params(found[2] or ""))


def read_version(text: str) -> tuple[int, int]:
    """Two numbers around a dot; ParseError (RFC 3261 section 20.24)."""
    found = _VERSION.match(text)
    if found is None:
        raise ParseError("version", 0, "no number.number")
    return int(found[1]), int(found[2])
