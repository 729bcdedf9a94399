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
