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
from calibr.changes.model import ItemKey, Price
from calibr.changes.repository import move_counts
from calibr.changes.repository_bulk import BulkFile, open_bulks
from calibr.changes.repository_items import claim_due, claim_fresh, waiting
from calibr.connectors.port import BulkWriter, WritePath
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
    flying: set[Future[None]] = set()
    with ThreadPoolExecutor(max(run.settings.parallel_batches, MOST_FILES), "apply") as pool:
        if files is not None:
            flying |= {pool.submit(files.follow, file) for file in _left_behind(run)}
        while not _must_end(run, stop):
            flying = _landed(flying, below=1 if run.breaker.pause_s() else run.pace.batches)
            if stop.wait(run.breaker.pause_s()) or _must_end(run, stop):
                break
            in_files = files is not None and path is WritePath.BULK
            claimed = _claim(run, writer.most_rows if writer is not None and in_files else run.pace.batch_size)
            if claimed.items and files is not None and in_files and len(claimed.items) > run.pace.batch_size:
                flying.add(pool.submit(files.send, claimed.items))
            elif claimed.items:
                flying.add(pool.submit(run_batch, SqlItemStore(run), run, run.settings, claimed.items))
            elif flying:
                flying = _landed(flying, below=len(flying))
            elif claimed.wait_s is None:
                break
            else:
                stop.wait(min(claimed.wait_s, LONGEST_NAP_S))
        _landed(flying, below=1)


def _must_end(run: StoreRun, stop: threading.Event) -> bool:
    return stop.is_set() or run.breaker.reason is not None


def _landed(flying: set[Future[None]], *, below: int) -> set[Future[None]]:
    """Wait until fewer than `below` batches are in flight; raise what one of them raised."""
    while len(flying) >= below and flying:
        done, flying = wait(flying, return_when=FIRST_COMPLETED)
        for batch in done:
            batch.result()
    return flying


def _left_behind(run: StoreRun) -> Sequence[BulkFile]:
    with run.session() as session:
        run.lease.lock(session)
        return open_bulks(session, run.lot)


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
        before=Price(row["before_amount"], row["before_compare_at"]),
        after=Price(row["after_amount"], row["after_compare_at"]),
        trace=tuple(row["trace"]),
        state=ItemState(row["state"]),
        attempt=row["attempt"],
    )
