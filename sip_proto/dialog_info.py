"""Documents about the dialogs of a user: built in order for each subscriber, read, and put together (RFC 4235)."""

import hashlib
from collections.abc import Sequence
from enum import IntEnum
from xml.parsers import expat

import msgspec

from sip_proto.errors import LocalError, ParseError
from sip_proto.headers import parse_number
from sip_proto.limits import DEFAULT_LIMITS, Limits

CONTENT_TYPE = "application/dialog-info+xml"
# In the order in which a dialog goes through them (RFC 4235 section 3.7.1).
STATES = ("trying", "proceeding", "early", "confirmed", "terminated")
EVENTS = ("", "cancelled", "rejected", "replaced", "local-bye", "remote-bye", "error", "timeout")
DIRECTIONS = ("", "initiator", "recipient")

_SPACE = "urn:ietf:params:xml:ns:dialog-info"
_DEPTH = 16
_NEVER = {code: "\ufffd" for code in range(0x20) if code not in (9, 10, 13)}
_NEVER |= dict.fromkeys((*range(0xD800, 0xE000), 0xFFFE, 0xFFFF), "\ufffd")
_ESCAPES = _NEVER | {
    38: "&amp;",
    60: "&lt;",
    62: "&gt;",
    34: "&quot;",
    9: "&#9;",
    10: "&#10;",
    13: "&#13;",
}
# How many ended dialogs a feed remembers, so that none comes to life again.
_ENDED = 64


class Participant(msgspec.Struct, frozen=True):
    """One side of a dialog: URIs, empty where not known, and the target's parameters (RFC 4235 section 4.1.6)."""

    identity: str = ""
    display: str = ""
    target: str = ""
    params: tuple[tuple[str, str], ...] = ()


class DialogEntry(msgspec.Struct, frozen=True):
    """A dialog as a document has it; empty texts, a `code` of 0 and None are not written (RFC 4235 section 4.1.2)."""

    id: str
    state: str
    event: str = ""
    code: int = 0
    direction: str = ""
    call_id: str = ""
    local_tag: str = ""
    remote_tag: str = ""
    local: Participant = Participant()
    remote: Participant = Participant()
    duration_s: int | None = None


class DialogInfo(msgspec.Struct, frozen=True):
    """One document: all dialogs of `entity` (`full`), or those that changed (RFC 4235 section 4.1.1)."""

    entity: str
    version: int
    full: bool
    dialogs: tuple[DialogEntry, ...] = ()

    def to_bytes(self) -> bytes:
        """The document as XML in UTF-8 (RFC 4235 section 4.4)."""
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<dialog-info xmlns="{_SPACE}" version="{self.version}"'
            f' state="{"full" if self.full else "partial"}" entity="{_escape(self.entity)}">\n'
        )
        return f"{text}{''.join([_entry(entry) for entry in self.dialogs])}</dialog-info>\n".encode()


def dialog_id(call_id: str, local_tag: str, remote_tag: str = "") -> str:
    """An id that each branch of a forked call has for itself (RFC 4235 section 4.1.2; the hash is ours)."""
    named = "\0".join((call_id, local_tag, remote_tag)).encode("utf-8", "surrogateescape")
    return hashlib.blake2s(named, digest_size=8).hexdigest()


