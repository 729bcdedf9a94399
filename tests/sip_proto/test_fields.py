import pytest

from sip_proto import ParseError, fields
from sip_proto.fields import FIELDS
from sip_proto.message import CANONICAL
from tests.sip_proto.texts import request

GOOD = {
    "Accept": "application/sdp;level=1, text/*;q=0.5",
    "Accept-Contact": "*;mobility=fixed;require",
    "Accept-Encoding": "gzip;q=1.0, identity;q=0.5",
    "Accept-Language": "da, en-gb;q=0.8",
    "Accept-Resource-Priority": "dsn.flash",
    "Alert-Info": "<http://www.example.com/sounds/moo.wav>",
    "Allow": "INVITE, ACK",
    "Allow-Events": "dialog, message-summary",
    "Answer-Mode": "Auto;require",
    "Authentication-Info": 'nextnonce="a,b", qop=auth',
    "Authorization": 'Digest username="a", realm="b"',
    "Call-ID": "a84b4c76e66710@pc33.example.com",
    "Call-Info": "<http://wwww.example.com/alice/photo.jpg> ;purpose=icon",
    "Contact": "sip:a@h, *",
    "Content-Disposition": "session;handling=optional",
    "Content-Encoding": "gzip",
    "Content-Language": "fr",
    "Content-Length": "349",
    "Content-Type": 'text/html; charset="ISO-8859-4"',
    "CSeq": "4711 INVITE",
    "Date": "Sat, 13 Nov 2010 23:29:00 GMT",
    "Diversion": '"x" <sip:a@h>;reason=no-answer;counter=1',
    "Error-Info": "<sip:not-in-service@example.com>",
    "Event": "dialog;id=7",
    "Expires": "4294967295",
    "Feature-Caps": "*;+g.3gpp.srvcc",
    "Flow-Timer": "120",
    "From": "sip:a@h;tag=1",
    "Geolocation": "<cid:target123@example.com>",
    "Geolocation-Error": '201;code="no location"',
    "Geolocation-Routing": "yes",
    "History-Info": "<sip:a@h>;index=1, <sip:b@h>;index=1.1;mp=1",
    "Identity": "abc==;info=<https://cert.example.org/x>;alg=ES256",
    "Info-Package": "foo",
    "In-Reply-To": "70710@saturn.example.com, 17320@saturn.example.com",
    "Join": "12345600@h;to-tag=1;from-tag=2",
    "Max-Breadth": "60",
    "Max-Forwards": "70",
    "MIME-Version": "1.0",
    "Min-Expires": "60",
    "Min-SE": "90;x=1",
    "Organization": "Boxes by Bob",
    "P-Access-Network-Info": "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=1",
    "P-Asserted-Identity": '"C" <sip:c@h>, tel:+1',
    "P-Asserted-Service": "urn:urn-7:3gpp-service.ims",
    "P-Associated-URI": "<sip:a@h>, <tel:+1>",
    "P-Called-Party-ID": "<sip:a@h>",
    "P-Charge-Info": "<sip:a@h>;npi=ISDN",
    "P-Charging-Vector": "icid-value=1234bc;icid-generated-at=192.0.2.1",
    "P-Early-Media": "supported",
    "P-Preferred-Identity": "<sip:a@h>",
    "P-Preferred-Service": "<urn:a:b>;x",
    "Path": "<sip:p@h;lr>, <sip:q;lr>",
    "Priority": "emergency",
    "Priv-Answer-Mode": "Manual",
    "Privacy": "id;critical",
    "Proxy-Authenticate": 'Digest realm="x", nonce="y"',
    "Proxy-Authentication-Info": 'nextnonce="47364c23432d2e131a5fb210812c"',
    "Proxy-Authorization": 'Digest username="a"',
    "Proxy-Require": "foo",
    "RAck": "776656 1 INVITE",
    "Reason": 'Q.850;cause=16;text="Terminated; ok", SIP;cause=200',
    "Record-Route": "<sip:p.example.com;lr>",
    "Recv-Info": "foo, bar;x=1",
    "Refer-Sub": "false",
    "Refer-To": "<sip:a@h?Replaces=1%40h%3Bto-tag%3D2>",
    "Referred-By": "<sip:r@h>",
    "Reject-Contact": "*;actor=msg-taker",
    "Replaces": "425928@h;to-tag=7743;from-tag=6472;early-only",
    "Reply-To": "Bob <sip:bob@biloxi.com>",
    "Request-Disposition": "proxy, no-fork",
    "Require": "100rel",
    "Resource-Priority": "dsn.flash, wps.3",
    "Retry-After": "18000;duration=3600",
    "Route": "<sip:p;lr>, <sip:q;lr>",
    "RSeq": "988789",
    "Security-Client": "ipsec-3gpp;alg=hmac-sha-1-96",
    "Security-Server": "tls;q=0.2",
    "Security-Verify": "tls;q=0.2",
    "Server": "HomeServer v2",
    "Service-Route": "<sip:p;lr>",
    "Session-Expires": "4000;refresher=uac",
    "Session-ID": "ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2",
    "SIP-ETag": "dx200xyz",
    "SIP-If-Match": "dx200xyz",
    "Subject": "Tech Support",
    "Subscription-State": "active;expires=60",
    "Supported": "100rel, replaces",
    "Target-Dialog": "fa77as7dad8-sd98ajzz@h;local-tag=kkaz-;remote-tag=6544",
    "Timestamp": "54.25 0.5",
    "To": "sip:a@h",
    "Unsupported": "foo",
    "User-Agent": "Softphone Beta1.5",
    "User-to-User": '56a390f3d2b7310023a2;encoding=hex;purpose="isdn-uui"',
    "Via": "SIP/2.0/UDP h;branch=1, SIP/2.0/TCP [::1]:5061",
    "Warning": '307 isi.edu "Session parameter \'foo\' not understood", 301 h "x"',
    "WWW-Authenticate": 'Digest realm="x", qop="auth,auth-int"',
}


