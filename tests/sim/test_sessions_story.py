"""What a call's two phones say to each other through the server once it is answered, and before, told as stories."""

import pytest

from tests.sim.actors import Client
from tests.sim.cluster import Cluster, conn_id_of
from tests.sim.session_phone import SessionPhone, phone
from tests.sim.world import MILLISECOND, SECOND
from tlib_proto import Attribute, CallState, ErrorCode, Message, MessageType

M = MessageType


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def talking(cluster: Cluster) -> tuple[SessionPhone, SessionPhone]:
    """Two phones in a call; what they said until then is forgotten."""
    one, other = phone(cluster, "1001", "n1"), phone(cluster, "1002", "n2")
    one.call("1002")
    cluster.world.until(lambda: other.has("ringing"))
    cluster.settle()
    other.answer()
    cluster.world.until(lambda: one.has("talking"))
    cluster.settle()
    agree(one, other)
    one.said.clear()
    other.said.clear()
    return one, other


def agree(one: SessionPhone, other: SessionPhone, *, silent: bool = False) -> None:
    """Each sends to where the other is, and hears when the other sends."""
    port, sends, hears = one.hears()
    assert (port, sends, hears) == (other.port, not silent and sends, not silent and hears)
    assert other.hears() == (one.port, hears, sends)


def both_hear(one: SessionPhone, other: SessionPhone) -> None:
    agree(one, other)
    assert one.hears()[1:] == (True, True)


def over(cluster: Cluster, *but: str) -> None:
    """Everybody hangs up, and nothing stays."""
    for there in cluster.phones.values():
        for leg in list(there.calls):
            there.hang_up(leg)
    cluster.settle(70 * SECOND)
    cluster.check()
    cluster.quiet(*but)


def refused(answer: Message, code: ErrorCode) -> None:
    assert answer.id == M.EventError, answer
    assert answer.number(Attribute.ErrorCode) == code, answer


