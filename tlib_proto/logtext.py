"""Messages as text in the shape of the vendor's public logs, so that existing log tools can read ours.

`message EventX`, then an attribute a line behind a tab: 64-bit ids as 16 hex digits, text in quotes, lists
a pair a line behind two tabs, deeper lists further in. What a line may not hold is written as an escape.
"""

import re

from .attributes import ATTRIBUTE_NAMES, ATTRIBUTE_TYPES, Attribute, AttributeType
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
        code -= 0xDC00
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"


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
