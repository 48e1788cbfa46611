"""One file of writes, from reading the store for its rows to settling them when the store is done with it.

The file is noted in the transaction that marks its rows as sent, before the store hears of it. From then on its rows
belong to it until the store says that it is over: nobody reads, sends or settles them meanwhile, whoever works on the
change. So a crash at any point leaves a file to be found by its name, and never a row to be guessed at.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy import RowMapping

from calibr.changes.apply.breaker import Call
from calibr.changes.apply.core import make_ready, settle_sent
from calibr.changes.apply.decide import ClaimedItem, Decision, price_of
from calibr.changes.apply.item_store import CALLED_BACK, SqlItemStore
from calibr.changes.apply.store_run import THROTTLED, StoreRun
from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.changes.repository_bulk import (
    FORGOTTEN,
    NEVER_STARTED,
    REFUSED,
    BulkFile,
    add_bulk,
    end_bulk,
    note_operation,
    reopen_bulk,
    take_rows,
    unseen_bulks,
)
from calibr.connectors.port import BulkStart, BulkView, BulkWriter, RemotePrice, WriteOutcome, WriteResult
from calibr.core.errors import Upstream
from calibr.core.ids import new_uuid
from calibr.db import Session

READ_AT_ONCE: Final = 250
FIRST_LOOK_S: Final = 0.25
LONGEST_LOOK_S: Final = 5.0
LONGEST_WORK: Final = timedelta(hours=25)
"""A store gives up a file after a day. One that it does not know may be another app's by now, and go on."""
STALL_S: Final = 1_800.0
"""A file that makes no progress for so long is called back (some were seen that never began)."""

ItemsOf = Callable[[Session, Sequence[RowMapping]], list[ClaimedItem]]


@dataclass(frozen=True, slots=True)
class _Read:
    """What the store asks now for the first items of a batch. The `rest` was not read, for want of answers or time."""

    items: Sequence[ClaimedItem]
    found: dict[str, RemotePrice]
    rest: Sequence[ClaimedItem]
    is_stores_fault: bool


