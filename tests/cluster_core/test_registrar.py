"""REGISTER over a node: which challenge, which answer, which phone rings."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from cluster_core.settings import ClientRole, DnSettings, DnType
from sip_proto import Response, digest_answer, parse
from tests.cluster_core.alone import DNS, SDP, Alone

PHONE = ("198.51.100.1", 5060)
OTHER = ("198.51.100.2", 5060)
THIRD = ("198.51.100.3", 5060)
STRANGER = ("203.0.113.9", 5060)
SHA_ALONE = DnSettings(dn="1004", type=DnType.EXTENSION, password="secret", digest_algorithms=("SHA-256",))
BOTH = DnSettings(dn="1005", type=DnType.EXTENSION, password="secret", digest_algorithms=("SHA-256", "MD5"))


def with_dns(*more: DnSettings) -> Alone:
    return Alone(dns={dn.dn: dn for dn in (*DNS, *more)})


def heard(alone: Alone, at: tuple[str, int]) -> Response:
    """The last response to somebody."""
    found = parse(alone.last(at, b"SIP/2.0"))
    assert isinstance(found, Response)
    return found


def offered(response: Response) -> list[str]:
    """The algorithms of its challenges, in order."""
    return re.findall(r"algorithm=([A-Z0-9-]+)", " ".join(response.get_all("WWW-Authenticate")))


def register(alone: Alone, dn: str, *more: str, at: tuple[str, int] = PHONE, call: int = 0, cseq: int = 1) -> Response:
    me = f"<sip:{dn}@n1>"
    alone.request("REGISTER", "sip:n1", at, *more, from_=me, to=me, call=call, cseq=cseq)
    return heard(alone, at)


def credentials(
    challenge: Response, dn: str, algorithms: Sequence[str], method: str = "REGISTER", password: str = "secret"
) -> str:
    found = digest_answer(challenge, method, "sip:n1", dn, password, "cnonce", algorithms=algorithms)
    assert found is not None
    return f"{found[0]}: {found[1]}"


def contacts_of(response: Response) -> list[str]:
    return response.elements("Contact")


class TestChallenges:
    def test_a_dn_is_offered_its_algorithms_in_their_order(self) -> None:
        alone = with_dns(SHA_ALONE, BOTH)
        assert offered(register(alone, "1003")) == ["MD5"]
        assert offered(register(alone, "1004")) == ["SHA-256"]
        refused = register(alone, "1005")
        assert refused.status == 401
        assert offered(refused) == ["SHA-256", "MD5"]
        assert len(refused.get_all("WWW-Authenticate")) == 2

    def test_credentials_without_qop_that_somebody_heard_bind_no_other_phone(self) -> None:
        alone = with_dns()
        refused = register(alone, "1003")
        plain = Response(401, "", refused.names, [value.replace(', qop="auth"', "") for value in refused.values])
        line = credentials(plain, "1003", ["MD5"])
        assert "qop" not in line
        assert register(alone, "1003", line, cseq=2).status == 200
        again = register(alone, "1003", line, at=STRANGER, call=7, cseq=3)
        assert again.status == 401
        assert "stale=true" in (again.get("WWW-Authenticate") or "")
        # The phone itself has a new nonce to answer, and goes on.
        renewed = register(alone, "1003", line, cseq=3)
        plain = Response(401, "", renewed.names, [value.replace(', qop="auth"', "") for value in renewed.values])
        assert register(alone, "1003", credentials(plain, "1003", ["MD5"]), cseq=4).status == 200

    @pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
    def test_a_phone_answers_the_challenge_that_it_knows(self, algorithm: str) -> None:
        alone = with_dns(BOTH)
        line = credentials(register(alone, "1005"), "1005", [algorithm])
        assert register(alone, "1005", line).status == 200
        wrong = credentials(register(alone, "1005"), "1005", [algorithm], password="guess")
        assert register(alone, "1005", wrong).status == 403

    def test_the_weaker_algorithm_is_not_taken_where_it_is_not_offered(self) -> None:
        alone = with_dns(SHA_ALONE)
        weak = credentials(register(alone, "1003"), "1004", ["MD5"])
        refused = register(alone, "1004", weak)
        assert (refused.status, offered(refused)) == (401, ["SHA-256"])
        strong = credentials(refused, "1004", ["SHA-256"])
        assert register(alone, "1004", strong).status == 200

    def test_a_call_is_challenged_as_a_registration_is(self) -> None:
        alone = with_dns(BOTH)
        alone.request("INVITE", "sip:8000@n1", PHONE, from_="<sip:1005@n1>", body=SDP)
        challenge = heard(alone, PHONE)
        assert (challenge.status, offered(challenge)) == (401, ["SHA-256", "MD5"])
        router = alone.program("URS", ClientRole.ROUTER, "tlib", "8000")
        line = credentials(challenge, "1005", ["SHA-256"], "INVITE")
        alone.request("INVITE", "sip:8000@n1", PHONE, line, from_="<sip:1005@n1>", body=SDP)
        assert router.names()[-1] == "RouteRequest"

    def test_nobody_learns_by_the_challenge_which_dns_there_are(self) -> None:
        one, other = with_dns(SHA_ALONE, BOTH), with_dns(SHA_ALONE, BOTH)
        seen = set()
        for number in range(4000, 4040):
            first = register(one, str(number))
            again = register(one, str(number), at=STRANGER)
            elsewhere = register(other, str(number))
            assert first.status == again.status == 401
            assert offered(first) == offered(again) == offered(elsewhere)
            seen.add(tuple(offered(first)))
        assert seen == {("MD5",), ("SHA-256",), ("SHA-256", "MD5")}
        line = credentials(register(one, "4000"), "4000", ["SHA-256", "MD5"])
        assert register(one, "4000", line).status == 403

    def test_where_no_dn_has_a_password_an_unknown_one_is_challenged_all_the_same(self) -> None:
        alone = Alone(dns={dn.dn: dn for dn in DNS if not dn.password})
        assert offered(register(alone, "4711")) == ["MD5"]


def rings(alone: Alone, dn: str = "1001") -> tuple[str, int]:
    """Whom a call to the DN reaches."""
    before = len(alone.datagrams)
    alone.request("INVITE", f"sip:{dn}@n1", STRANGER, to=f"<sip:{dn}@n1>", body=SDP)
    return next(to for to, data in alone.datagrams[before:] if data.startswith(b"INVITE"))


class TestBindings:
    def bind(
        self, alone: Alone, contact: str, *more: str, at: tuple[str, int] = PHONE, call: str = "", cseq: int = 1
    ) -> Response:
        alone.calls += 1
        text = f"""REGISTER sip:n1 SIP/2.0
