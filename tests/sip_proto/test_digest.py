import pytest

from sip_proto import (
    Challenger,
    Limits,
    LocalError,
    Outcome,
    Request,
    digest_answer,
    digest_response,
    is_stale,
)
from tests.sip_proto.texts import as_response, request, request_bytes, response_to

URI = "sip:example.org"


def password_of(user: str) -> str | None:
    return {"1001": "secret"}.get(user)


def asked(challenge: tuple[str, str], status: int = 401, **more: object) -> tuple[str, str]:
    response = as_response(
        response_to(request_bytes("REGISTER", URI), status, more=f"{challenge[0]}: {challenge[1]}\r\n")
    )
    given = {"username": "1001", "password": "secret", "cnonce": "cn", "nc": 1} | more
    found = digest_answer(response, "REGISTER", URI, **given)  # type: ignore[arg-type]
    assert found is not None
    return found


def register(credentials: tuple[str, str] | None) -> Request:
    return request("REGISTER", URI, more="" if credentials is None else f"{credentials[0]}: {credentials[1]}\r\n")


def test_the_example_of_rfc_2617_is_computed() -> None:
    args = ("Mufasa", "testrealm@host.com", "Circle Of Life", "GET", "/dir/index.html")
    nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
    assert digest_response(*args, nonce, "00000001", "0a4f113b", "auth") == "6629fae49393a05397450978507c4ef1"
    assert digest_response(*args, nonce) == "670fd8c2df070c60b045671b8b24ff02"


def test_a_right_answer_is_taken_once_per_count() -> None:
    judge = Challenger(b"s", "r")
    assert judge.check(0, register(None), password_of) == (Outcome.MISSING, "")
    challenge = judge.challenge(0)
    assert judge.check(1, register(asked(challenge)), password_of) == (Outcome.OK, "1001")
    assert judge.check(2, register(asked(challenge)), password_of) == (Outcome.STALE, "1001")
    assert judge.check(3, register(asked(challenge, nc=2)), password_of) == (Outcome.OK, "1001")


def test_wrong_passwords_and_unknown_users_are_wrong() -> None:
    judge = Challenger(b"s", "r")
    challenge = judge.challenge(0)
    assert judge.check(1, register(asked(challenge, password="x")), password_of).outcome is Outcome.WRONG
    assert judge.check(1, register(asked(challenge, username="2")), password_of) == (Outcome.WRONG, "2")


def test_an_old_or_foreign_nonce_is_stale() -> None:
    judge = Challenger(b"s", "r", ttl_us=100)
    challenge = judge.challenge(0)
    assert judge.check(100, register(asked(challenge)), password_of).outcome is Outcome.STALE
    foreign = Challenger(b"other", "r").challenge(0)
    assert judge.check(1, register(asked(foreign)), password_of).outcome is Outcome.STALE
    stale = judge.challenge(0, stale=True, proxy=True)
    assert stale[0] == "Proxy-Authenticate"
    response = as_response(response_to(request_bytes(), 407, more=f"{stale[0]}: {stale[1]}\r\n"))
    assert is_stale(response)
    fresh = judge.challenge(0)
    plain = as_response(response_to(request_bytes(), 401, more=f"{fresh[0]}: {fresh[1]}\r\n"))
    assert not is_stale(plain)
    assert not is_stale(as_response(response_to(request_bytes(), 401, more="WWW-Authenticate: Digest x\r\n")))


def test_proxy_credentials_and_the_old_form_without_qop_are_taken() -> None:
    judge = Challenger(b"s", "r")
    name, value = judge.challenge(0, proxy=True)
    credentials = asked((name, value.replace(', qop="auth"', ', opaque="o"')), 407)
    assert credentials[0] == "Proxy-Authorization"
    assert "qop" not in credentials[1]
    assert 'opaque="o"' in credentials[1]
    assert judge.check(1, register(credentials), password_of).outcome is Outcome.OK


