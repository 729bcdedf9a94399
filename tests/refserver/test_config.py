"""A cluster file is read whole, or refused with every complaint in its place."""

from pathlib import Path

import pytest

from cluster_core.settings import ClientRole, DnType
from refserver.addresses import is_loopback, join_address, split_address
from refserver.config import ConfigError, load, parse

DEMO = Path(__file__).parents[2] / "examples" / "demo.toml"
SECRET = "scrypt$16384$8$1$" + "ab" * 16 + "$" + "cd" * 32

GOOD = f"""\
[cluster]
name = "c"

[[node]]
name = "n1"
number = 1
[[node.member]]
name = "a"
sip-port = "127.0.0.1:5060"
port = "127.0.0.1:0"
IPport = "127.0.0.1:0"
TCport = "127.0.0.1:0"
SmartProxy = "[::1]:3304"

[dn."cluster"]
type = "VoIP Service"
service-type = "sip-cluster-nodes"
dn-owner-applications = [
    "GWS",  # a ] in a comment
]
smart-proxy-enabled = true

[dn."1001"]
type = "Extension"
password = "x"

[dn."8000"]
type = "Routing Point"
default-dn = "1001"

[[client]]
name = "GWS"
role = "desktop"
dns = ["1000-1999", "8000"]
secret = "{SECRET}"
"""


def complaints(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "c.toml")
    return caught.value.problems


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_a_good_file_becomes_settings():
    settings = parse(GOOD)
    assert settings.realm == "c"
    assert settings.nodes[0].members[0].smartproxy == "[::1]:3304"
    assert settings.dns["1001"].contact == "*"
    assert settings.dns["8000"].type is DnType.ROUTING_POINT
    assert settings.options.dn_owner_applications == ("GWS",)
    assert settings.clients[0].role is ClientRole.DESKTOP


def test_options_of_sip_sessions_stand_on_the_dn_and_the_least_interval_on_the_cluster():
    phone = 'sip-enable-100rel = "no"\nsession-refresh-interval = 0\nmake-call-rfc3725-flow = 1'
    text = GOOD.replace('password = "x"', f'password = "x"\n{phone}')
    settings = parse(text.replace("smart-proxy-enabled = true", "session-refresh-minimum = 120"))
    dn, other = settings.dns["1001"], settings.dns["8000"]
    assert (dn.sip_enable_100rel, dn.session_refresh_interval, dn.make_call_rfc3725_flow) == ("no", 0, 1)
    assert (other.sip_enable_100rel, other.session_refresh_interval, other.make_call_rfc3725_flow) == (
        "supported",
        1800,
        4,
    )
    assert settings.options.session_refresh_minimum == 120


