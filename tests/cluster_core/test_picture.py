"""A picture of a DN follows its events, travels whole, and tells how to get from one view to another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_core.errors import LocalError
from cluster_core.picture import (
    CALLS_MAX,
    EFFECTS,
    Kind,
    Picture,
    apply,
    difference,
    extensions,
    from_extensions,
    merged,
    same_view,
)
from cluster_core.records import CallView
from tlib_proto import Attribute, CallType, Message, MessageType, PartyState, decode, encode

RINGING = {Attribute.ConnID: 5, Attribute.CallType: CallType.Inbound, Attribute.OtherDN: "555"}


def told(*events: tuple[MessageType, dict], node: str = "n1", picture: Picture | None = None) -> Picture:
    picture = Picture("1001", "n1", True) if picture is None else picture
    for event, attributes in events:
        apply(picture, Message(event, 0, {Attribute.ThisDN: "1001", **attributes}), node)
    return picture


SMALL = st.integers(0, 2**31 - 1)
TEXT = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("\udc80\udcff")), max_size=5)
CALLS = st.dictionaries(st.integers(0, 2**64 - 1), st.tuples(SMALL, SMALL, TEXT, TEXT), max_size=4).map(
    lambda found: {conn_id: CallView(conn_id, *rest) for conn_id, rest in found.items()}
)


@st.composite
def pictures(draw, dn: str = "1001") -> Picture:
    picture = Picture(
        dn, "n1", draw(st.booleans()), draw(SMALL), draw(SMALL), draw(SMALL), draw(st.booleans())
    )
    picture.agent_id = draw(st.sampled_from(["", "agent", "a\udc80"]))
    if picture.agent_id:
        picture.ready, picture.work_mode = draw(st.booleans()), draw(SMALL)
    picture.calls = draw(CALLS)
    picture.dnd = draw(st.booleans())
    picture.forward_to = draw(st.sampled_from(["", "1002", "9\udc80"]))
    if picture.forward_to:
        picture.forward_mode = draw(SMALL)
    return picture


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (MessageType.EventDialing, PartyState.Initiated | PartyState.Dialing),
        (MessageType.EventRinging, PartyState.Alerting),
        (MessageType.EventEstablished, PartyState.Connected),
        (MessageType.EventHeld, PartyState.Held),
        (MessageType.EventRetrieved, PartyState.Connected),
        (MessageType.EventQueued, PartyState.Queued),
        (MessageType.EventDestinationBusy, PartyState.Busy),
    ],
)
def test_a_call_event_gives_the_party_its_state(event, state):
    assert told((event, RINGING)).calls == {5: CallView(5, CallType.Inbound, state, "555", "n1")}


@pytest.mark.parametrize(
    "event", [MessageType.EventReleased, MessageType.EventAbandoned, MessageType.EventDiverted]
)
def test_a_call_that_left_the_dn_leaves_its_picture(event):
    assert told((MessageType.EventRinging, RINGING), (event, {Attribute.ConnID: 5})).calls == {}
    assert told((event, {Attribute.ConnID: 5})).calls == {}


@pytest.mark.parametrize("event", [event for event in MessageType if event not in EFFECTS])
def test_a_message_without_a_row_changes_nothing(event):
    before = told((MessageType.EventQueued, RINGING), (MessageType.EventDNBackInService, {}))
    after = told((MessageType.EventQueued, RINGING), (MessageType.EventDNBackInService, {}), (event, RINGING))
    assert after == before


def test_what_a_dn_does_with_its_calls_is_in_its_picture():
    forward = {Attribute.OtherDN: "1002", Attribute.ForwardMode: 2}
    picture = told((MessageType.EventDNDOn, {}), (MessageType.EventForwardSet, forward))
    assert (picture.dnd, picture.forward_to, picture.forward_mode) == (True, "1002", 2)
    assert not picture.idle
    assert extensions(picture)[2:] == (("dnd", 1), ("fwd", "1002"), ("fwd-mode", 2))
    said, _ = difference(Picture("1001", "n1", True), picture)
    assert told(*((message.id, message.attributes) for message in said)) == picture
    after = told((MessageType.EventDNDOff, {}), (MessageType.EventForwardCancel, forward), picture=picture)
    assert after.idle
    assert told((MessageType.EventForwardSet, {Attribute.ForwardMode: 1})).forward_mode == 0


def test_every_kind_of_effect_is_used():
    assert {effect.kind for effect in EFFECTS.values()} == set(Kind)


def test_an_event_that_leaves_type_and_other_party_out_keeps_them():
    picture = told((MessageType.EventRinging, RINGING), (MessageType.EventHeld, {Attribute.ConnID: 5}))
    assert picture.calls == {5: CallView(5, CallType.Inbound, PartyState.Held, "555", "n1")}


def test_a_party_that_moves_to_another_call_keeps_its_state():
    moved = {Attribute.ConnID: 7, Attribute.PreviousConnID: 5, Attribute.OtherDN: "777"}
    picture = told((MessageType.EventHeld, RINGING), (MessageType.EventPartyChanged, moved))
    assert picture.calls == {7: CallView(7, CallType.Inbound, PartyState.Held, "777", "n1")}
    picture = told((MessageType.EventPartyChanged, moved))
    assert picture.calls[7].state == PartyState.Connected
    stayed = {Attribute.ConnID: 5, Attribute.OtherDN: "777"}
    picture = told((MessageType.EventHeld, RINGING), (MessageType.EventPartyChanged, stayed))
    assert picture.calls == {5: CallView(5, CallType.Inbound, PartyState.Held, "777", "n1")}


def test_an_agent_logs_in_and_out():
    login = (MessageType.EventAgentLogin, {Attribute.AgentID: "a1"})
    ready = (MessageType.EventAgentReady, {Attribute.AgentID: "a1", Attribute.AgentWorkMode: 2})
    not_ready = (MessageType.EventAgentNotReady, {Attribute.AgentWorkMode: 4})

    def agent(*events):
        picture = told(*events)
        return picture.agent_id, picture.ready, picture.work_mode

    assert agent(login) == ("a1", False, 0)
    assert agent(login, ready) == ("a1", True, 2)
    assert agent(login, ready, not_ready) == ("a1", False, 4)
    assert agent(login, ready, login) == ("a1", True, 2)
    assert agent(ready) == ("a1", True, 2)
    assert agent(login, ready, (MessageType.EventAgentLogin, {Attribute.AgentID: "a2"})) == ("a2", False, 0)
    assert agent(login, ready, (MessageType.EventAgentLogout, {})) == ("", False, 0)
    assert agent(not_ready) == ("", False, 0)


def test_a_dn_goes_out_of_service_and_keeps_its_agent():
    picture = told(
        (MessageType.EventDNBackInService, {}), (MessageType.EventAgentLogin, {Attribute.AgentID: "a"})
    )
    assert picture.in_service
    told((MessageType.EventDNOutOfService, {}), picture=picture)
    assert (picture.in_service, picture.agent_id) == (False, "a")


@pytest.mark.parametrize("event", EFFECTS)
@pytest.mark.parametrize("value", [-1, 2**63, "text", b"octets", (("k", 1),)])
def test_no_value_of_a_peer_breaks_a_picture(event, value):
    foreign = dict.fromkeys(
        (Attribute.ConnID, Attribute.CallType, Attribute.OtherDN, Attribute.AgentID, Attribute.AgentWorkMode),
        value,
    )
    picture = told((MessageType.EventAgentLogin, {Attribute.AgentID: "a"}), (event, foreign))
    if type(value) is int and value < 0:
        return
    message = Message(MessageType.EventRegistered, 0, {Attribute.Extensions: extensions(picture)})
    assert decode(encode(message)) == message


def test_a_picture_holds_no_more_calls_than_a_node_carries():
    picture = Picture("1001", "n1", True, calls={n: CallView(n, 1, 1, "", "n1") for n in range(CALLS_MAX)})
    told((MessageType.EventRinging, {Attribute.ConnID: CALLS_MAX}), picture=picture)
    assert len(picture.calls) == CALLS_MAX
    told((MessageType.EventHeld, {Attribute.ConnID: 1}), picture=picture)
    assert picture.calls[1].state == PartyState.Held
    many = tuple((f"conn-{n}", f"{n:x}") for n in range(1, CALLS_MAX + 5))
    assert len(from_extensions("1001", "n1", True, 1, 0, 0, many).calls) == CALLS_MAX


def test_extensions_read_like_a_dn_status():
    picture = told((MessageType.EventDNBackInService, {}), (MessageType.EventRinging, RINGING))
    assert extensions(picture) == (
        ("status", 1),
        ("AgentStatus", 0),
        ("conn-1", "0000000000000005"),
        ("ct-1", 2),
        ("ps-1", 10),
        ("other-1", "555"),
        ("node-1", "n1"),
    )
    told((MessageType.EventAgentReady, {Attribute.AgentID: "a", Attribute.AgentWorkMode: 2}), picture=picture)
    assert extensions(picture)[1:4] == (("AgentStatus", 2), ("AgentID", "a"), ("AgentWorkMode", 2))
    told((MessageType.EventAgentNotReady, {}), picture=picture)
    assert ("AgentStatus", 3) in extensions(picture)


@given(pictures())
def test_a_picture_travels_whole(picture):
    sent = encode(Message(MessageType.EventRegistered, 0, {Attribute.Extensions: extensions(picture)}))
    pairs = decode(sent).pairs(Attribute.Extensions)
    place = picture.position
    assert from_extensions(picture.dn, picture.source, picture.owned, *place, pairs) == picture


VALUES = st.one_of(
    st.integers(-(2**31), 2**31 - 1), st.text(max_size=20), st.binary(max_size=3), st.just((("k", 1),))
)
KEYS = st.one_of(
    st.sampled_from(
        ["status", "AgentStatus", "AgentID", "AgentWorkMode", "conn-0", "conn-x", "conn-01", "conn-"]
    ),
    st.builds("{}-{}".format, st.sampled_from(["conn", "ct", "ps", "other", "node"]), st.integers(1, 3)),
    st.text(max_size=4),
)


@given(st.lists(st.tuples(KEYS, VALUES | st.sampled_from(["5", "0000000000000007", "11112222333344445"]))))
def test_foreign_extensions_make_some_picture(pairs):
    picture = from_extensions("1001", "n1", True, 1, 2, 3, tuple(pairs))
    assert picture.position == (1, 2, 3)
    assert from_extensions("1001", "n1", True, 1, 2, 3, extensions(picture)) == picture


def test_a_merged_picture_has_service_and_agent_of_the_owner_and_of_calls_the_word_of_their_nodes():
    calls = {5: CallView(5, 2, 10, "x", "n1"), 7: CallView(7, 1, 1, "v", "n2")}
    owner = Picture("1001", "n2", True, 9, 1, 4, False, "a", True, 2, calls)
    other = Picture(
        "1001",
        "n1",
        False,
        99,
        0,
        7,
        True,
        "b",
        calls={5: CallView(5, 2, 1, "y", "n1"), 6: CallView(6, 1, 1, "z", "n1")},
    )
    both = merged([other, owner])
    assert both == Picture(
        "1001", "n2", True, 9, 1, 4, False, "a", True, 2, {5: other.calls[5], 6: other.calls[6], 7: owner.calls[7]}
    )
    both.calls.clear()
    assert owner.calls
    assert other.calls


def test_without_an_owner_a_dn_is_in_service_if_it_is_for_anyone():
    assert merged([Picture("8000", "n1", False), Picture("8000", "n2", False, in_service=True)]).in_service
    assert not merged([Picture("8000", "n1", False), Picture("8000", "n2", False)]).in_service


def test_of_several_owners_the_youngest_epoch_speaks():
    old, young = Picture("8000", "n1", True, 3, in_service=True), Picture("8000", "n2", True, 4)
    assert merged([old, young]).source == "n2"
    assert merged([old, young]).in_service


def test_nothing_cannot_be_merged():
    with pytest.raises(LocalError, match="nothing"):
        merged([])


def test_a_view_is_the_same_whoever_tells_it_at_whatever_place():
    a = Picture("1001", "n1", True, 1, 1, 1, True, "a", True, 2, {5: CallView(5, 1, 1, "x", "n1")})
    b = Picture("1001", "n2", False, 2, 2, 2, True, "a", True, 2, {5: CallView(5, 1, 1, "x", "n1")})
    assert same_view(a, b)
    for change in (
        {"in_service": False},
        {"agent_id": ""},
        {"ready": False},
        {"work_mode": 3},
        {"calls": {}},
        {"dn": "2"},
    ):
        fields = {name: getattr(b, name) for name in b.__struct_fields__}
        assert not same_view(a, Picture(**{**fields, **change}))


def names(messages: list[Message]) -> list[str]:
    return [message.name for message in messages]


def test_the_difference_tells_service_first_then_the_agent():
    old = Picture("1001", "n1", True, in_service=True, agent_id="a", ready=True)
    new = Picture("1001", "n1", True, agent_id="b", calls={5: CallView(5, 1, 1, "x", "n1")})
    said, calls = difference(old, new)
    assert names(said) == ["EventDNOutOfService", "EventAgentLogout", "EventAgentLogin", "EventAgentNotReady"]
    assert [message.text(Attribute.AgentID) for message in said] == ["", "a", "b", "b"]
    assert {message.text(Attribute.ThisDN) for message in said} == {"1001"}
    assert calls


def test_nothing_known_counts_as_out_of_service_with_nobody_there():
    assert difference(None, Picture("1001", "n1", True)) == ([], False)
    said, calls = difference(None, Picture("1001", "n1", True, in_service=True))
    assert names(said) == ["EventDNBackInService"]
    assert not calls


@given(st.none() | pictures(), pictures())
def test_the_difference_brings_a_client_from_one_view_to_the_other(old, new):
    said, calls = difference(old, new)
    view = (
        Picture("1001", "client", False)
        if old is None
        else from_extensions("1001", "c", False, 0, 0, 0, extensions(old))
    )
    assert calls == (view.calls != new.calls)
    for message in said:
        apply(view, decode(encode(message)), "n1")
    view.calls = new.calls
    assert same_view(view, new)


@given(pictures())
def test_between_equal_views_there_is_no_difference(picture):
    assert difference(picture, picture) == ([], False)
