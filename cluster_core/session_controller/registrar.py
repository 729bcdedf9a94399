"""REGISTER: who is it, where is the phone, which node owns the DN (seed, SIP-based ownership; RFC 3261 section 10).

A DN that is unknown, or where no phone may register, is challenged and refused exactly as one with a password where the
password is wrong: nobody learns which of these there are. A DN without one takes whoever comes, and so it shows.
"""

from __future__ import annotations

import hashlib
import re
from typing import Protocol

import msgspec

from cluster_core.contacts import is_late, same_contact, transport_of
from cluster_core.core import Core
from cluster_core.edge import Edge
from cluster_core.limits import SECOND_US
from cluster_core.outputs import AnyOutput, Fault, Subsystem
from cluster_core.records import Binding
from cluster_core.settings import DnSettings, DnType
from sip_proto import ParseError, Requested, parse_uri
from sip_proto.digest import Challenger, Outcome
from sip_proto.headers import parse_name_addr
from sip_proto.registrar import Binding as PhoneBinding
from sip_proto.registrar import contact_value, contacts
from sip_proto.uri import address_of
from sip_proto.validate import Rejection

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f@]")
_ANSWERS = {Outcome.WRONG: (403, "Forbidden"), Outcome.MALFORMED: (400, "Bad Credentials")}


class Bindings(Protocol):
    """T-Controller, as the registrar sees it."""

    def register_phone(
        self, now: int, dn: str, binding: Binding, expires_us: int, token: int, out: list[AnyOutput]
    ) -> None:
        """A phone registered here; `registered` answers."""

    def bindings(self, dn: str) -> tuple[Binding, ...]:
        """The bindings of a DN that this node owns."""


class Asked(msgspec.Struct):
    """A REGISTER that waits for the owner's word on each of its bindings."""

    handle: int
    dn: str
    bindings: tuple[PhoneBinding, ...]
    missing: int
    path: tuple[str, ...] = ()
    refused: bool = False


