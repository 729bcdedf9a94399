"""The vectors of tests/vectors/tlib, however their octets are cut, and against both codecs."""

import json
from pathlib import Path

import pytest

from tests.tlib_proto import second_codec, vector_source
from tests.tlib_proto.test_spec_page import ours, plain, theirs
from tests.tlib_proto.vector_runner import Run, expected, message_of, octets_of, shown
from tlib_proto.build import missing
from tlib_proto.codec import decode, encode, frame_length, scan
from tlib_proto.constants import EVENT_ATTRIBUTES, MESSAGE_NAMES, REQUEST_ATTRIBUTES, Attribute
from tlib_proto.errors import ParseError
from tlib_proto.wire import spec_decode, spec_encode, spec_scan

FOLDER = Path(__file__).parents[1] / "vectors" / "tlib"
FILES = {path.stem: json.loads(path.read_text(encoding="ascii")) for path in sorted(FOLDER.glob("*.json"))}
TESTS = {test["id"]: test for document in FILES.values() for test in document["tests"]}
FRAMES = {name: test for name, test in TESTS.items() if "round_trip" in test}
REFUSED = {
    name: test
    for name, test in TESTS.items()
    if test["steps"][-1]["expect"].get("error", {}).get("offset")
    and "parts" not in test["steps"][0]["in"]
    and test["steps"][-1]["expect"]["error"]["phase"] == "decode"
}
SPLIT_AT_MOST = 4_096