Via: SIP/2.0/UDP {at[0]}:{at[1]};branch=z9hG4bKr{alone.calls}
From: <sip:1001@n1>;tag=f{alone.calls}
To: <sip:1001@n1>
Call-ID: {call or alone.calls}
CSeq: {cseq} REGISTER
Max-Forwards: 70
Contact: {contact}"""
        alone.say("\n".join([text, *more]), at)
        return heard(alone, at)

    def test_the_phone_that_is_liked_best_rings_and_of_equals_the_youngest(self) -> None:
        alone = Alone()
        self.bind(alone, "<sip:a@198.51.100.1>;q=0.7")
        assert rings(alone) == PHONE
        self.bind(alone, "<sip:a@198.51.100.2>;q=0.2", at=OTHER)
        assert rings(alone) == PHONE
        self.bind(alone, "<sip:a@198.51.100.3>;q=0.7", at=THIRD)
        assert rings(alone) == THIRD
        self.bind(alone, "<sip:a@198.51.100.2>", at=OTHER)
        assert rings(alone) == OTHER

    def test_every_binding_is_told_with_its_preference(self) -> None:
        alone = Alone()
        self.bind(alone, "<sip:a@198.51.100.1>;q=0.5;expires=100")
        alone.run(10_000_000)
        told = contacts_of(self.bind(alone, "<sip:a@198.51.100.2>;expires=60", at=OTHER))
        assert told == ["<sip:a@198.51.100.2>;expires=60", "<sip:a@198.51.100.1>;expires=90;q=0.500"]

    def test_one_contact_in_two_spellings_is_one_binding(self) -> None:
        alone = Alone()
        self.bind(alone, "<sip:a@phone.example;transport=udp>")
        told = contacts_of(self.bind(alone, "<sip:%61@PHONE.example;transport=UDP>"))
        assert len(told) == 1

    def test_a_request_that_a_younger_one_has_overtaken_changes_nothing(self) -> None:
        alone = Alone()
        assert self.bind(alone, "<sip:a@198.51.100.1>", call="r", cseq=5).status == 200
        for late in (4, 5):
            assert self.bind(alone, "<sip:a@198.51.100.1>;expires=0", call="r", cseq=late).status == 500
            assert self.bind(alone, "*", "Expires: 0", call="r", cseq=late).status == 500
        assert rings(alone) == PHONE
        assert self.bind(alone, "<sip:a@198.51.100.1>;expires=0", call="r", cseq=6).status == 200
        assert alone.node.t_controller.bindings("1001") == ()

    def test_a_phone_that_starts_afresh_renews_its_binding(self) -> None:
        alone = Alone()
        self.bind(alone, "<sip:a@198.51.100.1>", call="old", cseq=9)
        assert self.bind(alone, "<sip:a@198.51.100.1>;expires=77", call="new").status == 200
        (binding,) = alone.node.t_controller.bindings("1001")
        assert binding.call_id == "new"

    def test_the_wildcard_takes_all_bindings_away(self) -> None:
        alone = Alone()
        self.bind(alone, "<sip:a@198.51.100.1>, <sip:a@198.51.100.2>")
        assert len(alone.node.t_controller.bindings("1001")) == 2
        answer = self.bind(alone, "*", "Expires: 0")
        assert (answer.status, contacts_of(answer)) == (200, [])
        assert alone.node.t_controller.bindings("1001") == ()
        assert self.bind(alone, "*").status == 400
        assert self.bind(alone, "*", "Expires: 60").status == 400

    @pytest.mark.parametrize("contact", ["<mailto:a@x>", "<tel:+1>", "<sip:a b@x>", "<sip:a@x?Replaces=c>"])
    def test_what_could_not_be_rung_is_not_bound(self, contact: str) -> None:
        alone = Alone()
        assert self.bind(alone, "<sip:a@198.51.100.1>").status == 200
        assert self.bind(alone, f"<sip:a@198.51.100.2>, {contact}").status == 400
        assert rings(alone) == PHONE

    def test_too_short_a_time_is_refused_with_the_least(self) -> None:
        alone = Alone()
        answer = self.bind(alone, "<sip:a@198.51.100.1>;expires=4")
        assert (answer.status, answer.get("Min-Expires")) == (423, "5")
        assert self.bind(alone, "<sip:a@198.51.100.1>;expires=5").status == 200
        assert contacts_of(self.bind(alone, "<sip:a@198.51.100.1>;expires=9999999"))[0].endswith("expires=3600")

    def test_more_bindings_than_a_dn_may_have_are_refused(self) -> None:
        alone = Alone()
        four = ", ".join(f"<sip:a@198.51.100.{n}>" for n in range(1, 5))
        assert self.bind(alone, four).status == 200
        assert self.bind(alone, f"{four}, <sip:a@198.51.100.9>").status == 403
        assert len(alone.node.t_controller.bindings("1001")) == 4

    def test_a_path_is_kept_and_told_and_calls_go_along_it(self) -> None:
        alone = Alone()
        hops = ["<sip:198.51.100.77;lr>", "<sip:198.51.100.78;lr>"]
        answer = self.bind(alone, "<sip:a@198.51.100.1>", f"Path: {', '.join(hops)}", "Supported: path")
        assert answer.elements("Path") == hops
        assert rings(alone) == ("198.51.100.77", 5060)
        invite = parse(alone.last(("198.51.100.77", 5060), b"INVITE"))
        assert invite.elements("Route") == hops

    def test_a_query_changes_nothing(self) -> None:
        alone = Alone()
        self.bind(alone, "<sip:a@198.51.100.1>")
        alone.calls += 1
        alone.say(
            f"REGISTER sip:n1 SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKq\nFrom: <sip:1001@n1>;tag=q\n"
            f"To: <sip:1001@n1>\nCall-ID: q{alone.calls}\nCSeq: 1 REGISTER\nMax-Forwards: 70",
            PHONE,
        )
        assert contacts_of(heard(alone, PHONE)) == ["<sip:a@198.51.100.1>;expires=3600"]
        assert len(alone.node.t_controller.bindings("1001")) == 1


def test_where_no_phone_may_register_is_told_by_nothing_from_what_is_not_there() -> None:
    fixed = DnSettings(dn="1006", type=DnType.EXTENSION, contact="sip:1006@203.0.113.1")
    alone = with_dns(fixed)
    for dn in ("1006", "8000", "pstn", "9999"):
        challenge = register(alone, dn)
        assert challenge.status == 401
        for user in (dn, "1003"):
            mine = credentials(challenge, user, offered(challenge), password="secret")
            assert register(alone, dn, mine, call=alone.calls, cseq=2).status == 403
            challenge = register(alone, dn)
