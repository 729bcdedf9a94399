"""A client's credentials against the server's side of the same package."""

import pytest

from sip_proto import Account, Challenger, Credentials, Limits, LocalError, Outcome, Response
from sip_proto.credentials import UNTRIED, Keyring
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


@pytest.mark.parametrize("hosts", [(), (HOST, "192.0.2.8")])
def test_two_accounts_of_one_realm_and_host_are_the_callers_fault(hosts: tuple[str, ...]) -> None:
    with pytest.raises(LocalError):
        Credentials(b"c", [Account("r", "1", "", hosts), Account("r", "2", "", hosts[:1])])


def test_two_hosts_may_use_the_same_name_for_their_realm() -> None:
    accounts = [Account("r", "1", "one", (HOST,)), Account("r", "2", "two", ("192.0.2.8",)), Account("r", "3", "three")]
    for host, username in ((HOST, "1"), ("192.0.2.8", "2"), ("192.0.2.7", "3")):
        given = Credentials(b"c", accounts)
        assert given.challenged(response(Challenger(b"s", "r").challenge(0)), host)
        assert f'username="{username}"' in given.headers("REGISTER", URI)[0][1]


def test_an_account_for_every_realm_needs_hosts_and_comes_after_those_of_a_realm() -> None:
    with pytest.raises(LocalError):
        Credentials(b"c", [Account("", "1", "")])
    given = Credentials(b"c", [Account("", "any", "secret", (HOST,)), Account("r", "1001", "secret", (HOST,))])
    for realm, username in (("r", "1001"), ("x", "any")):
        assert given.challenged(response(Challenger(b"s", realm).challenge(0)), HOST)
        assert f'username="{username}"' in given.headers("REGISTER", URI)[-1][1]
    assert not given.challenged(response(Challenger(b"s", "y").challenge(0)), "198.51.100.1")


def test_a_nonce_that_a_server_names_again_is_counted_on() -> None:
    given = client()
    same = ("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"')
    assert given.challenged(response(same), HOST)
    counts = [given.headers("REGISTER", URI)[0][1][-8:] for _ in range(2)]
    assert given.challenged(response(same), HOST)
    assert [*counts, given.headers("REGISTER", URI)[0][1][-8:]] == ["00000001", "00000002", "00000003"]
    assert not given.challenged(response(same), HOST)


def test_a_password_is_not_written_where_an_account_is_shown() -> None:
    assert repr(Account("r", "1001", "secret")) == "Account(realm='r', username='1001', password=***, hosts=())"


def test_a_keyring_knows_what_each_host_has_asked_for() -> None:
    ring = Keyring(b"c", [Account("r", "1001", "secret")], ["MD5"])
    assert ring.lines(HOST, "INFO", URI) == ""
    tries = ring.challenged(response(Challenger(b"s", "r").challenge(0)), HOST, UNTRIED)
    assert tries is not None
    assert tries.turns == 1
    assert "nc=00000001" in ring.lines(HOST, "INFO", URI)
    assert "nc=00000002" in ring.lines(HOST, "INFO", URI)
    assert ring.lines("192.0.2.10", "INFO", URI) == ""


def test_a_refusal_takes_back_the_nonce_that_was_refused_and_no_newer_one() -> None:
    ring = Keyring(b"c", [Account("r", "1001", "secret")], ["MD5"])
    judge = Challenger(b"s", "r")
    one = ring.challenged(response(judge.challenge(0)), HOST, UNTRIED)
    two = ring.challenged(response(judge.challenge(0)), HOST, UNTRIED)
    assert one is not None
    assert two is not None
    assert ring.challenged(response(judge.challenge(1)), HOST, one) is None
    assert ring.lines(HOST, "INFO", URI)
    assert ring.challenged(response(judge.challenge(1)), HOST, two) is None
    assert ring.lines(HOST, "INFO", URI) == ""


def test_a_keyring_forgets_the_oldest_host_and_the_oldest_realm() -> None:
    anybody = Account("", "1001", "secret", ("192.0.2.1", "192.0.2.2", "192.0.2.3"))
    ring = Keyring(b"c", [anybody], ["MD5"], Limits(nonces=2, realms=2))
    for host in anybody.hosts:
        for realm in ("r1", "r2", "r3", "r3"):
            assert ring.challenged(response(Challenger(b"s", realm).challenge(0)), host, UNTRIED)
    assert ring.lines("192.0.2.1", "INFO", URI) == ""
    for host in anybody.hosts[1:]:
        text = ring.lines(host, "INFO", URI)
        assert [f'realm="{realm}"' in text for realm in ("r1", "r2", "r3")] == [False, True, True]
