"""Who may ask what: every row of the tables, and how secrets are checked."""

import string

import pytest

from cluster_core.rights import (
    LISTENER_ROLES,
    PORTS,
    REFUSALS,
    RIGHTS,
    SERVED,
    Condition,
    check,
    hash_secret,
    in_ranges,
    served_where,
    verify_secret,
)
from cluster_core.settings import ClientRole
from tlib_proto import MessageType

FIELDS = {"name", "attribute", "dn", "port", "where", "role", "limit"}


@pytest.mark.parametrize("condition", Condition)
def test_every_condition_has_a_number_a_text_and_a_source(condition):
    refusal = REFUSALS[condition]
    asked = {field for _, field, _, _ in string.Formatter().parse(refusal.text) if field is not None}
    assert asked <= FIELDS
    assert 40 <= refusal.code < 2_000
    assert refusal.source
    assert refusal.text.format_map(dict.fromkeys(FIELDS, "x"))


def test_a_refused_hello_needs_no_more_than_name_role_and_port():
    for condition in (
        Condition.ROLE_NOT_HERE,
        Condition.BAD_PROOF,
        Condition.LINK_REFUSED,
        Condition.TOO_MANY,
    ):
        assert REFUSALS[condition].text.format_map({"name": "", "role": "", "port": ""})


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        (Condition.NOT_REGISTERED, 41),
        (Condition.UNSUPPORTED, 51),
        (Condition.NOT_ON_THIS_PORT, 51),
        (Condition.INVALID_ATTRIBUTE, 53),
        (Condition.MISSING_ATTRIBUTE, 53),
        (Condition.INVALID_CONNID, 56),
        (Condition.TIMEOUT, 57),
        (Condition.OUT_OF_SERVICE, 58),
        (Condition.NOT_CONFIGURED, 59),
        (Condition.INVALID_DESTINATION, 71),
        (Condition.AGENT_NOT_LOGGED_IN, 185),
        (Condition.AGENT_OCCUPIED, 1141),
        (Condition.DN_NOT_ALLOWED, 1147),
        (Condition.WRONG_STATE, 1161),
        (Condition.NO_ACTIVE_CALL, 1163),
        (Condition.NO_HELD_CALL, 1164),
        (Condition.TRANSFER_FAILED, 172),
        (Condition.TOO_MANY, 1171),
        (Condition.ALREADY_LOGGED_IN, 1706),
    ],
)
def test_the_published_numbers_are_used(condition, code):
    assert REFUSALS[condition].code == code


def test_an_unserved_message_is_refused_with_its_name():
    assert "RequestSetInputMask" in REFUSALS[Condition.UNSUPPORTED].text.format(name="RequestSetInputMask")


def test_every_role_is_served_on_exactly_one_port_and_has_rights():
    placed = [role for roles in LISTENER_ROLES.values() for role in roles]
    assert sorted(placed) == sorted(ClientRole)
    assert set(RIGHTS) == set(ClientRole)
    assert set(PORTS) == set(LISTENER_ROLES)


@pytest.mark.parametrize("role", ClientRole)
@pytest.mark.parametrize("listener", ["tlib", "iproxy", "tcontroller", "smartproxy", "sip"])
def test_what_is_not_a_right_is_refused(listener, role):
    for message in MessageType:
        if role not in LISTENER_ROLES.get(listener, ()):
            expected = Condition.ROLE_NOT_HERE
        elif message in RIGHTS[role]:
            expected = None
        else:
            expected = Condition.NOT_ON_THIS_PORT if message in SERVED else Condition.UNSUPPORTED
        assert check(listener, role, message) is expected


