"""One preview, from taking the work to the sealed plan. Killed at any point and run again, it starts over."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from calibr.catalog import PriceList, list_price_lists, renormalize, rows_per_group
from calibr.changes import lifecycle
from calibr.changes.books import book_of
from calibr.changes.lease import Lease, LeaseLost, take
from calibr.changes.lifecycle import ChangeState
from calibr.changes.model import PriceChange
from calibr.changes.plan import complete_preview
from calibr.changes.preview.compute import Computed, PlanWriter
from calibr.changes.reads_price_lists import price_list_effects
from calibr.changes.reads_summary import labeled, products_to_write
from calibr.changes.repository import get_change
from calibr.changes.repository_plan import discard_items, expect_many_rows, lock_plan_alone
from calibr.changes.seal import seal_items
from calibr.changes.summary import Findings, summarize
from calibr.changes.transition import error_payload, transition, with_story
from calibr.connectors.port import Connector
from calibr.core.errors import CalibrError
from calibr.core.ids import ConnectionId, PriceChangeId
from calibr.db import Context, Database, Role, Session
from calibr.pricing import DocumentError, PlanHeader, engine_version

ConnectorFor = Callable[[ConnectionId], Connector]


@dataclass(frozen=True, slots=True)
class PreviewSettings:
    """`parallel` connections compute a plan; more than there are processors for the database do not help."""

    parallel: int = 2
    lease_s: float = 60.0


@dataclass(frozen=True, slots=True)
class _Sealed:
    header: PlanHeader
    root: str
    summary: dict[str, Any]


def run_preview(
    database: Database,
    context: Context,
    change_id: PriceChangeId,
    settings: PreviewSettings | None = None,
    connector_for: ConnectorFor | None = None,
) -> PriceChange:
    """Compute and seal the plan of a change that is previewing; returns the change as it then stands.

    Rules that do not fit a price list make it a draft again, with the error. Does nothing when another worker is at it,
    and stops when one took over or somebody edited the change. With `connector_for` the summary says how long writing
    will take.
    """
    settings = settings or PreviewSettings()
    with database.session(context, role=Role.WORKER) as session:
        context = with_story(context, get_change(session, change_id))
    lease = take(database, context, change_id, {ChangeState.PREVIEWING}, settings.lease_s)
    if lease is not None:
        with lease:
            _Preview(database, context, lease, connector_for).run(change_id, settings.parallel)
    with database.session(context, role=Role.WORKER) as session:
        return get_change(session, change_id)


class _Preview:
    def __init__(self, database: Database, context: Context, lease: Lease, connector_for: ConnectorFor | None) -> None:
        self._database = database
        self._context = context
        self._lease = lease
        self._connector_for = connector_for

    def run(self, change_id: PriceChangeId, parallel: int) -> None:
        log = structlog.get_logger().bind(change_id=str(change_id), fence=self._lease.fence)
        try:
            change = self._begin(change_id)
            computed = PlanWriter(self._database, self._context, change, self._lease).write(parallel)
            sealed = self._seal(change, computed)
            done = self._complete(change, sealed)
        except LeaseLost:
            log.warning("price_change.preview_overtaken")
        except DocumentError as error:
            self._refuse(change_id, error)
            log.info("price_change.preview_refused", code=error.code)
        else:
            log.info("price_change.preview_ended", items=sealed.header.items, plan_root=sealed.root, sealed=done)

    def _begin(self, change_id: PriceChangeId) -> PriceChange:
        change = self._discard(change_id)
        with self._database.session(self._context, role=Role.WORKER) as session:
            lists = [p for p in list_price_lists(session) if p.id in change.price_list_ids]
        for connection_id in {p.connection_id for p in lists}:
            renormalize(self._database, self._context, connection_id)
        return change

    def _discard(self, change_id: PriceChangeId) -> PriceChange:
        """Delete what an earlier attempt left, or this one whose change was cancelled."""
        with self._database.session(self._context, role=Role.WORKER) as session:
            lock_plan_alone(session, change_id)
            self._lease.lock(session)
            discard_items(session, change_id)
            return get_change(session, change_id)

    def _seal(self, change: PriceChange, computed: Computed) -> _Sealed:
        selection = computed.selection
        header = PlanHeader(
            *(change.id, change.revision, change.rule_hash, engine_version(), computed.computed_at),
            *(selection.selected, selection.left, computed.items),
        )
        with self._database.session(self._context, role=Role.WORKER, isolation="repeatable read") as session:
            expect_many_rows(session)
            findings = Findings(
                selection,
                computed.not_applied,
                movers_up=labeled(session, computed.highest),
                movers_down=labeled(session, computed.lowest),
                eta=self._eta(session, change),
                price_lists=price_list_effects(session, change),
            )
            summary = summarize(computed.groups, findings)
            return _Sealed(header, seal_items(session, header), summary)

    def _complete(self, change: PriceChange, sealed: _Sealed) -> bool:
        """The one transaction that makes the items a plan; False where somebody cancelled the change meanwhile."""
        with self._database.session(self._context, role=Role.WORKER) as session:
            if self._lease.lock(session) is ChangeState.PREVIEWING:
                complete_preview(session, change, sealed.header, sealed.root, sealed.summary)
                return True
        self._discard(change.id)
        return False

    def _refuse(self, change_id: PriceChangeId, error: DocumentError) -> None:
        body = error_payload(error)
        with self._database.session(self._context, role=Role.WORKER) as session:
            if self._lease.lock(session) is ChangeState.PREVIEWING:
                change = get_change(session, change_id)
                transition(session, change, lifecycle.FAIL_PREVIEW, values={"error": body}, payload={"error": body})

    def _eta(self, session: Session, change: PriceChange) -> list[dict[str, Any]] | None:
        """What the connectors say about the writing; None without connectors, or where one cannot say."""
        if self._connector_for is None:
            return None
        lists = [p for p in list_price_lists(session) if p.id in change.price_list_ids]
        try:
            return [self._estimate(session, change, p, self._connector_for(p.connection_id)) for p in lists]
        except CalibrError as error:  # a plan is worth having without it
            structlog.get_logger().warning("price_change.not_estimated", change_id=str(change.id), code=error.code)
            return None

    def _estimate(
        self, session: Session, change: PriceChange, price_list: PriceList, connector: Connector
    ) -> dict[str, Any]:
        wanted = products_to_write(change.id, price_list.id)
        with closing(connector):
            book = book_of(connector, price_list)
            estimate = book.estimate(rows_per_group(session, price_list.connection_id, wanted))
        told = {"connection_id": str(price_list.connection_id), "price_list_id": str(price_list.id)}
        return {**told, **asdict(estimate)}
