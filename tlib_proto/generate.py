"""Writes `_codec.py` from the declaration in `wire.py`: `python -m tlib_proto.generate [--check]` (ours).

It walks the construct objects and writes straight-line code: runs of fixed-size fields become one unpack, a
length that opens a region is read with the fields before it, and each branch of a Switch packs its element
at once. A word that it does not know is an error: the declaration cannot say more than the codec does.
"""

import struct
import sys
from typing import Any

from construct import FormatField, Renamed, Switch, Tell

from . import wire

TARGET = __file__.replace("generate.py", "_codec.py")

_HEAD = '''"""Encoder, decoder and scanner of frames. Written by `python -m tlib_proto.generate`: do not edit."""

from struct import Struct, error
from typing import Any, cast

from ._values import CLASSES, PAIR_KINDS, TYPES, kind_of, name_of, pair_kind, settled
from .errors import LocalError, ParseError
from .records import KVList, Message, Unknown, Value
'''

_DECODE = '    """One whole frame as a Message; ParseError says what breaks the format where."""'
_SCAN = '    """Where each attribute of one whole frame starts; values are not looked at."""'


def _bare(con: Any) -> Any:
    while isinstance(con, Renamed):
        con = con.subcon
    return con


class _Writer:
    """Lines of one function, with the unpackers and packers that the module needs."""

    def __init__(self, formats: dict[str, None]) -> None:
        self.lines: list[str] = []
        self.formats = formats
        self.ends = 0

    def put(self, depth: int, *lines: str) -> None:
        self.lines.extend("    " * depth + line for line in lines)

    def packer(self, fmt: str) -> str:
        self.formats[fmt] = None
        return "_" + fmt

    def fail(self, depth: int, condition: str, kind: str, where: str) -> None:
        self.put(depth, f"if {condition}:", f'    raise ParseError("{kind}", {where})')


