"""Random messages and broken frames from a seeded generator: fast, for hundreds of thousands of them."""

from random import Random

from tlib_proto.constants import ATTRIBUTE_TYPES, AttributeType
from tlib_proto.records import KVList, Message, Unknown, Value

KNOWN = sorted(ATTRIBUTE_TYPES)
TEXTS = ("", "1001", "+14155550100", "ä€𝄞", "\x00\t\r\n'", "name with blanks", "\udcff\udcc3", "x" * 300)


def random_message(dice: Random) -> Message:
    """A message that the format can hold: known and unknown ids, declared and foreign types, nested lists."""
    attributes: dict[int, Value] = {}
    for _ in range(dice.choice((0, 1, 1, 2, 3, 5, 12))):
        key = dice.choice(KNOWN) if dice.random() < 0.8 else dice.randrange(65536)
        attributes[key] = _value(dice, key)
    kind = dice.randrange(183) if dice.random() < 0.8 else dice.randrange(65536)
    return Message(kind, dice.choice((0, 1, dice.randrange(2**32))), attributes)


def _value(dice: Random, key: int) -> Value:
    declared = ATTRIBUTE_TYPES.get(key)
    if dice.random() < 0.1:
        read = (1, 3, 4, 5) if declared is None else (int(declared),)
        return Unknown(
            dice.choice([n for n in range(256) if n not in read]), dice.randbytes(dice.randrange(9))
        )
    if declared is None:
        declared = dice.choice(
            (AttributeType.U32, AttributeType.TEXT, AttributeType.KVLIST, AttributeType.BYTES)
        )
    if declared == AttributeType.U32:
        return dice.choice((0, 2**32 - 1, dice.randrange(2**32)))
    if declared == AttributeType.U64:
        return dice.choice((0, 2**64 - 1, dice.randrange(2**64)))
    if declared == AttributeType.TEXT:
        return _text(dice)
    if declared == AttributeType.KVLIST:
        return _pairs(dice, dice.choice((1, 1, 2, 4)))
    return dice.randbytes(dice.choice((0, 1, 64)))


def _text(dice: Random) -> str:
    if dice.random() < 0.2:
        return dice.randbytes(dice.randrange(12)).decode("utf-8", "surrogateescape")
    return dice.choice(TEXTS)


def _pairs(dice: Random, depth: int) -> KVList:
    found = []
    for _ in range(dice.randrange(4)):
        which = dice.randrange(4 if depth > 1 else 3)
        value = (
            dice.randrange(-(2**31), 2**31)
            if which == 0
            else _text(dice)
            if which == 1
            else dice.randbytes(dice.randrange(5))
            if which == 2
            else _pairs(dice, depth - 1)
        )
        found.append((_text(dice), value))
    return tuple(found)


def mutated(dice: Random, frame: bytes) -> bytes:
    """A frame with octets changed, inserted, taken out or cut off; its length sometimes made right again."""
    octets = bytearray(frame)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(octets)) if octets else 0
        what = dice.randrange(4)
        if what == 0 and octets:
            octets[at] = dice.choice((0, 1, 2, 3, 4, 5, 255, dice.randrange(256)))
        elif what == 1 and octets:
            octets[at] ^= 1 << dice.randrange(8)
        elif what == 2:
            octets[at:at] = dice.randbytes(dice.randint(1, 8))
        else:
            del octets[at : at + dice.randint(1, 8)]
    if dice.random() < 0.6 and len(octets) >= 4:
        octets[:4] = len(octets).to_bytes(4, "big")
    return bytes(octets)
