"""What the T-Library client raises (ours)."""


class ClientError(Exception):
    """Base of everything that the client raises for what a server or a network did."""


class TLibError(ClientError):
    """The server answered with EventError: its number, name and text."""

    def __init__(self, number: int, name: str, text: str) -> None:
        super().__init__(f"{number} {name}: {text}" if text else f"{number} {name}")
        self.number = number
        self.name = name
        self.text = text


class TLibTimeout(ClientError, TimeoutError):
    """No answer, or no such event, before the deadline; says what was waited for and how long."""


class ConnectionLost(ClientError, ConnectionError):
    """The connection is gone: `kind` says how it ended, `text` is for people."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}" if text else kind)
        self.kind = kind
        self.text = text