class TestOffersOfPhones:
    def test_a_hold_and_its_end_are_agreed_on_by_both(self, cluster: Cluster) -> None:
        one, other = talking(cluster)
        one.hold()
        cluster.settle()
        agree(one, other)
        assert one.hears()[1:] == (True, False)
        one.hold("sendrecv")
        cluster.settle()
        both_hear(one, other)
        over(cluster)

    def test_a_phone_that_asks_for_an_offer_gets_that_of_the_other(self, cluster: Cluster) -> None:
        one, other = talking(cluster)
        one.ask_for_offer()
        cluster.settle()
        assert other.said == ["reinvited nothing", "acked sendrecv"]
        assert one.said == ["reanswered sendrecv"]
        both_hear(one, other)
        over(cluster)

    def test_an_update_is_passed_on_as_any_offer(self, cluster: Cluster) -> None:
        one, other = talking(cluster)
        one.mine[one.leg("talking")] = body = one.describe("sendonly")
        one.send("UPDATE", body, "application/sdp")
        cluster.settle()
        assert one.said == ["response 200"]
        assert other.said == ["reinvited sendonly"]
        assert other.hears() == (one.port, False, True)
        over(cluster)

    def test_a_refusal_comes_back_and_nothing_changes(self, cluster: Cluster) -> None:
        one, other = talking(cluster)
        other.on_offer = "488"
        one.hold()
        cluster.settle()
        assert one.said == ["rerefused 488"]
        both_hear(one, other)
        over(cluster)

    def test_a_refusal_that_would_end_the_call_is_told_as_a_plain_no(self, cluster: Cluster) -> None:
        one, other = talking(cluster)
        other.on_offer = "404"
        one.hold()
        cluster.settle()
        assert one.said == ["rerefused 500"]
        both_hear(one, other)
        over(cluster)

    @pytest.mark.parametrize("seed", range(6))
    def test_of_two_offers_that_cross_both_are_agreed_on_in_the_end(self, seed: int) -> None:
        cluster = Cluster(seed=seed)
        one, other = talking(cluster)
        one.hold()
        other.hold()
        cluster.settle(12 * SECOND)
        assert "reanswered recvonly" in one.said + other.said
        assert [word for word in one.said + other.said if word.startswith("reanswered")].__len__() == 2
        agree(one, other)
        over(cluster)

    def test_an_offer_that_waits_to_be_sent_again_gives_way_to_the_phone_s_own(self, cluster: Cluster) -> None:
        one, other = talking(cluster)
        other.on_offer = "491"
        one.hold()
        cluster.settle(50 * MILLISECOND)
        assert other.said == ["reinvited sendonly"]
        other.on_offer = "answer"
        other.hold("recvonly")
        cluster.settle(6 * SECOND)
        assert one.said == ["reinvited recvonly", "reanswered recvonly"]
        assert other.said[1:] == ["reanswered sendonly", "reinvited sendonly"]
        agree(one, other)
        over(cluster)

    def test_a_refresh_of_one_phone_is_no_matter_of_the_other(self, cluster: Cluster) -> None:
        one, other = talking(cluster)
        one._offer(one.leg("talking"), one.mine[one.leg("talking")])
        cluster.settle()
        assert one.said == ["reanswered sendrecv"]
        assert other.said == []
        both_hear(one, other)
        over(cluster)

    def test_an_offer_that_is_taken_back_is_taken_back_at_the_other_phone(self, cluster: Cluster) -> None:
        one, other = talking(cluster)
        other.on_offer = "think"
        number = one.hold()
        cluster.settle(100 * MILLISECOND)
        one.withdraw(number)
        cluster.settle()
        assert one.said == ["rerefused 487"]
        assert other.said == ["reinvited sendonly", "offer withdrawn"]
        both_hear(one, other)
        over(cluster)

    def test_an_answer_to_what_was_taken_back_is_followed_by_what_was(self, cluster: Cluster) -> None:
        one, other = talking(cluster)
        other.on_offer = "think"
        wires = cluster.world.wires
        wires.least_us = wires.most_us = 10 * MILLISECOND
        number = one.hold()
        cluster.settle(35 * MILLISECOND)
        one.withdraw(number)
        cluster.settle(5 * MILLISECOND)
        other.decide()  # while the CANCEL is on its way
        other.on_offer = "answer"
        cluster.settle(SECOND)
        assert one.said == ["rerefused 487"]
        assert other.said == ["reinvited sendonly", "reinvited sendrecv"]
        both_hear(one, other)
        over(cluster)

    def test_an_offer_that_is_asked_for_and_taken_back_is_answered_with_what_was(self, cluster: Cluster) -> None:
        one, other = talking(cluster)
        other.on_offer = "think"
        wires = cluster.world.wires
        wires.least_us = wires.most_us = 10 * MILLISECOND
        number = one.ask_for_offer()
        cluster.settle(35 * MILLISECOND)
        one.withdraw(number)
        cluster.settle(5 * MILLISECOND)
        other.decide()
        cluster.settle(SECOND)
        assert one.said == ["rerefused 487"]
        assert other.said == ["reinvited nothing", "acked sendrecv"]
        both_hear(one, other)
        over(cluster)

    @pytest.mark.parametrize("who", ["the one who offers", "the other"])
    @pytest.mark.parametrize("after_us", [0, 2_000, 5_000, 9_000])
    def test_a_bye_that_crosses_an_offer_ends_the_call_for_both(
        self, cluster: Cluster, who: str, after_us: int
    ) -> None:
        one, other = talking(cluster)
        one.hold()
        cluster.settle(after_us)
        (one if who == "the one who offers" else other).hang_up()
        cluster.settle(70 * SECOND)
        assert not one.calls
        assert not other.calls
        cluster.check()
        cluster.quiet()

    @pytest.mark.parametrize("after_ms", [0, 2, 4, 40])
    def test_an_update_before_the_answer_reaches_the_caller_now_or_then(self, cluster: Cluster, after_ms: int) -> None:
        one, other = phone(cluster, "1001", "n1"), phone(cluster, "1002", "n2")
        one.call("1002")
        cluster.world.until(lambda: other.has("ringing"))
        other.progress()
        # The caller has perhaps not yet acknowledged what it was told.
        cluster.world.run(after_ms * MILLISECOND)
        other.update("sendonly")
        cluster.settle()
        other.answer()
        cluster.world.until(lambda: one.has("talking"))
        cluster.settle(5 * SECOND)
        assert one.hears() == (other.port, False, True)
        assert other.hears() == (one.port, True, False)
        over(cluster)

    def test_an_offer_with_nobody_there_yet_is_answered_by_silence(self, cluster: Cluster) -> None:
        one = phone(cluster, "1001")
        desk = cluster.desktop("n1", "1001")
        router = cluster.router("n1", "8000")
        assert desk.ask(M.RequestMakeCall, ThisDN="1001", OtherDN="8000").id == M.EventDialing
        cluster.world.until(lambda: router.of(M.EventRouteRequest))
        one.hold("sendrecv")
        cluster.settle()
        assert one.said[-1] == "reanswered inactive"
        one.ask_for_offer()
        cluster.settle()
        assert one.said[-1] == "reanswered inactive"
        other = phone(cluster, "1002", "n2")
        other.on_invite = "answer"
        conn_id = conn_id_of(router.of(M.EventRouteRequest)[0])
        router.ask(M.RequestRouteCall, ThisDN="8000", ConnID=conn_id, OtherDN="1002")
        cluster.settle()
        both_hear(one, other)
        over(cluster)


