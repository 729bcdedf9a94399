"""The demo's record: every datagram and message as a JSON line, secrets left out."""

from __future__ import annotations

import io
import json

from refserver.demo_ladder import Column, style
from refserver.demo_record import Record, Sighting, SipSighting, TlibSighting
from refserver.demo_table import table
from tlib_proto.constants import Attribute, MessageType
from tlib_proto.records import Message

M = MessageType
NODE = ("127.0.0.1", 5060)
INVITE = (
    b"INVITE sip:8000@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:1;branch=z9hG4bK1\r\n"
    b"From: <sip:1@x>;tag=a\r\nTo: <sip:8000@x>%b\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
    b'Authorization: Digest username="1", response="abc"\r\nContent-Length: 0\r\n\r\n'
)


def recorded() -> tuple[Record, io.StringIO, list[Sighting]]:
    file, told = io.StringIO(), []
    record = Record(file, told.append)
    record.name_node(NODE, "n1")
    return record, file, told


def test_a_datagram_names_its_node_and_hides_credentials() -> None:
    record, file, told = recorded()
    record.sip("caller")("sent", INVITE % b"", NODE)
    line = json.loads(file.getvalue())
    assert (line["who"], line["way"], line["peer"]) == ("caller", "sent", "n1")
    assert "Authorization: ***" in line["text"]
    assert "abc" not in line["text"]
    sighting = told[0]
    assert isinstance(sighting, SipSighting)
    assert (sighting.sender, sighting.receiver, sighting.label) == ("caller", "n1", "INVITE")


def test_an_invite_within_a_dialog_is_called_a_re_invite() -> None:
    record, _, told = recorded()
    record.sip("caller")("received", INVITE % b";tag=b", NODE)
    sighting = told[0]
    assert isinstance(sighting, SipSighting)
    assert (sighting.sender, sighting.label) == ("n1", "re-INVITE")


def test_what_cannot_be_parsed_is_recorded_and_not_shown() -> None:
    record, file, told = recorded()
    record.sip("caller")("received", b"\xff\x00nonsense", ("127.0.0.1", 9))
    assert json.loads(file.getvalue())["peer"] == "127.0.0.1:9"
    assert told == []


def test_a_message_is_a_line_and_keep_alives_are_not() -> None:
    record, file, told = recorded()
    see = record.tlib("GWS")
    see("received", Message(M.Ping))
    see("sent", Message(M.RequestAnswerCall, 3, {Attribute.ConnID: 5}))
    lines = file.getvalue().splitlines()
    assert len(lines) == record.lines == len(told) == 1
    assert json.loads(lines[0])["conn_id"] == "0000000000000005"


def test_the_table_counts_what_each_client_received() -> None:
    record, _, told = recorded()
    for who, count in (("A", 2), ("B", 1)):
        for _ in range(count):
            record.tlib(who)("received", Message(M.EventRinging, 0, {Attribute.ThisDN: "1"}))
    record.tlib("A")("sent", Message(M.RequestAnswerCall))
    assert all(isinstance(item, TlibSighting) for item in told)
    columns = [Column("A", "A", "n1", "port"), Column("B", "B", "n2", "port")]
    lines = table(record, columns, style(False, False))
    row = next(line for line in lines if "EventRinging" in line)
    assert row.split() == ["EventRinging", "2", "1"]
    assert not any("Request" in line for line in lines)
    assert lines[-1].split() == ["all", "2", "1"]
