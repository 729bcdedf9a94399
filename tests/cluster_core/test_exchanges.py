"""The table of exchanges between legs: one a leg, wishes in their order, phones' offers before all others."""

import pytest

from cluster_core.session_controller.exchanges import Exchange, Exchanges, Kind, Wish
from cluster_core.session_controller.tables import PartyInput

HOLD = Wish(Kind.PROGRAM, given=PartyInput.HOLD)
RETRIEVE = Wish(Kind.PROGRAM, given=PartyInput.RETRIEVE)
OFFER = Wish(Kind.PASSED, b"offer")


def exchange(*legs: int) -> Exchange:
    return Exchange(Kind.PASSED, legs, dict.fromkeys(legs, 1))


def test_an_exchange_holds_its_legs_until_it_ends() -> None:
    table = Exchanges()
    first = table.begin(exchange(1, 2))
    assert table.of(1) is table.of(2) is first
    with pytest.raises(AssertionError):
        table.begin(exchange(2, 3))
    assert table.end(first) == (1, 2)
    assert table.end(first) == ()
    assert len(table) == 0


def test_a_leg_that_is_gone_is_in_no_exchange_and_wishes_for_nothing() -> None:
    table = Exchanges()
    first = table.begin(exchange(1, 2))
    table.wait(1, HOLD)
    assert table.gone(1) is first
    assert table.gone(1) is None
    assert table.end(first) == (2,)
    assert table.next((1, 2)) is None
    assert len(table) == 0


def test_wishes_are_served_as_they_came_but_a_phone_s_offer_first() -> None:
    table = Exchanges()
    for leg, wish in ((1, HOLD), (1, RETRIEVE), (2, HOLD), (2, OFFER)):
        table.wait(leg, wish)
    served = [table.next((1, 2)) for _ in range(4)]
    assert served == [(2, OFFER), (1, HOLD), (1, RETRIEVE), (2, HOLD)]
    assert table.next((1, 2)) is None
    assert len(table) == 0


def test_a_phone_takes_back_its_own_offer_alone() -> None:
    table = Exchanges()
    assert not table.withdraw(1)
    table.wait(1, HOLD)
    assert not table.withdraw(1)
    table.wait(1, OFFER)
    assert table.offers(1) is OFFER
    assert table.withdraw(1)
    assert table.offers(1) is None
    assert table.next((1,)) == (1, HOLD)