class TestOffersOfPrograms:
    def held(self, cluster: Cluster) -> tuple[SessionPhone, SessionPhone, Client, int]:
        one, other = talking(cluster)
        desk = cluster.desktop("n1", "1001")
        (conn_id,) = desk.pictures["1001"].calls
        return one, other, desk, conn_id

    def test_both_phones_are_held_and_retrieved(self, cluster: Cluster) -> None:
        one, other, desk, conn_id = self.held(cluster)
        assert desk.ask(M.RequestHoldCall, ThisDN="1001", ConnID=conn_id).id == M.EventHeld
        agree(one, other, silent=True)
        assert desk.ask(M.RequestRetrieveCall, ThisDN="1001", ConnID=conn_id).id == M.EventRetrieved
        both_hear(one, other)
        over(cluster)

    @pytest.mark.parametrize("refuses", ["1001", "1002"])
    def test_when_one_phone_refuses_the_other_gets_back_what_was(self, cluster: Cluster, refuses: str) -> None:
        one, other, desk, conn_id = self.held(cluster)
        cluster.phones[refuses].on_offer = "488"  # type: ignore[attr-defined]
        refused(desk.ask(M.RequestHoldCall, ThisDN="1001", ConnID=conn_id), ErrorCode.GENERIC_OPERATION)
        cluster.settle()
        both_hear(one, other)
        cluster.phones[refuses].on_offer = "answer"  # type: ignore[attr-defined]
        assert desk.ask(M.RequestHoldCall, ThisDN="1001", ConnID=conn_id).id == M.EventHeld
        cluster.phones[refuses].on_offer = "488"  # type: ignore[attr-defined]
        refused(desk.ask(M.RequestRetrieveCall, ThisDN="1001", ConnID=conn_id), ErrorCode.GENERIC_OPERATION)
        cluster.settle()
        agree(one, other, silent=True)
        assert desk.names() == ["Error", "Held", "Error"]
        over(cluster)

    def test_what_is_asked_while_offers_are_under_way_waits_for_them(self, cluster: Cluster) -> None:
        one, other, desk, conn_id = self.held(cluster)
        other.on_offer = "think"
        hold = desk.request(M.RequestHoldCall, ThisDN="1001", ConnID=conn_id)
        retrieve = desk.request(M.RequestRetrieveCall, ThisDN="1001", ConnID=conn_id)
        again = desk.request(M.RequestHoldCall, ThisDN="1001", ConnID=conn_id)
        cluster.settle()
        refused(desk.answers[again], ErrorCode.INCORRECT_OBJECT_STATE)
        other.on_offer = "answer"
        other.decide()
        cluster.settle()
        assert desk.answers[hold].id == M.EventHeld
        assert desk.answers[retrieve].id == M.EventRetrieved
        both_hear(one, other)
        over(cluster)

    def test_a_retrieve_that_waited_for_a_hold_that_failed_is_refused(self, cluster: Cluster) -> None:
        one, other, desk, conn_id = self.held(cluster)
        other.on_offer = "think"
        desk.request(M.RequestHoldCall, ThisDN="1001", ConnID=conn_id)
        retrieve = desk.request(M.RequestRetrieveCall, ThisDN="1001", ConnID=conn_id)
        cluster.settle()
        other.on_offer = "answer"
        other.decide(488)
        cluster.settle()
        refused(desk.answers[retrieve], ErrorCode.INCORRECT_OBJECT_STATE)
        both_hear(one, other)
        over(cluster)

    def test_a_phone_s_offer_waits_for_a_program_s_hold_of_the_other(self, cluster: Cluster) -> None:
        one, other, desk, conn_id = self.held(cluster)
        other.on_offer = "think"
        hold = desk.request(M.RequestHoldCall, ThisDN="1001", ConnID=conn_id)
        cluster.settle()
        one.hold("sendrecv")
        cluster.settle()
        assert one.said == ["reinvited inactive"]
        other.on_offer = "answer"
        other.decide()
        cluster.settle()
        assert desk.answers[hold].id == M.EventHeld
        assert one.said == ["reinvited inactive", "reanswered sendrecv"]
        assert desk.names()[-1] == "Retrieved"
        both_hear(one, other)
        over(cluster)

    def test_a_phone_s_offer_that_waits_can_be_taken_back(self, cluster: Cluster) -> None:
        one, other, desk, conn_id = self.held(cluster)
        other.on_offer = "think"
        desk.request(M.RequestHoldCall, ThisDN="1001", ConnID=conn_id)
        cluster.settle()
        number = one.hold("sendrecv")
        cluster.settle()
        one.withdraw(number)
        cluster.settle()
        assert one.said[-1] == "rerefused 487"
        other.decide()
        cluster.settle()
        agree(one, other, silent=True)
        over(cluster)

    def test_a_program_s_hold_that_crosses_a_phone_s_offer_is_what_that_is_answered_with(
        self, cluster: Cluster
    ) -> None:
        one, other, desk, conn_id = self.held(cluster)
        other.on_offer = "491"
        hold = desk.request(M.RequestHoldCall, ThisDN="1001", ConnID=conn_id)
        cluster.settle(50 * MILLISECOND)
        other.on_offer = "answer"
        other.hold("sendrecv")
        cluster.settle(200 * MILLISECOND)
        assert other.said == ["reinvited inactive", "reanswered inactive"]
        assert desk.answers[hold].id == M.EventHeld
        agree(one, other, silent=True)
        assert desk.ask(M.RequestRetrieveCall, ThisDN="1001", ConnID=conn_id).id == M.EventRetrieved
        both_hear(one, other)
        over(cluster)

    def test_a_program_s_retrieve_that_crosses_a_phone_s_hold_ends_with_that(self, cluster: Cluster) -> None:
        one, other, desk, conn_id = self.held(cluster)
        desk.ask(M.RequestHoldCall, ThisDN="1001", ConnID=conn_id)
        other.on_offers = ["491"]
        retrieve = desk.request(M.RequestRetrieveCall, ThisDN="1001", ConnID=conn_id)
        cluster.settle(50 * MILLISECOND)
        other.hold()
        cluster.settle()
        assert desk.answers[retrieve].id == M.EventRetrieved
        assert other.said[-1] == "reanswered recvonly"
        assert one.said[-2:] == ["reinvited sendrecv", "reinvited sendonly"]
        agree(one, other)
        over(cluster)

    def test_a_held_call_stays_held_when_the_other_phone_offers_again(self, cluster: Cluster) -> None:
        one, other, desk, conn_id = self.held(cluster)
        desk.ask(M.RequestHoldCall, ThisDN="1001", ConnID=conn_id)
        other.hold("sendrecv")
        cluster.settle()
        assert one.said == ["reinvited inactive", "reinvited inactive"]
        agree(one, other, silent=True)
        other.ask_for_offer()
        cluster.settle()
        agree(one, other, silent=True)
        assert desk.names() == ["Held"]
        over(cluster)

    def test_a_hang_up_while_a_program_waits_tells_it(self, cluster: Cluster) -> None:
        one, other, desk, conn_id = self.held(cluster)
        other.on_offer = "think"
        hold = desk.request(M.RequestHoldCall, ThisDN="1001", ConnID=conn_id)
        cluster.settle()
        one.hang_up()
        cluster.settle()
        assert desk.answers[hold].id == M.EventError
        over(cluster)