def perform(test, cut=None, steps=None):
    """Run a vector and compare every step."""
    run = Run(test["setup"], cut)
    brief = test.get("match") == "subset"
    for step in steps or test["steps"]:
        written, outputs = run.step(step)
        expect = step["expect"]
        assert shown(outputs, brief) == expected(step)
        compare_written(written, expect)
        if "timers" in expect:
            due = run.session.next_deadline()
            assert ([] if due is None else [{"due_ms": str(due // 1000)}]) == expect["timers"]
        if "state" in expect:
            assert {name: getattr(run, name) for name in expect["state"]} == expect["state"]
        if "close" in expect:
            assert run.session.next_deadline() is None


def compare_written(written, expect):
    if not written and "out" in expect.get("may", ()):
        return
    for one in expect.get("out", ()):
        if "hex" in one:
            frame = bytes.fromhex(one["hex"])
            assert written[: len(frame)] == frame
        else:
            frame = written[: frame_length(written)]
            wanted, message = one["match"], decode(frame)
            assert (message.name, message.ref) == (wanted["name"], wanted["ref"])
            for name, value in wanted["attributes"].items():
                assert message.get(Attribute[name]) == value
        written = written[len(frame) :]
    assert written == b""


def test_there_are_enough_and_each_has_its_own_id():
    count = sum(document["numberOfTests"] for document in FILES.values())
    assert count == len(TESTS) >= 250
    for name, document in FILES.items():
        assert document["suite"] == f"tlib/{name}"
        assert document["format"] == 1
        assert set(document["notes"]) == {flag for test in document["tests"] for flag in test["flags"]}
        for test in document["tests"]:
            assert test["provenance"] in ("documented", "observed", "project")
            assert test["result"] in ("valid", "invalid", "acceptable")
            assert test["result"] != "acceptable" or test["note"]


def test_the_files_are_what_their_source_says(capsys):
    assert vector_source.main(["--check"]) == 0, capsys.readouterr().out


def test_a_stale_or_missing_file_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(vector_source, "FOLDER", tmp_path)
    assert vector_source.main(["--check"]) == 1
    assert "framing.json" in capsys.readouterr().out
    assert vector_source.main([]) == 0
    assert vector_source.main(["--check"]) == 0


def test_every_message_with_a_table_has_its_vectors():
    told = {name.split(".")[2] for name in TESTS if name.startswith(("tlib.requests", "tlib.events"))}
    declared = {str(int(kind)) for kind in (*REQUEST_ATTRIBUTES, *EVENT_ATTRIBUTES)}
    assert declared - told == {
        "0",
        "50",
        "51",
    }  # the Hello has its sessions, the others are never on the wire


@pytest.mark.parametrize("name", TESTS)
def test_a_vector_run_whole(name):
    perform(TESTS[name])


@pytest.mark.parametrize("name", TESTS)
def test_a_vector_run_octet_by_octet(name):
    test = TESTS[name]
    size = sum(len(octets_of(step["in"])) for step in test["steps"] if "in" in step)
    if size <= 70_000:
        perform(test, lambda data: [data[at : at + 1] for at in range(len(data))])
    else:
        perform(test, lambda data: [data[at : at + 997] for at in range(0, len(data), 997)])


@pytest.mark.parametrize("name", TESTS)
def test_a_vector_split_at_each_offset(name):
    test = TESTS[name]
    longest = max((len(octets_of(step["in"])) for step in test["steps"] if "in" in step), default=0)
    for at in range(1, longest if longest <= SPLIT_AT_MOST else 64):
        perform(test, lambda data, at=at: [data[:at], data[at:]] if at < len(data) else [data])


def coalesced(steps):
    """Steps with neighbours merged that came from the peer at the same moment."""
    merged = []
    for step in steps:
        last = merged[-1] if merged else None
        if (
            last
            and "in" in step
            and "in" in last
            and step["at_ms"] == last["at_ms"]
            and "close" not in last["expect"]
        ):
            data = octets_of(last["in"]) + octets_of(step["in"])
            both = {**last["expect"], **step["expect"]}
            for key in ("events", "out"):
                both[key] = [*last["expect"].get(key, ()), *step["expect"].get(key, ())]
            merged[-1] = {"at_ms": step["at_ms"], "in": {"hex": data.hex()}, "expect": both}
        else:
            merged.append(step)
    return merged


@pytest.mark.parametrize("suite", FILES)
def test_the_frames_of_a_file_coalesced(suite):
    """Every good frame of the file in one segment, and again with each broken one behind them."""
    tests = [test for test in FILES[suite]["tests"] if test["setup"]["state"] == "open"]
    for side in ("server", "client"):
        steps = [
            {**test["steps"][0], "at_ms": "0"}
            for test in tests
            if "round_trip" in test and test["setup"]["side"] == side
        ]
        setup = {"side": side, "state": "open"}
        if steps:
            perform({"setup": setup}, steps=coalesced(steps))
        for test in tests:
            if test["id"] in REFUSED and test["setup"]["side"] == side:
                perform({"setup": setup}, steps=coalesced([*steps[:3], {**test["steps"][0], "at_ms": "0"}]))


@pytest.mark.parametrize("name", [name for name in TESTS if len(TESTS[name]["steps"]) > 1])
def test_the_steps_of_a_vector_coalesced(name):
    perform(TESTS[name], steps=coalesced(TESTS[name]["steps"]))


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_and_its_meaning_in_both_codecs(name):
    test = FRAMES[name]
    (step,) = test["steps"]
    frame = octets_of(step["in"])
    message = message_of(step["expect"]["events"][0])
    assert decode(frame) == spec_decode(frame) == message
    assert encode(message) == spec_encode(message) == frame
    assert scan(frame) == spec_scan(frame) == second_codec.scan(frame)
    second = (message.id, message.ref, {key: plain(value) for key, value in message.attributes.items()})
    assert theirs(frame) == second
    assert second_codec.encode(second) == frame
    for one in step["expect"]["events"]:
        assert one.get("name") == MESSAGE_NAMES.get(one["id"])
    if "missing" in test:
        found = missing(message)
        assert (found and found.name) == test["missing"]


@pytest.mark.parametrize("name", [name for name in TESTS if name.startswith("tlib.session.resume-")])
def test_what_a_story_of_resume_says_in_both_codecs(name):
    for step in TESTS[name]["steps"]:
        data = octets_of(step["in"]) if "in" in step else b""
        frames = [bytes.fromhex(one["hex"]) for one in step["expect"].get("out", ()) if "hex" in one]
        while data and step["expect"].get("close") != "malformed":
            frames.append(data[: frame_length(data)])
            data = data[frame_length(data) :]
        for frame in frames:
            message = decode(frame)
            assert spec_decode(frame) == message
            assert encode(message) == frame
            second = (message.id, message.ref, {key: plain(value) for key, value in message.attributes.items()})
            assert theirs(frame) == second
            assert second_codec.encode(second) == frame


@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_frame_in_both_codecs(name):
    (step,) = REFUSED[name]["steps"]
    frame, error = octets_of(step["in"]), step["expect"]["error"]
    verdict = (error["code"], int(error["offset"]))
    assert ours(frame) == theirs(frame) == verdict
    with pytest.raises(ParseError) as breach:
        spec_decode(frame)
    assert (breach.value.kind, breach.value.offset) == verdict
