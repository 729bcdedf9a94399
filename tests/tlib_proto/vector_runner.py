"""Runs a vector against a session: its steps, with the peer's octets cut in some way."""

from tlib_proto.codec import encode
from tlib_proto.constants import ATTRIBUTE_NAMES, Attribute
from tlib_proto.hello import hello_message
from tlib_proto.records import Ended, Greeted, Hello, Incoming, Linked, Message, Unknown, Write
from tlib_proto.resume import read_position
from tlib_proto.session import ClientSession, ServerSession

HELLO = Hello(application="desk", role="desktop")


def octets_of(given):
    """Octets of an `in`, of a repeated piece, or of plain hex."""
    if isinstance(given, str):
        return bytes.fromhex(given)
    if "parts" in given:
        return b"".join(map(octets_of, given["parts"]))
    return bytes.fromhex(given["hex"]) * int(given.get("times", "1"))


def text_of(given):
    """Text, or octets that stand for it."""
    return given if isinstance(given, str) else octets_of(given).decode("utf-8", "surrogateescape")


def value_of(given):
    """An attribute's value from JSON."""
    kind, value = given["type"], given["value"]
    if kind == "opaque":
        return Unknown(given["wire_type"], bytes.fromhex(value))
    if kind == "kvlist":
        return pairs_of(value)
    if kind == "bytes":
        return octets_of(value)
    return text_of(value) if kind == "text" else int(value)


def pairs_of(given):
    """A key-value list from JSON."""
    found = []
    for key, meaning in given:
        ((kind, value),) = meaning.items()
        read = {"int": int, "text": text_of, "bytes": octets_of, "list": pairs_of}[kind]
        found.append((text_of(key), read(value)))
    return tuple(found)


def message_of(given):
    """A message from JSON."""
    assert all(one.get("name") == ATTRIBUTE_NAMES.get(one["id"]) for one in given["attributes"])
    return Message(given["id"], given["ref"], {one["id"]: value_of(one) for one in given["attributes"]})


def hello_of(given):
    """A Hello from JSON."""
    more = {"capabilities": pairs_of(given.get("capabilities", ()))}
    if "versions" in given:
        more["versions"] = tuple(given["versions"])
    if "resume" in given:
        more["resume"] = text_of(given["resume"])
    return Hello(**{**given, **more})


def us(ms):
    return int(ms) * 1_000


class Run:
    """One run of a vector; `cut` says how octets are handed over."""

    def __init__(self, setup, cut=None):
        self.cut = cut or (lambda data: [data])
        self.side = setup["side"]
        self.position = None
        self.resumed = False
        keepalive_us = us(setup.get("keepalive_ms", "0"))
        if self.side == "server":
            self.session = ServerSession(0, keepalive_us=keepalive_us)
        else:
            self.hello = hello_of({"application": "desk", "role": "desktop", **setup.get("hello", {})})
            self.session = ClientSession(0, self.hello, keepalive_us=keepalive_us)
        if setup["state"] == "open":
            self._open()

    def _open(self):
        if self.side == "server":
            self.session.receive_data(0, encode(hello_message(HELLO, 1)), [])
            self.session.accept(0, {}, [])
        else:
            self.session.start(0, [])
            self.session.receive_data(0, encode(Message(95, 1)), [])

    def step(self, step):
        """Outputs of one step: octets written, the others in order."""
        now, out = us(step["at_ms"]), []
        if "in" in step:
            for piece in self.cut(octets_of(step["in"])):
                self.session.receive_data(now, piece, out)
        elif "tick" in step:
            self.session.handle_timeout(now, out)
        else:
            self._call(now, dict(step["call"]), out)
        for output in out:
            self._note(output)
        written = b"".join(o.data for o in out if isinstance(o, Write))
        return written, [o for o in out if not isinstance(o, Write)]

    @property
    def resume(self):
        return self.session.resume

    def _note(self, output):
        if isinstance(output, Greeted):
            place = read_position(output.hello.resume)
            self.position = None if place is None else [str(number) for number in place]
        elif isinstance(output, Linked):
            wanted = self.hello.resume
            self.resumed = wanted != "" and output.message.text(Attribute.Resume) == wanted

    def _call(self, now, given, out):
        name = given.pop("name")
        session = self.session
        if name == "start":
            session.start(now, out)
        elif name == "accept":
            keepalive = given.get("keepalive_ms")
            session.accept(
                now,
                {one["id"]: value_of(one) for one in given.get("attributes", ())},
                out,
                None if keepalive is None else us(keepalive),
                us(given.get("keepalive_remote_ms", "0")),
            )
        elif name == "refuse":
            session.refuse(now, given["code"], given["text"], out)
        elif name == "disconnect":
            session.disconnect(now, {}, out, given.get("code", 0), given.get("text", ""))
        elif name == "set_input_mask":
            session.set_input_mask(now, bytes.fromhex(given["mask"]))
        elif name == "send":
            session.send(now, message_of(given["message"]), out)
        elif name == "request":
            session.request(now, message_of(given["message"]), out)
        elif name == "queued":
            session.queued(now, int(given["octets"]), out)
        else:
            assert name == "close"
            session.close(now, given["text"], out)


def expected(step):
    """What a step must bring forth besides octets: kinds and contents of outputs, without texts for people."""
    expect = step["expect"]
    found = []
    if "greeted" in expect:
        found.append(("greeted", hello_of(expect["greeted"])))
    if "linked" in expect:
        found.append(("linked", message_of(expect["linked"])))
    for one in expect.get("events", ()):
        found.append(("event", message_of(one) if "attributes" in one else (one["id"], one["ref"])))
    if "close" in expect:
        found.append(("close", expect["close"]))
    return found


def shown(outputs, brief=False):
    """Outputs in the same form."""
    found = []
    for output in outputs:
        if isinstance(output, Greeted):
            hello = output.hello
            found.append(("greeted", hello))
        elif isinstance(output, Linked):
            found.append(("linked", output.message))
        elif isinstance(output, Incoming):
            message = output.message
            found.append(("event", (message.id, message.ref) if brief else message))
        else:
            assert isinstance(output, Ended)
            found.append(("close", str(output.kind)))
    return found
