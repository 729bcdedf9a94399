"""What the client knows of each DN, and whether it knows all of it: pictures, places, gaps; no I/O (ours).

An event's place is (DNEpoch, DNSequence) in the order of its Source. A DN's owner numbers every event of the DN, so
that after a loss the owner's place tells how many were missed. Where another source tells, or none names its place,
EventSequenceNumber can still prove that nothing was: the server numbers everything it sends, to whomever.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cluster_core.ids import node_of
from cluster_core.picture import Picture, apply, difference, from_extensions
from refserver.client_errors import TLibError
from refserver.client_events import Change, Resynchronised
from tlib_proto.constants import Attribute, MessageType
from tlib_proto.records import Message

HELD_MAX = 10_000
"""Events that wait, at most, while DNs are registered again; more go into the pictures alone and count as lost."""

Told = Message | Resynchronised
_Place = tuple[int, int]


class Tracker:
    """Pictures by DN. Feed it every message in the order of the wire; `linked` is a new connection's first.

    Between `begin` and `end` DNs are registered again, and what comes meanwhile is held: first Resynchronised, then
    what came after. Pictures that were given out never change. `singles` are the DNs that were registered one by one.
    """

    def __init__(self) -> None:
        self.pictures: dict[str, Picture] = {}
        self.singles: dict[str, None] = {}
        self.doubtful: dict[str, None] = {}
        self._places: dict[str, dict[str, _Place]] = {}
        self._nodes: dict[int, str] = {}
        self._starts: dict[str, int] = {}
        self._node = ""
        self._heard_s = 0
        self._number: int | None = None
        self._unbroken = False
        self._comparable = True
        self._again: _Again | None = None

    def linked(self, message: Message) -> None:
        """EventLinkConnected of a new connection: is it from the server that told us before?"""
        node, started = message.text(Attribute.NodeName), message.number(Attribute.ServerStartTime)
        known = self._starts.get(node)
        # a server that was not there when we last heard of the cluster numbers afresh, as does one that says less now
        self._comparable = started == known if known is not None else started <= self._heard_s
        if node == self._node and message.number(Attribute.EventSequenceNumber) < (self._number or 0):
            self._comparable = False
        self._unbroken = known == started and node == self._node and self._number is not None
        self._starts[node], self._node = started, node
        self._count(message)

    def goes_on(self, message: Message) -> None:
        """EventLinkConnected of a new connection that goes on behind the last message: what is known holds."""
        self._node = message.text(Attribute.NodeName)
        self._starts[self._node] = message.number(Attribute.ServerStartTime)
        self._unbroken = False

    @property
    def settled(self) -> bool:
        """Whether everything heard is in the pictures: no DN is being registered again."""
        return self._again is None

    def begin(self, kept: bool) -> None:
        """DNs are registered again from now on; `kept`: over a link that was not lost."""
        assert self._again is None
        self._again = _Again(dict(self.pictures), dict(self._places), kept)

    def fail(self) -> None:
        """The link broke before `end`: the next one begins again, from what was known before."""
        assert self._again is not None
        self.pictures, self._places = self._again.pictures, self._again.places
        self._again = None
        self._unbroken, self._number = False, None

    def end(
        self,
        asked: Iterable[str],
        whole: bool,
        blind: bool,
        refused: dict[str, TLibError],
        why: str,
        missed: int | None = None,
    ) -> list[Told]:
        """The DNs were told anew: what to say of it, then what came meanwhile.

        `asked` are those registered singly; `whole`: all others were told too, what is missing of them is gone;
        `blind`: there are events of no registered DN, of which no picture tells; `missed`: so many, if it is known.
        """
        again, self._again = self._again, None
        assert again is not None
        others = [dn for dn in again.pictures if dn not in self.singles] if whole else []
        named = list(dict.fromkeys((*asked, *again.fresh, *others)))
        changes: list[Change] = []
        for dn in named:
            self.doubtful.pop(dn, None)
            before, after = again.pictures.get(dn), again.fresh.get(dn)
            if after is None:
                self.forget(dn)
                if before is not None:
                    again.lost[dn] = None
            if not same(before, after):
                changes.append(_change(dn, before, after))
        if blind and not self._unbroken:
            again.lost[""] = missed
        told = Resynchronised(
            tuple(named), bool(again.lost), again.lost, again.fresh, tuple(changes), refused, why
        )
        return [told, *again.held]

    def feed(self, message: Message, answered: bool) -> list[Told]:
        """One message; returns what to deliver now, in order. An answer that was waited for has its reader already."""
        unbroken = self._count(message)
        dn = message.text(Attribute.ThisDN)
        if self._again is not None:
            if message.id == MessageType.EventRegistered and dn:
                self._told_again(self._again, dn, message, unbroken)
                return []
            if self._again.told(dn):
                self._follow(dn, message, answered)
            if not answered:
                self._again.held.append(message)
                if len(self._again.held) > HELD_MAX:
                    for named, count in self._again.drop(None).items():
                        self._again.miss(named, count)
                    told_again = self._again.fresh
                    self._again.fresh = {dn: self.pictures[dn] for dn in told_again if dn in self.pictures}
            return []
        told: list[Told] = [] if answered else [message]
        if message.id == MessageType.EventRegistered and dn:
            more = self._told_live(dn, message)
            return told if more is None else [*told, more]
        self._follow(dn, message, answered)
        return told

    def forget(self, dn: str) -> None:
        """The DN is watched no longer."""
        self.pictures.pop(dn, None)
        self._places.pop(dn, None)
        self.doubtful.pop(dn, None)
        if self._again is not None:
            for table in (self._again.pictures, self._again.places, self._again.fresh, self._again.lost):
                table.pop(dn, None)

    def _count(self, message: Message) -> bool:
        """Follow the server's numbers; True while every one since before the loss was seen."""
        self._heard_s = max(self._heard_s, message.number(Attribute.TimeinSecs))
        number = message.attributes.get(Attribute.EventSequenceNumber)
        if isinstance(number, int):
            self._unbroken = self._unbroken and self._number is not None and number == self._number + 1
            self._number = number
        return self._unbroken

    def _follow(self, dn: str, message: Message, answered: bool) -> None:
        """Anything but EventRegistered."""
        if message.id == MessageType.EventLinkConnected:
            self.doubtful.update(dict.fromkeys(self.pictures))  # said again: a backup has taken over
        elif message.id == MessageType.EventUnregistered:
            if not answered and dn not in self.singles:
                self.forget(dn)
        elif dn in self.pictures and message.id != MessageType.EventError:
            self._event(dn, message)

    def _event(self, dn: str, message: Message) -> None:
        before = self.pictures[dn]
        picture = msgspec.structs.replace(before, calls=dict(before.calls))
        places = self._places.get(dn)
        if places is not None:
            source = message.attributes.get(Attribute.Source)
            if not isinstance(source, str):
                return  # an answer of the call's node, which the DN's owner has not placed: the picture is the owner's
            at = _place(message)
            known = places.get(source)
            if known is None or at[1] == 1 or at == (known[0], known[1] + 1):
                self._places[dn] = {**places, source: at}
                if source == picture.source:
                    picture.epoch, picture.seq = at
            elif at != known:
                self.doubtful[dn] = None  # unless the whole picture follows at once
        apply(picture, message, self._nodes.get(node_of(message.number(Attribute.ConnID)), ""))
        self.pictures[dn] = picture

    def _told_live(self, dn: str, message: Message) -> Resynchronised | None:
        """An answer, or the picture starting anew."""
        before = self.pictures.get(dn)
        self.doubtful.pop(dn, None)
        missed = self._missed(dn, message, live=True)
        self._take(dn, message)
        after = self.pictures[dn]
        alike = same(before, after)
        if before is None or (missed == 0 and alike):
            return None
        return Resynchronised(
            (dn,),
            missed != 0,
            {} if missed == 0 else {dn: missed},
            {dn: after},
            () if alike else (_change(dn, before, after),),
            {},
            "the server told the whole picture",
        )

    def _told_again(self, again: _Again, dn: str, message: Message, unbroken: bool) -> None:
        before = self.pictures.get(dn)
        live = again.told(dn)
        missed = 0 if unbroken else self._missed(dn, message, live)
        self._take(dn, message)
        after = self.pictures[dn]
        if live and missed == 0 and same(before, after):
            again.fresh.setdefault(dn, again.pictures.get(dn, after))
            return
        dropped = again.drop(dn).get(dn, 0)
        again.fresh[dn] = after
        if missed is None or live:
            again.miss(dn, dropped)
            again.miss(dn, missed)
        else:
            again.miss(dn, max(missed, dropped))  # what came before the picture has a place before it

    def _take(self, dn: str, message: Message) -> None:
        """A DN's picture starts anew."""
        source = message.text(Attribute.Source)
        place = _place(message)
        pairs = message.pairs(Attribute.Extensions)
        picture = from_extensions(dn, source, "/" not in source, place[0], 0, place[1], pairs)
        for call in picture.calls.values():
            if call.node:
                self._nodes[node_of(call.conn_id)] = call.node
        self.pictures[dn] = picture
        self._places.pop(dn, None)
        if Attribute.Source in message.attributes:
            self._places[dn] = {source: place}

    def _missed(self, dn: str, message: Message, live: bool) -> int | None:
        """How many of the DN's events were missed before this picture of it, at most; None when nobody can tell."""
        if dn not in self.pictures:
            return 0
        places = self._places.get(dn)
        source = message.text(Attribute.Source)
        if places is None or not source:
            return 0 if live else None
        at = _place(message)
        known = places.get(source)
        if known is not None and known[0] == at[0] and known[1] <= at[1]:
            others = any(sequence for name, (_, sequence) in places.items() if name != source)
            if live or (self._comparable and "/" not in source and not others):
                return at[1] - known[1]
        elif live and not any(sequence for _, sequence in places.values()):
            return 0  # the first source that ever told something
        return None


