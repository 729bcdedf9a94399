"""The wire format, declared once with construct: specification, and oracle of the generated codec (ours).

A frame is a length (u32, counts itself), version, flags, message id, ReferenceID, then attributes until its
end. Each attribute is id, type, a reserved octet, length, value. `python -m tlib_proto.generate` walks these
objects and writes `_codec.py`; every class below is one word that the generator knows.

Every length opens a `Region`, and a Region must be used up exactly: construct's GreedyRange would end in
silence at a broken element. Offsets in errors are octets from the start of the frame. `truncated` points at
the end of the region that was too short, `overrun`, `large`, `depth` and `kv-type` at the start of the value,
`trailing` at the first octet left over, all others at the start of the element they speak of.
"""

import io
from collections.abc import Callable
from typing import Any

from construct import (
    Construct,
    ConstructError,
    Container,
    Int8ub,
    Int16ub,
    Int32sb,
    Int32ub,
    Int64ub,
    StreamError,
    Struct,
    Subconstruct,
    Switch,
    Tell,
    this,
)

from ._values import kind_of, pair_kind, settled
from .errors import ParseError
from .limits import MAX_ATTRIBUTES, MAX_DEPTH, MAX_KVLIST
from .records import Message, Unknown

VERSION = 1


class WireError(ConstructError):  # type: ignore[misc]
    """A breach of the format, with its place in the stream at hand; regions add where they start."""

    def __init__(self, kind: str, offset: int) -> None:
        super().__init__(kind)
        self.kind = kind
        self.offset = offset


def _rest(stream: io.BytesIO) -> int:
    at = stream.tell()
    end = stream.seek(0, io.SEEK_END)
    stream.seek(at)
    return end - at


class Region(Subconstruct):  # type: ignore[misc]
    """A length, then that many octets which `subcon` uses up exactly; `whole` lengths count themselves."""

    def __init__(self, lengthfield: Any, subcon: Any, whole: bool = False) -> None:
        super().__init__(subcon)
        self.lengthfield = lengthfield
        self.whole = whole

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> Any:
        start = stream.tell()
        length = self.lengthfield._parsereport(stream, context, path)
        base = stream.tell()
        if self.whole:
            length -= base - start
            if length < 0:
                raise WireError("length", start)
        if length > _rest(stream):
            raise WireError("overrun", base)
        inner = io.BytesIO(stream.read(length))
        try:
            value = self.subcon._parsereport(inner, context, path)
        except StreamError:
            raise WireError("truncated", base + length) from None
        except WireError as error:
            raise WireError(error.kind, base + error.offset) from None
        if _rest(inner):
            raise WireError("trailing", base + inner.tell())
        return value

    def _build(self, obj: Any, stream: io.BytesIO, context: Any, path: str) -> Any:
        inner = io.BytesIO()
        self.subcon._build(obj, inner, context, path)
        body = inner.getvalue()
        extra = self.lengthfield.sizeof() if self.whole else 0
        self.lengthfield._build(len(body) + extra, stream, context, path)
        stream.write(body)
        return obj


class Attributes(Subconstruct):  # type: ignore[misc]
    """Elements until the end of the region, as a dict by their `id`; none twice, no more than `limit`.

    Of each element the dict keeps the field `keep`.
    """

    def __init__(self, limit: int, subcon: Any, keep: str = "value") -> None:
        super().__init__(subcon)
        self.limit = limit
        self.keep = keep

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> Any:
        found: dict[int, Any] = {}
        while _rest(stream):
            start = stream.tell()
            if len(found) >= self.limit:
                raise WireError("attributes", start)
            element = self.subcon._parsereport(stream, context, path)
            if element.id in found:
                raise WireError("duplicate", start)
            found[element.id] = element[self.keep]
        return found

    def _build(self, obj: Any, stream: io.BytesIO, context: Any, path: str) -> Any:
        for key, value in obj.items():
            wire_type = value.type if isinstance(value, Unknown) else kind_of(key, value)
            element = {"id": key, "type": wire_type, "reserved": 0, "value": value}
            self.subcon._build(element, stream, context, path)
        return obj


