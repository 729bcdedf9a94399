"""Calls before they are answered: early media, PRACK, UPDATE; and calls that a program makes; told as stories."""

import pytest

from tests.sim.cluster import TRUNK, Cluster
from tests.sim.session_phone import Forker, SessionPhone, phone
from tests.sim.test_sessions_story import agree, both_hear, over, refused
from tests.sim.world import SECOND
from tlib_proto import ErrorCode, MessageType

M = MessageType


def rings(
    cluster: Cluster, *, caller: str = "supported", called: str = "supported", offerless: bool = False
) -> tuple[SessionPhone, SessionPhone]:
    """A call that rings, between phones that do 100rel so; what they said until then is forgotten."""
    one, other = phone(cluster, "1001", "n1", reliable=caller), phone(cluster, "1002", "n2", reliable=called)
    one.offerless = offerless
    one.call("1002")
    cluster.world.until(lambda: other.has("ringing"))
    cluster.settle()
    one.said.clear()
    other.said.clear()
    return one, other


def answers(cluster: Cluster, one: SessionPhone, other: SessionPhone) -> None:
    other.answer()
    cluster.world.until(lambda: one.has("talking"))
    cluster.settle()


class TestEarlyMedia:
    def test_a_reliable_description_reaches_the_caller_for_good(self) -> None:
        cluster = Cluster()
        one, other = rings(cluster)
        other.progress()
        cluster.settle()
        assert one.said == ["183 for good"]
        answers(cluster, one, other)
        both_hear(one, other)
        over(cluster)

    def test_a_preview_stays_a_preview(self) -> None:
        cluster = Cluster()
        one, other = rings(cluster)
        other.progress(reliable=False)
        cluster.settle()
        assert one.said == ["183 preview"]
        answers(cluster, one, other)
        both_hear(one, other)
        over(cluster)

    @pytest.mark.parametrize("options", [{"1001": {"sip_enable_100rel": "no"}}, {}], ids=["by option", "by phone"])
    def test_a_caller_without_100rel_hears_a_preview(self, options: dict[str, dict[str, str]]) -> None:
        cluster = Cluster(options=options)
        one, other = rings(cluster, caller="supported" if options else "no")
        other.progress(reliable=True)
        cluster.settle()
        assert one.said == ["183 preview"]
        answers(cluster, one, other)
        both_hear(one, other)
        over(cluster)

    def test_a_dn_whose_option_says_no_is_not_asked_for_reliable_responses(self) -> None:
        cluster = Cluster(options={"1002": {"sip_enable_100rel": "no"}})
        one, other = rings(cluster)
        assert other.last is not None
        assert "100rel" not in (other.last.get("Supported") or "")
        other.progress(reliable=True)
        cluster.settle()
        assert one.said == ["183 preview"]
        answers(cluster, one, other)
        both_hear(one, other)
        over(cluster)

    def test_a_dn_whose_option_says_required_gets_every_response_so_and_gives_it_so(self) -> None:
        cluster = Cluster(options={dn: {"sip_enable_100rel": "required"} for dn in ("1001", "1002")})
        one, other = rings(cluster)
        assert other.last is not None
        assert other.last.get("Require") == "100rel"
        other.progress()
        cluster.settle()
        assert one.said == ["183 for good"]
        answers(cluster, one, other)
        both_hear(one, other)
        over(cluster)

    def test_a_caller_that_demands_100rel_takes_a_preview_for_good(self) -> None:
        cluster = Cluster()
        one, other = rings(cluster, caller="required", called="no")
        other.progress()
        cluster.settle()
        assert one.said == ["183 for good"]
        answers(cluster, one, other)
        both_hear(one, other)
        over(cluster)

    def test_an_offer_in_a_reliable_response_is_answered_in_prack(self) -> None:
        cluster = Cluster()
        one, other = rings(cluster, offerless=True)
        other.progress()
        cluster.settle()
        assert one.said == ["183 offers sendrecv"]
        assert other.said == ["pracked sendrecv"]
        answers(cluster, one, other)
        both_hear(one, other)
        over(cluster)

    def test_an_answer_that_overtakes_the_prack_waits_for_it(self) -> None:
        cluster = Cluster()
        one, other = rings(cluster, offerless=True)
        other.progress()
        answers(cluster, one, other)
        both_hear(one, other)
        over(cluster)

    def test_a_late_caller_without_100rel_gets_the_offer_with_the_answer(self) -> None:
        cluster = Cluster()
        one, other = rings(cluster, caller="no", offerless=True)
        assert other.last is not None
        assert "100rel" not in (other.last.get("Supported") or "")
        answers(cluster, one, other)
        assert other.said == ["acked sendrecv"]
        both_hear(one, other)
        over(cluster)

    def test_a_caller_that_never_acknowledges_is_given_up(self) -> None:
        cluster = Cluster()
        desk = cluster.desktop("n1", "1002")
        one, other = rings(cluster)
        one.away = True
        other.progress()
        cluster.settle(40 * SECOND)
        assert not other.calls
        assert desk.names()[-1] == "Abandoned"
        one.calls.clear()
        one.away = False
        over(cluster)

    def test_early_words_survive_lossy_wires(self) -> None:
        cluster = Cluster(seed=5)
        one, other = rings(cluster, offerless=True)
        wires = cluster.world.wires
        wires.loss, wires.duplicate, wires.jitter_us = 0.2, 0.2, 30_000
        other.progress()
        cluster.settle(10 * SECOND)
        other.answer()
        cluster.world.until(lambda: one.has("talking"), 40 * SECOND)
        cluster.settle(10 * SECOND)
        wires.loss = wires.duplicate = 0.0
        both_hear(one, other)
        over(cluster)


