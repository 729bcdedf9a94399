"""`refserver decode`: frames in hex and in captures as text."""

import io
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refserver import decode as module
from refserver.decode import frames, main, octets_of
from tlib_proto import Attribute, Message, MessageType, encode, parse_log

from .captures import ENDS, conversation, ethernet, ipv4, pcap, pcapng, tcp

RINGING = Message(
    MessageType.EventRinging, 0, {Attribute.ThisDN: "1001", Attribute.UserData: (("pin", "1234"),)}
)
ASKED = Message(MessageType.RequestMakeCall, 5, {Attribute.ThisDN: "1001", Attribute.OtherDN: "2002"})
FRAMES = encode(ASKED) + encode(RINGING)


@given(
    st.binary(max_size=100),
    st.sampled_from(["", " ", ":", ", "]),
    st.sampled_from(["", "0x", "\\x"]),
    st.booleans(),
)
def test_octets_are_read_from_hex_as_people_paste_it(data, between, before, capitals):
    digits = [f"{octet:02X}" if capitals else f"{octet:02x}" for octet in data]
    assert octets_of(between.join(before + pair for pair in digits)) == data


def xxd(data, at):
    line = data[at : at + 16]
    groups = " ".join(line[n : n + 2].hex() for n in range(0, len(line), 2))
    return f"{at:08x}: {groups:<39}  {'abcd' * 4}"


def hexdump(data, at):
    line = data[at : at + 16]
    return f"{at:08x}  {line[:8].hex(' ')}  {line[8:].hex(' '):<23}  |{'a' * len(line)}|"


def wireshark(data, at):
    line = data[at : at + 16]
    return f"{at:04x}  {line[:8].hex(' ')}  {line[8:].hex(' '):<23}   {'fade ' * 3}"


@pytest.mark.parametrize("tool", [xxd, hexdump, wireshark])
def test_octets_are_read_from_dumps(tool):
    data = FRAMES[:70]
    assert octets_of("\n".join(tool(data, at) for at in range(0, len(data), 16))) == data


def test_a_line_that_is_no_hex_is_named():
    assert octets_of("00 01 # the rest is said\n\n02") == b"\x00\x01\x02"
    with pytest.raises(ValueError, match="line 2"):
        octets_of("00\nhello")
    with pytest.raises(ValueError, match="line 1"):
        octets_of("000")


def test_frames_follow_each_other():
    assert list(frames(FRAMES)) == [ASKED, RINGING]
    broken = bytearray(encode(ASKED))
    broken[5] = 1
    first, second = frames(bytes(broken) + encode(RINGING))
    assert first == "octet 0: a frame of 36 octets that breaks the format: flags at octet 4"
    assert second == RINGING


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"xy", "2 octets are left"),
        (FRAMES[:-1], "it claims"),
        (b"\xff" * 20, "it claims 4294967295"),
        (bytes(20), "it claims 0"),
    ],
)
def test_what_is_no_frame_ends_it(data, why):
    *_, last = frames(data)
    assert why in last


def run(capsys, *argv):
    status = main(list(argv))
    said = capsys.readouterr()
    return status, said.out, said.err


def test_hex_on_the_command_line(capsys):
    status, out, err = run(capsys, "--hex", FRAMES.hex())
    assert (status, err) == (0, "")
    assert out.startswith("message RequestMakeCall\n\tAttributeReferenceID\t5\n")
    assert "\t\t'pin'\t'***'" in out


def test_everything_is_shown_when_asked_for_and_reads_back(capsys):
    _, out, _ = run(capsys, "--unmask", "--hex", FRAMES.hex())
    assert [found.message for found in parse_log(out.splitlines())] == [ASKED, RINGING]


def test_a_file_of_hex_and_a_file_of_frames(tmp_path, capsys):
    text, raw = tmp_path / "a.txt", tmp_path / "a.bin"
    text.write_text(FRAMES.hex(" "))
    raw.write_bytes(FRAMES)
    assert run(capsys, str(text)) == run(capsys, "--raw", str(raw))