class _Decoder(_Writer):
    """Writes the reading half; `p` is the place in `data`, `end` the name of the region's end."""

    skipped: frozenset[str] = frozenset()

    def __init__(self, formats: dict[str, None], inner: bool = False) -> None:
        super().__init__(formats)
        self.inner = inner

    def name(self, field: str) -> str:
        """Variable of a field; those of an element stand beside those of the message that holds it."""
        return f"{field}_" if self.inner and field in ("start", "id", "type") else field

    def run(self, depth: int, end: str, run: list[tuple[str, str]]) -> None:
        if not run:
            return
        fmt = "".join(
            f"{struct.calcsize('>' + part)}x" if name in self.skipped else part for name, part in run
        )
        size = struct.calcsize(">" + fmt)
        kept = [name for name, _ in run if name not in self.skipped]
        names = ", ".join(kept) if len(kept) > 1 else f"({kept[0]},)"
        self.fail(depth, f"p + {size} > {end}", "truncated", end)
        unpack = self.packer(fmt)
        self.put(depth, f"{names} = {unpack}.unpack_from(data, p)", f"p += {size}")
        run.clear()

    def fields(self, depth: int, con: Any, end: str) -> None:
        run: list[tuple[str, str]] = []
        for sub in con.subcons:
            bare, name = _bare(sub), self.name(sub.name)
            if isinstance(bare, FormatField):
                run.append((name, bare.fmtstr[1:]))
            elif bare is Tell:
                self.put(depth, f"{name} = p")
            elif isinstance(bare, wire.Settled):
                pass  # has no octets: written by the Switch that needs it
            elif isinstance(bare, wire.Region):
                run.append((f"{name}_length", _bare(bare.lengthfield).fmtstr[1:]))
                self.run(depth, end, run)
                self.region(depth, name, bare.subcon, end)
            elif isinstance(bare, wire.Expect):
                self.run(depth, end, run)
                self.fail(depth, f"{bare.field} != {bare.value}", bare.field, self.name("start"))
            elif isinstance(bare, wire.Attributes):
                self.run(depth, end, run)
                self.elements(depth, name, bare, end)
            else:
                raise TypeError(f"no code for {bare!r}")
        self.run(depth, end, run)

    def region(self, depth: int, name: str, con: Any, end: str) -> None:
        inner = f"{name}_end"
        self.put(depth, f"{inner} = p + {name}_length")
        self.fail(depth, f"{inner} > {end}", "overrun", "p")
        self.value(depth, name, _bare(con), inner)
        self.put(depth, f"p = {inner}")

    def value(self, depth: int, name: str, con: Any, end: str) -> None:
        """A value that takes the whole region from `p` to `end`; leaves `p` alone."""
        if isinstance(con, FormatField):
            size, unpack = con.length, self.packer(con.fmtstr[1:])
            self.fail(depth, f"p + {size} > {end}", "truncated", end)
            self.fail(depth, f"p + {size} < {end}", "trailing", f"p + {size}")
            self.put(depth, f"({name},) = {unpack}.unpack_from(data, p)")
        elif isinstance(con, wire.Text):
            self.put(depth, f'{name} = data[p:{end}].decode("utf-8", "surrogateescape")')
        elif isinstance(con, wire.Octets):
            self.put(depth, f"{name} = data[p:{end}]")
        elif isinstance(con, wire.Raw):
            self.put(depth, f"{name} = Unknown({self.name('type')}, data[p:{end}])")
        elif isinstance(con, wire.Refuse):
            self.put(depth, f'raise ParseError("{con.kind}", p)')
        elif isinstance(con, wire.AtMost):
            self.fail(depth, f"{end} - p > {con.limit}", "large", "p")
            self.value(depth, name, _bare(con.subcon), end)
        elif isinstance(con, wire.Nested):
            level = "1" if self.ends == 0 else "depth + 1"
            self.put(depth, f"{name}, used = _get_pairs(data, p, {end}, {level})")
            self.fail(depth, f"used != {end}", "trailing", "used")
        elif isinstance(con, Switch):
            field = _key(con)
            if field == "kind":
                number, wire_type = self.name("id"), self.name("type")
                self.put(
                    depth,
                    f"kind = {wire_type}",
                    f"if TYPES.get({number}) != {wire_type}:",
                    f"    kind = settled({number}, {wire_type})",
                )
            word = "if"
            for case, sub in con.cases.items():
                self.put(depth, f"{word} {self.name(field)} == {case}:")
                self.value(depth + 1, name, _bare(sub), end)
                word = "elif"
            self.put(depth, "else:")
            self.value(depth + 1, name, _bare(con.default), end)
        else:
            raise TypeError(f"no code for {con!r}")

    def elements(self, depth: int, name: str, con: Any, end: str) -> None:
        self.put(depth, f"{name}: dict[int, Value] = {{}}", f"while p < {end}:")
        self.fail(depth + 1, f"len({name}) >= {con.limit}", "attributes", "p")
        inner = _Decoder(self.formats, inner=True)
        inner.fields(depth + 1, _bare(con.subcon), end)
        self.lines.extend(inner.lines)
        key = inner.name("id")
        self.fail(depth + 1, f"{key} in {name}", "duplicate", inner.name("start"))
        self.put(depth + 1, f"{name}[{key}] = value")

    def pairs(self, con: Any, limit: int) -> None:
        self.ends = 1
        self.put(0, "def _get_pairs(data: bytes, p: int, end: int, depth: int) -> tuple[KVList, int]:")
        self.fail(1, f"depth > {limit}", "depth", "p")
        self.run(1, "end", [("count", _bare(con.countfield).fmtstr[1:])])
        self.put(1, "found = []", "value: Any", "for _ in range(count):")
        self.fields(2, _bare(con.subcon), "end")
        self.put(2, "found.append((key, value))")
        self.put(1, "return tuple(found), p")

    def frame(self, con: Any) -> None:
        self.put(
            0,
            "def decode(data: bytes) -> Message:",
            _DECODE,
            "    p = 0",
            "    size = len(data)",
            "    value: Any",
        )
        field = _bare(con.lengthfield)
        self.run(1, "size", [("length", field.fmtstr[1:])])
        self.fail(1, f"length < {field.length}", "length", "0")
        self.fail(1, "length > size", "overrun", "p")
        self.fields(1, _bare(con.subcon.subcon), "length")
        self.fail(1, "p != size", "trailing", "p")
        self.put(1, "return Message(id, ref, attributes)")


class _Scanner(_Decoder):
    """Writes the walk over a frame that keeps where each attribute starts and looks at no value."""

    skipped = frozenset(("id", "ref", "type_"))

    def value(self, depth: int, name: str, con: Any, end: str) -> None:
        pass

    def elements(self, depth: int, name: str, con: Any, end: str) -> None:
        self.put(depth, f"{name}: dict[int, int] = {{}}", f"for _ in range({con.limit}):")
        self.put(depth + 1, f"if p >= {end}:", "    break")
        inner = _Scanner(self.formats, inner=True)
        inner.fields(depth + 1, _bare(con.subcon), end)
        self.lines.extend(inner.lines)
        key, start = inner.name("id"), inner.name("start")
        self.fail(depth + 1, f"{key} in {name}", "duplicate", start)
        self.put(depth + 1, f"{name}[{key}] = {start}")
        self.put(depth, "else:")
        self.fail(depth + 1, f"p < {end}", "attributes", "p")

    def frame(self, con: Any) -> None:
        super().frame(con)
        for old, new in (
            ("def decode(data: bytes) -> Message:", "def scan(data: bytes) -> dict[int, int]:"),
            (_DECODE, _SCAN),
            ("    return Message(id, ref, attributes)", "    return attributes"),
        ):
            self.lines[self.lines.index(old)] = new
        self.lines.remove("    value: Any")


