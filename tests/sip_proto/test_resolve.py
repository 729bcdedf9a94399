"""URIs to places to try, with the test as the DNS."""

from collections.abc import Sequence

import pytest

from sip_proto import LocalError
from sip_proto.limits import Limits
from sip_proto.resolve import Naptr, Query, Record, Resolved, ResolveOutput, Resolver, Srv, Target

Zone = dict[tuple[str, str], Sequence[Record]]

ZONE: Zone = {
    ("example.org", "NAPTR"): [
        Naptr(20, 10, "s", "SIP+D2U", "_sip._udp.example.org."),
        Naptr(10, 20, "S", "SIP+D2T", "_sip._tcp.example.org"),
        Naptr(10, 10, "s", "SIPS+D2T", "_sips._tcp.example.org"),
        Naptr(1, 1, "s", "SIP+D2W", "_ws.example.org"),
        Naptr(1, 1, "u", "SIP+D2U", "x.example.org"),
        Naptr(1, 1, "s", "SIP+D2U", "not a name"),
    ],
    ("_sips._tcp.example.org", "SRV"): [Srv(1, 0, 5061, "one.example.org.")],
    ("_sip._tcp.example.org", "SRV"): [Srv(2, 0, 5070, "two.example.org"), Srv(1, 0, 5060, "One.example.org")],
    ("_sip._udp.example.org", "SRV"): [Srv(1, 0, 0, "two.example.org"), Srv(1, 0, 5060, "two.example.org")],
    ("one.example.org", "A"): ["192.0.2.1", "not an address"],
    ("one.example.org", "AAAA"): ["2001:db8::1"],
    ("two.example.org", "A"): ["192.0.2.2"],
    ("example.org", "A"): ["192.0.2.9"],
}


def look(uri: str, zone: Zone, **more: object) -> tuple[list[tuple[str, str]], list[tuple[str, str, int]]]:
    """What was asked, and the places as transport, address, port."""
    resolver = Resolver(b"seed", **more)  # type: ignore[arg-type]
    out: list[ResolveOutput] = []
    handle = resolver.resolve(0, uri, out)
    asked = []
    while isinstance(record := out.pop(0), Query):
        assert record.handle == handle
        asked.append((record.name, record.kind))
        resolver.answered(0, handle, record.name, record.kind, zone.get((record.name, record.kind), ()), out)
    assert isinstance(record, Resolved)
    assert (out, len(resolver), resolver.next_deadline()) == ([], 0, None)
    return asked, [(target.transport, *target.address) for target in record.targets]


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("sip:a@192.0.2.7", ("udp", "192.0.2.7", 5060)),
        ("sip:a@192.0.2.7:5070;transport=TCP", ("tcp", "192.0.2.7", 5070)),
        ("sips:a@[2001:db8::7]", ("tls", "2001:db8::7", 5061)),
        ("sips:a@192.0.2.7;transport=tcp", ("tls", "192.0.2.7", 5061)),
        ("sip:a@example.org;maddr=192.0.2.8", ("udp", "192.0.2.8", 5060)),
    ],
)
def test_an_address_needs_no_question(uri: str, place: tuple[str, str, int]) -> None:
    assert look(uri, {}) == ([], [place])


def test_naptr_chooses_the_transports_and_srv_the_hosts() -> None:
    asked, places = look("sip:a@Example.org", ZONE)
    assert asked[0] == ("example.org", "NAPTR")
    assert places == [
        ("tls", "192.0.2.1", 5061),
        ("tls", "2001:db8::1", 5061),
        ("tcp", "192.0.2.1", 5060),
        ("tcp", "2001:db8::1", 5060),
        ("tcp", "192.0.2.2", 5070),
        ("udp", "192.0.2.2", 5060),
    ]
    assert len(asked) == len(set(asked))


