"""Looks after a connection: that its store sends us webhooks, that a sample of its prices is as known, that it is read.

Every look is claimed by moving its time, so that one worker does it; a worker that dies leaves it to the next time.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from calibr import catalog
from calibr.catalog import PriceList, Reading, Source
from calibr.connectors.port import Connector
from calibr.connectors.port.webhooks import RegistersWebhooks, RemoteWebhook
from calibr.core.errors import CalibrError, Conflict, Upstream
from calibr.core.ids import ConnectionId
from calibr.db import DATABASE_ERRORS, Context, Database, Role, Session
from calibr.inbound import privacy
from calibr.inbound.address import HookAddress
from calibr.inbound.model import HOOK_PATH, WatchSettings
from calibr.inbound.price_lists import read_price_lists
from calibr.inbound.receiving import Readers
from calibr.inbound.repository import (
    due_watches,
    forget_deliveries,
    lock_watch,
    move_price_lists,
    update_watch,
    waiting_requests,
)
from calibr.vault import Vault

KEPT_FOR: Final = timedelta(days=30)
READ_AT_ONCE: Final = 1_000
TRY_AGAIN_S: Final = 60.0
PRICE_LISTS_TAKE_S: Final = 900.0
"""How long nothing may be heard of a worker that reads price lists before another one tries."""
RENEW_S: Final = 60.0

log = structlog.stdlib.get_logger("calibr.inbound")

ConnectorFor = Callable[[ConnectionId], Connector]


def due_connections(session: Session, settings: WatchSettings) -> dict[ConnectionId, set[str]]:
    """Connections of which something is due, and what: `webhooks`, `reread`, `sync`, `price_lists`."""
    numbers = {
        "with_webhooks": settings.public_url is not None,
        "with_rereads": settings.reread_share_bp > 0,
        "reread_s": settings.reread_every_s,
        "sync_s": settings.sync_after_s,
        "sync_every_s": settings.sync_every_s,
        "with_price_lists": settings.price_lists_every_s > 0,
    }
    return due_watches(session, numbers)


@dataclass(frozen=True, slots=True)
class Watcher:
    """One tenant's connections, as one worker looks after them."""

    database: Database
    context: Context
    vault: Vault
    readers: Readers
    connector_for: ConnectorFor
    connector_in_any_state: ConnectorFor
    """Opens also what is not to be used, to find out whether the store lets us in."""
    settings: WatchSettings

    def run(self, connection_id: ConnectionId) -> None:
        """Do what is due at a connection."""
        with self._session() as session:
            lock_watch(session, connection_id)
            due = due_connections(session, self.settings).get(connection_id, set())
            claimed_until = self._claim(session, connection_id, due)
        if "sync" in due:
            self._sync(connection_id)
        if "webhooks" in due:
            self._ensure_webhooks(connection_id)
        if "price_lists" in due:
            self._read_price_lists(connection_id, claimed_until)
        if "reread" in due:
            self._reread(connection_id)

    def keep_house(self) -> None:
        """Forget old deliveries, and carry out what platforms asked for where the app is gone."""
        with self._session() as session:
            forget_deliveries(session, KEPT_FOR)
            waiting = waiting_requests(session)
        for request_id, connection_id in waiting:
            let_in = self._lets_us_in(connection_id)
            with self._session() as session:
                reason = "the store still lets us in" if let_in else privacy.why_not_erased(session, connection_id)
                if reason is None:
                    privacy.erase(session, request_id, connection_id)
                else:
                    privacy.keep_waiting(session, request_id, reason)

    def _claim(self, session: Session, connection_id: ConnectionId, due: set[str]) -> datetime:
        """Others look again only after a while. A look that succeeds moves its own time further.

        Returns until when price lists are ours to read.
        """
        soon = session.now + timedelta(seconds=TRY_AGAIN_S)
        times: dict[str, object] = {f"{name}_next_at": soon for name in ("webhooks", "reread") if name in due}
        later = session.now + timedelta(seconds=PRICE_LISTS_TAKE_S)
        if "price_lists" in due:
            times |= {"price_lists_next_at": later, "price_lists_begun_at": session.now, "price_lists_problem": None}
        if "sync" in due:
            times["sync_wanted_since"] = session.now
        if times:
            update_watch(session, connection_id, times)
        return later

    def _sync(self, connection_id: ConnectionId) -> None:
        """Ask for a sync; while one is under way the wish stays, since it may have begun before what came."""
        try:
            with self._session() as session:
                catalog.request_sync(session, connection_id)
                update_watch(session, connection_id, {"sync_wanted_since": None})
        except Conflict as error:
            log.info("watch.sync_waits", connection_id=str(connection_id), code=error.code)

    def _ensure_webhooks(self, connection_id: ConnectionId) -> None:
        with self._session() as session:
            kind = catalog.get_connection(session, connection_id).kind
            secrets = catalog.connection_secrets(session, connection_id, self.vault)
        found: list[RemoteWebhook] = []
        problem: str | None = None
        connector = self.connector_for(connection_id)
        try:
            if kind not in self.readers or not isinstance(connector, RegistersWebhooks):
                problem = f"stores of kind {kind} send no webhooks"
            elif "client_secret" not in secrets:
                problem = "the connection has no client secret, so that no webhook could be judged"
            else:
                found, problem = self._subscribe(connector, connection_id, self.readers[kind].topics)
        except Upstream as error:
            problem = error.message
        finally:
            connector.close()
        with self._session() as session:
            shown = [{"topic": each.topic, "url": each.url} for each in found]
            next_at = session.now + timedelta(seconds=self.settings.webhooks_every_s)
            seen = {"webhooks": shown, "webhooks_problem": problem, "webhooks_checked_at": session.now}
            update_watch(session, connection_id, {**seen, "webhooks_next_at": next_at})

    def _subscribe(
        self, connector: RegistersWebhooks, connection_id: ConnectionId, topics: tuple[str, ...]
    ) -> tuple[list[RemoteWebhook], str | None]:
        """Ask for what is missing, be it new or deleted by the store. Returns what there is, and what was refused."""
        url = self._url(connection_id)
        there = {each.topic for each in connector.list_webhooks() if each.url == url}
        problems = []
        for topic in topics:
            if topic in there:
                continue
            try:
                connector.subscribe_webhook(topic, url)
            except Upstream as error:
                if error.retryable:
                    raise
                problems.append(error.message)
            else:
                there.add(topic)
                log.info("watch.webhook_subscribed", connection_id=str(connection_id), topic=topic)
        return [RemoteWebhook(topic, url) for topic in sorted(there)], "; ".join(problems) or None

    def _url(self, connection_id: ConnectionId) -> str:
        address = HookAddress(self.context.tenant_id, connection_id).text(self.vault)
        return f"{(self.settings.public_url or '').rstrip('/')}{HOOK_PATH}{address}"

    def _read_price_lists(self, connection_id: ConnectionId, claimed_until: datetime) -> None:
        """Who asks for a reading while one is under way gets another one."""
        claim = _Claim(self._session, connection_id, claimed_until)
        connector = self.connector_for(connection_id)
        try:
            problem = read_price_lists(self._session, connection_id, connector, self.settings.work_dir, claim.renew)
        finally:
            connector.close()
        every_s = TRY_AGAIN_S if problem else self.settings.price_lists_every_s
        with self._session() as session:
            told: dict[str, object] = {"price_lists_problem": problem}
            if problem is None:
                told["price_lists_read_at"] = session.now
            update_watch(session, connection_id, told)
            move_price_lists(session, connection_id, claim.until, session.now + timedelta(seconds=every_s))

    def _reread(self, connection_id: ConnectionId) -> None:
        """Read a sample of the base prices and record what differs."""
        with self._session() as session:
            base = catalog.base_price_list(session, connection_id)
            share = self.settings.reread_share_bp
            sample = catalog.sample_listings(session, connection_id, share_bp=share, at=session.now)
        differing = 0
        if base is not None and sample:
            connector = self.connector_for(connection_id)
            try:
                for start in range(0, len(sample), READ_AT_ONCE):
                    differing += self._read_some(connector, base, sample[start : start + READ_AT_ONCE])
            finally:
                connector.close()
        with self._session() as session:
            next_at = session.now + timedelta(seconds=self.settings.reread_every_s)
            told = {"reread_at": session.now, "reread_listings": len(sample), "reread_differing": differing}
            update_watch(session, connection_id, {**told, "reread_next_at": next_at})

    def _read_some(self, connector: Connector, base: PriceList, listings: list[str]) -> int:
        with self._session() as session:
            asked = Reading(tuple(listings), {}, session.now, Source.REREAD)
        prices = connector.read_prices(listings, base.currency)
        with self._session() as session:
            return len(catalog.record_reading(session, base, replace(asked, prices=prices)).recorded)

    def _lets_us_in(self, connection_id: ConnectionId) -> bool:
        try:
            connector = self.connector_in_any_state(connection_id)
        except CalibrError:
            return False
        try:
            return connector.check().ok
        finally:
            connector.close()

    def _session(self) -> AbstractContextManager[Session]:
        return self.database.session(self.context, role=Role.WORKER)


@dataclass(slots=True)
class _Claim:
    """The right of a worker to read the price lists of a connection, for as long as it says that it gets on."""

    session: Callable[[], AbstractContextManager[Session]]
    connection_id: ConnectionId
    until: datetime
    renewed_at: float = field(default_factory=time.monotonic)

    def renew(self, _stage: str, _done: int, _total: int | None) -> None:
        """Ask for more time, once a minute. Nothing is taken from who has asked for another reading meanwhile."""
        if time.monotonic() - self.renewed_at < RENEW_S:
            return
        self.renewed_at = time.monotonic()
        try:
            with self.session() as session:
                later = session.now + timedelta(seconds=PRICE_LISTS_TAKE_S)
                if move_price_lists(session, self.connection_id, self.until, later):
                    self.until = later
        except (CalibrError, *DATABASE_ERRORS) as error:  # most of the time is left, and what was read is worth it
            log.warning("watch.claim_not_renewed", connection_id=str(self.connection_id), error=type(error).__name__)