class TestTwoThatDisagree:
    """1001 has agreed to a hold that 1002 has refused, and does not go back; nor does 1002 go along."""

    def apart(self, cluster: Cluster, one_then: tuple[str, ...] = (), other_then: tuple[str, ...] = ()) -> Client:
        """What comes then is what the phones do with the offers that follow."""
        one, other = talking(cluster)
        desk = cluster.desktop("n1", "1001")
        one.on_offers = ["answer", "488", *one_then]
        other.on_offers = ["488", "488", *other_then]
        (conn_id,) = desk.pictures["1001"].calls
        refused(desk.ask(M.RequestHoldCall, ThisDN="1001", ConnID=conn_id), ErrorCode.GENERIC_OPERATION)
        cluster.settle(SECOND)
        assert one.said[:2] == ["reinvited inactive", "reinvited sendrecv"]
        assert other.said[:2] == ["reinvited inactive", "reinvited inactive"]
        return desk

    def phones(self, cluster: Cluster) -> tuple[SessionPhone, SessionPhone]:
        one, other = cluster.phones["1001"], cluster.phones["1002"]
        assert isinstance(one, SessionPhone)
        assert isinstance(other, SessionPhone)
        return one, other

    def test_one_makes_a_new_offer_and_the_other_answers_it(self, cluster: Cluster) -> None:
        self.apart(cluster)
        one, other = self.phones(cluster)
        assert other.said[2:] == ["reinvited nothing", "acked sendrecv"]
        assert one.said[2:] == ["reinvited sendrecv"]
        both_hear(one, other)
        over(cluster)

    @pytest.mark.parametrize(
        ("one_then", "other_then"),
        [((), ("488",)), (("488",), ())],
        ids=["it makes no offer", "the other does not want it"],
    )
    def test_else_the_other_makes_one(
        self, cluster: Cluster, one_then: tuple[str, ...], other_then: tuple[str, ...]
    ) -> None:
        self.apart(cluster, one_then, other_then)
        one, other = self.phones(cluster)
        assert one.said[-2:] == ["reinvited nothing", "acked sendrecv"]
        assert other.said[-1] == "reinvited sendrecv"
        both_hear(one, other)
        over(cluster)

    @pytest.mark.parametrize(
        ("one_then", "other_then"),
        [(("488",), ("488",)), (("answer",), ("488", "488")), (("488", "488"), ("answer",))],
        ids=["neither makes an offer", "one refuses all", "the other refuses all"],
    )
    def test_a_call_whose_phones_want_nothing_of_each_other_ends(
        self, cluster: Cluster, one_then: tuple[str, ...], other_then: tuple[str, ...]
    ) -> None:
        desk = self.apart(cluster, one_then, other_then)
        one, other = self.phones(cluster)
        assert not one.calls
        assert not other.calls
        released = desk.of(M.EventReleased)[0]
        assert released.number(Attribute.CallState) == CallState.GeneralError
        over(cluster)

    def test_what_a_program_wants_meanwhile_comes_when_they_agree(self, cluster: Cluster) -> None:
        desk = self.apart(cluster, ("think",))
        one, other = self.phones(cluster)
        (conn_id,) = desk.pictures["1001"].calls
        hold = desk.request(M.RequestHoldCall, ThisDN="1001", ConnID=conn_id)
        cluster.settle()
        assert hold not in desk.answers
        one.decide()
        cluster.settle()
        assert desk.answers[hold].id == M.EventHeld
        agree(one, other, silent=True)
        over(cluster)

    def test_who_is_held_by_a_program_stays_so(self, cluster: Cluster) -> None:
        one, other = talking(cluster)
        desk = cluster.desktop("n1", "1001")
        (conn_id,) = desk.pictures["1001"].calls
        assert desk.ask(M.RequestHoldCall, ThisDN="1001", ConnID=conn_id).id == M.EventHeld
        one.on_offers, other.on_offers = ["answer", "488"], ["488", "488"]
        refused(desk.ask(M.RequestRetrieveCall, ThisDN="1001", ConnID=conn_id), ErrorCode.GENERIC_OPERATION)
        cluster.settle(SECOND)
        assert other.said[-2:] == ["reinvited nothing", "acked inactive"]
        agree(one, other, silent=True)
        assert desk.ask(M.RequestRetrieveCall, ThisDN="1001", ConnID=conn_id).id == M.EventRetrieved
        both_hear(one, other)
        over(cluster)

    def test_a_hang_up_meanwhile_is_the_end(self, cluster: Cluster) -> None:
        self.apart(cluster, ("think",))
        _, other = self.phones(cluster)
        other.hang_up()
        over(cluster)