def test_a_nonce_serves_one_response_without_qop() -> None:
    judge = Challenger(b"s", "r")
    for at in range(2):
        name, value = judge.challenge(at, stale=at > 0)
        without = asked((name, value.replace(', qop="auth"', "")))
        assert "qop" not in without[1]
        assert judge.check(at, register(without), password_of) == (Outcome.OK, "1001")
        # Whoever heard it learns nothing by saying it again.
        assert judge.check(at, register(without), password_of) == (Outcome.STALE, "1001")


def test_a_response_without_qop_does_not_set_the_count_back() -> None:
    judge = Challenger(b"s", "r")
    name, value = judge.challenge(0)
    counted = asked((name, value), nc=7)
    without = asked((name, value.replace(', qop="auth"', "")))
    assert judge.check(1, register(counted), password_of).outcome is Outcome.OK
    assert judge.check(1, register(without), password_of).outcome is Outcome.STALE
    assert judge.check(1, register(counted), password_of).outcome is Outcome.STALE
    assert judge.check(1, register(asked((name, value), nc=8)), password_of).outcome is Outcome.OK


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("nc=00000001", "nc=1"),
        ("nc=00000001", "nc=00000000"),
        ("nc=00000001", "nc=+0000001"),
        ("qop=auth", "qop=auth-int"),
        ('cnonce="cn"', 'cnonce=""'),
        ('username="1001"', 'username=""'),
    ],
)
def test_malformed_credentials_are_named_so(old: str, new: str) -> None:
    judge = Challenger(b"s", "r")
    name, value = asked(judge.challenge(0))
    assert old in value
    assert judge.check(1, register((name, value.replace(old, new))), password_of).outcome is Outcome.MALFORMED


def test_unreadable_credentials_are_malformed_and_other_schemes_are_passed_over() -> None:
    judge = Challenger(b"s", "r")
    assert judge.check(0, register(("Authorization", "Digest x")), password_of).outcome is Outcome.MALFORMED
    assert judge.check(0, register(("Authorization", "Basic x")), password_of).outcome is Outcome.MISSING
    assert judge.check(0, register(("Authorization", 'Digest realm="q"')), password_of).outcome is Outcome.MISSING


def test_the_memory_of_used_nonces_is_bounded_without_letting_replays_in() -> None:
    judge = Challenger(b"s", "r", limits=Limits(nonces=2))
    challenges = [judge.challenge(at) for at in range(3)]
    for challenge in challenges:
        assert judge.check(5, register(asked(challenge)), password_of).outcome is Outcome.OK
    assert judge.check(5, register(asked(challenges[0])), password_of).outcome is Outcome.STALE


def test_challenges_that_nobody_here_can_answer_have_no_answer() -> None:
    def respond(value: str) -> object:
        response = as_response(response_to(request_bytes(), 401, more=f"WWW-Authenticate: {value}\r\n"))
        return digest_answer(response, "INVITE", URI, "u", "p", "c")

    for value in (
        "Basic realm=x",
        "Digest nonce",
        "Digest nonce=x, algorithm=SHA-256",
        "Digest nonce=x, qop=token",
        "Digest realm=r",
    ):
        assert respond(value) is None
    assert respond("Digest nonce=x") is not None


def test_the_examples_of_rfc_7616_are_computed() -> None:
    given = (
        "Mufasa",
        "http-auth@example.org",
        "Circle of Life",
        "GET",
        "/dir/index.html",
        "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "00000001",
        "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "auth",
    )
    assert digest_response(*given, algorithm="SHA-256") == (
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    )
    assert digest_response(*given) == "8ca523f5e9506fed4657c9700eebdbec"


@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess"])
@pytest.mark.parametrize("qop", ["auth", "auth-int", ""])
def test_every_algorithm_and_quality_is_answered_and_judged(algorithm: str, qop: str) -> None:
    judge = Challenger(b"s", "r", algorithms=[algorithm], qop=["auth", "auth-int"])
    name, value = judge.challenge(0)
    assert f"algorithm={algorithm}, " in value
    value = value.replace('"auth,auth-int"', f'"{qop}"')
    challenge = as_response(response_to(request_bytes(), 401, more=f"{name}: {value}\r\n"))

    def verdict(body: bytes, wanted: str) -> Outcome:
        found = digest_answer(
            challenge, "MESSAGE", URI, "1001", wanted, "cn", body=b"hello", algorithms=[algorithm], realm="r"
        )
        assert found is not None
        message = request("MESSAGE", URI, more=f"{found[0]}: {found[1]}\r\n", body=body.decode())
        return judge.check(1, message, password_of).outcome

    assert verdict(b"hello", "other") is Outcome.WRONG
    assert verdict(b"changed", "secret") is (Outcome.WRONG if qop == "auth-int" else Outcome.OK)
    if qop == "auth-int":
        assert verdict(b"hello", "secret") is Outcome.OK