class _Again:
    """DNs being registered again: how they were, what was told so far, what came meanwhile."""

    def __init__(self, pictures: dict[str, Picture], places: dict[str, dict[str, _Place]], kept: bool) -> None:
        self.pictures = pictures
        self.places = places
        self.kept = kept
        self.fresh: dict[str, Picture] = {}
        self.lost: dict[str, int | None] = {}
        self.held: list[Message] = []

    def told(self, dn: str) -> bool:
        """Whether what is known of a DN holds now: then its events follow on it."""
        return self.kept or dn in self.fresh

    def miss(self, dn: str, count: int | None) -> None:
        """So many events of a DN went by, None: nobody can tell."""
        known = self.lost.get(dn, 0)
        if count != 0:
            self.lost[dn] = None if count is None or known is None else known + count

    def drop(self, dn: str | None) -> dict[str, int]:
        """What is held of a DN, or of all, is in the pictures already: not delivered any more. Returns how many."""
        kept: list[Message] = []
        dropped: dict[str, int] = {}
        for message in self.held:
            named = message.text(Attribute.ThisDN)
            if dn is None or named == dn:
                dropped[named] = dropped.get(named, 0) + 1
            else:
                kept.append(message)
        self.held = kept
        return dropped


def same(one: Picture | None, other: Picture | None) -> bool:
    """Whether two pictures show the same DN, whoever tells it and wherever its calls live."""
    if one is None or other is None:
        return one is other
    return _seen(one) == _seen(other)


def _seen(picture: Picture) -> tuple[object, ...]:
    calls = {c.conn_id: (c.call_type, c.state, c.other_dn) for c in picture.calls.values()}
    agent = picture.agent_id, picture.ready, picture.work_mode
    features = picture.dnd, picture.forward_to, picture.forward_mode
    return picture.dn, picture.in_service, *agent, *features, calls


def _change(dn: str, before: Picture | None, after: Picture | None) -> Change:
    return Change(dn, before, after, () if after is None else tuple(difference(before, after)[0]))


def _place(message: Message) -> _Place:
    return message.number(Attribute.DNEpoch), message.number(Attribute.DNSequence)
