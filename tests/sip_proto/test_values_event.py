from collections.abc import Callable

import pytest

from sip_proto import ParseError
from sip_proto.values_event import (
    DialogId,
    Event,
    RAck,
    Reason,
    SessionId,
    SubscriptionState,
    read_dialog_id,
    read_event,
    read_rack,
    read_reason,
    read_session_id,
    read_subscription_state,
)

ONE, TWO = "0" * 31 + "1", "0" * 31 + "2"


def test_events_and_subscriptions() -> None:
    event = read_event("presence.winfo ; id=7;x")
    assert (event, event.id) == (Event("presence.winfo", {"id": "7", "x": ""}), "7")
    assert read_subscription_state("Active;expires=60") == SubscriptionState(
        "active", "", 60, None, {"expires": "60"}
    )
    ended = read_subscription_state("terminated;reason=Giveup;retry-after=5")
    assert (ended.state, ended.reason, ended.expires_s, ended.retry_after_s) == ("terminated", "giveup", None, 5)


def test_dialogs_are_named_from_the_receivers_side() -> None:
    replaces = read_dialog_id("c@h ; to-tag=1;from-tag=2;early-only")
    assert replaces[:3] == ("c@h", "1", "2")
    assert replaces.early_only
    assert read_dialog_id("c;local-tag=1;remote-tag=2") == DialogId(
        "c", "1", "2", {"local-tag": "1", "remote-tag": "2"}
    )


def test_reasons_racks_and_session_ids() -> None:
    assert read_rack("776656 1 INVITE") == RAck(776656, 1, "INVITE")
    reason = read_reason('Q.850 ;cause=16;text="a; b"')
    assert reason == Reason("Q.850", 16, "a; b", {"cause": "16", "text": '"a; b"'})
    assert read_reason("SIP").cause is None
    assert read_session_id(ONE.upper()) == SessionId(ONE, "")
    assert read_session_id(f"{ONE};remote={TWO}") == SessionId(ONE, TWO)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (read_event, ";id=1"),
        (read_subscription_state, "active;expires=x"),
        (read_subscription_state, "active;retry-after=-1"),
        (read_dialog_id, "c;to-tag=1"),
        (read_dialog_id, "c d;to-tag=1;from-tag=2"),
        (read_rack, "1 INVITE"),
        (read_rack, "9999999999 1 INVITE"),
        (read_reason, "a b;cause=1"),
        (read_session_id, "abc"),
        (read_session_id, f"{ONE};remote=abc"),
    ],
)
def test_broken_values_are_parse_errors(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(ParseError):
        read(text)