def _decode_at(formats: dict[str, None], element: Any) -> list[str]:
    """Lines of the function that reads the one attribute that a scan found."""
    writer = _Decoder(formats)
    writer.put(
        0,
        "def decode_at(data: bytes, p: int) -> Value:",
        '    """Value of the attribute that starts at `p`, as `scan` found it; ParseError as `decode` raises."""',
        "    size = len(data)",
        "    value: Any",
    )
    inner = _Decoder(formats, inner=True)
    inner.fields(1, element, "size")
    return [*writer.lines, *inner.lines, "    return cast(Value, value)"]


def _key(con: Any) -> str:
    return str(con.keyfunc).split("'")[1]


class _Encoder(_Writer):
    """Writes the building half; octets gather in the list `parts`."""

    def element(self, depth: int, con: Any, known: dict[str, str], by: list[str]) -> None:
        """Fields of an element whose last is a Region over a Switch on `kind`."""
        run: list[tuple[str, str]] = []
        for sub in con.subcons:
            bare, name = _bare(sub), sub.name
            if isinstance(bare, FormatField):
                run.append((bare.fmtstr[1:], known.get(name, name)))
            elif isinstance(bare, wire.Region) and isinstance(_bare(bare.subcon), wire.Text):
                run.append((_bare(bare.lengthfield).fmtstr[1:], "len(octets)"))
                self.put(depth, f'octets = {name}.encode("utf-8", "surrogateescape")')
                self.pack(depth, run)
                self.put(depth, "put(octets)")
            elif isinstance(bare, wire.Region):
                self.put(depth, *by)
                self.switch(depth, run, bare)
            elif bare is Tell or isinstance(bare, wire.Settled | wire.Expect):
                pass
            else:
                raise TypeError(f"no code for {bare!r}")

    def pack(self, depth: int, run: list[tuple[str, str]]) -> None:
        packer = self.packer("".join(fmt for fmt, _ in run))
        self.put(depth, f"put({packer}.pack({', '.join(value for _, value in run)}))")
        run.clear()

    def switch(self, depth: int, run: list[tuple[str, str]], region: Any) -> None:
        length = _bare(region.lengthfield).fmtstr[1:]
        choice = _bare(region.subcon)
        cases = [(str(case), _bare(sub)) for case, sub in choice.cases.items()]
        if not isinstance(_bare(choice.default), wire.Refuse):
            cases.append(("value.type", _bare(choice.default)))
        for place, (case, sub) in enumerate(cases):
            word = "if" if place == 0 else "elif"
            self.put(depth, "else:" if place == len(cases) - 1 else f"{word} kind == {case}:")
            head = [(fmt, case if value == "type" else value) for fmt, value in run]
            if isinstance(sub, FormatField):
                self.pack(depth + 1, [*head, (length, str(sub.length)), (sub.fmtstr[1:], "value")])
                continue
            self.octets(depth + 1, sub)
            self.pack(depth + 1, [*head, (length, "len(octets)")])
            self.put(depth + 1, "put(octets)")

    def octets(self, depth: int, con: Any) -> None:
        if isinstance(con, wire.Text):
            self.put(depth, 'octets = value.encode("utf-8", "surrogateescape")')
        elif isinstance(con, wire.Octets):
            self.put(depth, "octets = value")
        elif isinstance(con, wire.Raw):
            self.put(depth, "octets = value.data")
        elif isinstance(con, wire.Nested):
            self.put(depth, f"octets = _put_pairs(value, {'depth + 1' if self.ends else '1'})")
        elif isinstance(con, wire.AtMost):
            self.octets(depth, _bare(con.subcon))
            self.put(
                depth,
                f"if len(octets) > {con.limit}:",
                f'    raise LocalError(f"{{name_of(id)}}: more than {con.limit} octets")',
            )
        else:
            raise TypeError(f"no code for {con!r}")

    def pairs(self, con: Any, limit: int) -> None:
        self.ends = 1
        count = self.packer(_bare(con.countfield).fmtstr[1:])
        self.put(
            0,
            "def _put_pairs(pairs: KVList, depth: int) -> bytes:",
            f"    if depth > {limit}:",
            f'        raise LocalError("key-value list: more than {limit} lists inside each other")',
            f"    parts = [{count}.pack(len(pairs))]",
            "    put = parts.append",
            "    value: Any",
            "    for key, value in pairs:",
        )
        self.element(2, _bare(con.subcon), {}, ["kind = PAIR_KINDS.get(value.__class__) or pair_kind(key, value)"])
        self.put(1, 'return b"".join(parts)')

    def frame(self, con: Any) -> None:
        fields = _bare(con.subcon.subcon).subcons
        fixed = {_bare(f).field: str(_bare(f).value) for f in fields if isinstance(_bare(f), wire.Expect)}
        head = [
            (_bare(f).fmtstr[1:], fixed.get(f.name, f.name))
            for f in fields
            if isinstance(_bare(f), FormatField)
        ]
        (listing,) = (_bare(f) for f in fields if isinstance(_bare(f), wire.Attributes))
        inner = _bare(listing.subcon)
        constant = {
            _bare(f).field: str(_bare(f).value) for f in inner.subcons if isinstance(_bare(f), wire.Expect)
        }
        head.insert(0, (_bare(con.lengthfield).fmtstr[1:], "size"))
        fmt = "".join(part for part, _ in head)
        head[0] = (head[0][0], f"{struct.calcsize('>' + fmt)} + len(body)")
        names = ", ".join(name.replace("id", "message.id").replace("ref", "message.ref") for _, name in head)
        self.put(
            0,
            "def encode(message: Message) -> bytes:",
            '    """A Message as one frame; LocalError names what the format cannot hold."""',
            f"    if len(message.attributes) > {listing.limit}:",
            f'        raise LocalError(f"{{message.name}}: more than {listing.limit} attributes")',
            "    parts: list[bytes] = []",
            "    put = parts.append",
            "    value: Any",
            "    for id, value in message.attributes.items():",
            "        try:",
        )
        by = [
            "kind = TYPES.get(id, 0)",
            "if CLASSES[kind] is not value.__class__:",
            "    kind = kind_of(id, value)",
        ]
        self.element(3, inner, constant, by)
        self.put(
            2,
            "except (error, TypeError, ValueError, AttributeError) as fault:",
            '    where = f"{message.name}, {name_of(id)}"',
            '    raise LocalError(f"{where}: the format cannot hold this value") from fault',
        )
        self.put(
            1,
            'body = b"".join(parts)',
            "try:",
            f"    return {self.packer(fmt)}.pack({names}) + body",
            "except error as fault:",
            '    raise LocalError(f"{message.name}: message id or ReferenceID out of range") from fault',
        )


