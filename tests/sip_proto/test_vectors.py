"""Runs tests/vectors/sip: what each says of an input holds, however the input arrives."""

import json
from pathlib import Path
from typing import Any

import pytest

from sip_proto import ParseError, Request, Response, parse, parse_sdp, parse_uri, validate
from sip_proto.dialog_info import DialogEntry, DialogFeed, DialogPicture, Participant, parse_dialog_info
from sip_proto.fields import FIELDS
from sip_proto.framing import BrokenFraming, Frame, KeepAlive, StreamFramer
from sip_proto.message import Message
from sip_proto.message_summary import MessageCount, MessageSummary, parse_message_summary
from sip_proto.multipart import parse_multipart
from sip_proto.same import same_uri
from sip_proto.uri import write_uri
from sip_proto.validate import response_fault
from tests.sip_proto.vector_sequences import run_sequence

FOLDER = Path(__file__).parents[1] / "vectors" / "sip"
FILES = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
VECTORS = [vector for file in FILES.values() for vector in file["tests"]]


def data_of(given: dict[str, str]) -> bytes:
    return given["text"].encode() if "text" in given else bytes.fromhex(given["hex"])


def plain(value: object) -> object:
    """Records as lists, as JSON has them."""
    return json.loads(json.dumps(value))


def run_message(vector: dict[str, Any]) -> None:
    expect = vector["expect"]
    data = data_of(vector["input"])
    if "error" in expect:
        with pytest.raises(ParseError) as caught:
            parse(data)
        assert caught.value.kind == expect["error"]
        return
    message = parse(data)
    written = message.to_bytes()
    assert parse(written).to_bytes() == written
    if expect.get("canonical"):
        assert written == data
    if isinstance(message, Request):
        judge_request(message, vector)
    else:
        judge_response(message, expect)
    for name, values in expect.get("headers", {}).items():
        assert message.get_all(name) == values
    for name, values in expect.get("typed", {}).items():
        assert plain(message.all(FIELDS[name])) == values
    if "body" in expect:
        assert message.body == expect["body"].encode()
    if "body_hex" in expect:
        assert message.body.hex() == expect["body_hex"]


def judge_request(message: Request, vector: dict[str, Any]) -> None:
    expect = vector["expect"]
    rejection = validate(message, **vector.get("options", {}))
    assert (None if rejection is None else rejection.status) == expect["answer"], rejection
    if rejection is not None:
        assert dict(rejection.headers) == expect.get("answer_headers", dict(rejection.headers))
    assert message.method == expect.get("method", message.method)
    assert message.uri == expect.get("uri", message.uri)


def judge_response(message: Message, expect: dict[str, Any]) -> None:
    assert isinstance(message, Response)
    assert (response_fault(message) is not None) == expect["drop"]
    assert message.status == expect.get("code", message.status)
    assert message.reason == expect.get("reason", message.reason)


def run_uri(vector: dict[str, Any]) -> None:
    text = data_of(vector["input"]).decode("utf-8", "surrogateescape")
    if vector["expect"].get("error"):
        with pytest.raises(ParseError):
            parse_uri(text)
        return
    uri = parse_uri(text)
    assert plain(uri) == vector["expect"]["parts"]
    assert parse_uri(write_uri(uri)) == uri


def run_same_uri(vector: dict[str, Any]) -> None:
    one, other = (parse_uri(data_of(given).decode()) for given in vector["input"])
    assert same_uri(one, other) == same_uri(other, one) == vector["expect"]["same"]


def run_header(vector: dict[str, Any]) -> None:
    text = data_of(vector["input"]).decode()
    field = FIELDS[vector["field"]]
    if vector["expect"].get("error"):
        with pytest.raises(ParseError):
            field.read(text)
        return
    assert plain(field.read(text)) == vector["expect"]["value"]


def run_sdp(vector: dict[str, Any]) -> None:
    data = data_of(vector["input"])
    if vector["expect"].get("error"):
        with pytest.raises(ParseError):
            parse_sdp(data).streams()
        return
    sdp = parse_sdp(data)
    assert sdp.to_bytes() == data
    assert [
        [
            stream.media.kind,
            stream.media.port,
            stream.direction,
            stream.address,
            [f"{c.name}/{c.clock_hz}" + (f"/{c.channels}" if c.channels > 1 else "") for c in stream.codecs],
        ]
        for stream in sdp.streams()
    ] == vector["expect"]["streams"]


def run_framing(vector: dict[str, Any]) -> None:
    data = data_of(vector["input"])
    splits = [[data], [data[at : at + 1] for at in range(len(data))]]
    if len(data) <= 4096:
        splits += [[data[:at], data[at:]] for at in range(1, len(data))]
    for chunks in splits:
        framer = StreamFramer()
        found: list[Frame] = []
        for chunk in chunks:
            found += framer.receive(chunk)
        found = [frame for frame in found if not isinstance(frame, KeepAlive)]
        broken = [frame.status for frame in found if isinstance(frame, BrokenFraming)]
        assert [frame for frame in found if isinstance(frame, bytes)] == [
            text.encode() for text in vector["expect"]["messages"]
        ]
        assert broken == ([vector["expect"]["broken"]] if vector["expect"]["broken"] else [])
        assert framer.pending == int(vector["expect"]["pending"])


