"""What a call's two phones say to each other through the server once it is answered, and before, told as stories."""

import pytest

from tests.sim.cluster import Cluster
from tests.sim.session_phone import SessionPhone, phone
from tests.sim.world import SECOND


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
    one.said.clear()
    other.said.clear()
    return one, other


def over(cluster: Cluster, *but: str) -> None:
    """Everybody hangs up, and nothing stays."""
    for there in cluster.phones.values():
        for leg in list(there.calls):
            there.hang_up(leg)
    cluster.settle(70 * SECOND)
    cluster.check()
    cluster.quiet(*but)


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
        assert one.said[2:] == ["response 413", "response 480"]
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
