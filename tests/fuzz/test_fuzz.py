"""The targets of `make fuzz` hold for their corpus and for a few inputs of Hypothesis."""

import pytest

pytest.importorskip("fuzz", reason="the fuzz targets are in the checkout, not in the wheel")

from fuzz.engines import grown, run
from fuzz.sip import TARGETS
from fuzz.target import Target


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_target_has_a_corpus_and_holds_for_it(target: Target) -> None:
    assert target.seeds()
    for data in target.seeds():
        target.check(data)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_target_holds_for_inputs_of_hypothesis(target: Target) -> None:
    ran = run(target, "hypothesis", 100, 7)
    assert (ran.engine, ran.runs) == ("Hypothesis", 100)
    assert ran.found


def test_a_reader_of_quadratic_time_is_found() -> None:
    def slow(data: bytes) -> object:
        return [data[at:].count(b"x") for at in range(0, len(data), 16)]

    target = Target("slow", (), lambda data: None, slow)
    assert grown(target, [b"some bytes"], 1)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("uri", b'$<ip:a>;tp:a>;tag= B";.<;tag= B";.<;tag= \xb5'),
        ("headers", b'^SIP/2.0/DP h;branch=1", SIP/2.0/TCP [::1]:5061'),
        ("headers", b'^SIP/2.0/UDP h;0r/b;q<0\xceP Ds, "es,<h> ;o;branch=d"3.\x00;'),
        ("sdp", b"v=0\no=a 1 1 IN IP6\x00\nm=ie 4 TC\xac/MSRP *\na=pap:/ h\n\r"),
    ],
)
def test_what_was_found_once_stays_found(name: str, data: bytes) -> None:
    next(target for target in TARGETS if target.name == name).check(data)
