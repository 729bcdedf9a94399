"""What the package raises (ours)."""


class LocalError(Exception):
    """The caller asked for something that cannot be done; nothing has changed."""


class ParseError(ValueError):
    """A frame breaks the format: `kind` says how, `offset` where in the frame (octets from its start)."""

    kind: str
    offset: int

    def __init__(self, kind: str, offset: int) -> None:
        super().__init__(f"{kind} at octet {offset}")
        self.kind = kind
        self.offset = offset


PARSE_KINDS: dict[str, tuple[str, str]] = {
    "truncated": (
        "a field of fixed size does not fit into what holds it",
        "end of the frame, list or value that is too short",
    ),
    "length": ("the frame's length is less than 4", "0"),
    "overrun": (
        "a length says more than there is",
        "start of what the length speaks of (4 for the frame's own)",
    ),
    "version": ("the frame's version is not known", "4"),
    "flags": ("a flag is set that the version does not know", "4"),
    "attributes": ("more attributes than the format allows", "start of the first one too many"),
    "reserved": ("the reserved octet is not 0", "start of the attribute"),
    "duplicate": ("an attribute id for the second time", "start of the second one"),
    "large": ("a key-value list of more octets than the format allows", "start of the list"),
    "depth": ("more lists inside each other than the format allows", "start of the innermost list"),
    "kv-type": ("a type in a pair that the format does not know", "start of the pair's value"),
    "trailing": ("octets left over in a value, a list or after the frame", "the first of them"),
}
"""Every `ParseError.kind`, with what is wrong and what the offset points at."""
