"""Works through the items of a change on one price list, several batches in flight, so that the store sets the pace."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

from sqlalchemy import RowMapping

from calibr.catalog import ListingRef, listing_refs
from calibr.changes.apply.bulk_file import BulkFiles
from calibr.changes.apply.core import run_batch
from calibr.changes.apply.decide import ClaimedItem
from calibr.changes.apply.item_store import SqlItemStore
from calibr.changes.apply.store_run import StoreRun
from calibr.changes.lifecycle import IN_FLIGHT_ITEM_STATES, ChangeState, ItemState
from calibr.changes.model import ItemKey
from calibr.changes.repository import move_counts
from calibr.changes.repository_bulk import BulkFile, open_bulks
from calibr.changes.repository_items import after_of, before_of, claim_due, claim_fresh, waiting
from calibr.connectors.port import BulkWriter, WritePath
from calibr.core.errors import Conflict
from calibr.core.ids import ProductId
from calibr.db import Session

MAY_BE_WRITTEN = frozenset({ItemState.CLAIMED, ItemState.SENDING, ItemState.UNKNOWN})
"""What is still looked at while the change is paused or aborting."""

LONGEST_NAP_S = 0.5
MOST_FILES = 5
"""How many files a store works on at once."""


@dataclass(frozen=True, slots=True)
class _Claimed:
    """What there is to do: a batch, or seconds until there is something, or nothing at all (None)."""

    items: tuple[ClaimedItem, ...]
    wait_s: float | None = None


def work_through(run: StoreRun, stop: threading.Event, writer: BulkWriter | None, path: WritePath) -> None:
    """Return when nothing is left to do here: all items over, or paused and settled, or stopped, or the store is gone.

    Files that an earlier run left at the store are seen through on either path. Raises LeaseLost, and whatever a batch
    raised, after the other batches in flight have ended.
    """
    files = None if writer is None else BulkFiles(run, writer, stop, partial(_items, run))
    with ThreadPoolExecutor(max(run.settings.parallel_batches, MOST_FILES), "apply") as pool:
        flying: set[Future[None]] = set()
        try:
            if files is not None:
                flying |= {pool.submit(files.follow, file) for file in _left_behind(run, files)}
            _work(run, stop, pool, flying, files, path)
        except BaseException:
            # Files at the store would be waited for, however long that takes; the next run does that.
            run.breaker.trip(Conflict("apply.run_broke_off", "another part of the run failed"))
            raise


def _work(
    run: StoreRun,
    stop: threading.Event,
    pool: ThreadPoolExecutor,
    flying: set[Future[None]],
    files: BulkFiles | None,
    path: WritePath,
) -> None:
    in_files = files if path is WritePath.BULK else None
    while not _must_end(run, stop):
        flying = _landed(flying, below=1 if run.breaker.pause_s() else run.pace.batches)
        if stop.wait(run.breaker.pause_s()) or _must_end(run, stop):
            break
        claimed = _claim(run, run.pace.batch_size if in_files is None else in_files.writer.most_rows)
        if claimed.items and in_files is not None and len(claimed.items) >= in_files.writer.least_rows:
            flying.add(pool.submit(in_files.send, claimed.items))
        elif claimed.items:
            flying.add(pool.submit(run_batch, SqlItemStore(run), run, run.settings, claimed.items))
        elif flying:
            nap_s = None if claimed.wait_s is None else min(claimed.wait_s, LONGEST_NAP_S)
            flying = _landed(flying, below=len(flying), at_most_s=nap_s)
        elif claimed.wait_s is not None:
            stop.wait(min(claimed.wait_s, LONGEST_NAP_S))
        elif late := [] if files is None else files.turned_up():
            flying |= {pool.submit(files.follow, file) for file in late} if files is not None else set()
        else:
            break
    _landed(flying, below=1)


def _must_end(run: StoreRun, stop: threading.Event) -> bool:
    return stop.is_set() or run.breaker.reason is not None


def _landed(flying: set[Future[None]], *, below: int, at_most_s: float | None = None) -> set[Future[None]]:
    """Wait until fewer than `below` batches are in flight; raise what one of them raised."""
    while len(flying) >= below and flying:
        done, flying = wait(flying, at_most_s, FIRST_COMPLETED)
        if not done:
            break
        for batch in done:
            batch.result()
    return flying


def _left_behind(run: StoreRun, files: BulkFiles) -> Sequence[BulkFile]:
    late = files.turned_up()
    with run.session() as session:
        run.lease.lock(session)
        return [*late, *(file for file in open_bulks(session, run.lot) if file.id not in {each.id for each in late})]


def _claim(run: StoreRun, limit: int) -> _Claimed:
    lease_s = run.settings.lease_s
    with run.session() as session:
        going = run.lease.lock(session) is ChangeState.APPLYING
        states = IN_FLIGHT_ITEM_STATES if going else MAY_BE_WRITTEN
        rows = list(claim_due(session, run.lot, states, limit=limit, lease_s=lease_s))
        if going and len(rows) < limit:
            # Fill the batch: retries come due one by one, and a batch of three costs as many calls as a full one.
            rows += claim_fresh(session, run.lot, limit=limit - len(rows), lease_s=lease_s)
        if not rows:
            number, seconds = waiting(session, run.lot, states)
            return _Claimed((), seconds if number else None)
        _count_claims(run, session, rows)
        return _Claimed(tuple(_items(run, session, rows)))


def _items(run: StoreRun, session: Session, rows: Sequence[RowMapping]) -> list[ClaimedItem]:
    refs = listing_refs(session, run.connection_id, [ProductId(row["product_id"]) for row in rows])
    return [_item(run, row, refs) for row in rows]


def _count_claims(run: StoreRun, session: Session, rows: Sequence[RowMapping]) -> None:
    moved: Counter[ItemState] = Counter()
    for row in rows:
        moved[ItemState(row["was"])] -= 1
        moved[ItemState(row["state"])] += 1
    if any(moved.values()):
        move_counts(session, run.lot.change_id, moved)


def _item(run: StoreRun, row: RowMapping, refs: Mapping[ProductId, ListingRef]) -> ClaimedItem:
    product_id = ProductId(row["product_id"])
    ref = refs.get(product_id)
    return ClaimedItem(
        key=ItemKey(run.lot.price_list_id, product_id),
        external_id=ref.external_id if ref else None,
        group_external_id=ref.group_external_id if ref else None,
        currency=row["currency"],
        before=before_of(row),
        after=after_of(row),
        trace=tuple(row["trace"]),
        state=ItemState(row["state"]),
        attempt=row["attempt"],
    )
