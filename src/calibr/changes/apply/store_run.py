"""One apply run at one store: what its batches share, and its calls to the store."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

from calibr.changes.apply.breaker import Breaker, Call
from calibr.changes.apply.decide import ClaimedItem
from calibr.changes.apply.item_events import SealedPlan
from calibr.changes.apply.pace import Pace
from calibr.changes.apply.settings import ApplySettings
from calibr.changes.lease import Lease
from calibr.changes.lifecycle import ItemState
from calibr.changes.repository_items import Lot
from calibr.connectors.port import RemotePrice, WriteOutcome, WriteResult
from calibr.connectors.port.price_lists import PriceBook
from calibr.core.errors import Upstream
from calibr.core.ids import ConnectionId
from calibr.db import Context, Database, Role, Session

THROTTLED = "upstream.throttled"
UNAUTHORIZED = "upstream.unauthorized"

OnSettled = Callable[[ItemState, int], None]
"""Told how many items reached a state, after the transaction that moved them; for metrics."""


@dataclass(frozen=True, slots=True)
class StoreRun:
    """The items of one change on one price list, and everything that working on them takes."""

    database: Database
    context: Context
    lease: Lease
    settings: ApplySettings
    plan: SealedPlan
    source: Literal["change", "rollback"]
    lot: Lot
    connection_id: ConnectionId
    currency: str
    book: PriceBook
    breaker: Breaker
    pace: Pace
    on_settled: OnSettled

    def session(self) -> AbstractContextManager[Session]:
        """A transaction of the worker."""
        return self.database.session(self.context, role=Role.WORKER)

    def read(self, items: Sequence[ClaimedItem]) -> dict[str, RemotePrice] | None:
        """What the store asks now, by external id; None if it does not answer."""
        wanted = [item.external_id for item in items if item.external_id is not None]
        if not wanted:
            return {}
        self.lease.require()
        try:
            found = self.book.read_prices(wanted, self.currency)
        except Upstream as error:
            self.breaker.failed(Call.READ, error)
            return None
        self.breaker.succeeded(Call.READ)
        return found

    def write(self, items: Sequence[ClaimedItem]) -> dict[str, WriteResult]:
        """Send the new prices; a row without a result may or may not have been written.

        Nothing is sent unless the lease outlasts the call: a request must be over before anybody else may take over.
        """
        until = self.lease.last_moment(self.book.request_timeout_s)
        try:
            results = self.book.write_prices([item.write() for item in items], until=until)
        except Upstream as error:
            self.breaker.failed(Call.WRITE, error)
            return {}
        self._judge(results)
        return {result.external_id: result for result in results}

    def _judge(self, results: Sequence[WriteResult]) -> None:
        """Learn from the outcome of a call how fast to go on, and whether at all."""
        starved = any(r.code == THROTTLED for r in results)
        if starved:
            self.pace.throttled()
        else:
            self.pace.kept_up()
        if any(r.outcome in {WriteOutcome.WRITTEN, WriteOutcome.REJECTED} for r in results):
            self.breaker.succeeded(Call.WRITE)
        elif results and (not starved or self.pace.is_at_floor):
            first = results[0]
            code, message = first.code or "upstream.protocol", first.message or "the store wrote nothing"
            self.breaker.failed(Call.WRITE, Upstream(code, message, retryable=code != UNAUTHORIZED))