def run_multipart(vector: dict[str, Any]) -> None:
    data = data_of(vector["input"])
    if vector["expect"].get("error"):
        with pytest.raises(ParseError):
            parse_multipart(data, vector["boundary"])
        return
    found = parse_multipart(data, vector["boundary"])
    assert [[plain(part.headers), part.body.hex()] for part in found] == vector["expect"]["parts"]


def side_of(given: dict[str, Any]) -> Participant:
    return Participant(
        given["identity"], given["display"], given["target"], tuple((name, value) for name, value in given["params"])
    )


def entry_of(given: dict[str, Any]) -> DialogEntry:
    """A dialog of a vector, which leaves out what is empty and writes numbers as texts."""
    duration = given.get("duration_s")
    return DialogEntry(
        given["id"],
        given["state"],
        given.get("event", ""),
        int(given.get("code", "0")),
        given.get("direction", ""),
        given.get("call_id", ""),
        given.get("local_tag", ""),
        given.get("remote_tag", ""),
        side_of(given["local"]) if "local" in given else Participant(),
        side_of(given["remote"]) if "remote" in given else Participant(),
        None if duration is None else int(duration),
    )


def run_dialog_info(vector: dict[str, Any]) -> None:
    data = data_of(vector["input"])
    expect = vector["expect"]
    if expect.get("error"):
        with pytest.raises(ParseError):
            parse_dialog_info(data)
        return
    info = parse_dialog_info(data)
    assert (info.entity, info.version, info.full) == (expect["entity"], int(expect["version"]), expect["full"])
    assert list(info.dialogs) == [entry_of(given) for given in expect["dialogs"]]
    assert parse_dialog_info(info.to_bytes()) == info


def run_dialog_picture(vector: dict[str, Any]) -> None:
    picture = DialogPicture()
    for step in vector["steps"]:
        taken = picture.take(parse_dialog_info(data_of(step["input"])))
        assert taken.name.lower() == step["expect"]["taken"]
        assert [[entry.id, entry.state] for entry in picture.dialogs.values()] == step["expect"]["dialogs"]


def run_dialog_feed(vector: dict[str, Any]) -> None:
    feed = DialogFeed("sip:bob@lab.example")
    for step in vector["steps"]:
        dialogs = [DialogEntry(name, state) for name, state in step["dialogs"]]
        data = None
        if step["do"] == "lost":
            feed.lost()
        else:
            data = feed.full(dialogs) if step["do"] == "full" else feed.update(dialogs)
        expect = step["expect"]
        assert (data is None) == (expect is None)
        if data is not None:
            info = parse_dialog_info(data)
            assert (info.entity, info.version, info.full) == (
                "sip:bob@lab.example",
                int(expect["version"]),
                expect["full"],
            )
            assert [[entry.id, entry.state] for entry in info.dialogs] == expect["dialogs"]


def summary_of(given: dict[str, Any]) -> MessageSummary:
    return MessageSummary(
        given["waiting"],
        given["account"],
        tuple(MessageCount(kind, *map(int, numbers)) for kind, *numbers in given["counts"]),
        tuple(tuple((name, value) for name, value in message) for message in given["messages"]),
    )


def run_message_summary(vector: dict[str, Any]) -> None:
    data = data_of(vector["input"])
    if vector["expect"].get("error"):
        with pytest.raises(ParseError):
            parse_message_summary(data)
        return
    summary = parse_message_summary(data)
    assert summary == summary_of(vector["expect"])
    assert parse_message_summary(summary.to_bytes()) == summary


def run_message_summary_write(vector: dict[str, Any]) -> None:
    assert summary_of(vector["input"]).to_bytes().decode() == vector["expect"]["text"]


RUN = {
    "message": run_message,
    "uri": run_uri,
    "same-uri": run_same_uri,
    "header": run_header,
    "sdp": run_sdp,
    "framing": run_framing,
    "multipart": run_multipart,
    "sequence": run_sequence,
    "dialog-info": run_dialog_info,
    "dialog-picture": run_dialog_picture,
    "dialog-feed": run_dialog_feed,
    "message-summary": run_message_summary,
    "message-summary-write": run_message_summary_write,
}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_a_vector_holds(vector: dict[str, Any]) -> None:
    RUN[vector["do"]](vector)


def test_the_files_are_in_order() -> None:
    ids = [vector["id"] for vector in VECTORS]
    assert len(set(ids)) == len(ids) >= 500
    for name, file in FILES.items():
        assert file["suite"] == f"sip/{name}"
        assert file["numberOfTests"] == len(file["tests"])
        for vector in file["tests"]:
            assert vector["result"] in ("valid", "invalid", "acceptable")
            assert vector["level"] in ("must", "should", "may")
            assert vector["provenance"] in ("documented", "project")
            assert vector["refs"]
            assert vector["comment"]
            assert set(vector["flags"]) <= set(file["notes"])
            assert vector["result"] != "acceptable" or vector["note"]