def test_every_field_has_an_example_here_and_a_canonical_name() -> None:
    assert set(GOOD) == set(FIELDS)
    for name in FIELDS:
        assert CANONICAL[name.lower()] == CANONICAL[name.upper()] == name
    assert repr(fields.VIA) == "<Field Via>"


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_good_value_is_read(name: str) -> None:
    only = {"Via", "From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards", "Content-Length"}
    message = request("OPTIONS", more="" if name in only else f"{name.upper()}: {GOOD[name]}\r\n")
    if name in only:
        message.values[message.names.index(name)] = GOOD[name]
    field = FIELDS[name]
    values = message.all(field)
    assert len(values) == (GOOD[name].count(", ") + 1 if field.many else 1)
    assert message.one(field) == values[0]


@pytest.mark.parametrize("name", sorted(set(GOOD) - {"Organization", "Server", "Subject", "User-Agent"}))
@pytest.mark.parametrize("value", ["", '"', "\x00", " ; ", "<", "\u0661", '"\\', "<>"])
def test_a_bad_value_is_a_parse_error_or_a_value(name: str, value: str) -> None:
    field = FIELDS[name]
    try:
        read = field.read(value)
    except ParseError:
        return
    assert read is not None


def test_a_header_that_is_not_there_is_none_and_no_values() -> None:
    message = request("OPTIONS")
    assert message.one(fields.EXPIRES) is None
    assert message.all(fields.ROUTE) == []


def test_lists_are_read_over_all_their_lines() -> None:
    message = request("OPTIONS", more="Route: <sip:a;lr>, <sip:b;lr>\r\nX: y\r\nRoute: <sip:c;lr>\r\n")
    assert [route.uri for route in message.all(fields.ROUTE)] == ["sip:a;lr", "sip:b;lr", "sip:c;lr"]
    first = message.one(fields.ROUTE)
    assert first is not None
    assert first.uri == "sip:a;lr"


def test_a_broken_element_breaks_the_list() -> None:
    message = request("OPTIONS", more="Route: <sip:a;lr>, nonsense\r\n")
    with pytest.raises(ParseError):
        message.all(fields.ROUTE)