def test_the_demo_file_is_good():
    assert [node.name for node in load(DEMO).nodes] == ["n1", "n2"]


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("number = 1", "number = 4096", "number =", "node.0.number: expected 1 to 4095, got 4096"),
        ("number = 1", "number = true", "number =", "node.0.number: expected a whole number, got True"),
        (
            'name = "n1"',
            'name = "n1"\ncolour = 1',
            "colour",
            "node.0.colour: unknown option; known here: geo-",
        ),
        ('password = "x"', "password = 4711", "password", "dn.1001.password: expected a string, got int"),
        ('type = "Extension"', 'type = "Phone"', "Phone", "dn.1001.type: expected one of Extension, Rou"),
        ('[dn."1001"]', "[dn.1001]", "dn.1001", '1001: expected a quoted string, "1001": a DN'),
        ("127.0.0.1:5060", "5060", '"5060"', "sip-port: expected an IP address and a port"),
        ("127.0.0.1:5060", "localhost:5060", "localhost", "sip-port: expected an IP address and a port"),
        ("127.0.0.1:5060", "127.0.0.1:65536", "65536", "sip-port: expected an IP address and a port"),
        ("127.0.0.1:5060", "0.0.0.0:5060", "0.0.0.0", "no address that others can send to"),
        ("[::1]:3304", "192.0.2.1:3304", "192.0.2.1", "expected it in tls"),
        ("1000-1999", "1999-1000", "1999-1000", "client.0.dns.0: expected a DN or a range"),
        ("1000-1999", "1000-19999", "19999", "expected a DN or a range"),
        (SECRET, "hunter2", "hunter2", "client.0.secret: expected a hash made by `refserver secret`"),
        (SECRET, SECRET.replace("16384", "1048576"), "1048576", "expected a hash made by"),
        ('role = "desktop"', 'role = "peer"', "peer", "client.0.role: expected one of router, reporting"),
        ('role = "desktop"', "role = 7", "role", "client.0.role: expected a string, got 7"),
        ('default-dn = "1001"', 'default-dn = "1002"', "1002", "dn.8000.default-dn: expected a DN of this"),
        ('default-dn = "1001"', "default-dn = 1001", "default-dn", "expected a string, got 1001"),
        ('"GWS",', '"WWE",', "dn-owner", '"WWE" proves nothing; expected a [[client]]'),
        ('name = "c"', "", "[cluster]", "cluster.name: expected the cluster's name"),
        ('name = "c"', 'name = "c"\ncoordinator = "etcd"', "etcd", 'cluster.coordinator: expected "memory"'),
        ('name = "c"', 'name = "c"\nsip-proxies = ["kamailio"]', "kamailio", "expected an IP address"),
        ('password = "x"', 'contact = "1001"', "contact", 'expected "*" or a SIP URI'),
        ('password = "x"', 'sip-cti-control = "x"', "sip-cti", 'expected "talk" or "none"'),
        ('password = "x"', "digest-algorithms = []", "digest", "expected MD5 or SHA-256, or both"),
        ('password = "x"', 'digest-algorithms = ["SHA-1"]', "digest", 'or both, got "SHA-1"'),
        ('password = "x"', 'digest-algorithms = ["MD5", "MD5"]', "digest", 'got "MD5, MD5"'),
        ('password = "x"', 'sip-enable-100rel = "yes"', "100rel", '"no", "supported" or "required", got "yes"'),
        ('password = "x"', "session-refresh-interval = 89", "refresh", "90 to 86400 seconds, or 0 for no"),
        ('password = "x"', "make-call-rfc3725-flow = 2", "3725", "expected 1, 3 or 4, got 2"),
        ('password = "x"', "session-refresh-minimum = 90", "refresh-min", 'only on the "sip-cluster-nodes" DN'),
        ("smart-proxy-enabled = true", "session-refresh-minimum = 10", "refresh-min", "expected 90 to 86400 seconds"),
        ('password = "x"', 'prefix = "a"', "prefix", "expected at most 32 dialled digits"),
        ('password = "x"', 'service-type = "x"', 'type = "x"', 'expected only on a "VoIP Service"'),
        ('password = "x"', 'password = "x\\n"', "password", "expected one line of text"),
        ('[dn."1001"]', '[dn."10 01"]', "10 01", "expected a DN of at most 64"),
        ('name = "n1"', 'name = "n 1"', "n 1", "expected a name of letters"),
        ('name = "a"', 'name = ""', 'name = ""', "expected a name of letters"),
        ('name = "GWS"', 'name = ""', 'name = ""', "expected the application's name"),
        ('name = "c"', 'name = "c"\n[limits]\ncalls = 0', "calls", "limits.calls: expected 1 to 1000000"),
    ],
)
def test_a_wrong_option_is_refused_with_line_key_and_what_was_expected(old, new, where, what):
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    found = complaints(text)
    assert [f for f in found if f.startswith(f"c.toml:{line_of(text, where)}: ") and what in f], found


def again(part: str) -> str:
    """The good file with the tables from `part` to the next blank line repeated at the end."""
    block = GOOD[GOOD.index(part) :].split("\n\n")[0]
    return f"{GOOD}\n{block}\n"


def test_a_name_number_and_port_stand_once():
    text = again("[[node]]")
    problems = complaints(text)
    last = text.rindex("[[node]]")
    base = text.count("\n", 0, last)
    assert f'c.toml:{base + 2}: node.1.name: name "n1" is taken already on line 5' in problems
    assert f"c.toml:{base + 3}: node.1.number: number 1 is taken already on line 6" in problems
    assert any("127.0.0.1:5060 is used already by line 9; port 0 takes a free one" in p for p in problems)
    assert not any("127.0.0.1:0 is used" in p for p in problems)


def test_a_client_stands_once():
    line = line_of(GOOD, 'name = "GWS"')
    assert any(f'name "GWS" is taken already on line {line}' in p for p in complaints(again("[[client]]")))


def test_a_dn_stands_once():
    problem = complaints(again('[dn."1001"]'))[0]
    assert problem.startswith("c.toml:")
    assert "dn.1001: declared twice" in problem


def test_the_cluster_has_one_dn():
    text = GOOD + '\n[dn."other"]\ntype = "VoIP Service"\nservice-type = "sip-cluster-nodes"\n'
    assert any('a second "sip-cluster-nodes"' in p for p in complaints(text))


def test_a_second_member_is_refused():
    block = GOOD[GOOD.index("[[node.member]]") : GOOD.index('[dn."cluster"]')]
    second = block.replace('"a"', '"b"').replace("5060", "5061").replace("3304", "3305")
    text = GOOD.replace(block, block + second)
    assert complaints(text) == [
        "c.toml:15: node.0.member.1: a second member: backups are not served yet, expected one [[node.member]]"
    ]


def test_every_complaint_is_made_at_once_and_in_the_order_of_the_file():
    text = GOOD.replace("number = 1", "number = 0").replace('"Extension"', '"X"').replace("desktop", "x")
    found = complaints(text)
    assert len(found) >= 3
    assert [int(p.split(":")[1]) for p in found] == sorted(int(p.split(":")[1]) for p in found)


def test_what_is_missing_is_said():
    found = complaints("")
    assert any("expected the cluster's name" in p for p in found)
    assert any("expected at least one [[node]]" in p for p in found)
    assert any("expected one [[node.member]]" in p for p in complaints('[[node]]\nname = "n"\nnumber = 1\n'))


