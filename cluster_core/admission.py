"""Who is let in at a T-Library port: the port, the configuration and the proof decide (design 6; decision 0007)."""

from __future__ import annotations

import hmac

import msgspec

from cluster_core.core import Core
from cluster_core.edge import SUBSYSTEMS, Edge
from cluster_core.outputs import AnyOutput, Fault
from cluster_core.rights import LISTENER_ROLES, REFUSALS, Condition, verify_secret
from cluster_core.settings import ClientRole, ClientSettings
from tlib_proto import Hello


class Admitted(msgspec.Struct, frozen=True):
    """A client that may stay: its role, whether it has proved who it is, the ranges of its rights, and the node that it
    is of if it belongs to the cluster itself.
    """

    role: ClientRole
    proven: bool
    ranges: tuple[str, ...]
    node: str = ""


class Admission:
    """Reads a Hello against the port, the configuration and its proof; refuses it with EventError and the reason.

    Of the nodes in `cut` nothing is let in; peers are the links' to refuse.
    """

    def __init__(self, core: Core, edge: Edge) -> None:
        self._core = core
        self._edge = edge
        self._by_name = {client.name: client for client in core.settings.clients}
        self._proofs: dict[tuple[str, str], bool] = {}
        self.cut: dict[str, None] = {}

    def admit(self, now: int, conn: int, hello: Hello, out: list[AnyOutput]) -> Admitted | None:
        """Whether a client may stay; None when not: it was told, and its stream closed."""
        stream = self._edge.streams[conn]
        role = _role(hello.role)
        known = self._by_name.get(hello.application)
        if role is None or role not in LISTENER_ROLES[stream.listener]:
            self._refuse(now, conn, Condition.ROLE_NOT_HERE, out, role=hello.role, port=stream.listener)
            return None
        of_cluster = role is ClientRole.PEER or bool(hello.secret and known is None)
        if of_cluster:
            proven = self._is_ours(hello.secret)
            if not proven:
                self._unproven(now, conn, hello.application, out)
                return None
            if hello.node in self.cut and role is not ClientRole.PEER:
                self._refuse(now, conn, Condition.LINK_REFUSED, out)
                return None
        else:
            proven = self._proves(known, hello.secret)
            if known is not None and known.certificate and known.certificate in stream.names:
                proven = True
            wanted = known is not None and bool(known.secret or known.certificate)
            if not proven and (wanted or not (stream.loopback or self._core.settings.insecure)):
                self._unproven(now, conn, hello.application, out)
                return None
            if known is not None and known.role is not role:
                self._refuse(now, conn, Condition.ROLE_NOT_HERE, out, role=hello.role, port=stream.listener)
                return None
        self._edge.doors.accepted(conn)
        return Admitted(role, proven, () if known is None else known.dns, hello.node if of_cluster else "")

    def _is_ours(self, secret: str) -> bool:
        ours = self._core.settings.link_secret
        return bool(ours) and hmac.compare_digest(ours.encode(), secret.encode("utf-8", "surrogateescape"))

    def _proves(self, known: ClientSettings | None, secret: str) -> bool:
        """A checked secret is remembered: scrypt takes tens of milliseconds, and clients reconnect."""
        if known is None or not known.secret or not secret:
            return False
        digest = hmac.digest(known.secret.encode(), secret.encode("utf-8", "surrogateescape"), "sha256").hex()
        if (known.name, digest) not in self._proofs:
            if not verify_secret(secret, known.secret):
                return False
            self._proofs[known.name, digest] = True
        return True

    def _unproven(self, now: int, conn: int, name: str, out: list[AnyOutput]) -> None:
        stream = self._edge.streams[conn]
        if self._edge.doors.failed(now, conn):
            text = f"{stream.peer}: nobody from there is let in for {self._core.limits.ban_us // 1_000_000} s"
            out.append(Fault(SUBSYSTEMS[stream.listener], "too-many-failed-proofs", text, conn))
        self._refuse(now, conn, Condition.BAD_PROOF, out, name=name)

    def _refuse(self, now: int, conn: int, condition: Condition, out: list[AnyOutput], **detail: str) -> None:
        refusal = REFUSALS[condition]
        text = refusal.text.format_map({"name": "", "role": "", "port": "", **detail})
        out.append(Fault(SUBSYSTEMS[self._edge.streams[conn].listener], condition.value, text, conn))
        self._edge.refuse(now, conn, refusal.code, text, out)


def _role(text: str) -> ClientRole | None:
    try:
        return ClientRole(text)
    except ValueError:
        return None
