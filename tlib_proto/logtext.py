"""Messages as text in the shape of the vendor's public logs, so that existing log tools can read ours.

`message EventX`, then an attribute a line behind a tab: 64-bit ids as 16 hex digits, text in quotes, lists
a pair a line behind two tabs, deeper lists further in. What a line may not hold is written as an escape:
`\\x` and two digits is a control character below 80 or an octet that is not UTF-8, `\\u` and four a character.
`parse` reads that back; what was masked or cut is gone.
"""

import re
from collections.abc import Iterable, Iterator

import msgspec

from .attributes import ATTRIBUTE_NAMES, ATTRIBUTE_TYPES, Attribute, AttributeType
from .limits import MAX_DEPTH
from .messages import MessageType
from .records import KVList, KVValue, Message, Unknown, Value

MASK = "***"
MAX_TEXT = 1_024
"""Characters of one text, or octets of one value, that are printed (ours)."""

_SECRETS = frozenset(
    int(attribute)
    for attribute in (
        Attribute.ApplicationPassword,
        Attribute.Password,
        Attribute.UserData,
        Attribute.Extensions,
        Attribute.TreatmentParms,
        Attribute.CollectedDigits,
        Attribute.LastDigit,
        Attribute.DTMFDigits,
        Attribute.Resume,
        Attribute.PeerBody,
    )
)
_DECIMAL = frozenset((int(Attribute.DNEpoch), int(Attribute.DNSequence)))
_UNSAFE = re.compile("[\x00-\x1f'\\\\\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def render(message: Message, mask: bool = True, prefix: str = "") -> str:
    """A message as log text without a final line end; with `mask`, user data, secrets and unknowns are `***`.

    `prefix` stands before the first line, as in `distribute_event: message EventX`.
    """
    lines = [f"{prefix}message {message.name}"]
    if message.ref:
        lines.append(f"\tAttributeReferenceID\t{message.ref}")
    for attribute, value in message.attributes.items():
        name = ATTRIBUTE_NAMES.get(attribute) or str(attribute)
        hide = mask and (attribute in _SECRETS or attribute not in ATTRIBUTE_NAMES)
        if isinstance(value, tuple):
            lines.append(f"\tAttribute{name}\t[{len(value)}]")
            _pairs(value, 2, hide, lines)
        else:
            lines.append(f"\tAttribute{name}\t{_value(attribute, value, mask, hide)}")
    return "\n".join(lines)


def quoted(text: str) -> str:
    """Text in single quotes on one line; control characters, quotes and undecodable octets as escapes."""
    cut = text[:MAX_TEXT]
    rest = f" and {len(text) - MAX_TEXT} more" if len(text) > MAX_TEXT else ""
    return f"'{_UNSAFE.sub(_escape, cut)}'{rest}"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # an octet kept by surrogateescape
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


def _value(attribute: int, value: Value, mask: bool, hide: bool) -> str:
    if isinstance(value, Unknown):
        shown = "" if mask else f" {_hex(value.data)}"
        return f"[type {value.type}, {len(value.data)} octets]{shown}"
    if isinstance(value, bytes):
        return f"[{len(value)}]" if hide else f"[{len(value)}] {_hex(value)}"
    if hide:
        return f"'{MASK}'"
    if isinstance(value, str):
        return quoted(value)
    if ATTRIBUTE_TYPES.get(attribute) == AttributeType.U64 and attribute not in _DECIMAL:
        return f"{value:016x}"
    return str(value)


def _pairs(pairs: KVList, depth: int, hide: bool, lines: list[str]) -> None:
    for key, value in pairs:
        if isinstance(value, tuple):
            lines.append("\t" * depth + f"{quoted(key)}\t[{len(value)}]")
            _pairs(value, depth + 1, hide, lines)
        else:
            lines.append("\t" * depth + f"{quoted(key)}\t{_leaf(value, hide)}")


def _leaf(value: KVValue, hide: bool) -> str:
    if hide:
        return f"'{MASK}'"
    if isinstance(value, bytes):
        return f"[{len(value)}] {_hex(value)}"
    return quoted(value) if isinstance(value, str) else str(value)


def _hex(data: bytes) -> str:
    return data[:MAX_TEXT].hex(" ") + (" ..." if len(data) > MAX_TEXT else "")


class LogTextError(ValueError):
    """Text that is no message as `render` prints it: `line` counts from 1, `why` says what is wrong there."""

    line: int
    why: str

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line
        self.why = why


class Logged(msgspec.Struct, frozen=True):
    """A message found in a log: the line it begins on, what stood before it, and it, or why it cannot be read."""

    line: int
    prefix: str
    message: Message | None
    fault: str = ""


_FIRST = re.compile(r"(.*?)message ([A-Z][A-Za-z0-9_]{0,63}|Message-[0-9]{1,5})", re.ASCII)
_ATTRIBUTE = re.compile(r"\tAttribute([A-Za-z0-9]{1,63})\t(.*)", re.ASCII | re.DOTALL)
_PAIR = re.compile(r"(\t+)('[^'\t]*')\t(.*)", re.DOTALL)
_QUOTED = re.compile(r"'((?:[^'\\]|\\x[0-9a-f]{2}|\\u[0-9a-f]{4})*)'( and [0-9]+ more)?", re.ASCII)
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4}))", re.ASCII)
_UNKNOWN = re.compile(r"\[type ([0-9]{1,3}), ([0-9]{1,10}) octets\](.*)", re.ASCII)
_COUNTED = re.compile(r"\[([0-9]{1,10})\](.*)", re.ASCII)
_DECIMAL_NUMBER = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_HEX_NUMBER = re.compile(r"[0-9a-f]{16}", re.ASCII)
_HEX_OCTETS = re.compile(r"(?:[0-9a-f]{2}(?: [0-9a-f]{2})*)?", re.ASCII)
_GONE = "the value was masked or cut"


