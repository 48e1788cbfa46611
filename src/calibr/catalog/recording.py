"""The one transaction of a sync: takes the catalog in, compares, writes what differs, and says so in events."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Final

from calibr.catalog import repository_difference as differences
from calibr.catalog import repository_stage as stages
from calibr.catalog.connection_states import RECOVER
from calibr.catalog.connection_steps import take_step
from calibr.catalog.model import SyncMode, SyncRun, SyncSummary
from calibr.catalog.renormalize import renormalize_texts
from calibr.catalog.repository_stage import Target
from calibr.catalog.repository_syncs import ensure_base_price_list, insert_findings, lock_catalog, update_connection
from calibr.catalog.sync_lease import SyncLease
from calibr.connectors.port import CatalogStream, Progress
from calibr.core.errors import Conflict
from calibr.core.text import unidata_version
from calibr.db import Session
from calibr.events import Event, JsonValue, emit_stream

VANISHING_IS_PLAUSIBLE: Final = 100
"""Up to so many listings may all vanish at once. Beyond, a catalog without any of them is taken for a mistake."""

MANY_NEW: Final = 10_000
"""More new listings than this change what the planner should know."""

TAKING_IN: Final = "taking rows in"
COMPARING: Final = "comparing"
WRITING: Final = "writing"


class IncompleteError(Exception):
    """What changed does not add up to what the store has: something vanished that no change told."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a catalog is: all or what changed, as of when; and how many listings the store has (None: unknown)."""

    mode: SyncMode
    read_from: datetime
    store_has: int | None = None

    @property
    def is_part(self) -> bool:
        """Whether groups that did not change are absent."""
        return self.mode is SyncMode.INCREMENTAL