def generate() -> str:
    """Source text of `_codec.py`."""
    formats: dict[str, None] = {}
    value = next(f for f in wire.Pair.subcons if f.name == "value")
    (nested,) = (c for c in _bare(_bare(value).subcon).cases.values() if isinstance(_bare(c), wire.Nested))
    limit = _bare(nested).limit
    bodies = []
    frame = _bare(wire.Frame)
    for writer in (_Decoder(formats), _Encoder(formats)):
        writer.pairs(wire.KeyValues, limit)
        writer.put(0, "", "")
        writer.ends = 0
        writer.frame(frame)
        bodies.append("\n".join(writer.lines))
    scanner = _Scanner(formats)
    scanner.frame(frame)
    (listing,) = (
        _bare(f) for f in _bare(frame.subcon.subcon).subcons if isinstance(_bare(f), wire.Attributes)
    )
    bodies[1:1] = ["\n".join(scanner.lines), "\n".join(_decode_at(formats, _bare(listing.subcon)))]
    packers = "\n".join(f'_{fmt} = Struct(">{fmt}")' for fmt in sorted(formats))
    return _HEAD + "\n" + packers + "\n\n\n" + "\n\n\n".join(bodies) + "\n"


def main(arguments: list[str]) -> int:
    """Writes the codec, or with --check compares it; 1 when it differs, 2 for a wrong call."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m tlib_proto.generate [--check]\n")
        return 2
    text = generate()
    if arguments:
        with open(TARGET, encoding="utf-8") as file:
            same = file.read() == text
        if not same:
            sys.stderr.write(
                "tlib_proto/_codec.py is not what wire.py says: run python -m tlib_proto.generate\n"
            )
        return 0 if same else 1
    with open(TARGET, "w", encoding="utf-8") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
