"""A client's credentials against the server's side of the same package."""

import pytest

from sip_proto import Account, Challenger, Credentials, LocalError, Outcome, Response
from tests.sip_proto.texts import as_response, request, request_bytes, response_to

URI = "sip:example.org"
HOST = "192.0.2.9"


def response(*challenges: tuple[str, str], status: int = 401) -> Response:
    more = "".join(f"{name}: {value}\r\n" for name, value in challenges)
    return as_response(response_to(request_bytes("REGISTER", URI), status, more=more))


def client(**more: object) -> Credentials:
    return Credentials(b"c", [Account("r", "1001", "secret"), Account("p", "1001", "other")], **more)  # type: ignore[arg-type]


def verdict(judge: Challenger, now: int, given: Credentials) -> Outcome:
    pairs = given.headers("REGISTER", URI)
    message = request("REGISTER", URI, more="".join(f"{name}: {value}\r\n" for name, value in pairs))
    return judge.check(now, message, lambda user: "secret").outcome


def test_a_nonce_is_used_again_with_the_next_count() -> None:
    judge, given = Challenger(b"s", "r"), client()
    assert given.headers("REGISTER", URI) == ()
    assert given.challenged(response(judge.challenge(0)), HOST)
    assert [verdict(judge, 1, given) for _ in range(3)] == [Outcome.OK] * 3
    # The nonce is too old now: a new challenge is no reproach.
    assert verdict(judge, judge.ttl_us + 1, given) is Outcome.STALE
    assert given.challenged(response(judge.challenge(judge.ttl_us + 1)), HOST)
    assert verdict(judge, judge.ttl_us + 2, given) is Outcome.OK


def test_a_wrong_password_is_not_tried_twice() -> None:
    judge = Challenger(b"s", "r")
    given = Credentials(b"c", [Account("r", "1001", "wrong")])
    assert given.challenged(response(judge.challenge(0)), HOST)
    assert verdict(judge, 1, given) is Outcome.WRONG
    assert not given.challenged(response(judge.challenge(1)), HOST)
    assert given.headers("REGISTER", URI) == ()
    assert given.challenged(response(judge.challenge(2)), HOST)


def test_stale_is_believed_three_times_in_a_row() -> None:
    judge, given = Challenger(b"s", "r"), client()
    taken = []
    for now in range(5):
        taken.append(given.challenged(response(judge.challenge(now, stale=now > 0)), HOST))
        given.headers("REGISTER", URI)
    assert taken == [True, True, True, True, False]


def test_only_configured_realms_and_hosts_are_answered() -> None:
    given = Credentials(b"c", [Account("r", "1001", "secret", (HOST,))])
    assert not given.challenged(response(Challenger(b"s", "other").challenge(0)), HOST)
    assert not given.challenged(response(Challenger(b"s", "r").challenge(0)), "198.51.100.1")
    assert given.challenged(response(Challenger(b"s", "r").challenge(0)), HOST)


def test_a_proxy_and_a_server_are_answered_side_by_side() -> None:
    given = client()
    proxy = Challenger(b"s", "p").challenge(0, proxy=True)
    assert given.challenged(response(proxy, status=407), HOST)
    assert given.challenged(response(Challenger(b"s", "r").challenge(0)), HOST)
    assert [name for name, _ in given.headers("INVITE", URI)] == ["Proxy-Authorization", "Authorization"]


def test_the_first_challenge_of_a_realm_that_can_be_answered_is() -> None:
    judge = Challenger(b"s", "r", algorithms=["SHA-256", "MD5"])
    for algorithms in (("MD5",), ("MD5", "SHA-256")):
        given = client(algorithms=algorithms)
        assert given.challenged(response(*judge.challenges(0)), HOST)
        assert f"algorithm={algorithms[-1]}," in given.headers("REGISTER", URI)[0][1]
        assert verdict(judge, 1, given) is Outcome.OK


def test_two_accounts_of_one_realm_are_the_callers_fault() -> None:
    with pytest.raises(LocalError):
        Credentials(b"c", [Account("r", "1", ""), Account("r", "2", "")])
