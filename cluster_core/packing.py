"""Records as msgpack that survives any text: what a peer sent undecodable goes out and comes in as it was.

msgpack text is UTF-8, but undecodable octets live in text as surrogates, U+DC80 to U+DCFF. They travel as
U+10FF80 to U+10FFFF, which nobody uses; should somebody use these, U+10FF00 goes before. All of U+10FF00 to
U+10FFFF begins with the same two octets: a record without them, as nearly every one is, takes no detour.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from tlib_proto import Attribute, KVList, LocalError, Message, encode

_T = TypeVar("_T")
_ENCODE = msgspec.msgpack.Encoder().encode
_MARK = b"\xf4\x8f"
_ESCAPE = "\U0010ff00"
_TO_ESCAPE = re.compile("[\udc80-\udcff\U0010ff00-\U0010ffff]")
_ESCAPED = re.compile("\U0010ff00(.)|([\U0010ff80-\U0010ffff])", re.DOTALL)

_Replace = Callable[[re.Match[str]], str]


def pack(value: Any) -> bytes:
    """A Struct or plain value as msgpack (ours for undecodable text)."""
    try:
        data = _ENCODE(value)
    except UnicodeEncodeError:
        pass
    else:
        if _MARK not in data:
            return data
    plain = msgspec.to_builtins(value, builtin_types=(bytes,), str_keys=False)
    return _ENCODE(_map_text(plain, _TO_ESCAPE, _escape))


class Unpacker(msgspec.Struct, frozen=True):
    """What turns `pack`ed octets into a value of one type again."""

    type: Any
    decoder: msgspec.msgpack.Decoder[Any]

    def unpack(self, data: bytes) -> Any:
        """The value; ValueError (msgspec.DecodeError is one) for octets that hold none."""
        if _MARK not in data:
            return self.decoder.decode(data)
        plain = _map_text(msgspec.msgpack.decode(data), _ESCAPED, _unescape)
        return msgspec.convert(plain, self.type, builtin_types=(bytes,))


def unpacker(type_: Any) -> Unpacker:
    """An `Unpacker` for values of that type; make it once, it compiles the type."""
    return Unpacker(type_, msgspec.msgpack.Decoder(type_))


def pairs_fit(pairs: KVList, most_bytes: int) -> bool:
    """Whether a key-value list takes no more than so many octets on the wire."""
    try:
        return len(encode(Message(0, 0, {Attribute.UserData: pairs}))) <= most_bytes
    except LocalError:
        return False


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(code - 0xDC00 + 0x10FF00) if code < 0x10000 else _ESCAPE + found[0]


def _unescape(found: re.Match[str]) -> str:
    return found[1] or chr(ord(found[2]) - 0x10FF00 + 0xDC00)


def _map_text(value: Any, pattern: re.Pattern[str], replace: _Replace) -> Any:
    if isinstance(value, str):
        return pattern.sub(replace, value)
    if isinstance(value, dict):
        return {_map_text(k, pattern, replace): _map_text(v, pattern, replace) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_map_text(v, pattern, replace) for v in value]
    return value