@pytest.mark.parametrize(
    ("listener", "role", "message", "verdict"),
    [
        ("smartproxy", ClientRole.MONITOR, MessageType.RequestAgentLogin, Condition.NOT_ON_THIS_PORT),
        ("smartproxy", ClientRole.MONITOR, MessageType.RequestRegisterAll, Condition.NOT_ON_THIS_PORT),
        ("smartproxy", ClientRole.MONITOR, MessageType.RequestRegisterAddress, None),
        ("tlib", ClientRole.ROUTER, MessageType.RequestRegisterAll, Condition.NOT_ON_THIS_PORT),
        ("tlib", ClientRole.ROUTER, MessageType.RequestAgentReady, Condition.NOT_ON_THIS_PORT),
        ("tlib", ClientRole.ROUTER, MessageType.RequestRouteCall, None),
        ("iproxy", ClientRole.REPORTING, MessageType.RequestRegisterAddress, Condition.NOT_ON_THIS_PORT),
        ("iproxy", ClientRole.REPORTING, MessageType.RequestPrivateService, None),
        ("tcontroller", ClientRole.DESKTOP, MessageType.RequestRegisterAll, Condition.NOT_ON_THIS_PORT),
        ("tcontroller", ClientRole.DESKTOP, MessageType.RequestRouteCall, Condition.NOT_ON_THIS_PORT),
        ("tcontroller", ClientRole.DESKTOP, MessageType.PeerMessage, Condition.NOT_ON_THIS_PORT),
        ("tcontroller", ClientRole.DESKTOP, MessageType.RequestAgentLogin, None),
        ("tcontroller", ClientRole.DESKTOP, MessageType.RequestSingleStepTransfer, None),
        ("tcontroller", ClientRole.SMART, MessageType.RequestRegisterAll, None),
        ("tcontroller", ClientRole.PEER, MessageType.PeerMessage, None),
        ("tcontroller", ClientRole.PEER, MessageType.RequestMakeCall, Condition.NOT_ON_THIS_PORT),
        ("tcontroller", ClientRole.DESKTOP, MessageType.RequestAlternateCall, None),
        ("tcontroller", ClientRole.SMART, MessageType.RequestCallForwardSet, None),
        ("tlib", ClientRole.ROUTER, MessageType.RequestMuteTransfer, None),
        ("tlib", ClientRole.ROUTER, MessageType.RequestSetDNDOn, Condition.NOT_ON_THIS_PORT),
        ("smartproxy", ClientRole.MONITOR, MessageType.RequestAlternateCall, Condition.NOT_ON_THIS_PORT),
        ("smartproxy", ClientRole.MONITOR, MessageType.RequestSetDNDOn, Condition.NOT_ON_THIS_PORT),
        ("tcontroller", ClientRole.SMART, MessageType.RequestQuerySwitch, Condition.UNSUPPORTED),
        ("tcontroller", ClientRole.SMART, 65_000, Condition.UNSUPPORTED),
        ("tcontroller", ClientRole.ROUTER, MessageType.RequestQueryServer, Condition.ROLE_NOT_HERE),
    ],
)
def test_the_ports_refuse_what_the_design_says(listener, role, message, verdict):
    assert check(listener, role, message) is verdict


def test_a_refusal_can_say_where_a_request_is_served():
    assert served_where(MessageType.RequestRouteCall) == "default port (router)"
    assert served_where(MessageType.RequestAgentLogin) == "TCport (desktop, smart)"
    assert served_where(MessageType.RequestRegisterAddress) == (
        "default port (router); TCport (desktop, smart); SmartProxy port (monitor)"
    )
    assert served_where(MessageType.PeerMessage) == ""


@pytest.mark.parametrize(
    ("dn", "ranges", "inside"),
    [
        ("1500", (), True),
        ("1500", ("1000-1999",), True),
        ("1000", ("1000-1999",), True),
        ("1999", ("1000-1999",), True),
        ("2000", ("1000-1999",), False),
        ("0999", ("1000-1999",), False),
        ("15000", ("1000-1999",), False),
        ("150", ("1000-1999",), False),
        ("1500", ("2000", "1500"), True),
        ("trunk", ("1000-1999", "trunk"), True),
        ("trunk", ("1000-1999",), False),
        ("1000-1999", ("1000-1999",), True),
        ("1500", ("1000-19999",), False),
        ("1500", ("1999-1000",), False),
        ("1500", ("1000-",), False),
        ("\u0661500", ("0000-9999",), False),
        ("", ("1000-1999",), False),
    ],
)
def test_a_dn_lies_in_the_ranges_or_not(dn, ranges, inside):
    assert in_ranges(dn, ranges) is inside


STORED = hash_secret("opens\udce9same", b"salt and pepper!")


def test_the_secret_that_was_hashed_is_the_one_that_opens():
    assert verify_secret("opens\udce9same", STORED)
    assert not verify_secret("opens sesame", STORED)
    assert not verify_secret("", STORED)
    assert STORED.startswith("scrypt$16384$8$1$")
    assert "sesame" not in STORED


def test_two_salts_make_two_hashes():
    assert hash_secret("x", b"saltsalt") != hash_secret("x", b"pepperpepper")


@pytest.mark.parametrize("salt", [b"", b"short", b"x" * 65])
def test_a_salt_of_a_wrong_length_is_refused(salt):
    with pytest.raises(ValueError, match=f"{len(salt)} octets"):
        hash_secret("x", salt)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "plain",
        "scrypt$16384$8$1$$",
        STORED + "0",
        STORED[:-2],
        STORED.replace("scrypt", "bcrypt"),
        STORED.replace("16384", "16383"),
        STORED.replace("16384", "0"),
        STORED.replace("16384", "4194304"),
        STORED.replace("16384", "99999999999999999999"),
        STORED.replace("$8$1$", "$0$1$"),
        STORED.replace("$8$1$", "$8$0$"),
        STORED.replace("$8$1$", "$99$99$"),
        STORED.replace("$8$1$", "$8$-1$"),
        "scrypt$16384$8$1$0123456789abcdef0$" + "0" * 64,
        STORED.upper(),
    ],
)
def test_a_malformed_or_too_costly_hash_opens_to_nothing(stored):
    assert not verify_secret("opens\udce9same", stored)