class Recording:
    """Records one catalog for one sync run in the transaction of `session`."""

    def __init__(self, session: Session, run: SyncRun, lease: SyncLease, progress: Progress) -> None:
        self._session = session
        self._run = run
        self._lease = lease
        self._progress = progress

    def record(self, stream: CatalogStream, reading: Reading) -> SyncSummary:
        """Take the catalog in and end the run.

        Raises Conflict (see `run_sync`) or IncompleteError, and then nothing is changed.
        """
        session, connection_id = self._session, self._run.connection_id
        head = lock_catalog(session, connection_id)
        target = self._target(stream)
        if head["unidata_version"] not in {None, unidata_version()}:
            renormalize_texts(session, connection_id)
        is_baseline = not stages.has_listings(session, connection_id)
        rows = stages.fill_stage(session, self._counted(stream), with_ids=is_baseline)
        counts = self._load_first(target, rows) if is_baseline else self._apply_difference(target, rows, reading)
        findings = stream.findings()
        insert_findings(session, self._run.id, findings)
        summary = SyncSummary(baseline=is_baseline, rows=rows, findings=len(findings), **counts)
        emit_stream(session, self._events(target, summary, reading))
        self._end(summary)
        return summary

    def _target(self, stream: CatalogStream) -> Target:
        """The base price list, which keeps its currency: amounts of two currencies make no history."""
        base = stream.base_price_list
        known = ensure_base_price_list(self._session, self._run.connection_id, base)
        if known.currency != base.currency:
            raise Conflict(
                "sync.currency_changed",
                f"The store's prices are in {base.currency} now, but price list {known.id} is in {known.currency}."
                " Nothing was changed. Make a new connection for the store.",
            )
        return Target(self._run.connection_id, known.id, known.currency)

    def _counted(self, stream: CatalogStream) -> Iterator[bytes]:
        """The rows, counted by their line feeds, of which a text may hold some more."""
        lines = 0
        for chunk in stream.chunks():
            yield chunk
            lines += chunk.count(b"\n")
            done = lines if stream.rows_total is None else min(lines, stream.rows_total)
            self._progress(TAKING_IN, done, stream.rows_total)

    def _load_first(self, target: Target, rows: int) -> dict[str, int]:
        self._progress(WRITING, 0, rows)
        inserted = stages.insert_new(self._session, target, stages.STAGE)
        stages.refresh_statistics(self._session)
        nothing = dict.fromkeys(("changed", "reappeared", "vanished", "prices_observed", "costs_changed"), 0)
        return {"new": inserted["listings"], **nothing}

    def _apply_difference(self, target: Target, rows: int, reading: Reading) -> dict[str, int]:
        session = self._session
        self._progress(COMPARING, 0, rows)
        counts = stages.find_difference(session, target, read_from=reading.read_from, is_part=reading.is_part)
        self._require_sum(target, counts, reading)
        self._require_plausible(target, counts["vanished"])
        self._progress(WRITING, 0, sum(counts.values()))
        stages.insert_new(session, target, stages.FRESH)
        if counts["new"] > MANY_NEW:
            stages.refresh_statistics(session)
        changed = differences.change_products(session, target)
        differences.vanish(session, target)
        prices = differences.change_prices(session, target)
        costs = differences.change_costs(session, target)
        return {**counts, "changed": changed, "prices_observed": prices, "costs_changed": costs}

    def _require_sum(self, target: Target, counts: Mapping[str, int], reading: Reading) -> None:
        """A store that has fewer listings than the changes leave has lost some; what came since counts for more."""
        if reading.store_has is None:
            return
        before = stages.count_active_listings(self._session, target.connection_id)
        expected = before + counts["new"] + counts["reappeared"] - counts["vanished"]
        if reading.store_has < expected:
            raise IncompleteError(f"the store has {reading.store_has} listings, its changes lead to {expected}")

    def _require_plausible(self, target: Target, vanished: int) -> None:
        if vanished <= VANISHING_IS_PLAUSIBLE or self._run.forced:
            return
        if vanished == stages.count_active_listings(self._session, target.connection_id):
            raise Conflict(
                "sync.everything_vanished",
                f"The store's catalog has none of the {vanished} listings that it had. Nothing was changed."
                " If that is right, ask for the sync again with force.",
            )

    def _end(self, summary: SyncSummary) -> None:
        now = self._session.now
        seen = {"last_synced_at": now, "unidata_version": unidata_version()}
        update_connection(self._session, self._run.connection_id, seen)
        take_step(self._session, self._run.connection_id, RECOVER)
        self._lease.end(
            self._session,
            state="completed",
            rows_read=summary.rows,
            rows_total=summary.rows,
            summary=summary.document(),
        )

    def _events(self, target: Target, summary: SyncSummary, reading: Reading) -> Iterator[Event]:
        about = {"connection_id": str(target.connection_id), "mode": reading.mode.value}
        done: dict[str, JsonValue] = {**about, **summary.document()}
        changes: Iterator[Event] = iter(())
        if not summary.baseline:
            changes = chain(_vanished_events(self._session, target), _price_events(self._session, target))
        return chain(changes, [Event("sync.completed", "sync", str(self._run.id), done, schema_version="1.1.0")])


def _vanished_events(session: Session, target: Target) -> Iterator[Event]:
    for external_id, product_id in differences.vanished(session):
        payload: dict[str, JsonValue] = {
            "connection_id": str(target.connection_id),
            "external_id": external_id,
            "product_id": str(product_id),
        }
        yield Event("listing.vanished", "product", str(product_id), payload)


def _price_events(session: Session, target: Target) -> Iterator[Event]:
    for seen in differences.observations(session):
        payload: dict[str, JsonValue] = {
            "connection_id": str(target.connection_id),
            "external_id": seen.external_id,
            "product_id": str(seen.product_id),
            "price_list_id": str(target.price_list_id),
            "currency": target.currency,
            "before": _price(seen.before),
            "after": _price(seen.after),
        }
        yield Event("price.observed", "product", str(seen.product_id), payload)


def _price(price: tuple[int, int | None] | None) -> JsonValue:
    return None if price is None else {"unit_amount": price[0], "compare_at": price[1]}
