"""Phones that watch: a DN's calls on a lamp key (RFC 4235), a mailbox (RFC 3842); each subscriber in its own order.

Any node serves any DN, from the picture that its T-Controller keeps: the DN's owner has put the events into their one
order there, so no early state comes after the end. Each document is a whole one: of two, UDP may turn the order, and
one that is lost leaves no lamp lit. There is no mailbox: the summary says so, because a phone whose
subscription is refused asks again without a pause.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import msgspec

from cluster_core.core import Core
from cluster_core.edge import Edge
from cluster_core.outputs import AnyOutput
from cluster_core.picture import Picture
from cluster_core.records import CallView
from cluster_core.session_controller.registrar import Registrar, user_of
from cluster_core.settings import DnType
from sip_proto import (
    LocalError,
    NotifyLost,
    Request,
    Requested,
    SubscriptionAsked,
    SubscriptionEnded,
    SubscriptionRenewed,
    dialog_info,
    message_summary,
)
from sip_proto.dialog_info import DialogEntry, DialogFeed, Participant
from sip_proto.message_summary import MessageCount, MessageSummary
from tlib_proto import PartyState

DIALOG = "dialog"
_TYPES = {DIALOG: dialog_info.CONTENT_TYPE, "message-summary": message_summary.CONTENT_TYPE}
_STATE = 0xF
_HELD = (("+sip.rendering", "no"),)
_AGAIN = (("Retry-After", "60"),)


class Pictures(Protocol):
    """T-Controller, as this room sees it."""

    def view(self, dn: str) -> Picture:
        """What is known of a DN here."""

    def follow(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """Somebody watches the DN here: its events are wanted, `changed` names it when there were some."""

    def unfollow(self, now: int, dn: str, out: list[AnyOutput]) -> None:
        """Nobody watches it any more."""


class Lamp(msgspec.Struct):
    """A DN that phones watch: its dialogs as they were last told, and what each subscriber was told of them."""

    dn: str
    feeds: dict[int, DialogFeed] = {}
    entries: dict[int, DialogEntry] = {}


class Subscriptions:
    """Every subscription of a phone, by the endpoint's number."""

    def __init__(self, core: Core, edge: Edge, registrar: Registrar) -> None:
        self._core = core
        self._sip = edge.sip
        self._out = edge.sip_out
        self._registrar = registrar
        self.pictures: Pictures
        self._lamps: dict[str, Lamp] = {}
        self._watched: dict[int, str] = {}
        self._mailboxes: dict[int, str] = {}
        self._callers: dict[int, str] = {}
        self._watches: dict[str, int] = {}
        self._serial = 0
        self._serve: dict[str, Callable[[int, int, str, list[AnyOutput]], None]] = {
            DIALOG: self._watch,
            "message-summary": self._open_mailbox,
        }

    def __len__(self) -> int:
        return len(self._watched) + len(self._mailboxes)

    def asked(self, now: int, given: SubscriptionAsked, out: list[AnyOutput]) -> None:
        """A SUBSCRIBE: who is it, what may it see; then the whole state at once."""
        dn = user_of(given.request.uri)
        settings = None if dn is None else self._core.settings.dns.get(dn)
        refused = self._refusal(now, given)
        if refused is None and (dn is None or settings is None or settings.type is DnType.VOIP_SERVICE):
            refused = 404, "No Such DN", ()
        if refused is None and dn is not None and self._is_full(dn, given.request):
            refused = 503, "Too Many Subscriptions", _AGAIN
        granted_s = min(given.expires_s, self._core.limits.registration_max_s)
        try:
            if refused is not None or dn is None:
                status, reason, headers = refused or (404, "No Such DN", ())
                self._sip.reject_subscription(
                    now, given.subscription, status, self._out, reason=reason, headers=headers
                )
                return
            self._sip.accept_subscription(now, given.subscription, self._out, expires_s=granted_s)
        except LocalError:  # its stream closed in the same moment
            return
        caller = user_of(given.request.from_.uri) or ""
        self._callers[given.subscription] = caller
        self._watches[caller] = self._watches.get(caller, 0) + 1
        self._serve[given.event](now, given.subscription, dn, out)
        self._tell_all(now, given.subscription, over=given.expires_s == 0)
        if given.expires_s == 0:
            self._forget(now, given.subscription, out)

    def renewed(self, now: int, given: SubscriptionRenewed, out: list[AnyOutput]) -> None:
        """A SUBSCRIBE within a subscription: the whole state again, for the last time when it is given back."""
        self._tell_all(now, given.subscription, over=given.expires_s == 0)
        if given.expires_s == 0:
            self._forget(now, given.subscription, out)

    def lost(self, now: int, given: NotifyLost, out: list[AnyOutput]) -> None:
        """Nobody heard what was told: the whole state again, as slowly as requests are given up."""
        there = given.subscription in self._watched or given.subscription in self._mailboxes
        if given.status == 408 and given.response is None and there:
            self._tell_all(now, given.subscription, over=False)

    def ended(self, now: int, given: SubscriptionEnded, out: list[AnyOutput]) -> None:
        """A subscription is over."""
        self._forget(now, given.subscription, out)

    def tell(self, now: int, changed: dict[str, None]) -> None:
        """Something happened to these DNs: whoever watches them is told what is different now; none is left."""
        for dn in changed:
            lamp = self._lamps[dn]
            before = lamp.entries
            entries = self._look(lamp)
            if lamp.entries != before:
                gone = [entry for conn_id, entry in before.items() if conn_id not in lamp.entries]
                entries += [msgspec.structs.replace(entry, state="terminated") for entry in gone]
                for subscription, feed in lamp.feeds.items():
                    self._notify(now, subscription, dialog_info.CONTENT_TYPE, feed.full(entries))
        changed.clear()

    def _refusal(
        self, now: int, given: SubscriptionAsked
    ) -> tuple[int, str, tuple[tuple[str, str], ...]] | None:
        request = given.request
        caller = user_of(request.from_.uri)
        known = None if caller is None else self._core.settings.dns.get(caller)
        trusted = given.source[0] in self._core.settings.sip_proxies
        if not trusted and (known is None or known.type is not DnType.EXTENSION or known.password):
            judged = self._registrar.judge(
                now, Requested(0, request, 0, given.listener, given.source), known
            )
            if judged is not None:
                return judged
        accepted = [range_.partition(";")[0].strip().lower() for range_ in request.elements("Accept")]
        if accepted and not {_TYPES[given.event], "application/*", "*/*"} & set(accepted):
            return 406, "Not Acceptable", ()
        return None

    def _is_full(self, dn: str, request: Request) -> bool:
        lamp = self._lamps.get(dn)
        limits = self._core.limits
        if lamp is not None and len(lamp.feeds) >= limits.watchers_per_dn:
            return True
        mine = self._watches.get(user_of(request.from_.uri) or "", 0)
        return len(self) >= limits.subscriptions or mine >= limits.watches_per_dn

    def _watch(self, now: int, subscription: int, dn: str, out: list[AnyOutput]) -> None:
        lamp = self._lamps.get(dn)
        if lamp is None:
            lamp = self._lamps[dn] = Lamp(dn)
            self.pictures.follow(now, dn, out)
        self._watched[subscription] = dn
        entity = f"sip:{dn}@{self._core.settings.realm}"
        # There are phones that take a document without any dialog for no news.
        lamp.feeds[subscription] = DialogFeed(entity, placeholder=True)

    def _open_mailbox(self, now: int, subscription: int, dn: str, out: list[AnyOutput]) -> None:
        self._mailboxes[subscription] = dn

    def _tell_all(self, now: int, subscription: int, *, over: bool) -> None:
        """The whole state, whatever was told before."""
        mailbox = self._mailboxes.get(subscription)
        if mailbox is not None:
            account = f"sip:{mailbox}@{self._core.settings.realm}"
            summary = MessageSummary(False, account, (MessageCount("Voice-Message", 0, 0),))
            self._notify(now, subscription, message_summary.CONTENT_TYPE, summary.to_bytes(), over=over)
            return
        lamp = self._lamps[self._watched[subscription]]
        body = lamp.feeds[subscription].full(self._look(lamp))
        self._notify(now, subscription, dialog_info.CONTENT_TYPE, body, over=over)

    def _notify(self, now: int, subscription: int, kind: str, body: bytes, *, over: bool = False) -> None:
        state = "terminated" if over else "active"
        reason = "timeout" if over else ""
        with suppress(LocalError):  # it ended at this very moment, or there is no room: the next one says everything
            self._sip.notify(
                now, subscription, self._out, state=state, reason=reason, body=body, content_type=kind
            )

    def _forget(self, now: int, subscription: int, out: list[AnyOutput]) -> None:
        caller = self._callers.pop(subscription, None)
        if caller is not None:
            self._watches[caller] -= 1
            if not self._watches[caller]:
                del self._watches[caller]
        self._mailboxes.pop(subscription, None)
        dn = self._watched.pop(subscription, None)
        if dn is None:
            return
        lamp = self._lamps[dn]
        del lamp.feeds[subscription]
        if not lamp.feeds:
            del self._lamps[dn]
            self.pictures.unfollow(now, dn, out)

    def _look(self, lamp: Lamp) -> list[DialogEntry]:
        """The DN's dialogs as they are now."""
        calls = list(self.pictures.view(lamp.dn).calls.values())[: self._core.limits.calls_per_dn]
        lamp.entries = {view.conn_id: self._entry(lamp, view) for view in calls}
        return list(lamp.entries.values())

    def _entry(self, lamp: Lamp, view: CallView) -> DialogEntry:
        known = lamp.entries.get(view.conn_id)
        if known is None:
            # A call that comes back to the DN under its ConnID is another dialog of it.
            self._serial += 1
        name = f"{view.conn_id:016x}-{self._serial}" if known is None else known.id
        realm = self._core.settings.realm
        state = "confirmed"
        direction = "" if known is None else known.direction
        params: tuple[tuple[str, str], ...] = ()
        if view.state in (PartyState.Alerting, PartyState.Queued):
            state, direction = "early", "recipient"
        elif view.state & _STATE in (PartyState.Initiated, PartyState.Busy):
            state, direction = "proceeding", "initiator"
        elif view.state == PartyState.Held:
            params = _HELD
        mine = f"sip:{lamp.dn}@{realm}"
        other = f"sip:{view.other_dn}@{realm}" if view.other_dn else ""
        return DialogEntry(
            name,
            state,
            direction=direction,
            local=Participant(mine, target=mine if params else "", params=params),
            remote=Participant(other, target=other),
        )