@dataclass(frozen=True, slots=True)
class BulkFiles:
    """The files of one run. `stop` ends waiting, not the file: the next run goes on with it."""

    run: StoreRun
    writer: BulkWriter
    stop: threading.Event
    items_of: ItemsOf
    reading: threading.Lock = field(default_factory=threading.Lock)
    """Files are read for one after another: side by side each would take as long as all, and its prices grow old."""

    def send(self, items: Sequence[ClaimedItem]) -> None:
        """Read the store, hand a file over, and see it through."""
        noted: list[BulkFile] = []
        bulk_id = new_uuid()

        def note(session: Session, sent: Sequence[ClaimedItem]) -> None:
            layout = self.writer.layout([item.write() for item in sent])
            noted.append(add_bulk(session, self.run.lot, bulk_id, len(sent), layout))

        with self.reading:
            # By key, so that whoever goes on with the file lays its lines out in the same way.
            read = self._read(sorted(items, key=lambda item: item.key.product_id))
            store = SqlItemStore(self.run, bulk_id, note)
            sent = make_ready(store, self.run.settings, read.items, read.found) if read.items else []
            self._release(read)
        if not sent:
            return
        (file,) = noted
        started = self._start(file, sent)
        if started.outcome is WriteOutcome.UNKNOWN:
            self.follow(file)
        elif started.operation_id is not None:
            with self.run.session() as session:
                self.run.lease.lock(session)
                note_operation(session, file.id, started.operation_id)
            self.follow(replace(file, operation_id=started.operation_id))
        else:
            self._give_back(file, sent, started)

    def turned_up(self) -> list[BulkFile]:
        """Files that were given up, and that the store shows after all: they are open again, and to be followed.

        Their rows were sent again meanwhile, so that the store may have been written to twice: somebody must look.
        """
        with self.run.session() as session:
            self.run.lease.lock(session)
            unseen = unseen_bulks(session, self.run.lot)
        late: list[BulkFile] = []
        for file in unseen:
            view = self.writer.find(file.tag, file.created_at)
            if view is None:
                continue
            with self.run.session() as session:
                self.run.lease.lock(session)
                reopen_bulk(session, file.id, view.operation_id)
            structlog.get_logger().error("price_change.file_turned_up_late", file=file.tag, status=view.status)
            self._call_back(view)
            late.append(replace(file, operation_id=view.operation_id))
        return late

    def follow(self, file: BulkFile) -> None:
        """Wait until the store is done with a file, and settle its rows. Returns early on `stop`, and on an outage."""
        watch = _Watch(file)
        while not self.stop.wait(watch.next_pause_s()) and self.run.breaker.reason is None:
            self.run.lease.require()
            asked_s = watch.age_s()  # a look tells of the moment at which it was asked
            try:
                view = self._find(watch)
            except Upstream as error:
                self.run.breaker.failed(Call.READ, error)
                continue
            self.run.breaker.succeeded(Call.READ)
            if view is None:
                status = self._given_up(watch, asked_s)
                if status is not None:
                    self._end(watch, status, None)
                    return
            elif view.is_over or self._is_past_all_work(watch):
                self._end(watch, view.status, view if view.is_over else None)
                return
            elif self._must_not_go_on():
                watch.is_called_back = True
                self._call_back(view)
            elif watch.stalls(view):
                self._call_back(view)

    def _read(self, items: Sequence[ClaimedItem]) -> _Read:
        """Ask one call after another, as far as the store answers and there is time."""
        found: dict[str, RemotePrice] = {}
        for start in range(0, len(items), READ_AT_ONCE):
            is_stopped = self.stop.is_set()
            part = None if is_stopped else self.run.read(items[start : start + READ_AT_ONCE])
            if part is None:
                return _Read(items[:start], found, items[start:], is_stores_fault=not is_stopped)
            found |= part
        return _Read(items, found, (), is_stores_fault=False)

    def _release(self, read: _Read) -> None:
        """Put back what was not read."""
        if not read.rest:
            return
        code = "store_unreadable" if read.is_stores_fault else None
        again = [
            Decision(item, ItemState.UNKNOWN if item.may_be_written else ItemState.RETRY_WAIT, code=code)
            for item in read.rest
        ]
        SqlItemStore(self.run).settle(lambda _: again)

    def _start(self, file: BulkFile, sent: Sequence[ClaimedItem]) -> BulkStart:
        """Hand the file over, and learn from the answer whether to go on."""
        until = self.run.lease.last_moment(self.run.book.request_timeout_s)
        try:
            started = self.writer.start(file.tag, [item.write() for item in sent], until=until)
        except Upstream as error:
            self.run.breaker.failed(Call.WRITE, error)
            started = BulkStart(WriteOutcome.UNKNOWN, None, error.code, error.message)
        else:
            if started.outcome is WriteOutcome.WRITTEN or started.code == THROTTLED:
                self.run.breaker.succeeded(Call.WRITE)
            else:
                said = started.message or "the store did not take a file"
                self.run.breaker.failed(Call.WRITE, Upstream(started.code or "upstream", said, retryable=True))
        structlog.get_logger().info(
            "price_change.file_handed_over", file=file.tag, rows=len(sent), outcome=str(started.outcome),
            operation_id=started.operation_id, code=started.code,
        )  # fmt: skip
        return started

    def _give_back(self, file: BulkFile, sent: Sequence[ClaimedItem], started: BulkStart) -> None:
        """The store certainly did not take the file: its rows are judged by that."""
        with self.run.session() as session:
            self.run.lease.lock(session)
            end_bulk(session, file.id, REFUSED)
        said = (started.code, started.message, started.retry_after_s)
        ids = [item.external_id or "" for item in sent]
        results = {external_id: WriteResult(external_id, started.outcome, None, *said) for external_id in ids}
        settle_sent(SqlItemStore(self.run), self.run.settings, sent, results, {})

    def _find(self, watch: "_Watch") -> BulkView | None:
        file = watch.file
        if file.operation_id is not None:
            return self.writer.look(file.operation_id)
        view = self.writer.find(file.tag, file.created_at)
        if view is not None:
            with self.run.session() as session:
                self.run.lease.lock(session)
                note_operation(session, file.id, view.operation_id)
            watch.file = replace(file, operation_id=view.operation_id)
        return view

    def _given_up(self, watch: "_Watch", asked_s: float) -> str | None:
        """Why a file that the store does not know writes nothing any more; None as long as it might."""
        if watch.file.operation_id is None:  # what left before can no longer arrive
            return NEVER_STARTED if asked_s > self.run.book.request_timeout_s + self.run.settings.margin_s else None
        return FORGOTTEN if self._is_past_all_work(watch) else None

    def _is_past_all_work(self, watch: "_Watch") -> bool:
        with self.run.session() as session:
            self.run.lease.lock(session)
            return session.now - watch.file.created_at > LONGEST_WORK

    def _must_not_go_on(self) -> bool:
        with self.run.session() as session:
            return self.run.lease.lock(session) is not ChangeState.APPLYING

    def _call_back(self, view: BulkView) -> None:
        """Ask the store to stop; a refusal is tried again at the next look."""
        with suppress(Upstream):
            self.writer.cancel(view.operation_id)

    def _end(self, watch: "_Watch", status: str, view: BulkView | None) -> None:
        """Nothing of the file is written any more: settle its rows by its result and by what the store shows.

        The file is over in the transaction that settles them: a crash before it loses nothing of what is known.
        """
        file = watch.file
        with self.run.session() as session:
            self.run.lease.lock(session)
            rows = take_rows(session, self.run.lot, file.id, self.run.settings.lease_s)
            items = self.items_of(session, rows)
        results = {} if view is None or not items else self._results(file, view, items)
        shown = self._shown(items, results)
        if watch.is_called_back:
            results |= _untouched(items, results, shown)
        store = SqlItemStore(self.run, also=lambda session: end_bulk(session, file.id, status))
        settle_sent(store, self.run.settings, items, results, shown, is_late=True)
        structlog.get_logger().info("price_change.file_is_over", file=file.tag, rows=len(items), status=status)

    def _shown(self, items: Sequence[ClaimedItem], results: Mapping[str, WriteResult]) -> dict[str, RemotePrice]:
        """What the store shows of rows that it worked on; what could not be read is as the result says.

        An old price after a confirmed write is read once more: it may have been put back, and must not be overwritten.
        """
        seen = self._read(items).found
        put_back = [
            item
            for item in items
            if (price := seen.get(item.external_id or "")) is not None
            and price_of(price) == item.before
            and (result := results.get(price.external_id)) is not None
            and result.outcome is WriteOutcome.WRITTEN
        ]
        if put_back:
            time.sleep(self.run.settings.margin_s)
            seen |= self._read(put_back).found
        told = {name: result.observed for name, result in results.items() if result.observed is not None}
        return {**told, **seen}

    def _results(self, file: BulkFile, view: BulkView, items: Sequence[ClaimedItem]) -> dict[str, WriteResult]:
        """What the store says of the rows. Without it the store's prices alone decide."""
        writes = [item.write() for item in items if item.external_id is not None]
        if self.writer.layout(writes) != file.layout:
            return {}  # listings changed since: the lines of the result cannot be told apart
        try:
            return {result.external_id: result for result in self.writer.results(view, writes)}
        except Upstream as error:
            structlog.get_logger().warning("price_change.file_without_result", file=file.tag, error=error.message)
            return {}