class TestForks:
    def forked(self, cluster: Cluster) -> tuple[SessionPhone, SessionPhone, SessionPhone]:
        """A call by the trunk that rings at two places; both have described themselves for good."""
        one = phone(cluster, "1001", "n1")
        left, right = (
            SessionPhone(cluster.world, "9123", "n1", ("198.51.100.7", 11_000 + number)) for number in range(2)
        )
        cluster.phones |= {"left": left, "right": right}
        Forker(cluster.world, TRUNK, [left, right])
        one.call("9123")
        cluster.world.until(lambda: left.has("ringing") and right.has("ringing"))
        cluster.settle()
        for there in (left, right):
            there.progress()
            cluster.settle()
        assert one.said[-2:] == ["183 for good", "183"]
        return one, left, right

    def test_a_caller_is_told_again_when_another_branch_answers_than_it_heard(self) -> None:
        cluster = Cluster()
        one, left, right = self.forked(cluster)
        answers(cluster, one, right)
        assert one.said[-1] == "reinvited sendrecv"
        both_hear(one, right)
        assert not left.calls
        over(cluster)

    def test_nothing_is_told_again_when_the_branch_answers_that_it_heard(self) -> None:
        cluster = Cluster()
        one, left, right = self.forked(cluster)
        answers(cluster, one, left)
        assert one.said[-1] == "answered"
        both_hear(one, left)
        assert not right.calls
        over(cluster)

    def made(self, cluster: Cluster) -> tuple[SessionPhone, SessionPhone, SessionPhone]:
        """A program's call by the trunk that rings at two places."""
        one = phone(cluster, "1001", "n1")
        left, right = (
            SessionPhone(cluster.world, "9123", "n1", ("198.51.100.7", 11_000 + number)) for number in range(2)
        )
        cluster.phones |= {"left": left, "right": right}
        Forker(cluster.world, TRUNK, [left, right])
        cluster.desktop("n1", "1001").ask(M.RequestMakeCall, ThisDN="1001", OtherDN="9123")
        cluster.world.until(lambda: left.has("ringing") and right.has("ringing"))
        cluster.settle()
        return one, left, right

    @pytest.mark.parametrize("who", ["left", "right"])
    def test_of_two_branches_that_offer_early_to_a_program_s_call_either_may_answer(self, who: str) -> None:
        cluster = Cluster()
        one, left, right = self.made(cluster)
        for there in (left, right):
            there.progress()
            cluster.settle()
        assert left.said[-1] == "pracked sendrecv"
        assert right.said[-1] == "pracked inactive"
        other = left if who == "left" else right
        answers(cluster, one, other)
        both_hear(one, other)
        over(cluster)

    @pytest.mark.parametrize("early", [True, False], ids=["after an early offer", "with its offer"])
    @pytest.mark.parametrize("thinks", [True, False], ids=["while the maker's phone thinks", "when that has agreed"])
    def test_a_program_s_call_goes_on_with_the_branch_that_answers(self, early: bool, thinks: bool) -> None:
        cluster = Cluster()
        one, left, right = self.made(cluster)
        one.on_offers = ["think"] if thinks else []
        left.progress()
        cluster.settle()
        if early:
            right.progress()
            cluster.settle()
        right.answer()
        cluster.settle()
        if thinks and one.thinks:
            one.decide()
        cluster.settle(2 * SECOND)
        both_hear(one, right)
        assert not left.calls
        over(cluster)