class Pairs(Subconstruct):  # type: ignore[misc]
    """A count, then as many elements, as a tuple of (key, value)."""

    def __init__(self, countfield: Any, subcon: Any) -> None:
        super().__init__(subcon)
        self.countfield = countfield

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> Any:
        count = self.countfield._parsereport(stream, context, path)
        found = []
        for _ in range(count):
            element = self.subcon._parsereport(stream, context, path)
            found.append((element.key, element.value))
        return tuple(found)

    def _build(self, obj: Any, stream: io.BytesIO, context: Any, path: str) -> Any:
        self.countfield._build(len(obj), stream, context, path)
        for key, value in obj:
            element = {"key": key, "type": pair_kind(key, value), "value": value}
            self.subcon._build(element, stream, context, path)
        return obj


class Nested(Construct):  # type: ignore[misc]
    """A construct that may hold itself, `limit` deep; `make` gives it, late, since it does not exist yet."""

    def __init__(self, limit: int, make: Callable[[], Any]) -> None:
        super().__init__()
        self.limit = limit
        self.make = make

    def _inside(self, context: Any, offset: int) -> Any:
        outer = context
        while outer is not None and "depth" not in outer:
            outer = outer.get("_")
        inner = Container(context)
        inner["depth"] = 1 if outer is None else outer["depth"] + 1
        if inner["depth"] > self.limit:
            raise WireError("depth", offset)
        return inner

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> Any:
        return self.make()._parsereport(stream, self._inside(context, stream.tell()), path)

    def _build(self, obj: Any, stream: io.BytesIO, context: Any, path: str) -> Any:
        return self.make()._build(obj, stream, self._inside(context, stream.tell()), path)


class AtMost(Subconstruct):  # type: ignore[misc]
    """Refuses a region of more than `limit` octets before it is read."""

    def __init__(self, limit: int, subcon: Any) -> None:
        super().__init__(subcon)
        self.limit = limit

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> Any:
        if _rest(stream) > self.limit:
            raise WireError("large", stream.tell())
        return self.subcon._parsereport(stream, context, path)


class Text(Construct):  # type: ignore[misc]
    """The rest of the region as UTF-8; octets that are not are kept by surrogateescape."""

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> Any:
        return stream.read().decode("utf-8", "surrogateescape")

    def _build(self, obj: Any, stream: io.BytesIO, context: Any, path: str) -> Any:
        stream.write(obj.encode("utf-8", "surrogateescape"))
        return obj


class Octets(Construct):  # type: ignore[misc]
    """The rest of the region as it is."""

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> Any:
        return stream.read()

    def _build(self, obj: Any, stream: io.BytesIO, context: Any, path: str) -> Any:
        stream.write(obj)
        return obj


class Raw(Construct):  # type: ignore[misc]
    """The rest of the region as `Unknown`, with the wire type found in field `type`."""

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> Any:
        return Unknown(context.type, stream.read())

    def _build(self, obj: Any, stream: io.BytesIO, context: Any, path: str) -> Any:
        stream.write(obj.data)
        return obj