class TestWhatIsSaidOfUs:
    def test_invites_answers_and_options_say_what_is_served(self, cluster: Cluster) -> None:
        one, other = talking(cluster)
        assert other.last is not None
        one.ask("OPTIONS", "1002")
        cluster.settle()
        assert one.response is not None
        for message in (other.last, one.response):
            assert set(message.elements("Supported")) == {"100rel", "timer", "replaces", "norefersub"}
            allowed = set(message.elements("Allow"))
            assert {"PRACK", "UPDATE", "INFO", "MESSAGE", "REFER", "SUBSCRIBE", "NOTIFY"} <= allowed
        one.ask("PUBLISH", "1002")
        cluster.settle()
        assert one.said[-1] == "response 405"
        over(cluster)


class TestBadOffers:
    @pytest.mark.parametrize(
        "body",
        [b"x", b"v=0\r\n", b"v=0\r\nm=audio\r\n", b"\xff\x00" * 100, b"v=0\r\n" + b"m=audio 9 RTP/AVP 0\r\n" * 900],
        ids=["a letter", "nothing in it", "half a line", "bytes", "streams without end"],
    )
    def test_an_offer_that_is_none_is_for_the_other_phone_to_judge_and_harms_nobody(
        self, cluster: Cluster, body: bytes
    ) -> None:
        one, other = talking(cluster)
        other.on_offer = "488"
        other._answer_to = lambda offer: b""  # type: ignore[method-assign]
        one.send("UPDATE", body, "application/sdp")
        cluster.settle()
        assert one.said == ["response 488"]
        desk = cluster.desktop("n1", "1001")
        (conn_id,) = desk.pictures["1001"].calls
        refused(desk.ask(M.RequestHoldCall, ThisDN="1001", ConnID=conn_id), ErrorCode.GENERIC_OPERATION)
        over(cluster)

    @pytest.mark.parametrize("body", [b"x", b"v=0\r\nm=audio\r\n", b"v=0\r\nm=video 9 RTP/AVP 31\r\n"])
    def test_one_that_we_have_to_answer_ourselves_is_refused(self, cluster: Cluster, body: bytes) -> None:
        one = phone(cluster, "1001")
        desk = cluster.desktop("n1", "1001")
        cluster.router("n1", "8000")
        desk.ask(M.RequestMakeCall, ThisDN="1001", OtherDN="8000")
        cluster.settle()
        one.send("UPDATE", body, "application/sdp")
        cluster.settle()
        assert one.said[-1] == "response 488"
        over(cluster)