def _untouched(
    items: Sequence[ClaimedItem], results: Mapping[str, WriteResult], shown: Mapping[str, RemotePrice]
) -> dict[str, WriteResult]:
    """Rows that the store had not come to when we called their file back: they were not tried."""
    ids = [
        item.external_id
        for item in items
        if item.external_id is not None
        and (price := shown.get(item.external_id)) is not None
        and price_of(price) == item.before
        and (item.external_id not in results or results[item.external_id].outcome is WriteOutcome.UNKNOWN)
    ]
    return {external_id: WriteResult(external_id, WriteOutcome.RETRY, None, CALLED_BACK) for external_id in ids}


class _Watch:
    """How long a file has been looked at, and when it last moved. Local time only ever makes it wait longer."""

    def __init__(self, file: BulkFile) -> None:
        self.file = file
        self.is_called_back = False
        """Whether somebody paused or aborted the change while the file was at the store."""
        self._pause_s = 0.0
        self._began = self._moved = time.monotonic()
        self._seen: tuple[str, int] | None = None

    def next_pause_s(self) -> float:
        """How long to wait before the next look: not at all, then longer and longer."""
        pause_s, self._pause_s = self._pause_s, min(max(self._pause_s * 1.5, FIRST_LOOK_S), LONGEST_LOOK_S)
        return pause_s

    def age_s(self) -> float:
        """Seconds since the first look."""
        return time.monotonic() - self._began

    def stalls(self, view: BulkView) -> bool:
        """Note what a look showed; whether it has shown the same for too long."""
        if (view.status, view.objects) != self._seen:
            self._seen, self._moved = (view.status, view.objects), time.monotonic()
        return time.monotonic() - self._moved > STALL_S