def test_a_secure_uri_takes_tls_alone_and_we_take_what_we_speak() -> None:
    assert look("sips:a@example.org", ZONE)[1] == [("tls", "192.0.2.1", 5061), ("tls", "2001:db8::1", 5061)]
    assert look("sip:a@example.org", ZONE, transports=("udp",))[1] == [("udp", "192.0.2.2", 5060)]
    assert look("sip:a@example.org", ZONE, transports=("tls",), families=("AAAA",))[1] == [
        ("tls", "2001:db8::1", 5061)
    ]
    for uri in ("sip:a@example.org;transport=sctp", "sips:a@example.org;transport=udp", "sip:a@exa..mple"):
        assert look(uri, ZONE) == ([], [])


def test_a_port_leads_to_addresses_and_a_transport_to_srv() -> None:
    asked, places = look("sip:a@example.org:5080", ZONE)
    assert (asked, places) == ([("example.org", "A"), ("example.org", "AAAA")], [("udp", "192.0.2.9", 5080)])
    asked, places = look("sip:a@example.org;transport=tcp", ZONE, families=("A",))
    assert asked[0] == ("_sip._tcp.example.org", "SRV")
    assert places == [("tcp", "192.0.2.1", 5060), ("tcp", "192.0.2.2", 5070)]


def test_without_naptr_srv_is_asked_and_without_srv_addresses() -> None:
    zone = {key: value for key, value in ZONE.items() if key[1] != "NAPTR"}
    asked, places = look("sip:a@example.org", zone, families=("A",))
    assert asked[:4] == [
        ("example.org", "NAPTR"),
        ("_sip._udp.example.org", "SRV"),
        ("_sip._tcp.example.org", "SRV"),
        ("_sips._tcp.example.org", "SRV"),
    ]
    assert [transport for transport, _, _ in places] == ["udp", "tcp", "tcp", "tls"]
    zone = {key: value for key, value in zone.items() if key[1] != "SRV"}
    assert look("sip:a@example.org", zone)[1] == [("udp", "192.0.2.9", 5060)]
    assert look("sips:a@example.org", zone)[1] == [("tls", "192.0.2.9", 5061)]


def test_a_service_that_is_denied_is_not_looked_for_elsewhere() -> None:
    zone: Zone = {**ZONE, ("_sip._tcp.example.org", "SRV"): [Srv(0, 0, 0, ".")]}
    assert look("sip:a@example.org;transport=tcp", zone)[1] == []


def test_an_srv_target_may_be_an_address_and_doubles_count_once() -> None:
    zone: Zone = {("_sip._udp.h", "SRV"): [Srv(0, 0, 5060, "192.0.2.1"), Srv(0, 0, 5060, "192.0.2.1")]}
    assert look("sip:a@h;transport=udp", zone)[1] == [("udp", "192.0.2.1", 5060)]


def test_weights_share_the_first_place_in_proportion() -> None:
    records = [Srv(1, 10, 5060, "192.0.2.1"), Srv(1, 30, 5060, "192.0.2.3"), Srv(1, 0, 5060, "192.0.2.4")]
    resolver = Resolver(b"seed")
    first = {"192.0.2.1": 0, "192.0.2.3": 0, "192.0.2.4": 0}
    for _ in range(2000):
        out: list[ResolveOutput] = []
        handle = resolver.resolve(0, "sip:a@h;transport=udp", out)
        out.clear()
        resolver.answered(0, handle, "_sip._udp.h", "SRV", records, out)
        (done,) = out
        assert isinstance(done, Resolved)
        assert len(done.targets) == 3
        first[done.targets[0].address[0]] += 1
    assert 400 < first["192.0.2.1"] < 600
    assert 0 < first["192.0.2.4"] < 100


def test_a_lookup_that_takes_too_long_ends_with_what_is_known() -> None:
    resolver = Resolver(b"seed", timeout_us=1_000)
    out: list[ResolveOutput] = []
    handle = resolver.resolve(0, "sip:a@example.org:5080", out)
    resolver.answered(0, handle, "example.org", "AAAA", ["2001:db8::1", Srv(1, 1, 1, "x")], out)
    resolver.handle_timeout(999, out)
    assert resolver.next_deadline() == 1_000
    resolver.handle_timeout(1_000, out)
    assert out[-1] == Resolved(handle, (Target("udp", ("2001:db8::1", 5080)),))
    size = len(out)
    resolver.answered(0, handle, "example.org", "A", ["192.0.2.1"], out)
    assert len(out) == size