class DialogFeed:
    """What one subscriber is told of one entity: documents with rising versions, the first one full (RFC 4235 section
    4.3).

    It is given the present dialogs each time; one that is missing ended. `placeholder` says a dialog that is over where
    there is none, for phones that take a document without dialogs for no news.
    """

    __slots__ = ("_due", "_ended", "_entity", "_limits", "_placeholder", "_said", "_version")

    def __init__(self, entity: str, *, placeholder: bool = False, limits: Limits = DEFAULT_LIMITS) -> None:
        self._entity = entity
        self._placeholder = placeholder
        self._limits = limits
        self._version = 0
        self._due = True
        self._said: dict[str, DialogEntry] = {}
        self._ended: dict[str, None] = {}

    def full(self, dialogs: Sequence[DialogEntry]) -> bytes:
        """The whole state, due first, after a renewal and after a lost one (RFC 4235 section 3.6, RFC 6665 section
        4.2.1.2)."""
        now = self._present(dialogs)
        self._settle(now, [name for name in self._said if name not in now])
        told = list(now.values())
        if not told and self._placeholder:
            told = [DialogEntry("none", "terminated")]
        self._due = False
        return self._write(full=True, dialogs=told)

    def update(self, dialogs: Sequence[DialogEntry]) -> bytes | None:
        """What changed since the last document, None when nothing did; the whole state when that is due (RFC 4235
        section 4.3)."""
        if self._due:
            return self.full(dialogs)
        now = self._present(dialogs)
        changed = [entry for entry in now.values() if self._said.get(entry.id) != entry]
        gone = [entry for entry in self._said.values() if entry.id not in now]
        over = [msgspec.structs.replace(entry, state="terminated", duration_s=None) for entry in gone]
        if not changed and not over:
            return None
        self._settle(now, [entry.id for entry in gone])
        return self._write(full=False, dialogs=over + changed)

    def lost(self) -> None:
        """A document did not arrive: the next one is full (ours; RFC 4235 section 4.3 has the subscriber ask)."""
        self._due = True

    def _present(self, dialogs: Sequence[DialogEntry]) -> dict[str, DialogEntry]:
        if len(dialogs) > self._limits.document_entries:
            raise LocalError(f"{len(dialogs)} dialogs: no document holds more than {self._limits.document_entries}")
        now: dict[str, DialogEntry] = {}
        for entry in dialogs:
            _check(entry)
            if entry.id in now:
                raise LocalError(f"two dialogs {entry.id!r}")
            if entry.id in self._ended:
                continue
            said = self._said.get(entry.id)
            back = said is not None and STATES.index(said.state) > STATES.index(entry.state)
            now[entry.id] = said if said is not None and back else entry
        return now

    def _settle(self, now: dict[str, DialogEntry], gone: Sequence[str]) -> None:
        self._said = {}
        for entry in now.values():
            if entry.state == "terminated":
                gone = (*gone, entry.id)
            else:
                self._said[entry.id] = entry
        for name in gone:
            self._ended[name] = None
        while len(self._ended) > _ENDED:
            del self._ended[next(iter(self._ended))]

    def _write(self, *, full: bool, dialogs: Sequence[DialogEntry]) -> bytes:
        info = DialogInfo(self._entity, self._version, full, tuple(dialogs))
        self._version += 1
        return info.to_bytes()


class Taken(IntEnum):
    """What a document was to a picture: news, older than what is known, or after a hole (renew the subscription)."""

    NEWS = 0
    OLD = 1
    HOLE = 2


class DialogPicture:
    """The dialogs of one entity as the documents of one subscription tell them (RFC 4235 section 4.3)."""

    __slots__ = ("_limits", "_version", "dialogs")

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._version = -1
        self.dialogs: dict[str, DialogEntry] = {}

    def take(self, info: DialogInfo) -> Taken:
        """Put a document in; one that is old changes nothing, a full one after a hole mends it (RFC 4235 section
        4.3)."""
        if info.version <= self._version:
            return Taken.OLD
        if not info.full and info.version != self._version + 1:
            return Taken.HOLE
        self._version = info.version
        if info.full:
            self.dialogs = {}
        for entry in info.dialogs:
            if entry.state == "terminated":
                self.dialogs.pop(entry.id, None)
            elif entry.id in self.dialogs or len(self.dialogs) < self._limits.document_entries:
                self.dialogs[entry.id] = entry
        return Taken.NEWS


