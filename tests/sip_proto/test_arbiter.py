"""The exchange of offer and answer as a table: every state with every input, and what crosses it."""

import pytest

from sip_proto import LocalError
from sip_proto.arbiter import Arbiter
from sip_proto.tables_session import CROSSINGS, OFFER_TRANSITIONS, OfferInput, OfferState

OURS = (OfferInput.OFFER, OfferInput.ASK)
THEIRS = (OfferInput.GOT_OFFER, OfferInput.GOT_ASK)


@pytest.mark.parametrize("event", list(OfferInput))
@pytest.mark.parametrize("state", list(OfferState))
def test_every_input_in_every_state_goes_where_its_row_says_or_nowhere(state: OfferState, event: OfferInput) -> None:
    arbiter = Arbiter()
    arbiter.state = state
    row = OFFER_TRANSITIONS.get((state, event))
    assert arbiter.take(event) == (row is not None)
    assert arbiter.state is (state if row is None else row)


def test_every_state_is_reached_and_leads_back_to_rest() -> None:
    assert set(OFFER_TRANSITIONS.values()) == set(OfferState)
    for state in OfferState:
        seen = {state}
        while True:
            more = {to for (at, _), to in OFFER_TRANSITIONS.items() if at in seen} - seen
            if not more:
                break
            seen |= more
        assert OfferState.STABLE in seen


def test_every_input_has_a_row() -> None:
    assert {event for _, event in OFFER_TRANSITIONS} == set(OfferInput)


@pytest.mark.parametrize("state", list(OfferState))
def test_ours_begins_at_rest_alone(state: OfferState) -> None:
    for event in OURS:
        assert ((state, event) in OFFER_TRANSITIONS) == (state is OfferState.STABLE)


@pytest.mark.parametrize("state", list(OfferState))
def test_an_offer_of_the_peer_is_taken_or_crosses_but_never_both(state: OfferState) -> None:
    # The peer's offer in its response to a request that had none is no crossing.
    taken = (state, OfferInput.GOT_ASK) in OFFER_TRANSITIONS
    assert taken != (state in CROSSINGS)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (OfferState.STABLE, 0),
        (OfferState.OFFERED, 491),
        (OfferState.ASKED, 491),
        (OfferState.OWED, 500),
        (OfferState.DUE, 500),
        (OfferState.PROPOSED, 491),
        (OfferState.WAITING, 0),
    ],
)
def test_what_crosses_our_offer_is_491_and_what_follows_the_peers_own_is_500(state: OfferState, status: int) -> None:
    arbiter = Arbiter()
    arbiter.state = state
    assert arbiter.crossing() == status


def test_491_is_never_said_where_nothing_of_ours_is_out() -> None:
    ours = {OfferState.OFFERED, OfferState.ASKED, OfferState.PROPOSED}
    assert {state for state, (status, _) in CROSSINGS.items() if status == 491} == ours


def test_offers_have_numbers_from_one_and_go_in_order() -> None:
    arbiter = Arbiter()
    assert [arbiter.add(b"1", "", 2), arbiter.add(b"2", "", 2)] == [1, 2]
    with pytest.raises(LocalError):
        arbiter.add(b"3", "", 2)
    first = arbiter.pop()
    arbiter.sent(7, first.body)
    assert (first.number, first.tries, arbiter.is_open(7), arbiter.is_open(8)) == (1, 1, True, False)
    assert arbiter.answered() is first
    assert not arbiter.is_open(7)
    assert arbiter.pop().number == 2
    assert arbiter.add(b"3", "", 2) == 3


def test_an_offer_that_crossed_goes_out_before_those_that_wait() -> None:
    arbiter = Arbiter()
    arbiter.add(b"1", "", 8)
    arbiter.add(b"2", "", 8)
    arbiter.sent(7, arbiter.pop().body)
    assert arbiter.postpone()
    assert arbiter.state is OfferState.WAITING
    assert [wish.number for wish in arbiter.waiting] == [1, 2]
    assert arbiter.take(OfferInput.AGAIN)
    assert (arbiter.pop().tries, arbiter.postpone()) == (2, False)


def test_a_request_of_the_endpoints_own_has_no_number() -> None:
    arbiter = Arbiter()
    arbiter.add_own(b"v=0", "X: y\r\n")
    wish = arbiter.pop()
    assert (wish.number, wish.body, wish.extra) == (0, b"v=0", "X: y\r\n")


def test_nothing_is_open_and_nothing_waits_after_the_end() -> None:
    arbiter = Arbiter()
    arbiter.add(b"1", "", 8)
    arbiter.add(b"2", "", 8)
    arbiter.sent(7, arbiter.pop().body)
    arbiter.close()
    assert (arbiter.state, arbiter.wish, arbiter.waiting) == (OfferState.STABLE, None, ())
    assert not arbiter.is_open(7)
    assert arbiter.refused() is None
