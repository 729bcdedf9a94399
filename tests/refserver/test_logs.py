"""Logs: the source's files and shapes, nothing secret, nothing that breaks a line or the server."""

import io
import os
import re

import pytest

from cluster_core.inputs import (
    Closed,
    Datagram,
    Opened,
    Operator,
    Received,
    Timeout,
    WallClock,
    Writable,
)
from cluster_core.outputs import Close, Dial, Fault, Replicate, Send, SendDatagram, Subsystem
from refserver import logs as module
from refserver.logs import LogWriter, NodeLog, file_name, summary
from tlib_proto.attributes import Attribute
from tlib_proto.codec import encode
from tlib_proto.messages import MessageType
from tlib_proto.records import Message

HELLO = encode(
    Message(
        MessageType.RequestRegisterClient,
        1,
        {Attribute.ApplicationName: "GWS\x1b[2J", Attribute.ApplicationPassword: "hunter2"},
    )
)
ATTACH = encode(
    Message(
        MessageType.RequestAttachUserData,
        2,
        {Attribute.ThisDN: "1001", Attribute.ConnID: 0x0011, Attribute.UserData: (("card", "4111"),)},
    )
)
RINGING = encode(Message(MessageType.EventRinging, 0, {Attribute.ThisDN: "1001", Attribute.ConnID: 0x0011}))
REGISTER = (
    b'REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 1\r\nAuthorization: Digest username="1",\r\n'
    b' response="swordfish"\r\nX: \x1b\xff\r\n\r\n'
)


def logged(tmp_path, inputs=(), outputs=(), brief=False):
    stream = io.StringIO()
    writer = LogWriter(None if brief else tmp_path, stream)
    log = NodeLog("n1", writer, "8.1", brief=brief)
    for input in inputs:
        log.saw_input(0, input)
    log.saw_outputs(0, list(outputs))
    writer.end()
    return stream.getvalue() if brief else {p.name: p.read_text() for p in sorted(tmp_path.iterdir())}


def test_files_are_named_as_the_sources_are():
    names = [file_name("n1", subsystem) for subsystem in Subsystem]
    assert names == [
        "n1.log", "n1-001.log", "n1-512.log", "n1-768.log", "n1-1024.log", "n1-1280.log", "n1-1536.log",
        "n1-1792.log",
    ]  # fmt: skip


def test_a_request_is_logged_in_the_vendors_shape_and_masked(tmp_path):
    opened = Opened(2, "tlib", "127.0.0.1:999")
    half = len(HELLO) + 5
    data = HELLO + ATTACH
    files = logged(tmp_path, [opened, Received(2, data[:half]), Received(2, data[half:])])
    text = files["n1.log"]
    assert re.search(
        r"^\S+ Trc 04541 RequestAttachUserData received from \[2\] \(00000002 GWS\\x1b\[2J 127.0.0.1:999\)\n"
        r"message RequestAttachUserData\n\tAttributeReferenceID\t2\n",
        text,
        re.MULTILINE,
    )
    assert "AttributeThisDN\t'1001'" in text
    assert "AttributeConnID\t0000000000000011" in text
    assert "hunter2" not in text
    assert "4111" not in text
    assert "\x1b" not in text


def test_events_go_to_the_log_of_their_subsystem(tmp_path):
    sends = [
        Send(Subsystem.T_CONTROLLER, (4, 6), (RINGING,)),
        Send(Subsystem.SMART_PROXY, tuple(range(0, 40, 2)), (encode(Message(MessageType.EventACK, 9, {})),)),
    ]
    files = logged(tmp_path, outputs=sends)
    assert re.match(
        r"@\d\d:\d\d:\d\d\.\d{4} \[0\] 8\.1 distribute_event: message EventRinging\n", files["n1-1280.log"]
    )
    assert "sent to [4,6]" in files["n1-1280.log"]
    assert "send_to_client: message EventACK" in files["n1-1792.log"]
    assert "30,...]" in files["n1-1792.log"]


def test_sip_is_whole_in_001_without_credentials(tmp_path):
    files = logged(
        tmp_path,
        [Datagram("sip", ("127.0.0.1", 5060), REGISTER)],
        [SendDatagram(Subsystem.CALL_MANAGER, "sip", ("127.0.0.1", 5060), b"SIP/2.0 200 OK\r\n\r\n")],
    )
    text = files["n1-001.log"]
    assert "received from 127.0.0.1:5060" in text
    assert "Via: SIP/2.0/UDP 1\nAuthorization: ***\nX: \\x1b\\xff" in text
    assert "swordfish" not in text
    assert "sent to 127.0.0.1:5060, 18 bytes:\nSIP/2.0 200 OK" in text


