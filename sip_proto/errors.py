"""What may be raised: a caller's fault and a message that is not SIP."""


class LocalError(Exception):
    """The caller asked for what cannot be; nothing has changed (ours)."""


class ParseError(ValueError):
    """Bytes or a header value that cannot be read: a short `kind`, the byte or character `offset`, a text
    (ours)."""

    def __init__(self, kind: str, offset: int, text: str) -> None:
        super().__init__(f"{kind} at {offset}: {text}")
        self.kind = kind
        self.offset = offset
        self.text = text
