"""Works in what stores sent, in any order: a delivery says where to look, and only a reading of the store is believed.

A price that is as we know it needs no look, which is how our own writes fall silent. What is being written right now
waits until its run has settled it.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final

import structlog

from calibr import catalog
from calibr.catalog import Observed, PriceList, PriceStanding, Reading, Source
from calibr.connectors.port import Connector, Health, RemotePrice
from calibr.connectors.port.webhooks import GroupNotice, WebhookKind, WebhookReader
from calibr.core.errors import CalibrError, Invalid
from calibr.core.ids import ConnectionId
from calibr.db import Context, Database, Role, Session
from calibr.inbound import privacy
from calibr.inbound.model import Outcome, StoredDelivery
from calibr.inbound.receiving import Readers
from calibr.inbound.repository import claim_inbox, renew_inbox, settle, take_waiting, update_watch, want_sync

AT_ONCE: Final = 200
READ_AT_ONCE: Final = 2_000
LEASE_S: Final = 180.0
SLICE_S: Final = 5.0
ATTEMPTS: Final = 40
FIRST_DELAY_S: Final = 0.25
LONGEST_DELAY_S: Final = 60.0
IN_FLIGHT: Final = "a write to the same price is on its way, or the price changed since it was read"

log = structlog.stdlib.get_logger("calibr.inbound")

ConnectorFor = Callable[[ConnectionId], Connector]
_CHECKED: Final = frozenset({WebhookKind.UNINSTALLED, WebhookKind.SCOPES_CHANGED})
_GROUPS: Final = frozenset({WebhookKind.GROUP_CHANGED, WebhookKind.GROUP_DELETED})


@dataclass(frozen=True, slots=True)
class Inbox:
    """The deliveries of one tenant's connections, as one worker works them in."""

    database: Database
    context: Context
    readers: Readers
    connector_for: ConnectorFor

    def run(self, connection_id: ConnectionId, stop: threading.Event) -> None:
        """Work until nothing is due, the time slice is over or the process stops. One worker at a time."""
        with self._session() as session:
            if not claim_inbox(session, connection_id, LEASE_S):
                return
        until = time.monotonic() + SLICE_S
        try:
            while not stop.is_set() and time.monotonic() < until and self._round(connection_id):
                pass
        finally:
            with self._session() as session:
                renew_inbox(session, connection_id, 0)

    def _round(self, connection_id: ConnectionId) -> bool:
        """Work one batch in; False if nothing was due."""
        with self._session() as session:
            renew_inbox(session, connection_id, LEASE_S)
            batch = take_waiting(session, connection_id, AT_ONCE)
            if not batch:
                return False
            connection = catalog.get_connection(session, connection_id)
            # Of a store that was never read, or that is not read any more, no price is taken in.
            base = catalog.base_price_list(session, connection_id) if catalog.is_usable(connection) else None
            work = _Batch(connection_id, base, self.readers[connection.kind])
            work.sort(session, batch)
        work.read(self.connector_for)
        with self._session() as session:
            work.record(session)
        return True

    def _session(self) -> AbstractContextManager[Session]:
        return self.database.session(self.context, role=Role.WORKER)


@dataclass(slots=True)
class _Group:
    """A delivery about a product group, and the listings that have to be read for it."""

    delivery: StoredDelivery
    wanted: tuple[str, ...]