class TestRequestsOfPhones:
    def test_digits_of_one_phone_reach_the_other_and_its_answer_comes_back(self, cluster: Cluster) -> None:
        one, other = talking(cluster)
        one.send("INFO", b"Signal=5\r\nDuration=160\r\n", "application/dtmf-relay")
        cluster.settle()
        assert other.said == ["INFO application/dtmf-relay Signal=5\r\nDuration=160\r\n"]
        assert one.said == ["response 200"]
        one.info_status = 415
        other.send("INFO", b"x", "text/x")
        cluster.settle()
        assert other.said[-1] == "response 415"
        over(cluster)

    def test_an_answer_that_would_end_the_call_is_told_as_a_plain_no(self, cluster: Cluster) -> None:
        one, other = talking(cluster)
        other.info_status = 404
        one.send("INFO", b"x", "text/x")
        cluster.settle()
        assert one.said == ["response 500"]
        assert one.has("talking")
        over(cluster)

    def test_digits_with_nobody_to_hear_them_are_refused_and_the_call_waits_on(self, cluster: Cluster) -> None:
        one = phone(cluster, "1001")
        cluster.router("n1", "8000")
        one.call("8000")
        cluster.settle()
        one.send("INFO", b"Signal=5\r\n", "application/dtmf-relay", one.leg("calling"))
        cluster.settle()
        assert one.said[-1] == "response 500"
        assert one.has("calling")
        over(cluster)

    def test_a_phone_that_sends_digits_without_end_is_told_to_wait(self, cluster: Cluster) -> None:
        one, other = talking(cluster)
        cluster.world.wires.least_us = cluster.world.wires.most_us = 1_000  # so that none overtakes another
        for _ in range(12):
            one.send("INFO", b"Signal=1\r\n", "application/dtmf-relay")
        cluster.settle()
        assert one.said.count("response 200") == 8
        assert one.said.count("response 500") == 4
        assert len(other.said) == 8
        over(cluster)

    def test_a_text_within_a_call_and_one_without(self, cluster: Cluster) -> None:
        one, other = talking(cluster)
        one.send("MESSAGE", b"hello", "text/plain")
        cluster.settle()
        assert other.said == ["MESSAGE text/plain hello"]
        other.text("1001", b"and you")
        cluster.settle()
        assert one.said == ["response 200", "MESSAGE text/plain and you"]
        assert other.said[-1] == "response 200"
        over(cluster)

    def test_a_text_reaches_nobody_without_a_number_a_phone_or_a_password(self, cluster: Cluster) -> None:
        one = phone(cluster, "1001")
        one.text("4711", b"anybody")
        one.text("8000", b"router")
        cluster.settle()
        assert one.said == ["response 404", "response 404"]
        one.text("1002", b"not registered")
        one.text("1001", b"x" * 1_301)
        cluster.settle()
        assert sorted(one.said[2:]) == ["response 413", "response 480"]
        one.password = "wrong"
        one.text("1001", b"x")
        cluster.settle()
        assert one.said[4:] == ["response 403"]
        over(cluster)


class TestHold:
    def test_a_phone_that_both_holds_and_is_held_hears_that_the_other_is_back(self, cluster: Cluster) -> None:
        one, other = talking(cluster)
        for who, direction in ((other, "sendonly"), (one, "inactive"), (other, "sendrecv")):
            who.hold(direction)
            cluster.settle()
        assert [text for text in one.said if text.startswith("reinvited")] == [
            "reinvited sendonly",
            "reinvited sendrecv",
        ]
        over(cluster)
