"""Values of the T-Library layer: messages, Hello, and what sessions put out.

Kept apart from code that may be compiled: records are msgspec Structs.
"""

from typing import TypeAlias, TypeVar

import msgspec

from .messages import MESSAGE_NAMES

KVValue: TypeAlias = "str | int | bytes | KVList"
KVList: TypeAlias = "tuple[tuple[str, KVValue], ...]"
"""Key-value list: ordered pairs, keys may repeat; values are text, signed 32-bit integers, octets, lists."""


class Unknown(msgspec.Struct, frozen=True):
    """Value of an attribute unknown to us or of a foreign wire type; survives re-encoding."""

    type: int
    data: bytes


Value: TypeAlias = "int | str | bytes | KVList | Unknown"

_D = TypeVar("_D")


class Message(msgspec.Struct, frozen=True):
    """One request or event: message id, ReferenceID (0 is unsolicited), attributes by id in wire order.

    Nobody changes `attributes` after the message was made.
    """

    id: int
    ref: int = 0
    attributes: dict[int, Value] = {}

    @property
    def name(self) -> str:
        """Published name of the message, `Message-N` for an id without one."""
        return MESSAGE_NAMES.get(self.id) or f"Message-{self.id}"

    def get(self, attribute: int, default: _D | None = None) -> "Value | _D | None":
        """Value of an attribute, whatever its type, or the default."""
        return self.attributes.get(attribute, default)

    def text(self, attribute: int, default: str = "") -> str:
        """Value of a text attribute; the default when absent or of a foreign type."""
        value = self.attributes.get(attribute)
        return value if isinstance(value, str) else default

    def number(self, attribute: int, default: int = 0) -> int:
        """Value of an integer attribute; the default when absent or of a foreign type."""
        value = self.attributes.get(attribute)
        return value if isinstance(value, int) else default

    def octets(self, attribute: int, default: bytes = b"") -> bytes:
        """Value of an octet attribute; the default when absent or of a foreign type."""
        value = self.attributes.get(attribute)
        return value if isinstance(value, bytes) else default

    def pairs(self, attribute: int) -> KVList:
        """Value of a key-value attribute; empty when absent or of a foreign type."""
        value = self.attributes.get(attribute)
        return value if isinstance(value, tuple) else ()


class Hello(msgspec.Struct, frozen=True):
    """First message of a connection: who dials, with what proof, what it can do, where it resumes (ours).

    `keepalive_ms` is after how long in silence this side polls, `keepalive_remote_ms` after how long the other
    side is asked to; 0 is never.
    """

    application: str
    role: str
    secret: str = ""
    versions: tuple[int, ...] = (1,)
    session_id: str = ""
    capabilities: KVList = ()
    resume: str = ""
    node: str = ""
    keepalive_ms: int = 0
    keepalive_remote_ms: int = 0

    def __repr__(self) -> str:
        secret = "***" if self.secret else ""
        return (
            f"Hello(application={self.application!r}, role={self.role!r}, secret={secret!r}, "
            f"versions={self.versions!r}, session_id={self.session_id!r}, "
            f"capabilities={self.capabilities!r}, "
            f"resume={self.resume!r}, node={self.node!r}, keepalive_ms={self.keepalive_ms!r}, "
            f"keepalive_remote_ms={self.keepalive_remote_ms!r})"
        )


class Write(msgspec.Struct, frozen=True):
    """Output of a session: send these octets on its connection."""

    data: bytes


class Greeted(msgspec.Struct, frozen=True):
    """Output of a server session: a client said Hello; answer with `accept` or `refuse`."""

    hello: Hello
    ref: int


class Linked(msgspec.Struct, frozen=True):
    """Output of a client session: the server accepted (its EventLinkConnected)."""

    message: Message


class Incoming(msgspec.Struct, frozen=True):
    """Output of a session: the peer sent this message."""

    message: Message


class Ended(msgspec.Struct, frozen=True):
    """Output of a session, its last: close the connection; `kind` is an `EndKind`, `text` for people."""

    kind: str
    text: str


Output: TypeAlias = Write | Greeted | Linked | Incoming | Ended
TlibRecord: TypeAlias = Output
"""The same under a name that stands beside other protocols' outputs."""