@dataclass(slots=True)
class _Batch:
    """Some deliveries of one connection, from being sorted to being settled."""

    connection_id: ConnectionId
    base: PriceList | None
    reader: WebhookReader
    groups: list[_Group] = field(default_factory=list)
    others: list[StoredDelivery] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    reading: Reading | None = None
    problem: CalibrError | None = None
    health: Health | None = None
    wants_sync: bool = False

    def sort(self, session: Session, batch: Sequence[StoredDelivery]) -> None:
        """Find out what has to be read. Deliveries beyond what one reading holds stay for the next round."""
        notices = []
        for delivery in batch:
            if delivery.kind not in _GROUPS:
                self.others.append(delivery)
            elif self.base is None:
                self.outcomes.append(Outcome(delivery.delivery_id))
            else:
                notice = self._notice(delivery, self.base.currency)
                if notice is not None:
                    notices.append((delivery, notice))
        if notices and self.base is not None:
            self._sort_groups(session, self.base, notices)

    def _notice(self, delivery: StoredDelivery, currency: str) -> GroupNotice | None:
        try:
            return self.reader.read_group(delivery.kind, delivery.body or b"", currency)
        except Invalid as error:
            self.outcomes.append(Outcome(delivery.delivery_id, error=error.message))
            return None

    def _sort_groups(
        self, session: Session, base: PriceList, notices: Sequence[tuple[StoredDelivery, GroupNotice]]
    ) -> None:
        ours = catalog.listings_by_group(session, self.connection_id, [n.group_external_id for _, n in notices])
        named = {i for _, n in notices for i in (*ours.get(n.group_external_id, ()), *_named(n))}
        known = {each.external_id: each for each in catalog.price_standings(session, base, sorted(named))}
        asked: dict[str, None] = {}
        for delivery, notice in notices:
            wanted = self._wanted(notice, ours.get(notice.group_external_id, ()), known)
            if any(known[i].in_flight for i in wanted):
                self.outcomes.append(_later(delivery, IN_FLIGHT, attempts=None))
            elif not wanted:
                self.outcomes.append(Outcome(delivery.delivery_id))
            elif not asked or len(asked.keys() | set(wanted)) <= READ_AT_ONCE:
                asked.update(dict.fromkeys(wanted))
                self.groups.append(_Group(delivery, wanted))
        stories = {i: group.delivery.correlation_id for group in self.groups for i in group.wanted}
        self.reading = Reading(tuple(asked), {}, session.now, Source.WEBHOOK, stories, may_vanish=True)

    def _wanted(self, notice: GroupNotice, ours: Sequence[str], known: dict[str, PriceStanding]) -> tuple[str, ...]:
        """The listings of which the delivery says something else than we know, or nothing."""
        shown = {price.external_id: price for price in notice.prices}
        wanted = []
        for external_id in dict.fromkeys((*shown, *notice.others, *ours)):
            standing = known[external_id]
            if standing.product_id is None or not standing.is_active:
                self.wants_sync = True
            elif external_id not in shown or _differs(shown[external_id], standing):
                wanted.append(external_id)
        return tuple(wanted)

    def read(self, connector_for: ConnectorFor) -> None:
        """Ask the store. No transaction is open meanwhile."""
        needs_check = any(delivery.kind in _CHECKED for delivery in self.others)
        reading = self.reading
        if not needs_check and (reading is None or not reading.asked):
            return
        connector = None
        try:
            connector = connector_for(self.connection_id)
            if needs_check:
                self.health = connector.check()
            if reading is not None and reading.asked and self.base is not None:
                prices = connector.read_prices(reading.asked, self.base.currency)
                self.reading = Reading(
                    reading.asked, prices, reading.read_from, reading.source, reading.stories, reading.may_vanish
                )
        except CalibrError as error:
            self.problem = error
        finally:
            if connector is not None:
                connector.close()

    def record(self, session: Session) -> None:
        """Write down what was found together with what became of the deliveries."""
        observed = Observed()
        if self.groups and self.problem is None and self.reading is not None and self.base is not None:
            observed = catalog.record_reading(session, self.base, self.reading)
        for group in self.groups:
            self.outcomes.append(self._outcome(group, observed))
        for delivery in self.others:
            self.outcomes.append(self._take_note(session, delivery))
        if self.wants_sync or observed.unknown or any(_has_failed(outcome) for outcome in self.outcomes):
            want_sync(session, self.connection_id)
        settle(session, self.connection_id, self.outcomes)
        log.debug("webhooks.worked_in", deliveries=len(self.outcomes), recorded=len(observed.recorded))

    def _outcome(self, group: _Group, observed: Observed) -> Outcome:
        if self.problem is not None:
            return _later(group.delivery, self.problem.message)
        if observed.too_early.isdisjoint(group.wanted):
            return Outcome(group.delivery.delivery_id)
        return _later(group.delivery, IN_FLIGHT, attempts=None)

    def _take_note(self, session: Session, delivery: StoredDelivery) -> Outcome:
        kind = delivery.kind
        if kind in _CHECKED:
            if self.health is None:
                said = "the store was not asked" if self.problem is None else self.problem.message
                # A removed app has no token that opens anything: its connector may not even be made.
                if kind is not WebhookKind.UNINSTALLED:
                    return _later(delivery, said)
            self._note_app(session, kind)
        elif kind is WebhookKind.BULK_FINISHED:
            session.has_news = True  # whoever waits for an operation looks now instead of at its next poll
        elif kind in privacy.KINDS:
            privacy.note_request(session, self.connection_id, kind)
        return Outcome(delivery.delivery_id)

    def _note_app(self, session: Session, kind: WebhookKind) -> None:
        if kind is WebhookKind.SCOPES_CHANGED and self.health is not None:
            catalog.record_scopes(session, self.connection_id, self.health)
        elif kind is WebhookKind.UNINSTALLED and not (self.health is not None and self.health.ok):
            # A store that lets us in has our app: the delivery is older than the last installation.
            catalog.mark_uninstalled(session, self.connection_id)
            update_watch(session, self.connection_id, {"uninstalled_at": session.now})


def _named(notice: GroupNotice) -> Iterable[str]:
    return (*(price.external_id for price in notice.prices), *notice.others)


def _differs(shown: RemotePrice, known: PriceStanding) -> bool:
    price = None if shown.unit_amount is None else (shown.unit_amount, shown.compare_at)
    return not known.is_as_known(price)


def _later(delivery: StoredDelivery, reason: str, *, attempts: int | None = ATTEMPTS) -> Outcome:
    """Another time; after so many it has failed for good (None: never, since what it waits for comes to an end)."""
    if attempts is not None and delivery.attempt + 1 >= attempts:
        return Outcome(delivery.delivery_id, error=reason)
    delay = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(delivery.attempt, 20))
    return Outcome(delivery.delivery_id, delay_s=delay, error=reason)


def _has_failed(outcome: Outcome) -> bool:
    return outcome.delay_s is None and outcome.error is not None
