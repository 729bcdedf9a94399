"""Hello as message 0, RequestRegisterClient, and back (attributes: ours beside the published ones)."""

import re

from .attributes import Attribute
from .errors import LocalError
from .messages import MessageType
from .records import Hello, Message, Value

VERSION = 1
"""Version of the wire format that this package speaks."""

VERSIONS = (VERSION,)
"""All versions that this package speaks."""

MAX_NAME = 255
"""Characters of an application name or role."""

_VERSION = re.compile(r"[0-9]{1,3}", re.ASCII)
_VERSIONS = re.compile(r"[0-9]{1,3}(,[0-9]{1,3}){0,15}", re.ASCII)


def hello_message(hello: Hello, ref: int) -> Message:
    """Hello as RequestRegisterClient; LocalError when name or role is empty or too long."""
    for what, value in (("application", hello.application), ("role", hello.role)):
        if not 0 < len(value) <= MAX_NAME:
            raise LocalError(f"Hello: {what} takes 1 to {MAX_NAME} characters, not {len(value)}")
    attributes: dict[int, Value] = {
        Attribute.ProtocolVersion: ",".join(map(str, hello.versions)),
        Attribute.ApplicationName: hello.application,
        Attribute.Role: hello.role,
    }
    for attribute, text in (
        (Attribute.ApplicationPassword, hello.secret),
        (Attribute.SessionID, hello.session_id),
        (Attribute.Resume, hello.resume),
        (Attribute.NodeName, hello.node),
    ):
        if text:
            attributes[attribute] = text
    if hello.capabilities:
        attributes[Attribute.Capabilities] = hello.capabilities
    if hello.keepalive_ms:
        attributes[Attribute.KeepAlive] = hello.keepalive_ms
    if hello.keepalive_remote_ms:
        attributes[Attribute.KeepAliveRemote] = hello.keepalive_remote_ms
    return Message(MessageType.RequestRegisterClient, ref, attributes)


def read_hello(message: Message) -> Hello | str:
    """Hello of a RequestRegisterClient, or the text that says what is wrong with it.

    Versions that do not read as numbers come back as none, which no server speaks.
    """
    application = message.text(Attribute.ApplicationName)
    role = message.text(Attribute.Role)
    for what, value in (("ApplicationName", application), ("Role", role)):
        if not 0 < len(value) <= MAX_NAME:
            return f"{message.name}: {what} takes 1 to {MAX_NAME} characters"
    versions = message.text(Attribute.ProtocolVersion)
    return Hello(
        application=application,
        role=role,
        secret=message.text(Attribute.ApplicationPassword),
        versions=tuple(map(int, versions.split(","))) if _VERSIONS.fullmatch(versions) else (),
        session_id=message.text(Attribute.SessionID),
        capabilities=message.pairs(Attribute.Capabilities),
        resume=message.text(Attribute.Resume),
        node=message.text(Attribute.NodeName),
        keepalive_ms=message.number(Attribute.KeepAlive),
        keepalive_remote_ms=message.number(Attribute.KeepAliveRemote),
    )


def negotiated(offered: tuple[int, ...], spoken: tuple[int, ...] = VERSIONS) -> int | None:
    """The highest version that both sides speak, None when there is none."""
    return max((version for version in offered if version in spoken), default=None)


def chosen(linked: Message) -> int | None:
    """The version that a server chose in EventLinkConnected; 1 when it names none, None when it names no number."""
    text = linked.text(Attribute.ProtocolVersion)
    if not text:
        return VERSION
    return int(text) if _VERSION.fullmatch(text) else None