def parse_dialog_info(data: bytes, limits: Limits = DEFAULT_LIMITS) -> DialogInfo:
    """A document in UTF-8; ParseError for one that is broken, too large, too deep or has a DOCTYPE (RFC 4235 section
    4.4)."""
    if len(data) > limits.document:
        raise ParseError("document", limits.document, f"more than {limits.document} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParseError("document", error.start, "no UTF-8") from None
    # No entity is ever declared, so none can grow.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ParseError("document", 0, "a DOCTYPE")
    reader = _Reader(limits)
    parser = expat.ParserCreate("utf-8", " ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise ParseError("document", parser.ErrorByteIndex, expat.ErrorString(error.code)) from None
    return reader.info()


class _Reader:
    """What the XML parser calls; it keeps entries, never a tree."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._path: list[str] = []
        self._text = ""
        self._root: dict[str, str] = {}
        self._entries: list[DialogEntry] = []
        self._dialog: dict[str, str] = {}
        self._state: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._params: dict[str, list[tuple[str, str]]] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._path) == _DEPTH:
            raise ParseError("document", 0, f"deeper than {_DEPTH}")
        space, _, local = name.rpartition(" ")
        path = "/".join((*self._path, local if space == _SPACE else "?"))
        self._path.append(local if space == _SPACE else "?")
        self._text = ""
        if path == "dialog-info":
            self._root = attributes
        elif path == "dialog-info/dialog":
            if len(self._entries) == self._limits.document_entries:
                raise ParseError("document", 0, f"more than {self._limits.document_entries} dialogs")
            self._dialog = attributes
            self._state = {}
            self._values = {}
            self._params = {}
        elif path == "dialog-info/dialog/state":
            self._state = attributes
        elif path.endswith("/identity"):
            self._values[f"{path}/display"] = attributes.get("display", "")
        elif path.endswith("/target"):
            self._values[path] = attributes.get("uri", "")
        elif path.endswith("/target/param"):
            pair = (attributes.get("pname", ""), attributes.get("pval", ""))
            self._params.setdefault(path, []).append(pair)

    def data(self, text: str) -> None:
        self._text += text

    def end(self, name: str) -> None:
        path = "/".join(self._path)
        self._path.pop()
        if path == "dialog-info/dialog":
            self._entries.append(self._entry())
        elif path.startswith("dialog-info/dialog/") and not path.endswith(("/target", "/param")):
            self._values[path] = self._text.strip(" \t\r\n")
        self._text = ""

    def info(self) -> DialogInfo:
        if "entity" not in self._root:
            raise ParseError("document", 0, "no dialog-info with an entity")
        version = parse_number(self._root.get("version", ""))
        kind = self._root.get("state")
        if version is None or kind not in ("full", "partial"):
            raise ParseError("document", 0, "no version or no state")
        return DialogInfo(self._root["entity"], version, kind == "full", tuple(self._entries))

    def _entry(self) -> DialogEntry:
        attributes = self._dialog
        place = "dialog-info/dialog"
        duration = self._values.get(f"{place}/duration", "")
        entry = DialogEntry(
            attributes.get("id", ""),
            self._values.get(f"{place}/state", "").lower(),
            self._state.get("event", ""),
            parse_number(self._state.get("code", ""), 699) or 0,
            attributes.get("direction", ""),
            attributes.get("call-id", ""),
            attributes.get("local-tag", ""),
            attributes.get("remote-tag", ""),
            self._participant(f"{place}/local"),
            self._participant(f"{place}/remote"),
            parse_number(duration),
        )
        try:
            _check(entry)
        except LocalError as error:
            raise ParseError("document", 0, str(error)) from None
        return entry

    def _participant(self, place: str) -> Participant:
        return Participant(
            self._values.get(f"{place}/identity", ""),
            self._values.get(f"{place}/identity/display", ""),
            self._values.get(f"{place}/target", ""),
            tuple(self._params.get(f"{place}/target/param", ())),
        )


def _check(entry: DialogEntry) -> None:
    if not entry.id:
        raise LocalError("a dialog without id")
    if entry.state not in STATES or entry.event not in EVENTS or entry.direction not in DIRECTIONS:
        raise LocalError(f"dialog {entry.id!r}: no such state, event or direction")


def _escape(text: str) -> str:
    return text.translate(_ESCAPES)


def _attributes(*pairs: tuple[str, str]) -> str:
    return "".join([f' {name}="{_escape(value)}"' for name, value in pairs if value])


def _entry(entry: DialogEntry) -> str:
    named = _attributes(
        ("id", entry.id),
        ("call-id", entry.call_id),
        ("local-tag", entry.local_tag),
        ("remote-tag", entry.remote_tag),
        ("direction", entry.direction),
    )
    why = _attributes(("event", entry.event), ("code", str(entry.code) if entry.code else ""))
    text = f" <dialog{named}>\n  <state{why}>{entry.state}</state>\n"
    if entry.duration_s is not None:
        text += f"  <duration>{entry.duration_s}</duration>\n"
    return f"{text}{_participant('local', entry.local)}{_participant('remote', entry.remote)} </dialog>\n"


def _participant(name: str, side: Participant) -> str:
    if side == Participant():
        return ""
    text = f"  <{name}>\n"
    if side.identity or side.display:
        display = _attributes(("display", side.display))
        text += f"   <identity{display}>{_escape(side.identity)}</identity>\n"
    if side.target or side.params:
        params = "".join([f'<param pname="{_escape(pname)}" pval="{_escape(pval)}"/>' for pname, pval in side.params])
        text += f'   <target uri="{_escape(side.target)}">{params}</target>\n'
    return f"{text}  </{name}>\n"
