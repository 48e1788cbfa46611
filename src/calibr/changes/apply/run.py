"""One apply run, from taking the work to its end. Killed at any point and run again, it loses and repeats nothing.

Before the first write it checks again that the approval is of this plan, and that the plan is what its rows still say.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from calibr.catalog import PriceList, list_price_lists, rows_per_group
from calibr.changes.apply.breaker import Breaker
from calibr.changes.apply.ending import Ending
from calibr.changes.apply.item_events import SealedPlan
from calibr.changes.apply.lane import work_through
from calibr.changes.apply.pace import Pace
from calibr.changes.apply.settings import ApplySettings, require_safe_lease
from calibr.changes.apply.store_run import OnSettled, StoreRun
from calibr.changes.books import book_of, in_order_of_writing
from calibr.changes.lease import Lease, LeaseLost, take
from calibr.changes.lifecycle import ChangeState
from calibr.changes.model import PriceChange
from calibr.changes.reads_summary import products_to_write
from calibr.changes.repository import get_change
from calibr.changes.repository_bulk import has_open_bulks
from calibr.changes.repository_items import Lot
from calibr.changes.seal import recompute_root
from calibr.changes.transition import with_story
from calibr.connectors.port import Connector, WritePath
from calibr.core.errors import CalibrError, Conflict, Unavailable
from calibr.core.ids import ConnectionId, PriceChangeId, PriceListId
from calibr.db import Context, Database, Role

ConnectorFor = Callable[[ConnectionId], Connector]
"""Opens the connector of a connection for one run, which closes it."""


def _tell_nobody(_state: object, _number: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class RunHooks:
    """How the process around a run stops it in an orderly way, and hears about its progress."""

    stop: threading.Event = field(default_factory=threading.Event)
    on_settled: OnSettled = _tell_nobody


def run_apply(
    database: Database,
    context: Context,
    change_id: PriceChangeId,
    connector_for: ConnectorFor,
    settings: ApplySettings,
    hooks: RunHooks | None = None,
) -> PriceChange:
    """Work on a change that is applying or aborting until it ends, is paused or is stopped; returns it as it then is.

    Does nothing when another worker is at it, and stops when one took over. What keeps the run from going on (the store
    does not answer, its credentials are refused, the lease is too short) pauses the change with the error.
    """
    with database.session(context, role=Role.WORKER) as session:
        context = with_story(context, get_change(session, change_id))
        # A paused change whose files are still at a store has work: to call them back, and to settle what they wrote.
        states = {ChangeState.APPLYING, ChangeState.ABORTING}
        if has_open_bulks(session, change_id):
            states.add(ChangeState.PAUSED)
    lease = take(database, context, change_id, states, settings.lease_s)
    if lease is not None:
        with lease:
            try:
                _Apply(database, context, lease, settings, hooks or RunHooks()).run(change_id, connector_for)
            except LeaseLost:
                structlog.get_logger().warning("price_change.apply_run_overtaken", change_id=str(change_id))
    with database.session(context, role=Role.WORKER) as session:
        return get_change(session, change_id)


class _Apply:
    def __init__(
        self, database: Database, context: Context, lease: Lease, settings: ApplySettings, hooks: RunHooks
    ) -> None:
        self._database = database
        self._context = context
        self._lease = lease
        self._settings = settings
        self._hooks = hooks

    def run(self, change_id: PriceChangeId, connector_for: ConnectorFor) -> None:
        ending = Ending(self._database, self._context, change_id, self._lease)
        change, price_lists = self._plan(change_id)
        log = structlog.get_logger().bind(change_id=str(change_id), fence=self._lease.fence)
        log.info("price_change.apply_run_started", state=str(change.state))
        # Only an applying change sends anything; the others see through what is at the store.
        broken = self._broken_plan(change) if change.state is ChangeState.APPLYING else None
        if broken is not None:
            log.error("price_change.plan_refused", code=broken.code)
            self._stop(ending, change_id, broken)
            return
        try:
            for place, price_list in enumerate(price_lists):
                later = tuple(each.id for each in price_lists[place + 1 :])
                self._write(change, price_list, later, connector_for)
        except LeaseLost:
            raise
        except CalibrError as error:
            if isinstance(error, Unavailable) and error.retryable:
                raise  # it is our database that is away: nobody has to look, and the next run goes on by itself
            log.warning("price_change.apply_run_stopped", code=error.code, error=error.message)
            self._stop(ending, change_id, error)
            return
        ended = ending.finish()
        log.info("price_change.apply_run_ended", state=None if ended is None else str(ended.state))

    def _stop(self, ending: Ending, change_id: PriceChangeId, error: CalibrError) -> None:
        """End the change for what can never go on (Conflict), as far as nothing is open; else pause it."""
        if not isinstance(error, Conflict) or ending.finish(error) is None:
            ending.pause(error)
            with self._database.session(self._context, role=Role.WORKER) as session:
                if has_open_bulks(session, change_id):
                    self._lease.keep()  # the next run, which calls them back, must not follow at once

    def _plan(self, change_id: PriceChangeId) -> tuple[PriceChange, list[PriceList]]:
        with self._database.session(self._context, role=Role.WORKER) as session:
            change = get_change(session, change_id)
            known = {p.id: p for p in list_price_lists(session)}
        return change, in_order_of_writing(known[price_list_id] for price_list_id in change.price_list_ids)

    def _broken_plan(self, change: PriceChange) -> CalibrError | None:
        """Why this plan must not be written, by its approval and by its rows."""
        if change.approved_by is None or change.approved_root != change.plan_root:
            return Conflict("apply.not_approved", f"price change {change.id} has no approval of its plan")
        with self._database.session(self._context, role=Role.WORKER, isolation="repeatable read") as session:
            root = recompute_root(session, change)
        if root == change.approved_root:
            return None
        text = f"the rows of price change {change.id} have the root {root}, approved was {change.approved_root}"
        return Conflict("apply.plan_differs", text)

    def _path(self, run: StoreRun) -> WritePath:
        """How the connector would write what is still to be written."""
        if run.book.bulk is None:
            return WritePath.CALLS
        wanted = products_to_write(run.lot.change_id, run.lot.price_list_id)
        with run.session() as session:
            rows = rows_per_group(session, run.connection_id, wanted)
        return run.book.estimate(rows).path

    def _write(
        self, change: PriceChange, price_list: PriceList, later: tuple[PriceListId, ...], connector_for: ConnectorFor
    ) -> None:
        """Write one price list; `later` come after it. Raises what keeps the run from going on."""
        connector = connector_for(price_list.connection_id)
        try:
            book = book_of(connector, price_list)
            require_safe_lease(self._settings, book.request_timeout_s)
            run = StoreRun(
                database=self._database,
                context=self._context,
                lease=self._lease,
                settings=self._settings,
                plan=SealedPlan.of(change),
                source="change" if change.rollback_of is None else "rollback",
                lot=Lot(change.id, price_list.id, self._lease.fence, later),
                connection_id=price_list.connection_id,
                currency=price_list.currency,
                book=book,
                breaker=Breaker(self._settings),
                pace=Pace(self._settings),
                on_settled=self._hooks.on_settled,
            )
            work_through(run, self._hooks.stop, book.bulk, self._path(run))
            if run.breaker.reason is not None:
                raise run.breaker.reason
        finally:
            connector.close()