class TestUpdateBeforeTheAnswer:
    @pytest.mark.parametrize("who", ["caller", "called"])
    def test_an_offer_of_either_phone_is_passed_on_when_both_take_it(self, who: str) -> None:
        cluster = Cluster()
        one, other = rings(cluster)
        other.progress()
        cluster.settle()
        asks, hears = (one, other) if who == "caller" else (other, one)
        asks.said.clear()
        hears.said.clear()
        asks.update("sendonly")
        cluster.settle()
        assert hears.said == ["reinvited sendonly"]
        assert asks.said == ["reanswered recvonly"]
        answers(cluster, one, other)
        agree(one, other)
        assert asks.hears()[1:] == (True, False)
        over(cluster)

    def test_two_that_cross_are_both_agreed_on_in_the_end(self) -> None:
        cluster = Cluster()
        one, other = rings(cluster)
        other.progress()
        cluster.settle()
        one.update("sendonly")
        other.update("recvonly")
        cluster.settle(12 * SECOND)
        assert [word for word in one.said if word.startswith("reanswered")]
        assert [word for word in other.said if word.startswith("reanswered")]
        answers(cluster, one, other)
        agree(one, other)
        over(cluster)

    def test_a_caller_that_cannot_be_asked_hears_of_it_with_the_answer(self) -> None:
        cluster = Cluster()
        one, other = rings(cluster, caller="no")
        other.progress()
        cluster.settle()
        other.update("sendonly")
        cluster.settle()
        assert other.said == ["reanswered recvonly"]
        answers(cluster, one, other)
        agree(one, other)
        assert one.hears()[1:] == (False, True)
        over(cluster)

    def test_a_called_phone_that_cannot_be_asked_lets_the_caller_try_again(self) -> None:
        cluster = Cluster()
        one, other = rings(cluster, caller="required", called="no")
        other.progress()
        cluster.settle()
        one.update("sendonly")
        cluster.settle(SECOND)
        answers(cluster, one, other)
        cluster.settle(12 * SECOND)
        assert one.said[-1] == "reanswered recvonly"
        agree(one, other)
        over(cluster)


    @pytest.mark.parametrize("who", ["caller", "called"])
    def test_a_call_that_fails_while_one_is_under_way_leaves_nothing(self, who: str) -> None:
        cluster = Cluster()
        one, other = rings(cluster)
        other.progress()
        cluster.settle()
        other.on_offer = "think"
        one.update("sendonly")
        cluster.settle(100_000)
        if who == "called":
            other.reject(486)
            cluster.settle()
            assert one.said[-1] == "failed 486"
        else:
            one.hang_up()
        over(cluster)


class TestCallsOfPrograms:
    @pytest.mark.parametrize("flow", [1, 3, 4])
    def test_each_flow_ends_with_two_phones_that_hear_each_other(self, flow: int) -> None:
        cluster = Cluster(options={"1001": {"make_call_rfc3725_flow": flow}})
        one, other = phone(cluster, "1001", "n1"), phone(cluster, "1002", "n2")
        desk = cluster.desktop("n1", "1001")
        assert desk.ask(M.RequestMakeCall, ThisDN="1001", OtherDN="1002").id == M.EventDialing
        cluster.world.until(lambda: other.has("ringing"))
        cluster.settle()
        answers(cluster, one, other)
        cluster.settle()
        both_hear(one, other)
        one.hold()
        cluster.settle()
        agree(one, other)
        assert desk.names() == ["Dialing", "Established", "Held"]
        over(cluster)

    @pytest.mark.parametrize("flow", [1, 3, 4])
    @pytest.mark.parametrize("who", ["1001", "1002"])
    def test_each_flow_ends_well_when_a_phone_hangs_up_before_the_answer(self, flow: int, who: str) -> None:
        cluster = Cluster(options={"1001": {"make_call_rfc3725_flow": flow}})
        phone(cluster, "1001", "n1")
        other = phone(cluster, "1002", "n2")
        desk = cluster.desktop("n1", "1001")
        desk.ask(M.RequestMakeCall, ThisDN="1001", OtherDN="1002")
        cluster.world.until(lambda: other.has("ringing"))
        cluster.settle()
        cluster.phones[who].hang_up()
        cluster.settle(40 * SECOND)  # in flow I the first phone's 200 waits for its ACK, and its BYE with it
        assert desk.names() == ["Dialing", "Released"]
        over(cluster)

    def test_who_is_called_may_make_its_offer_early(self) -> None:
        cluster = Cluster()
        one, other = phone(cluster, "1001", "n1"), phone(cluster, "1002", "n2")
        desk = cluster.desktop("n1", "1001")
        desk.ask(M.RequestMakeCall, ThisDN="1001", OtherDN="1002")
        cluster.world.until(lambda: other.has("ringing"))
        cluster.settle()
        other.progress()
        cluster.settle()
        assert one.said[-1] == "reinvited sendrecv"
        assert other.said[-1] == "pracked sendrecv"
        other.update("sendonly")
        cluster.settle()
        assert one.said[-1] == "reinvited sendonly"
        answers(cluster, one, other)
        agree(one, other)
        over(cluster)

    def test_an_answer_that_comes_before_the_maker_s_phone_has_agreed(self) -> None:
        cluster = Cluster()
        one, other = phone(cluster, "1001", "n1"), phone(cluster, "1002", "n2")
        desk = cluster.desktop("n1", "1001")
        desk.ask(M.RequestMakeCall, ThisDN="1001", OtherDN="1002")
        cluster.world.until(lambda: other.has("ringing"))
        cluster.settle()
        one.on_offer = "think"
        other.progress()
        cluster.settle()
        other.answer()
        cluster.settle()
        one.on_offer = "answer"
        one.decide()
        cluster.settle(2 * SECOND)
        both_hear(one, other)
        over(cluster)

    def test_a_maker_s_phone_that_refuses_who_is_called_ends_the_call(self) -> None:
        cluster = Cluster()
        one, other = phone(cluster, "1001", "n1"), phone(cluster, "1002", "n2")
        desk = cluster.desktop("n1", "1001")
        desk.ask(M.RequestMakeCall, ThisDN="1001", OtherDN="1002")
        cluster.world.until(lambda: other.has("ringing"))
        cluster.settle()
        one.on_offer = "488"
        other.answer()
        cluster.settle(SECOND)
        assert not one.calls
        assert not other.calls
        assert desk.names()[-1] == "Released"
        over(cluster)

    def test_a_maker_s_phone_that_is_busy_is_the_program_s_error(self) -> None:
        cluster = Cluster(options={"1001": {"make_call_rfc3725_flow": 1}})
        one = phone(cluster, "1001", "n1")
        phone(cluster, "1002", "n2")
        one.on_invite = "486"
        desk = cluster.desktop("n1", "1001")
        refused(desk.ask(M.RequestMakeCall, ThisDN="1001", OtherDN="1002"), ErrorCode.GENERIC_OPERATION)
        over(cluster)