class Registrar:
    """The authentication server and the first to hear of a phone."""

    def __init__(self, core: Core, edge: Edge, seed: bytes) -> None:
        self._core = core
        self._sip = edge.sip
        self._out = edge.sip_out
        self._gate = edge.gate
        self._challenger = Challenger(seed, core.settings.realm, algorithms=("SHA-256", "MD5"))
        self._locked = [dn for dn in core.settings.dns.values() if dn.type is DnType.EXTENSION and dn.password]
        # Of the file alone, so that every node and every start says the same of a DN.
        self._key = hashlib.blake2s("\n".join(f"{dn.dn} {dn.password}" for dn in self._locked).encode()).digest()
        self.bindings: Bindings
        self._asked: dict[int, Asked] = {}

    def __len__(self) -> int:
        return len(self._asked)

    def register(self, now: int, given: Requested, out: list[AnyOutput]) -> None:
        """A REGISTER came: challenge, refuse, or take its bindings to the DN's owner."""
        request = given.request
        dn = user_of(request.to.uri)
        known = None if dn is None else self._core.settings.dns.get(dn)
        if known is not None and (known.type is not DnType.EXTENSION or known.contact != "*"):
            known = None
        if not self.permits(now, given, known, out):
            return
        if dn is None or known is None:
            self._sip.respond(now, given.handle, 403, self._out, reason="Forbidden")
            return
        limits = self._core.limits
        asked = contacts(request, least_s=limits.registration_min_s, most_s=limits.registration_max_s)
        if isinstance(asked, Rejection):
            self._sip.respond(
                now, given.handle, asked.status, self._out, reason=asked.reason, headers=asked.headers
            )
            return
        held = self.bindings.bindings(dn)
        if asked and asked[0].uri == "*":
            asked = [PhoneBinding(b.contact, 0, b.path) for b in held]
        if len([one for one in asked if one.expires_s > 0]) > self._core.limits.bindings_per_dn:
            reason = f"More Than {self._core.limits.bindings_per_dn} Contacts"
            self._sip.respond(now, given.handle, 403, self._out, reason=reason)
            return
        if any(
            is_late(b, request.call_id, request.cseq[0]) and any(same_contact(b.contact, one.uri) for one in asked)
            for b in held
        ):
            self._sip.respond(now, given.handle, 500, self._out, reason="Overtaken By A Younger Request")
            return
        if not asked:
            self._answer(now, Asked(given.handle, dn, (), 0))
            return
        try:
            bindings = [self._binding(given, contact) for contact in asked]
        except ParseError:
            self._sip.respond(now, given.handle, 400, self._out, reason="Bad Path")
            return
        waiting = Asked(given.handle, dn, tuple(asked), len(asked), tuple(request.elements("Path")))
        for contact, binding in zip(asked, bindings, strict=True):
            token = self._core.ids.request()
            self._asked[token] = waiting
            self.bindings.register_phone(now, dn, binding, contact.expires_s * SECOND_US, token, out)

    def registered(self, now: int, token: int, taken: bool, out: list[AnyOutput]) -> None:
        """The owner has a binding, or there was no owner to be found in time."""
        waiting = self._asked.pop(token, None)
        if waiting is None:
            return
        waiting.missing -= 1
        waiting.refused |= not taken
        if waiting.missing == 0:
            self._answer(now, waiting)

    def permits(self, now: int, given: Requested, known: DnSettings | None, out: list[AnyOutput]) -> bool:
        """Check digest for a DN, unless the request comes from a trusted SIP proxy; answers when it does not hold."""
        if given.source[0] in self._core.settings.sip_proxies:
            return True
        if known is not None and known.type is DnType.EXTENSION and not known.password:
            self._gate.prove(now, given.source[0])
            return True
        refused = self.judge(now, given, known)
        if refused is None:
            return True
        status, reason, headers = refused
        if status == 403:
            text = f"wrong credentials from {given.source[0]}"
            out.append(Fault(Subsystem.CALL_MANAGER, "bad-credentials", text))
        self._sip.respond(now, given.handle, status, self._out, reason=reason, headers=headers)
        return False

    def judge(
        self, now: int, given: Requested, known: DnSettings | None
    ) -> tuple[int, str, tuple[tuple[str, str], ...]] | None:
        """None when the credentials are those of the DN, else status, reason and headers to answer."""
        algorithms = self._algorithms(given, known)
        verdict = self._challenger.check(now, given.request, self._password, algorithms=algorithms)
        if verdict.outcome is Outcome.OK and known is not None and verdict.username == known.dn:
            self._gate.prove(now, given.source[0])
            return None
        if verdict.outcome in (Outcome.MISSING, Outcome.STALE):
            stale = verdict.outcome is Outcome.STALE
            return 401, "Unauthorized", tuple(self._challenger.challenges(now, stale=stale, algorithms=algorithms))
        status, reason = _ANSWERS.get(verdict.outcome, (403, "Forbidden"))
        return status, reason, ()

    def _algorithms(self, given: Requested, known: DnSettings | None) -> tuple[str, ...]:
        """Those of the DN; for anybody else those of one that there is, always the same one, as if it were there."""
        if known is not None and known.type is DnType.EXTENSION and known.password:
            return known.digest_algorithms
        if not self._locked:
            return ("MD5",)
        name = user_of(given.request.to.uri) or ""
        raw = hashlib.blake2s(name.encode("utf-8", "surrogateescape"), key=self._key, digest_size=8).digest()
        number = int.from_bytes(raw, "big")
        return self._locked[number % len(self._locked)].digest_algorithms

    def _password(self, user: str) -> str | None:
        known = self._core.settings.dns.get(user)
        return known.password if known is not None and known.password else None

    def _binding(self, given: Requested, contact: PhoneBinding) -> Binding:
        """A binding with the address to send to: of its Path, else where the REGISTER came from (RFC 3327, 3581).

        A phone on a stream is reached by that stream while it lasts, afterwards at the address of its contact.
        ParseError for a Path that is none.
        """
        request, transport = given.request, given.transport
        hop = None
        if contact.path:
            first = parse_uri(parse_name_addr(contact.path[0]).uri)
            hop, transport = address_of(first), transport_of(first)
        elif given.flow:
            hop = address_of(parse_uri(contact.uri))
        host, port = given.source if hop is None else hop
        return Binding(
            contact.uri,
            given.listener,
            host,
            port,
            contact.path,
            call_id=request.call_id,
            cseq=request.cseq[0],
            transport=transport,
            flow=given.flow,
            node=self._core.name,
            q=contact.q,
        )

    def _answer(self, now: int, waiting: Asked) -> None:
        if waiting.refused:
            self._sip.respond(
                now,
                waiting.handle,
                503,
                self._out,
                reason="No Owner In Reach",
                headers=(("Retry-After", "1"),),
            )
            return
        kept = [b for b in waiting.bindings if b.expires_s > 0]
        wall = self._core.wall_us(now)
        headers = [("Contact", contact_value(b)) for b in kept]
        for other in self.bindings.bindings(waiting.dn):
            if not any(same_contact(other.contact, b.uri) for b in waiting.bindings):
                left_s = max(0, other.expires_at_us - wall) // SECOND_US
                headers.append(("Contact", contact_value(PhoneBinding(other.contact, left_s, other.path, other.q))))
        headers += [("Path", hop) for hop in waiting.path]
        self._sip.respond(now, waiting.handle, 200, self._out, headers=headers)


def user_of(uri: str) -> str | None:
    """Who a URI names; None for one that cannot be read, or that names nobody in a way that can be sent on."""
    try:
        user = parse_uri(uri).user
    except ParseError:
        return None
    return None if _UNPRINTABLE.search(user) else user