class Refuse(Construct):  # type: ignore[misc]
    """No value at all: a breach of this kind."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> Any:
        raise WireError(self.kind, stream.tell())


class Settled(Construct):  # type: ignore[misc]
    """No octets: how the value is read, from fields `id` and `type` (`_values.settled`)."""

    def __init__(self) -> None:
        super().__init__()
        self.flagbuildnone = True

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> Any:
        return settled(context.id, context.type)

    def _build(self, obj: Any, stream: io.BytesIO, context: Any, path: str) -> Any:
        return settled(context.id, context.type)


class Expect(Construct):  # type: ignore[misc]
    """No octets: field `name` has this value, or a breach of kind `name` at field `start`."""

    def __init__(self, field: str, value: int) -> None:
        super().__init__()
        self.field = field
        self.value = value
        self.flagbuildnone = True

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> Any:
        if context[self.field] != self.value:
            raise WireError(self.field, context.start)

    def _build(self, obj: Any, stream: io.BytesIO, context: Any, path: str) -> Any:
        return None


class AsMessage(Subconstruct):  # type: ignore[misc]
    """Fields `id`, `ref` and `attributes` as a `Message`."""

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> Any:
        found = self.subcon._parsereport(stream, context, path)
        return Message(found.id, found.ref, found.attributes)

    def _build(self, obj: Any, stream: io.BytesIO, context: Any, path: str) -> Any:
        fields = {"version": VERSION, "flags": 0, "id": obj.id, "ref": obj.ref, "attributes": obj.attributes}
        return self.subcon._build(fields, stream, context, path)


Pair = Struct(
    "key" / Region(Int16ub, Text()),
    "type" / Int8ub,
    "value"
    / Region(
        Int32ub,
        Switch(
            this.type,
            {1: Int32sb, 3: Text(), 4: Nested(MAX_DEPTH, lambda: KeyValues), 5: Octets()},
            default=Refuse("kv-type"),
        ),
    ),
)

KeyValues: Any = Pairs(Int16ub, Pair)

Attribute = Struct(
    "start" / Tell,
    "id" / Int16ub,
    "type" / Int8ub,
    "reserved" / Int8ub,
    "kind" / Settled(),
    "value"
    / Region(
        Int32ub,
        Switch(
            this.kind,
            {
                1: Int32ub,
                2: Int64ub,
                3: Text(),
                4: AtMost(MAX_KVLIST, Nested(MAX_DEPTH, lambda: KeyValues)),
                5: Octets(),
            },
            default=Raw(),
        ),
    ),
    "reserved is zero" / Expect("reserved", 0),
)

Frame = Region(
    Int32ub,
    AsMessage(
        Struct(
            "start" / Tell,
            "version" / Int8ub,
            "flags" / Int8ub,
            "id" / Int16ub,
            "ref" / Int32ub,
            "one version" / Expect("version", VERSION),
            "no flags" / Expect("flags", 0),
            "attributes" / Attributes(MAX_ATTRIBUTES, Attribute),
        )
    ),
    whole=True,
)


def _skimmed(con: Any) -> Any:
    """The same declaration with every attribute's value left as octets, and its start kept."""
    fields = [
        sub.name / Region(sub.subcon.lengthfield, Octets()) if sub.name == "value" else sub
        for sub in Attribute.subcons
    ]
    head = [sub for sub in con.subcon.subcon.subcons if sub.name != "attributes"]
    body = Struct(*head, "attributes" / Attributes(MAX_ATTRIBUTES, Struct(*fields), keep="start"))
    return Region(con.lengthfield, body, whole=con.whole)


Skimmed = _skimmed(Frame)


def spec_decode(data: bytes) -> Message:
    """One whole frame as a Message, read by the declaration; ParseError as the codec's."""
    message = _parsed(Frame, data)
    assert isinstance(message, Message)
    return message


def spec_scan(data: bytes) -> dict[int, int]:
    """Where each attribute of one whole frame starts, by the declaration; ParseError as the codec's `scan`."""
    inside = Frame.lengthfield.sizeof()  # a Region counts from its own start
    return {number: inside + start for number, start in _parsed(Skimmed, data).attributes.items()}


def _parsed(con: Any, data: bytes) -> Any:
    stream = io.BytesIO(data)
    try:
        found = con.parse_stream(stream)
    except StreamError:
        raise ParseError("truncated", len(data)) from None
    except WireError as error:
        raise ParseError(error.kind, error.offset) from None
    if _rest(stream):
        raise ParseError("trailing", stream.tell())
    return found


def spec_encode(message: Message) -> bytes:
    """A Message as one frame, built by the declaration; for messages that the codec can encode."""
    frame = Frame.build(message)
    assert isinstance(frame, bytes)
    return frame