def test_standard_input(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(FRAMES.hex().encode())))
    assert run(capsys)[0] == 0


def test_what_cannot_be_read_fails(tmp_path, capsys):
    assert run(capsys, "--hex", "")[0] == 1
    status, out, err = run(capsys, "--hex", FRAMES.hex() + "00")
    assert (status, out.count("message")) == (1, 2)
    assert "1 octets are left" in err
    assert run(capsys, "--hex", "hello") == (2, "", "refserver decode: line 1: no octets in hex\n")
    assert run(capsys, str(tmp_path / "none"))[0] == 2


def test_a_file_has_a_bound(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "MAX_FILE", 10)
    path = tmp_path / "large"
    path.write_text("00" * 6)
    assert run(capsys, str(path)) == (2, "", "refserver decode: more than 10 octets\n")


@pytest.mark.parametrize("make", [pcap, pcapng])
@pytest.mark.parametrize("size", [1, 7, 1400])
def test_a_capture(make, size, tmp_path, capsys):
    path = tmp_path / "a.pcap"
    path.write_bytes(make(conversation(FRAMES, size)))
    status, out, err = run(capsys, str(path))
    assert (status, err) == (0, "")
    assert out.count("10.0.0.1:40000 -> 10.0.0.2:3303 message ") == 2
    assert run(capsys, "--port", "3303", str(path)) == (status, out, err)


def capture(tmp_path, packets):
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(packets))
    return str(path)


def test_the_time_of_a_packet_is_printed(tmp_path, capsys):
    _, out, _ = run(capsys, capture(tmp_path, conversation(encode(ASKED))))
    assert out.startswith("2026-11-22T19:00:01.000005 10.0.0.1:40000 -> ")


def test_other_streams_are_passed_over(tmp_path, capsys):
    http = conversation(b"GET / HTTP/1.1\r\n\r\n", ends=(("10.0.0.9", 5), ("10.0.0.9", 80)))
    path = capture(tmp_path, [*http, *conversation(FRAMES)])
    status, out, err = run(capsys, path)
    assert (status, err, out.count("message")) == (0, "", 2)
    status, out, err = run(capsys, "--port", "80", path)
    assert (status, out) == (1, "")
    assert "1 directions of port 80 without T-Library, 1 in all" in err
    assert run(capsys, "--port", "81", path)[0] == 1


def test_a_capture_without_t_library_says_so(tmp_path, capsys):
    status, _, err = run(capsys, capture(tmp_path, []))
    assert status == 1
    assert "no T-Library in the file" in err


def test_a_hole_and_a_broken_frame_are_told(tmp_path, capsys):
    syn, one, _, three, fin = conversation(encode(ASKED) * 3, len(encode(ASKED)))
    status, out, err = run(capsys, capture(tmp_path, [syn, one, three, fin]))
    assert (status, out.count("message")) == (1, 2)
    assert "octets are missing here" in err
    broken = bytearray(encode(RINGING))
    broken[5] = 1
    status, out, err = run(capsys, capture(tmp_path, conversation(encode(ASKED) + broken)))
    assert (status, out.count("message")) == (1, 1)
    assert "that breaks the format" in err


def test_a_capture_that_breaks_off_shows_what_is_there(tmp_path, capsys):
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(conversation(FRAMES))[:-3])
    status, out, err = run(capsys, str(path))
    assert (status, out.count("message")) == (1, 2)
    assert "breaks off" in err


def test_the_command_is_there():
    done = subprocess.run(
        [module.sys.executable, "-m", "refserver", "decode", "--hex", FRAMES.hex()],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("message") == 2


def test_a_stray_segment_is_no_stream(tmp_path, capsys):
    stray = ethernet(ipv4(*ENDS, tcp(*ENDS, 5)))
    assert run(capsys, capture(tmp_path, [stray]))[0] == 1
