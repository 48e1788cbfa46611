"""A store in memory that also takes files of writes, and works through them while it is looked at."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from stores import FakeConnector, FakeStore, Shop

from calibr.connectors.port import (
    BulkStart,
    BulkView,
    BulkWriter,
    Estimate,
    PriceWrite,
    WriteOutcome,
    WritePath,
    WriteResult,
)
from calibr.core.ids import ConnectionId


@dataclass
class Operation:
    """A file at the store. It is worked through bit by bit, one bit a look."""

    id: str
    writes: Sequence[PriceWrite]
    done: int = 0
    canceled: bool = False
    results: dict[str, WriteOutcome] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        return self.canceled or self.done == len(self.writes)


@dataclass
class BulkDesk(BulkWriter):
    """The port of files over a `FakeStore`; the hooks make it fail. Lives as long as the store does."""

    store: FakeStore
    most_rows: int = 100
    bit: int = 4
    on_start: Callable[[str], BulkStart | None] = lambda _tag: None
    """Called before the store takes a file; an answer means that it does not."""
    after_start: Callable[[str], None] = lambda _tag: None
    on_look: Callable[[Operation], None] = lambda _operation: None
    operations: dict[str, Operation] = field(default_factory=dict)
    with_results: bool = True

    def start(self, tag: str, writes: Sequence[PriceWrite], *, until: float) -> BulkStart:
        assert until
        refused = self.on_start(tag)
        if refused is not None:
            return refused
        assert tag not in self.operations, "a file was handed over twice"
        self.operations[tag] = Operation(f"op-{len(self.operations)}", list(writes))
        self.after_start(tag)
        return BulkStart(WriteOutcome.WRITTEN, self.operations[tag].id)

    def find(self, tag: str, since: datetime) -> BulkView | None:
        assert since.tzinfo is not None
        found = self.operations.get(tag)
        return None if found is None else self._view(found)

    def look(self, operation_id: str) -> BulkView | None:
        operation = next((each for each in self.operations.values() if each.id == operation_id), None)
        if operation is None:
            return None
        self.on_look(operation)
        self.work_on(operation)
        return self._view(operation)

    def work_on(self, operation: Operation) -> None:
        if operation.canceled:
            return
        for write in operation.writes[operation.done : operation.done + self.bit]:
            outcome = self.store.on_write(write)
            if outcome is None:
                self.store.put(write)
            operation.results[write.external_id] = outcome or WriteOutcome.WRITTEN
        operation.done = min(len(operation.writes), operation.done + self.bit)

    def cancel(self, operation_id: str) -> None:
        next(each for each in self.operations.values() if each.id == operation_id).canceled = True

    def layout(self, writes: Sequence[PriceWrite]) -> bytes:
        return hashlib.sha256("\n".join(write.external_id for write in writes).encode()).digest()

    def results(self, view: BulkView, writes: Sequence[PriceWrite]) -> list[WriteResult]:
        (operation,) = (each for each in self.operations.values() if each.id == view.operation_id)
        known = operation.results if self.with_results else {}
        return [
            WriteResult(w.external_id, known.get(w.external_id, WriteOutcome.UNKNOWN), code="fake", message="said so")
            for w in writes
        ]

    @staticmethod
    def _view(operation: Operation) -> BulkView:
        status = "CANCELED" if operation.canceled else "COMPLETED" if operation.is_over else "RUNNING"
        return BulkView(operation.id, status, operation.is_over, operation.done)


class BulkConnector(FakeConnector):
    """The port over a store that takes files, and prefers them."""

    def __init__(self, store: FakeStore, desk: BulkDesk) -> None:
        super().__init__(store)
        self.bulk: BulkWriter | None = desk

    def estimate(self, rows_per_group: Sequence[int]) -> Estimate:  # noqa: ARG002 - of the port
        return Estimate(calls=1, points=1, seconds=1, path=WritePath.BULK)

    def write_prices(self, writes: Iterable[PriceWrite], *, until: float | None = None) -> list[WriteResult]:
        listed = list(writes)
        under_way = {w.external_id for o in self._desk().operations.values() if not o.is_over for w in o.writes}
        assert not under_way & {write.external_id for write in listed}, "a row of a file under way was sent"
        return super().write_prices(listed, until=until)

    def _desk(self) -> BulkDesk:
        assert isinstance(self.bulk, BulkDesk)
        return self.bulk


@dataclass(frozen=True)
class BulkShop(Shop):
    """A shop whose store takes files."""

    desk: BulkDesk = field(kw_only=True)

    def connector_for(self, connection_id: ConnectionId) -> BulkConnector:
        assert connection_id == self.connection_id
        return BulkConnector(self.store, self.desk)


def with_files(shop: Shop) -> BulkShop:
    """The same shop, with a desk for files."""
    return BulkShop(
        shop.context, shop.connection_id, shop.price_list_id, shop.product_ids, shop.store, desk=BulkDesk(shop.store)
    )
