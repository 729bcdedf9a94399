"""What a REFER and its reports say, and where a referral stands."""

import pytest

from sip_proto import LocalError, ParseError
from sip_proto.refer import Referral, read_refer_to, read_sipfrag
from sip_proto.tables_usage import REFERRAL_TRANSITIONS, ReferralInput, ReferralState
from tests.sip_proto.texts import request

PART = "--b\r\nContent-Type: message/sipfrag\r\n\r\nSIP/2.0 183 P\r\n"
DIALOG = "c%3Bto-tag%3D1%3Bfrom-tag%3D2"


@pytest.mark.parametrize(
    ("more", "uri", "method", "replaces"),
    [
        ("Refer-To: sip:c@h;user=phone\r\n", "sip:c@h", "INVITE", None),
        ("r: <sip:c@h;method=INVITE;x=y?Subject=hi>\r\n", "sip:c@h;x=y", "INVITE", None),
        ("Refer-To: <sip:c@h;method=BYE>\r\n", "sip:c@h", "BYE", None),
        ("Refer-To: <tel:+4930>\r\n", "tel:+4930", "INVITE", None),
        ("Refer-To: <sip:c?d@h>\r\n", "sip:c?d@h", "INVITE", None),
        ("Refer-To: <sips:h?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n", "sips:h", "INVITE", ("a@b", "1", "2")),
        ("Refer-To: <sip:c@h?replaces=a@b%3Bfrom-tag%3D2%3Bto-tag%3D1>\r\n", "sip:c@h", "INVITE", ("a@b", "1", "2")),
        (f"Refer-To: \"C\" <sip:c@h?X=1&Replaces={DIALOG}>\r\n", "sip:c@h", "INVITE", ("c", "1", "2")),
    ],
)
def test_a_refer_to_is_taken_apart(more: str, uri: str, method: str, replaces: tuple[str, str, str] | None) -> None:
    found = read_refer_to(request("REFER", more=more))
    assert (found.uri, found.method) == (uri, method)
    dialog = found.replaces
    assert (None if dialog is None else (dialog.call_id, dialog.local_tag, dialog.remote_tag)) == replaces


@pytest.mark.parametrize(
    "more",
    [
        "",
        "Refer-To: <sip:a@h>\r\nRefer-To: <sip:b@h>\r\n",
        "Refer-To: <sip:a@h>, <sip:b@h>\r\n",
        "Refer-To: <sip:>\r\n",
        "Refer-To: nobody\r\n",
        "Refer-To: <sip:a@h?Replaces=c>\r\n",
        f"Refer-To: <sip:a@h?Replaces={DIALOG}&Replaces={DIALOG}>\r\n",
    ],
)
def test_no_refer_to_two_and_broken_ones_cannot_be_read(more: str) -> None:
    with pytest.raises(ParseError):
        read_refer_to(request("REFER", more=more))


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        ("SIP/2.0 180 Ringing\r\n", "message/sipfrag;version=2.0", (180, "Ringing")),
        ("SIP/2.0 100\r\n", "Message/SIPfrag", (100, "")),
        ("SIP/2.0 486 Busy Here", "message/sipfrag", (486, "Busy Here")),
        ("\r\nSIP/2.0 200 Yes \nTo: <sip:c@h>\r\n\r\n", "message/sipfrag", (200, "Yes")),
        (f"{PART}--b--", "multipart/mixed;boundary=b", (183, "P")),
        (PART, "multipart/mixed;boundary=b", None),
        ("SIP/2.0 180 Ringing\r\n", "text/plain", None),
        ("SIP/2.0 180 Ringing\r\n", ";", None),
        ("SIP/2.0 700 No\r\n", "message/sipfrag", None),
        ("INVITE sip:c@h SIP/2.0\r\n", "message/sipfrag", None),
        ("", "message/sipfrag", None),
    ],
)
def test_a_report_is_read_for_its_status(body: str, kind: str, told: tuple[int, str] | None) -> None:
    assert read_sipfrag(request("NOTIFY", more=f"Content-Type: {kind}\r\n", body=body)) == told


@pytest.mark.parametrize("state", list(ReferralState))
@pytest.mark.parametrize("event", list(ReferralInput))
def test_a_referral_goes_where_the_table_says_and_nowhere_else(state: ReferralState, event: ReferralInput) -> None:
    wanted = REFERRAL_TRANSITIONS.get((state, event))
    referral = Referral(1, 2, state, 3, silent=False)
    if wanted is None:
        with pytest.raises(LocalError):
            referral.ask(event)
        assert not referral.take(event)
        assert referral.state is state
    else:
        assert referral.ask(event) is wanted
        assert referral.state is state
        assert referral.take(event)
        assert referral.state is wanted
