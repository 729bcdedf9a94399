"""Replaces: which leg an INVITE takes the place of."""

import pytest

from sip_proto import Address, DialogId, Invited, LocalError, Rejection, Request, Transmit, write_replaces
from sip_proto.values_event import read_dialog_id
from tests.sip_proto.alone import Alone
from tests.sip_proto.pair import A
from tests.sip_proto.texts import as_response, request, request_bytes, response_to

EARLY = "Contact: <sip:alice@192.0.2.1>\r\n"


def asking(value: str, more: str = "") -> Request:
    """An INVITE with a Replaces."""
    return request(call_id="new", more=f"Replaces: {value}\r\n{more}")


def status(found: int | Rejection | None) -> int:
    assert isinstance(found, Rejection)
    return found.status


def called(alone: Alone, call_id: str = "c1", source: Address = A) -> tuple[int, str]:
    """An INVITE from A, not answered; the leg and our tag."""
    (_, invited) = alone.hear(request_bytes(call_id=call_id, branch=f"z9hG4bK-{call_id}"), source)
    assert isinstance(invited, Invited)
    (ringing,) = alone.do(lambda now, out: alone.end.provisional(now, invited.leg, 180, out))
    assert isinstance(ringing, Transmit)
    return invited.leg, as_response(ringing.data).to.tag


def name_for(alone: Alone, leg: int) -> str:
    """The Replaces that A would write for its own peer, us."""
    ours = read_dialog_id(alone.end.replaces_of(leg))
    return write_replaces(ours._replace(local_tag=ours.remote_tag, remote_tag=ours.local_tag))


def test_an_invite_without_replaces_takes_no_place() -> None:
    assert Alone().end.replaced_leg(request()) is None


def test_a_confirmed_dialog_is_replaced_unless_only_an_early_one_may_be() -> None:
    alone = Alone()
    alone.answered()
    name = name_for(alone, alone.leg)
    assert alone.end.replaced_leg(asking(name)) == alone.leg
    assert status(alone.end.replaced_leg(asking(f"{name};early-only"))) == 486


def test_a_call_that_we_make_is_replaced_while_it_rings() -> None:
    alone = Alone()
    asked = alone.invite()
    ours = read_dialog_id(f"{as_response(response_to(asked, 180)).call_id};to-tag=x;from-tag=b1")
    with pytest.raises(LocalError):
        alone.end.replaces_of(alone.leg)
    alone.hear(response_to(asked, 180, more=EARLY))
    name = name_for(alone, alone.leg)
    assert alone.end.replaced_leg(asking(f"{name};early-only")) == alone.leg
    assert status(alone.end.named_leg(ours)) == 481
    alone.do(lambda now, out: alone.end.cancel(now, alone.leg, out))
    assert status(alone.end.replaced_leg(asking(name))) == 603


def test_each_branch_of_a_forked_call_names_it_until_one_has_answered() -> None:
    alone = Alone()
    asked = alone.invite()
    for tag in ("b1", "b2"):
        alone.hear(response_to(asked, 180, tag=tag, more=EARLY))
    name = read_dialog_id(name_for(alone, alone.leg))
    names = [write_replaces(name._replace(remote_tag=tag)) for tag in ("b1", "b2", "b3")]
    found = [alone.end.replaced_leg(asking(name)) for name in names]
    assert found[:2] == [alone.leg, alone.leg]
    assert status(found[2]) == 481
    alone.hear(response_to(asked, 200, tag="b1", more=EARLY))
    assert alone.end.replaced_leg(asking(names[0])) == alone.leg
    assert status(alone.end.replaced_leg(asking(names[1]))) == 481


def test_a_call_that_rings_here_for_another_is_not_replaced() -> None:
    alone = Alone()
    leg, tag = called(alone)
    assert status(alone.end.replaced_leg(asking(f"c1;to-tag={tag};from-tag=a1"))) == 481
    alone.do(lambda now, out: alone.end.accept(now, leg, out))
    assert alone.end.replaced_leg(asking(f"c1;from-tag=a1;to-tag={tag}")) == leg


def test_an_invite_that_nothing_answered_has_no_dialog() -> None:
    alone = Alone()
    asked = as_response(response_to(alone.invite(), 100, tag=""))
    value = f"{asked.call_id};to-tag={asked.from_.tag};from-tag="
    assert status(alone.end.replaced_leg(asking(f"{value}0"))) == 481


@pytest.mark.parametrize("change", [("c2", 0, 0), ("", 1, 0), ("", 0, 1)])
def test_a_dialog_that_is_not_ours_is_not_found(change: tuple[str, int, int]) -> None:
    alone = Alone()
    alone.answered()
    name = read_dialog_id(name_for(alone, alone.leg))
    call_id, local, remote = change
    other = DialogId(call_id or name.call_id, name.local_tag + "x" * local, name.remote_tag + "x" * remote, {})
    assert status(alone.end.replaced_leg(asking(write_replaces(other)))) == 481


def test_a_dialog_that_ends_is_declined() -> None:
    alone = Alone()
    alone.answered()
    name = name_for(alone, alone.leg)
    alone.do(lambda now, out: alone.end.bye(now, alone.leg, out))
    assert status(alone.end.replaced_leg(asking(name))) == 603
    alone.wait(40_000_000)
    assert status(alone.end.replaced_leg(asking(name))) == 481


@pytest.mark.parametrize(
    ("value", "more"),
    [
        ("c1", ""),
        ("c1;to-tag=1", ""),
        ('c1;to-tag="', ""),
        ("c1;to-tag=1;from-tag=2", "Replaces: c1;to-tag=1;from-tag=2\r\n"),
        ("c1;to-tag=1;from-tag=2", "Join: c1;to-tag=1;from-tag=2\r\n"),
    ],
)
def test_two_names_and_broken_ones_are_bad_requests(value: str, more: str) -> None:
    assert status(Alone().end.replaced_leg(asking(value, more))) == 400


def test_a_peer_without_a_tag_is_named_by_a_zero() -> None:
    alone = Alone()
    (_, invited) = alone.hear(request_bytes(from_="<sip:alice@example.org>"))
    assert isinstance(invited, Invited)
    (accepted, _) = alone.do(lambda now, out: alone.end.accept(now, invited.leg, out))
    assert isinstance(accepted, Transmit)
    tag = as_response(accepted.data).to.tag
    assert alone.end.replaced_leg(asking(f"c1;to-tag={tag};from-tag=0")) == invited.leg


def test_a_name_can_be_put_into_a_uri() -> None:
    name = DialogId("a b?@h", "1", "2", {"early-only": ""})
    assert write_replaces(name) == "a b?@h;to-tag=1;from-tag=2;early-only"
    assert write_replaces(name, escaped=True) == "a%20b?%40h%3Bto-tag%3D1%3Bfrom-tag%3D2%3Bearly-only"