def parse(text: str) -> Message:
    """A message from its log text, with or without a prefix; LogTextError says what cannot be read where.

    `parse(render(message, mask=False))` is the message, unless a value is longer than MAX_TEXT. ReferenceID is
    the header's.
    """
    lines = [line.rstrip("\r") for line in text.rstrip("\n").split("\n")]
    first = _FIRST.fullmatch(lines[0])
    if first is None:
        raise LogTextError(1, "no `message` and its name")
    return _message(first[2], lines)


def parse_log(lines: Iterable[str]) -> Iterator[Logged]:
    """Every message in the lines of a log, whatever stands between them; one that cannot be read says why."""
    begun, block = 0, list[str]()
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r\n")
        if block and line.startswith("\t"):
            block.append(line)
            continue
        if block:
            yield _logged(begun, block)
        begun, block = number, [line] if _FIRST.fullmatch(line) else []
    if block:
        yield _logged(begun, block)


def _logged(begun: int, block: list[str]) -> Logged:
    first = _FIRST.fullmatch(block[0])
    assert first is not None
    try:
        return Logged(begun, first[1], _message(first[2], block))
    except LogTextError as error:
        return Logged(begun, first[1], None, str(LogTextError(begun + error.line - 1, error.why)))


def _message(name: str, lines: list[str]) -> Message:
    if name in MessageType.__members__:
        number = int(MessageType[name])
    elif name.startswith("Message-") and int(name[8:]) <= 0xFFFF:
        number = int(name[8:])
    else:
        raise LogTextError(1, f"no message is called {name}")
    ref, at = 0, 1
    attributes: dict[int, Value] = {}
    while at < len(lines):
        found = _ATTRIBUTE.fullmatch(lines[at])
        if found is None:
            raise LogTextError(at + 1, "no attribute")
        key = _attribute_of(found[1], at + 1)
        if key in attributes:
            raise LogTextError(at + 1, f"{found[1]} for the second time")
        value, at = _attribute_value(key, found[2], lines, at)
        if at == 2 and key == Attribute.ReferenceID and isinstance(value, int):
            ref = value
        else:
            attributes[key] = value
    return Message(number, ref, attributes)


def _attribute_of(name: str, line: int) -> int:
    if name in Attribute.__members__:
        return int(Attribute[name])
    if name.isdigit() and len(name) <= 5 and int(name) <= 0xFFFF:
        return int(name)
    raise LogTextError(line, f"no attribute is called {name}")


def _attribute_value(key: int, shown: str, lines: list[str], at: int) -> tuple[Value, int]:
    """A value, and the place of the line behind it."""
    declared = ATTRIBUTE_TYPES.get(key)
    unknown = _UNKNOWN.fullmatch(shown)
    if unknown is not None:
        return Unknown(int(unknown[1]), _octets(unknown[2], unknown[3], at + 1)), at + 1
    counted = _COUNTED.fullmatch(shown)
    if counted is not None:
        if declared == AttributeType.KVLIST or (declared is None and not counted[2]):
            return _read_pairs(int(counted[1]), 2, lines, at + 1)
        return _octets(counted[1], counted[2], at + 1), at + 1
    if shown.startswith("'"):
        return _text(shown, at + 1), at + 1
    if declared == AttributeType.U64 and key not in _DECIMAL:
        if not _HEX_NUMBER.fullmatch(shown):
            raise LogTextError(at + 1, "not 16 hex digits")
        return int(shown, 16), at + 1
    return _number(shown, at + 1), at + 1


def _read_pairs(count: int, depth: int, lines: list[str], at: int) -> tuple[KVList, int]:
    if depth > MAX_DEPTH + 1:
        raise LogTextError(at, f"more than {MAX_DEPTH} lists inside each other")
    found: list[tuple[str, KVValue]] = []
    for _ in range(count):
        pair = _PAIR.fullmatch(lines[at]) if at < len(lines) else None
        if pair is None or len(pair[1]) != depth:
            raise LogTextError(at + 1, f"{len(found)} pairs of {count}")
        key, shown = _text(pair[2], at + 1), pair[3]
        at += 1
        counted = _COUNTED.fullmatch(shown)
        value: KVValue
        if counted is None:
            value = _text(shown, at) if shown.startswith("'") else _number(shown, at)
        elif counted[2]:
            value = _octets(counted[1], counted[2], at)
        else:
            value, at = _read_pairs(int(counted[1]), depth + 1, lines, at)
        found.append((key, value))
    return tuple(found), at


def _text(shown: str, line: int) -> str:
    match = _QUOTED.fullmatch(shown)
    if match is None:
        raise LogTextError(line, "no text in quotes")
    if match[2] or match[1] == MASK:
        raise LogTextError(line, _GONE)
    return _ESCAPE.sub(_unescape, match[1])


def _unescape(match: re.Match[str]) -> str:
    if match[2]:
        return chr(int(match[2], 16))
    code = int(match[1], 16)
    return chr(code if code < 0x80 else 0xDC00 + code)


def _octets(count: str, shown: str, line: int) -> bytes:
    octets = shown.removeprefix(" ")
    if octets.endswith("...") or (not octets and int(count)):
        raise LogTextError(line, _GONE)
    if not _HEX_OCTETS.fullmatch(octets):
        raise LogTextError(line, "no octets in hex")
    found = bytes.fromhex(octets)
    if len(found) != int(count):
        raise LogTextError(line, f"{len(found)} octets of {count}")
    return found


def _number(shown: str, line: int) -> int:
    if not _DECIMAL_NUMBER.fullmatch(shown):
        raise LogTextError(line, "no number")
    return int(shown)