def test_algorithms_are_offered_in_order_and_the_first_that_a_client_has_is_answered() -> None:
    judge = Challenger(b"s", "r", algorithms=["SHA-256", "MD5"])
    offers = judge.challenges(0)
    assert ["algorithm=SHA-256" in value for _, value in offers] == [True, False]
    more = "".join(f"{name}: {value}\r\n" for name, value in offers)
    challenge = as_response(response_to(request_bytes(), 401, more=more))
    for algorithms, chosen in ((("MD5",), "MD5"), (("MD5", "SHA-256"), "SHA-256")):
        found = digest_answer(challenge, "INVITE", URI, "1001", "secret", "c", algorithms=algorithms)
        assert found is not None
        assert f"algorithm={chosen}," in found[1]
        assert judge.check(1, register(found), password_of).outcome is Outcome.WRONG
    assert digest_answer(challenge, "INVITE", URI, "1001", "secret", "c", realm="other") is None


def test_credentials_by_an_algorithm_that_was_not_offered_are_none() -> None:
    judge = Challenger(b"s", "r", algorithms=["SHA-256", "MD5"])
    md5 = asked(judge.challenges(0, algorithms=["MD5"])[0])
    assert judge.check(1, register(md5), password_of, algorithms=["SHA-256"]) == (Outcome.MISSING, "")
    sha = asked(judge.challenges(0, algorithms=["SHA-256"])[0], algorithms=["SHA-256"])
    both = request("REGISTER", URI, more=f"{md5[0]}: {md5[1]}\r\n{sha[0]}: {sha[1]}\r\n")
    assert judge.check(1, both, password_of, algorithms=["SHA-256"]) == (Outcome.OK, "1001")
    assert judge.check(1, register(md5), password_of) == (Outcome.OK, "1001")


def test_a_user_is_offered_its_own_algorithms() -> None:
    judge = Challenger(b"s", "r", algorithms=["SHA-256", "MD5"])
    (only,) = judge.challenges(0, algorithms=["MD5"])
    assert "algorithm=MD5," in only[1]
    with pytest.raises(LocalError):
        judge.challenges(0, algorithms=["SHA-1"])


def test_a_quality_that_was_not_offered_is_malformed() -> None:
    sha = Challenger(b"s", "r", algorithms=["SHA-256-sess"], qop=["auth-int"])
    for text in (
        'algorithm=SHA-256-sess, qop=auth, cnonce="c", nc=00000001',
        "algorithm=SHA-256-sess",
    ):
        value = f'Digest username="1001", realm="r", nonce="n", uri="{URI}", response="x", {text}'
        assert sha.check(0, register(("Authorization", value)), password_of).outcome is Outcome.MALFORMED
    both = Challenger(b"s", "r", algorithms=["MD5-sess"])
    value = f'Digest username="1001", realm="r", nonce="n", uri="{URI}", response="x", algorithm=MD5-sess'
    assert both.check(0, register(("Authorization", value)), password_of).outcome is Outcome.MALFORMED


@pytest.mark.parametrize("more", [{"algorithms": ["SHA-1"]}, {"algorithms": []}, {"qop": []}, {"qop": ["x"]}])
def test_settings_that_nobody_can_follow_are_the_callers_fault(more: dict[str, list[str]]) -> None:
    with pytest.raises(LocalError):
        Challenger(b"s", "r", **more)  # type: ignore[arg-type]


def test_a_realm_that_cannot_be_quoted_is_the_callers_fault() -> None:
    with pytest.raises(LocalError):
        Challenger(b"s", 'a"b')
