"""Interaction Proxy: the events of this node's calls for reporting, each interaction whole to one session (seed).

An interaction is a call with its consultation calls and whatever they merge into. It belongs to one session of the pool
for as long as that can resume: what the session is told is numbered and kept, and told again from where it was.
Decision 0013 says what the sources leave open.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from cluster_core.backlog import Backlog
from cluster_core.clients import Client, Clients
from cluster_core.core import Core
from cluster_core.edge import Edge
from cluster_core.limits import SECOND_US
from cluster_core.outputs import AnyOutput, Fault, Subsystem
from cluster_core.records import CallRecord, InteractionRecord, ReportingRecord
from cluster_core.reporting import SEQUENCE_ID, Asked, Status, narrowed, read, sequence_id
from cluster_core.requests import Requests
from cluster_core.rights import Condition
from tlib_proto import Attribute, KVValue, Message, MessageType, Value, encode, replace


class CallTable(Protocol):
    """The calls of this node, as Interaction Proxy sees them."""

    calls: dict[int, CallRecord]

    def picture(self, now: int, call: CallRecord) -> Message:
        """EventCallCreated of a call that is under way, with its parties."""


class Session(msgspec.Struct):
    """A reporting session: its stream (0: it lost its own), the next event that leaves on it, when it got its last
    interaction (a count of all), whether its client asked for it, its calls. One that nobody asked for has no numbers.
    """

    record: ReportingRecord
    conn: int = 0
    sent: int = 0
    turn: int = 0
    asked: bool = True
    calls: dict[int, None] = {}


class InteractionProxy:
    """The pool of reporting sessions, and which of them has which interaction."""

    def __init__(self, core: Core, edge: Edge, requests: Requests, clients: Clients) -> None:
        self._core = core
        self._edge = edge
        self._requests = requests
        self._clients = clients
        self.calls: CallTable
        self.backlog = Backlog(core)
        self._sessions: dict[str, Session] = {}
        self._by_name: dict[tuple[str, bool, str], str] = {}
        self._by_conn: dict[int, str] = {}
        self._turns = 0
        self._shown_until_us = 0

    def status(self) -> dict[str, int]:
        """What an operator sees of reporting: sessions asked for, those without a connection, what is kept for them."""
        sessions = self._sessions.values()
        return {
            "sessions": sum(session.asked for session in sessions),
            "away": sum(not session.conn for session in sessions),
            "events": len(self._core.store.rows("backlog")),
            "octets": sum(self.backlog.octets(session.record) for session in sessions),
        }

    # what clients say

    def accepted(self, now: int, client: Client) -> None:
        """A reporting client has connected: while nobody has asked for a session it hears of the calls that begin."""
        session = self._begin(now, client, Asked(snapshot=False))
        session.asked = False
        session.conn = client.conn
        session.record.snapshot = False
        self._by_conn[client.conn] = session.record.session_id
        self._core.store.put("reporting", session.record.session_id, session.record)

    def request(self, now: int, client: Client, message: Message, out: list[AnyOutput]) -> None:
        """RequestPrivateService opens, resumes, acknowledges or ends a session; RequestQueryServer as everywhere."""
        if message.id == MessageType.RequestQueryServer:
            self._clients.answer_server_info(now, client.conn, message.ref, out)
            return
        limits = self._core.limits
        pairs = message.pairs(Attribute.Extensions)
        names = (self._core.settings.name, self._core.name)
        asked = read(pairs, *names, limits.name_chars, limits.reporting_filter_keys)
        mine = self._sessions.get(self._by_conn.get(client.conn, ""))
        opened = mine if mine is not None and mine.asked else None
        if isinstance(asked, str):
            self._refuse(now, client, message, asked, out)
        elif asked.ends or asked.acknowledged is not None:
            if opened is None:
                self._refuse(now, client, message, "SessionId", out)
            elif asked.ends and self._is_shown_much(now) and self._hands_over(opened):
                self._requests.refuse(now, client.conn, message, Condition.TOO_MANY, out)
            elif asked.ends:
                self._answer(now, client, message, Status.ENDED, 0, out)
                self._end(now, opened, "its client ended it", out)
            else:
                self.backlog.drop(now, opened.record, min(opened.sent, (asked.acknowledged or 0) + 1))
                self._answer(now, client, message, Status.ACTIVE, _kept(opened), out)
        elif opened is not None and not asked.name:
            self._answer(now, client, message, Status.ACTIVE, _kept(opened), out)
        else:
            self._open(now, client, mine, asked, message, out)

    def gone(self, now: int, client: Client, out: list[AnyOutput]) -> None:
        """A reporting client is gone: its session waits for it, if it bears a name."""
        key = self._by_conn.pop(client.conn, None)
        if key is None:
            return
        session = self._sessions[key]
        session.conn = 0
        self._core.arm("replay", key, None)
        if not session.record.name:
            self._end(now, session, "its client is gone", out)
            return
        session.record.away_us = self._core.wall_us(now)
        self._core.store.put("reporting", key, session.record)
        self._core.arm("reporting", key, now + self._core.limits.backlog_us)

    def away_timeout(self, now: int, key: str, out: list[AnyOutput]) -> None:
        """A session was away for too long, or more happened meanwhile than is kept."""
        self._end(now, self._sessions[key], "it cannot be resumed any more", out)

    def replay_timeout(self, now: int, key: str, out: list[AnyOutput]) -> None:
        """Tell a session more of what is kept for it, unless its client still has to read what it was sent."""
        session, limits = self._sessions[key], self._core.limits
        record, octets = session.record, 0
        if self._clients.is_behind(session.conn):
            self._core.arm("replay", key, now + limits.bulk_wait_us)
            return
        while session.sent < record.next and octets < limits.backlog_bytes_at_once:
            # whenever it happened, it leaves now
            frame = replace(self.backlog.frame(record, session.sent), self._edge.stamps.place())
            self._edge.send_frame(now, (session.conn,), frame, out)
            session.sent += 1
            octets += len(frame)
        if not record.name:
            self.backlog.drop(now, record, session.sent)
        if session.sent < record.next:
            self._core.arm("replay", key, now + 1)

    # what calls say

    def call_created(self, now: int, conn_id: int, main: int, event: Message, out: list[AnyOutput]) -> None:
        """A call begins: it belongs to the interaction of the call `main`, or is one of its own."""
        known = self._core.store.get("interactions", main)
        if known is None:
            session = self._least(self._sessions.values())
            if session is not None:
                self._assign(session, conn_id, conn_id)
                self._tell(now, session, event, out)
        else:
            session = self._sessions[known.session_id]
            self._assign(session, conn_id, known.interaction)
            self._tell(now, session, event, out)

    def call_event(self, now: int, conn_id: int, event: Message, out: list[AnyOutput]) -> None:
        """A T-Event of a call, to the session that has its interaction."""
        record = self._core.store.get("interactions", conn_id)
        if record is None:
            return
        before = event.number(Attribute.PreviousConnID)
        if event.id == MessageType.EventPartyChanged and before:
            other = self._core.store.get("interactions", before)
            if other is not None and other.interaction != record.interaction:
                self._merge(now, other, record, event, out)
        self._tell(now, self._sessions[record.session_id], event, out)

    def call_deleted(self, now: int, conn_id: int, event: Message, out: list[AnyOutput]) -> None:
        """A call is over."""
        record = self._core.store.get("interactions", conn_id)
        if record is not None:
            session = self._sessions[record.session_id]
            self._unassign(session, conn_id)
            self._tell(now, session, event, out)

    def check(self) -> None:
        """Assert that sessions, interactions, calls and what is kept fit together."""
        rows = self._core.store.rows("interactions")
        assert all(conn_id in self.calls.calls for conn_id in rows), "a call that ended is still somebody's"
        assert len(rows) == sum(len(session.calls) for session in self._sessions.values()), "interactions"
        for key, session in self._sessions.items():
            assert all(rows[conn_id].session_id == key for conn_id in session.calls), f"calls of {key}"
            assert session.conn == 0 or self._by_conn[session.conn] == key, f"stream of {key}"
            assert session.record.first <= session.sent <= session.record.next, f"place of {key}"
        assert list(self._core.store.rows("reporting")) == list(self._sessions), "sessions"
        self.backlog.check({key: session.record for key, session in self._sessions.items()})

    # sessions

    def _open(
        self, now: int, client: Client, mine: Session | None, asked: Asked, message: Message, out: list[AnyOutput]
    ) -> None:
        """A session begins, or goes on on this stream: the answer first, then what is kept, then what happens."""
        name = (client.application, client.proven, asked.name)
        session = self._sessions.get(self._by_name.get(name, ""))
        status, place = (Status.NEW, 0) if session is None else _place(session.record, asked)
        alone = len(self.calls.calls) - len(self._core.store.rows("interactions"))
        pictures = asked.snapshot and (alone or (session is not None and status is Status.GAP and session.calls))
        if mine is not None and mine is not session and mine.calls:
            pictures = pictures or asked.snapshot or self._hands_over(mine)
        if (pictures and self._is_shown_much(now)) or (session is None and asked.name and not self._room(now, out)):
            self._requests.refuse(now, client.conn, message, Condition.TOO_MANY, out)
            return
        if mine is not None and mine is not session:
            self._end(now, mine, "its client opened another one", out)
            if session is not None:
                # It was shown the calls of that one, and may have dropped its oldest events for them.
                status, place = _place(session.record, asked)
        if session is None:
            session = self._begin(now, client, asked)
        else:
            self._detach(now, session, client, out)
            session.sent = place
        record = session.record
        record.wants, record.snapshot, record.away_us = asked.wants, asked.snapshot, 0
        shown = list(session.calls) if status is Status.GAP and asked.snapshot else []
        if asked.snapshot:
            shown += self._adopt(session)
        self._show(now, session, shown, out)
        follow = record.next - session.sent
        shows = min(len(shown), follow)
        lost = _lost(session, asked)
        status = Status.GAP if lost and status is Status.RESUMED else status
        record.lost = 0
        self._core.store.put("reporting", record.session_id, record)
        self._answer(now, client, message, status, follow - shows, out, shows, lost)
        session.conn = client.conn
        self._by_conn[client.conn] = record.session_id
        self.replay_timeout(now, record.session_id, out)

    def _begin(self, now: int, client: Client, asked: Asked) -> Session:
        """A new session; it numbers from the time on, so that its numbers are never those of an earlier one."""
        key = self._core.ids.session_id()
        begun = max(1, self._core.wall_us(now))
        record = ReportingRecord(key, asked.name, client.application, client.proven, begun, begun, begun)
        session = self._sessions[key] = Session(record, sent=begun)
        if asked.name:
            self._by_name[client.application, client.proven, asked.name] = key
        return session

    def _detach(self, now: int, session: Session, client: Client, out: list[AnyOutput]) -> None:
        """A session leaves the stream that it had, which is closed unless it is that of the same client."""
        key, before, session.conn = session.record.session_id, session.conn, 0
        self._core.arm("reporting", key, None)
        self._core.arm("replay", key, None)
        self._by_conn.pop(before, None)
        if before not in (0, client.conn):
            self._edge.close(now, before, "the client has connected again", out)

    def _room(self, now: int, out: list[AnyOutput]) -> bool:
        """Whether one more session may wait for its client; the one that is away for longest makes place."""
        if len(self._by_name) < self._core.limits.reporting_sessions:
            return True
        away = [session for session in self._sessions.values() if session.record.away_us]
        if not away:
            return False
        self._end(now, min(away, key=lambda session: session.record.away_us), "another one needs its place", out)
        return True

    def _end(self, now: int, session: Session, why: str, out: list[AnyOutput]) -> None:
        """A session is over: its interactions go to others, which are told what they are first."""
        record = session.record
        key = record.session_id
        del self._sessions[key]
        self._by_name.pop((record.application, record.proven, record.name), None)
        self._by_conn.pop(session.conn, None)
        for timer in ("reporting", "replay"):
            self._core.arm(timer, key, None)
        self._core.store.drop("reporting", key)
        self.backlog.forget(now, record, out)
        if record.name:
            text = f"a reporting session of {record.application!r} is over: {why}"
            out.append(Fault(Subsystem.INTERACTION_PROXY, "reporting-session-over", text))
        together: dict[int, list[int]] = {}
        for conn_id in session.calls:
            root = self._core.store.get("interactions", conn_id).interaction
            self._core.store.drop("interactions", conn_id)
            together.setdefault(root, []).append(conn_id)
        for root, calls in together.items():
            other = self._least(s for s in self._sessions.values() if s.record.snapshot)
            if other is not None:
                for conn_id in calls:
                    self._assign(other, conn_id, root)
                self._show(now, other, calls, out)

    def _hands_over(self, session: Session) -> bool:
        """Whether another session would be shown the calls of this one if it ended."""
        return bool(session.calls) and any(s.record.snapshot for s in self._sessions.values() if s is not session)

    # interactions

    def _least(self, sessions: Iterable[Session]) -> Session | None:
        """Whose turn it is: asked for, there, with the fewest calls, the longest without a new one, in this order."""
        found = min(sessions, key=lambda s: (not s.asked, s.conn == 0, len(s.calls), s.turn), default=None)
        if found is not None:
            self._turns += 1
            found.turn = self._turns
        return found

    def _adopt(self, session: Session) -> list[int]:
        """Calls that are nobody's become a session's; returns them."""
        rows = self._core.store.rows("interactions")
        found = [conn_id for conn_id in self.calls.calls if conn_id not in rows]
        for conn_id in found:
            about = rows.get(self.calls.calls[conn_id].main)
            self._assign(session, conn_id, conn_id if about is None else about.interaction)
        return found

    def _assign(self, session: Session, conn_id: int, interaction: int) -> None:
        session.calls[conn_id] = None
        record = InteractionRecord(conn_id, session.record.session_id, interaction)
        self._core.store.put("interactions", conn_id, record)

    def _unassign(self, session: Session, conn_id: int) -> None:
        del session.calls[conn_id]
        self._core.store.drop("interactions", conn_id)

    def _merge(
        self, now: int, one: InteractionRecord, into: InteractionRecord, event: Message, out: list[AnyOutput]
    ) -> None:
        """Two interactions become one: the session that loses its own hears so, the other is shown the calls."""
        source, target = self._sessions[one.session_id], self._sessions[into.session_id]
        rows = self._core.store.rows("interactions")
        moved = [conn_id for conn_id in source.calls if rows[conn_id].interaction == one.interaction]
        for conn_id in moved:
            if source is not target:
                self._unassign(source, conn_id)
                self._tell(now, source, self._moved(now, conn_id, event), out)
            self._assign(target, conn_id, into.interaction)
        if source is not target:
            self._show(now, target, moved, out)

    def _moved(self, now: int, conn_id: int, event: Message) -> Message:
        """What a session hears of a call whose further events go to another one."""
        return Message(
            MessageType.EventCallDeleted,
            0,
            {
                Attribute.CallUUID: self.calls.calls[conn_id].call_uuid,
                Attribute.ConnID: conn_id,
                Attribute.RefCallUUID: event.text(Attribute.CallUUID),
                Attribute.Extensions: (("moved", 1),),
                **self._edge.stamps.time(now),
            },
        )

    # what sessions are told

    def _show(self, now: int, session: Session, calls: list[int], out: list[AnyOutput]) -> None:
        """Pictures of calls; so many take their time, before which nobody is shown more for the asking."""
        spent_us = len(calls) * SECOND_US // self._core.limits.pictures_a_second
        self._shown_until_us = max(now, self._shown_until_us) + spent_us
        for conn_id in calls:
            self._tell(now, session, self.calls.picture(now, self.calls.calls[conn_id]), out)

    def _is_shown_much(self, now: int) -> bool:
        """Whether what was shown still takes its time, so that nobody may ask for what shows more."""
        return self._shown_until_us > now + SECOND_US

    def _tell(self, now: int, session: Session, event: Message, out: list[AnyOutput]) -> None:
        """The next event of a session: kept if it may be asked for again, and sent unless others are before it."""
        if not session.asked:
            self._clients.deliver(now, (session.conn,), event, None, out)
            return
        record = session.record
        attributes = {**event.attributes, **self._edge.stamps.place()}
        if record.wants is not None and Attribute.UserData in attributes:
            attributes[Attribute.UserData] = narrowed(event.pairs(Attribute.UserData), record.wants)
        number = (SEQUENCE_ID, sequence_id(record.next))
        attributes[Attribute.Extensions] = (*event.pairs(Attribute.Extensions), number)
        frame = encode(Message(event.id, 0, attributes))
        leaves = session.conn != 0 and session.sent == record.next
        if record.name or not leaves:
            self.backlog.add(now, record, frame)
        else:
            self.backlog.skip(record)
        if leaves:
            session.sent = record.next
            self._edge.send_frame(now, (session.conn,), frame, out)
        self._bound(now, session, out)

    def _bound(self, now: int, session: Session, out: list[AnyOutput]) -> None:
        """Too much is kept: what left already goes first; then a session that is away ends, if another one is there."""
        record = session.record
        keep_from = self.backlog.excess(now, record)
        if keep_from == record.first:
            return
        unsent = max(0, keep_from - session.sent)
        if unsent and record.away_us and any(other.conn and other.asked for other in self._sessions.values()):
            self._core.arm("reporting", record.session_id, now)
            return
        if unsent and not record.lost:
            text = f"events of a reporting session of {record.application!r} are lost: more happened than is kept"
            out.append(Fault(Subsystem.INTERACTION_PROXY, "reporting-events-lost", text, session.conn))
        if unsent and session.conn:
            # it reads too slowly; when it comes back it is told what it lost
            self._edge.close(now, session.conn, "more happened than is kept", out)
        record.lost += unsent
        session.sent = max(session.sent, keep_from)
        self.backlog.drop(now, record, keep_from)

    def _answer(
        self,
        now: int,
        client: Client,
        message: Message,
        status: Status,
        kept: int,
        out: list[AnyOutput],
        shown: int = 0,
        lost: int = 0,
    ) -> None:
        """EventACK: what of the session follows, in the order of the numbers."""
        pairs: list[tuple[str, KVValue]] = [("session-status", status.value), ("events-in-cache", kept)]
        if shown:
            pairs.append(("events-in-snapshot", shown))
        if lost:
            pairs.append(("events-lost", lost))
        attributes: dict[int, Value] = {Attribute.UserEvent: message.id, Attribute.Extensions: tuple(pairs)}
        self._clients.answer(now, client.conn, message.ref, Message(MessageType.EventACK, 0, attributes), out)

    def _refuse(self, now: int, client: Client, message: Message, key: str, out: list[AnyOutput]) -> None:
        attribute = f"Extensions, {key}"
        self._requests.refuse(now, client.conn, message, Condition.INVALID_ATTRIBUTE, out, attribute=attribute)


def _kept(session: Session) -> int:
    return session.record.next - session.record.first


def _place(record: ReportingRecord, asked: Asked) -> tuple[Status, int]:
    """From where a session goes on: behind the event that its client names, or with all that is kept."""
    if asked.after is None:
        return Status.GAP if record.lost else Status.RESUMED, record.first
    if not record.begun - 1 <= asked.after < record.next:
        return Status.GAP, record.first
    place = max(record.first, asked.after + 1)
    return Status.GAP if place > asked.after + 1 else Status.RESUMED, place


def _lost(session: Session, asked: Asked) -> int:
    """How many events are not kept of those before the first that follows; 0 too where nobody can tell."""
    if asked.after is None:
        return session.record.lost
    return max(0, session.sent - asked.after - 1) if asked.after >= session.record.begun - 1 else 0