class TestSessionTimers:
    def test_each_leg_keeps_itself_alive_and_bothers_nobody(self) -> None:
        cluster = Cluster(options={dn: {"session_refresh_interval": 90} for dn in ("1001", "1002")})
        one, other = rings(cluster)
        answers(cluster, one, other)
        one.said.clear()
        other.said.clear()
        cluster.settle(600 * SECOND)
        assert one.said == other.said == []
        both_hear(one, other)
        over(cluster)

    def test_phones_without_update_are_refreshed_by_re_invite(self) -> None:
        cluster = Cluster(options={dn: {"session_refresh_interval": 90} for dn in ("1001", "1002")})
        allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY"
        one, other = phone(cluster, "1001", "n1", allow=allow, session_s=0), phone(cluster, "1002", "n2", allow=allow)
        one.call("1002")
        cluster.world.until(lambda: other.has("ringing"))
        cluster.settle()
        answers(cluster, one, other)
        cluster.settle(300 * SECOND)
        assert one.said[-1] == other.said[-1] == "reinvited sendrecv"
        both_hear(one, other)
        over(cluster)

    def test_a_phone_that_is_elsewhere_when_it_is_refreshed_is_found_by_the_other(self) -> None:
        cluster = Cluster(options={"1002": {"session_refresh_interval": 90}})
        allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY"
        one, other = phone(cluster, "1001", "n1"), phone(cluster, "1002", "n2", allow=allow, session_s=0)
        one.call("1002")
        cluster.world.until(lambda: other.has("ringing"))
        cluster.settle()
        answers(cluster, one, other)
        other.port += 2
        cluster.settle(60 * SECOND)
        assert one.said[-1] == other.said[-1] == "reinvited sendrecv"
        both_hear(one, other)
        over(cluster)

    @pytest.mark.parametrize("who", ["1001", "1002"])
    def test_a_phone_that_is_gone_without_a_word_is_noticed(self, who: str) -> None:
        cluster = Cluster(options={dn: {"session_refresh_interval": 90} for dn in ("1001", "1002")})
        one, other = rings(cluster)
        answers(cluster, one, other)
        gone, stays = (one, other) if who == "1001" else (other, one)
        gone.away = True
        cluster.settle(130 * SECOND)
        assert not stays.calls
        gone.calls.clear()
        gone.away = False
        over(cluster)

    def test_a_dn_without_session_timers_waits_for_ever(self) -> None:
        cluster = Cluster(options={dn: {"session_refresh_interval": 0} for dn in ("1001", "1002")})
        one, other = phone(cluster, "1001", "n1", session_s=0), phone(cluster, "1002", "n2", session_s=0)
        one.call("1002")
        cluster.world.until(lambda: other.has("ringing"))
        cluster.settle()
        answers(cluster, one, other)
        one.away = True
        cluster.settle(4_000 * SECOND)
        assert other.has("talking")
        one.away = False
        over(cluster)