def test_tables_of_another_kind_are_refused():
    assert any("node: expected an array of tables, [[...]], got 1" in p for p in complaints("node = 1"))
    assert any("dn.x: expected a table, got 1" in p for p in complaints('dn = { "x" = 1 }'))


def test_a_trunk_needs_its_other_end():
    assert any("other end" in p for p in complaints(GOOD + '\n[dn."t"]\ntype = "Trunk"\n'))


def test_sip_off_loopback_needs_digest_or_proxies_or_insecure():
    away = GOOD.replace("127.0.0.1:5060", "192.0.2.1:5060")
    assert parse(away).nodes[0].members[0].sip == "192.0.2.1:5060"
    open_phone = away.replace('password = "x"', "")
    assert any("expected a password on every Extension" in p for p in complaints(open_phone))
    assert parse(open_phone.replace('name = "c"', 'name = "c"\nsip-proxies = ["192.0.2.9"]'))
    assert parse(open_phone.replace('name = "c"', 'name = "c"\ninsecure = true'))


def test_a_syntax_error_names_the_line():
    assert complaints('[cluster]\nname = "c\n') == ["c.toml:2: not TOML: illegal character '\\n'"]
    assert complaints("x = ") == ["c.toml:1: not TOML: invalid value (at end of document)"]
    assert complaints("x = " + "[" * 5000)[0].startswith("c.toml:1: ")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml")


def test_a_file_that_is_not_utf8_is_refused_with_its_line(tmp_path):
    path = tmp_path / "c.toml"
    path.write_bytes(b"[cluster]\nname = '\xff'\n")
    with pytest.raises(ConfigError, match=r"c\.toml:2: expected UTF-8 text"):
        load(path)


def test_a_secret_is_in_no_complaint():
    text = GOOD.replace('password = "x"', "password = ['hunter2']").replace(SECRET, "swordfish")
    assert not any("hunter2" in p or "swordfish" in p for p in complaints(text))


def test_addresses_are_taken_apart_and_put_together():
    assert split_address("[::1]:0") == ("::1", 0)
    assert join_address("::1", 5) == "[::1]:5"
    assert join_address("127.0.0.1", 5) == "127.0.0.1:5"
    assert is_loopback("127.1.2.3")
    assert not is_loopback("192.0.2.1")
    assert not is_loopback("host")


def with_trunk(contact: str, more: str = "") -> str:
    return GOOD + f'\n[dn."t"]\ntype = "Trunk"\ncontact = "{contact}"\n{more}'


@pytest.mark.parametrize(
    "contact", ["sip:gw.example.com", "sip:gw.example.com.:5070;transport=tcp", "sip:[2001:db8::1]"]
)
def test_a_trunk_may_name_a_host(contact):
    assert parse(with_trunk(contact)).dns["t"].contact == contact


@pytest.mark.parametrize(
    ("contact", "what"),
    [
        ("sip:gw.example.com;transport=sctp", "a host's name over UDP, TCP or TLS"),
        ("sip:gw..example.com", "expected"),
        ("sip:@", "expected a SIP URI"),
    ],
)
def test_a_trunk_by_a_name_that_cannot_be_reached_is_refused(contact, what):
    assert any("dn.t.contact: " in p and what in p for p in complaints(with_trunk(contact)))


@pytest.mark.parametrize("contact", ["sips:192.0.2.1", "sips:gw.example.com", "sip:gw.example.com;transport=TLS"])
def test_a_trunk_under_tls_needs_a_tls_listener_to_dial_from(contact):
    wanted = "dn.t.contact: expected sip-port-tls on every member"
    assert any(wanted in problem for problem in complaints(with_trunk(contact)))
    more = 'sip-port-tls = "127.0.0.1:5061"\ncertificate = "c"\ncertificate-key = "k"\n'
    text = with_trunk(contact).replace('sip-port = "127.0.0.1:5060"\n', f'sip-port = "127.0.0.1:5060"\n{more}')
    assert parse(text).dns["t"].contact == contact


def test_a_host_name_is_refused_without_dnspython_and_an_address_is_not(monkeypatch):
    monkeypatch.setattr("refserver.config.is_served", lambda: False)
    assert any("dnspython" in p for p in complaints(with_trunk("sip:gw.example.com")))
    assert parse(with_trunk("sip:192.0.2.1"))


def test_a_phone_behind_a_trunk_needs_one_with_an_address():
    behind = '\n[dn."7001"]\ntype = "Extension"\ncontact = "sip:7001@t"\n'
    assert parse(with_trunk("sip:192.0.2.1", behind))
    assert any("a trunk whose contact is an IP address" in p for p in complaints(with_trunk("sip:gw.test", behind)))


def test_name_servers_are_addresses_with_a_port():
    text = GOOD.replace('name = "c"', 'name = "c"\nname-servers = ["127.0.0.1:5353", "[::1]:53"]')
    assert parse(text).name_servers == ("127.0.0.1:5353", "[::1]:53")
    for wrong in ("ns.example.com:53", "127.0.0.1", "127.0.0.1:0"):
        text = GOOD.replace('name = "c"', f'name = "c"\nname-servers = ["{wrong}"]')
        assert any("cluster.name-servers.0: expected an IP address and a port" in p for p in complaints(text))