def test_questions_that_nobody_answers_lead_to_the_next_ones() -> None:
    resolver = Resolver(b"seed", timeout_us=1_000, families=("A",), transports=("udp", "tcp"))
    out: list[ResolveOutput] = []
    handle = resolver.resolve(0, "sip:a@example.org", out)
    resolver.handle_timeout(1_000, out)
    # Too late.
    resolver.answered(1_500, handle, "example.org", "NAPTR", ZONE["example.org", "NAPTR"], out)
    resolver.handle_timeout(2_000, out)
    assert out == [
        Query(handle, "example.org", "NAPTR"),
        Query(handle, "_sip._udp.example.org", "SRV"),
        Query(handle, "_sip._tcp.example.org", "SRV"),
        Query(handle, "example.org", "A"),
    ]
    resolver.handle_timeout(3_000, out)
    assert out[-1] == Resolved(handle, ())
    assert (len(resolver), resolver.next_deadline()) == (0, None)


def test_a_service_that_was_found_in_time_is_taken_without_the_others() -> None:
    resolver = Resolver(b"seed", timeout_us=1_000, families=("A",), transports=("udp", "tcp"))
    out: list[ResolveOutput] = []
    handle = resolver.resolve(0, "sip:a@example.org", out)
    resolver.answered(0, handle, "example.org", "NAPTR", (), out)
    resolver.answered(0, handle, "_sip._tcp.example.org", "SRV", [Srv(1, 0, 5070, "192.0.2.3")], out)
    resolver.handle_timeout(1_000, out)
    assert out[-1] == Resolved(handle, (Target("tcp", ("192.0.2.3", 5070)),))


def test_of_too_many_records_those_that_come_first_are_kept() -> None:
    zone: Zone = {
        ("example.org", "NAPTR"): [
            *[Naptr(9, 9 - n, "s", "SIP+D2U", f"s{n}.example.org") for n in range(4)],
            Naptr(1, 1, "s", "SIP+D2T", "t.example.org"),
        ],
        ("t.example.org", "SRV"): [Srv(9 - n, 0, 5060, f"192.0.2.{n}") for n in range(8)],
        ("s3.example.org", "SRV"): [Srv(1, 0, 5060, "192.0.2.99")],
    }
    asked, places = look("sip:example.org", zone, limits=Limits(records=2))
    assert asked[1:] == [("t.example.org", "SRV"), ("s3.example.org", "SRV")]
    assert places == [("tcp", "192.0.2.7", 5060), ("tcp", "192.0.2.6", 5060)]


def test_answers_that_nobody_asked_and_forgotten_lookups_say_nothing() -> None:
    resolver = Resolver(b"seed", limits=Limits(lookups=1))
    out: list[ResolveOutput] = []
    handle = resolver.resolve(0, "sip:a@example.org", out)
    with pytest.raises(LocalError):
        resolver.resolve(0, "sip:a@example.org", out)
    resolver.answered(0, handle, "other.org", "NAPTR", [], out)
    resolver.forget(handle)
    resolver.forget(handle)
    resolver.answered(0, handle, "example.org", "NAPTR", [], out)
    assert len(out) == 1
    assert resolver.next_deadline() is None


@pytest.mark.parametrize("uri", ["tel:+1", "nonsense"])
def test_other_uris_are_the_callers_fault(uri: str) -> None:
    with pytest.raises(LocalError):
        Resolver(b"").resolve(0, uri, [])


@pytest.mark.parametrize("more", [{"transports": []}, {"transports": ["sctp"]}, {"families": []}, {"families": ["MX"]}])
def test_settings_that_nobody_can_follow_are_the_callers_fault(more: dict[str, list[str]]) -> None:
    with pytest.raises(LocalError):
        Resolver(b"", **more)  # type: ignore[arg-type]