def test_on_stderr_a_message_is_a_line(tmp_path):
    text = logged(
        tmp_path,
        [
            WallClock(0),
            Timeout(),
            Opened(2, "smartproxy", "127.0.0.1:9"),
            Received(2, HELLO),
            Received(2, ATTACH),
            Received(8, b"of no stream"),
            Writable(2, 300_000),
            Datagram("sip", ("127.0.0.1", 5060), REGISTER),
            Operator("link", ("n2", "down")),
            Closed(2, "gone\nnot"),
        ],
        [
            Send(Subsystem.MAIN, (2,), (RINGING, b"\x00\x00\x00\x0c" + bytes(8))),
            Fault(Subsystem.MAIN, "kind", "text", 2),
            Fault(Subsystem.MAIN, "kind", "text"),
            Dial(Subsystem.T_CONTROLLER, 1, "127.0.0.1:7"),
            Close(Subsystem.T_CONTROLLER, 1, "why"),
            Replicate(Subsystem.MAIN, ()),
        ],
        brief=True,
    )
    lines = [line.split(" ", 1)[1] for line in text.splitlines()]
    assert lines == [
        "n1 [2] smartproxy opened 127.0.0.1:9",
        "n1 [2] (00000002 GWS\\x1b[2J 127.0.0.1:9) -> RequestRegisterClient ref=1",
        "n1 [2] (00000002 GWS\\x1b[2J 127.0.0.1:9) -> "
        "RequestAttachUserData ref=2 ThisDN=1001 ConnID=0000000000000011",
        "n1 [2] 300000 bytes queued",
        "n1 sip received from 127.0.0.1:5060: REGISTER sip:x SIP/2.0",
        "n1 operator: link n2 down",
        "n1 [2] closed: gone\\x0anot",
        "n1 [2] <- EventRinging ThisDN=1001 ConnID=0000000000000011",
        "n1 fault [2] kind: text",
        "n1 fault kind: text",
        "n1 [1] dials 127.0.0.1:7",
        "n1 [1] closed by this node: why",
    ]


def test_what_is_no_t_library_is_said_once(tmp_path):
    opened = Opened(2, "tlib", "127.0.0.1:9")
    text = logged(tmp_path, [opened, Received(2, b"GET / HTTP/1.1\r\n"), Received(2, b"\r\n")], brief=True)
    assert text.count("4546 invalid TLib message from [2]") == 1
    broken = HELLO[:4] + b"\x09" + HELLO[5:]
    text = logged(tmp_path, [opened, Received(2, broken)], brief=True)
    assert f"4546 invalid TLib message of {len(broken)} bytes from [2]" in text


def test_a_summary_names_an_error():
    message = Message(
        MessageType.EventError, 3, {Attribute.ErrorCode: 59, Attribute.ErrorMessage: "DN is not configured"}
    )
    assert summary(message) == "EventError ref=3 ErrorCode=59 ErrorMessage=DN is not configured"


def test_the_hosts_own_lines_go_to_the_main_log(tmp_path):
    writer = LogWriter(tmp_path)
    NodeLog("n1", writer, "1", brief=False).say("hello")
    writer.end()
    assert (tmp_path / "n1.log").read_text().endswith(" hello\n")


def test_a_dead_disk_is_said_once_and_tried_again_later(tmp_path, monkeypatch):
    stream = io.StringIO()
    writer = LogWriter(tmp_path / "none", stream)
    writer.write("n1.log", "a")
    writer.end()
    writer._write("n1.log", "b")
    assert stream.getvalue().count("log n1.log is not written") == 1
    assert writer.dropped == 2
    monkeypatch.setattr(module, "RETRY_S", -1.0)
    writer._dead_until.clear()
    os.mkdir(tmp_path / "none")
    writer._write("n1.log", "c\n")
    assert (tmp_path / "none" / "n1.log").read_text() == "c\n"
    writer._files["n1.log"].close()
    writer._write("n1.log", "d\n")
    writer._write("n1.log", "e\n")
    assert (tmp_path / "none" / "n1.log").read_text() == "c\ne\n"
    writer._files["n1.log"].close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_costs_lines_only(tmp_path):
    os.symlink("/dev/full", tmp_path / "n1.log")
    stream = io.StringIO()
    writer = LogWriter(tmp_path, stream)
    writer.write("n1.log", "a")
    writer.end()
    assert "No space left" in stream.getvalue()


def test_too_many_lines_are_dropped_and_counted(monkeypatch):
    monkeypatch.setattr(module, "QUEUE_LINES", 0)
    writer = LogWriter(None, io.StringIO())
    writer.write("x", "a")
    writer.end()
    assert writer.dropped == 1


def test_nobody_reading_stderr_is_no_fault():
    stream = io.StringIO()
    stream.close()
    writer = LogWriter(None, stream)
    writer.write("x", "a")
    writer.end()
