"""One apply run at one store: what its batches share, and its calls to the store."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

from calibr.changes.apply.breaker import Breaker
from calibr.changes.apply.decide import ClaimedItem
from calibr.changes.apply.item_events import SealedPlan
from calibr.changes.apply.settings import ApplySettings
from calibr.changes.lease import Lease
from calibr.changes.lifecycle import ItemState
from calibr.changes.repository_items import Lot
from calibr.connectors.port import Connector, RemotePrice, WriteResult
from calibr.core.errors import Upstream
from calibr.core.ids import ConnectionId
from calibr.db import Context, Database, Role, Session

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
    connector: Connector
    breaker: Breaker
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
            found = self.connector.read_prices(wanted, self.currency)
        except Upstream as error:
            self.breaker.failed(error)
            return None
        self.breaker.succeeded()
        return found

    def write(self, items: Sequence[ClaimedItem]) -> dict[str, WriteResult]:
        """Send the new prices; a row without a result may or may not have been written.

        The lease is looked at before each row leaves, not only once: a worker that was frozen in between stops.
        """
        self.lease.require()
        try:
            results = self.connector.write_prices(self.lease.guarded([item.write() for item in items]))
        except Upstream as error:
            self.breaker.failed(error)
            return {}
        self.breaker.succeeded()
        return {result.external_id: result for result in results}
