"""Files of writes in trouble: pauses that nobody is there for, late answers, reverts, stuck files, little time."""

import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from bulk_stores import (
    PRODUCTS,
    BulkConnector,
    BulkShop,
    CrashError,
    Operation,
    files_of,
    finish,
    items_of,
)
from journeys import QUICK, Journey

from calibr.changes import service
from calibr.changes.apply import RunHooks, bulk_file
from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.changes.model import Price
from calibr.changes.reads import list_work
from calibr.connectors.port import BulkStart, BulkView, PriceWrite, WriteOutcome, WriteResult
from calibr.core.errors import Upstream
from calibr.db import Context, Database


@pytest.fixture
def journey(database: Database, bulk_shop: BulkShop, approver: Context) -> Journey:
    return Journey.begin(database, bulk_shop, approver).to(ChangeState.APPLYING)


def pause(journey: Journey) -> None:
    if journey.change.state is ChangeState.APPLYING:
        with journey.database.session(journey.approver) as session:
            service.pause(session, journey.id)


def has_work(journey: Journey) -> bool:
    with journey.database.session(journey.worker) as session:
        return (journey.id, ChangeState.PAUSED) in list_work(session)


def ending_in(seconds: float) -> RunHooks:
    stop = threading.Event()
    threading.Timer(seconds, stop.set).start()
    return RunHooks(stop)


def test_pausing_while_no_worker_is_there_calls_the_file_back_all_the_same(
    journey: Journey, bulk_shop: BulkShop
) -> None:
    desk, stop = bulk_shop.desk, threading.Event()
    desk.bit = 1
    desk.on_look = lambda _operation: stop.set()
    journey.run(hooks=RunHooks(stop))
    pause(journey)
    assert has_work(journey)

    journey.run()

    (operation,) = desk.operations.values()
    assert operation.canceled
    assert not has_work(journey)
    assert {item.state for item in items_of(journey)} == {ItemState.APPLIED, ItemState.RETRY_WAIT}


def test_an_error_that_pauses_the_change_calls_its_other_files_back(journey: Journey, bulk_shop: BulkShop) -> None:
    desk = bulk_shop.desk
    desk.most_rows, desk.bit = 10, 0
    starts: list[str] = []

    def on_start(tag: str) -> None:
        starts.append(tag)
        if len(starts) == 2:
            time.sleep(0.2)
            raise Upstream("upstream.protocol", "the store's currency is CAD", retryable=False)

    desk.on_start = on_start
    assert journey.run().state is ChangeState.PAUSED
    assert not has_work(journey)  # not at once: the store has just failed
    time.sleep(QUICK.lease_s)
    assert has_work(journey)

    journey.run()

    (first,) = desk.operations.values()
    assert first.canceled


def test_an_old_price_that_somebody_put_back_meanwhile_is_not_overwritten(
    journey: Journey, bulk_shop: BulkShop
) -> None:
    def revert(operation: Operation) -> None:
        if operation.done >= PRODUCTS - 4:
            bulk_shop.store.prices["e0"] = Price(1000, None)

    bulk_shop.desk.on_look = revert

    assert finish(journey) is ChangeState.PARTIALLY_APPLIED
    assert bulk_shop.store.prices["e0"] == Price(1000, None)
    assert [external_id for external_id, _ in bulk_shop.store.journal].count("e0") == 1
    (drifted,) = (item for item in items_of(journey) if item.state is ItemState.DRIFTED)
    assert drifted.observed == Price(1000, None)


def test_a_file_that_cannot_be_ended_is_given_up_after_the_longest_work(
    journey: Journey, bulk_shop: BulkShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_file, "LONGEST_WORK", timedelta())
    real = bulk_shop.desk.work_on
    monkeypatch.setattr(bulk_shop.desk, "work_on", lambda o: None if o.id == "op-0" else real(o))
    monkeypatch.setattr(bulk_shop.desk, "cancel", lambda _id: None)

    assert journey.run(hooks=ending_in(3)).state is ChangeState.APPLYING
    assert files_of(journey)[0] == ("op-0", "RUNNING")


def test_a_slow_file_does_not_keep_the_rows_of_another_from_their_retry(
    journey: Journey, bulk_shop: BulkShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = bulk_shop.desk
    desk.most_rows = 10
    starts: list[str] = []

    def on_start(tag: str) -> BulkStart | None:
        starts.append(tag)
        return BulkStart(WriteOutcome.RETRY, None, "upstream.throttled", "busy", 1) if len(starts) == 2 else None

    desk.on_start = on_start
    real = desk.work_on
    monkeypatch.setattr(desk, "work_on", lambda o: None if o.id == "op-0" else real(o))

    journey.run(hooks=ending_in(5))

    assert len(bulk_shop.store.journal) == 10


def test_a_part_that_fails_does_not_wait_for_files_at_the_store(journey: Journey, bulk_shop: BulkShop) -> None:
    desk = bulk_shop.desk
    desk.most_rows, desk.bit = 10, 0
    starts: list[str] = []

    def after_start(tag: str) -> None:
        starts.append(tag)
        if len(starts) == 2:
            raise CrashError

    desk.after_start = after_start
    hooks = ending_in(20)

    with pytest.raises(CrashError):
        journey.run(hooks=hooks)
    assert not hooks.stop.is_set()


def test_a_refusal_that_the_prices_belie_is_no_refusal(
    journey: Journey, bulk_shop: BulkShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = bulk_shop.desk.results

    def results(view: BulkView, writes: list[PriceWrite]) -> list[WriteResult]:
        refused = WriteOutcome.REJECTED
        return [replace(r, outcome=refused) if r.external_id == "e7" else r for r in real(view, writes)]

    monkeypatch.setattr(bulk_shop.desk, "results", results)

    assert finish(journey) is ChangeState.APPLIED
    assert len(journey.audit("price.changed")) == PRODUCTS


def test_a_look_that_is_answered_late_is_not_taken_for_a_late_look(
    journey: Journey, bulk_shop: BulkShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = bulk_shop.desk
    real_start, real_find = desk.start, desk.find
    held: list[tuple[str, list[PriceWrite]]] = []
    shown: list[bool] = []

    def start(tag: str, writes: list[PriceWrite], *, until: float) -> BulkStart:
        if held:
            return real_start(tag, writes, until=until)
        held.append((tag, list(writes)))
        return BulkStart(WriteOutcome.UNKNOWN, None, "upstream.unreachable", "no answer")

    def find(tag: str, since: datetime) -> BulkView | None:
        found = real_find(tag, since)
        if not shown:  # the store takes the file right after it answered, and this process stands still for a while
            shown.append(True)
            real_start(*held[0], until=1.0)
            time.sleep(BulkConnector.request_timeout_s + QUICK.margin_s + 0.2)
        return found

    monkeypatch.setattr(desk, "start", start)
    monkeypatch.setattr(desk, "find", find)

    assert finish(journey) is ChangeState.APPLIED
    assert len(desk.operations) == 1


def test_a_file_that_turns_up_after_it_was_given_up_is_called_back_and_waited_for(
    journey: Journey, bulk_shop: BulkShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = bulk_shop.desk
    real_start = desk.start
    held: list[tuple[str, list[PriceWrite]]] = []

    def start(tag: str, writes: list[PriceWrite], *, until: float) -> BulkStart:
        if held:
            # The second file is begun: only now the store gets at the first.
            real_start(*held[0], until=until)
            return real_start(tag, writes, until=until)
        held.append((tag, list(writes)))
        return BulkStart(WriteOutcome.UNKNOWN, None, "upstream.unreachable", "no answer")

    monkeypatch.setattr(desk, "start", start)

    finish(journey)

    assert desk.operations[held[0][0]].canceled
    assert "CANCELED" in {status for _, status in files_of(journey)}


def test_what_waits_for_its_retry_counts_when_the_path_is_chosen(
    journey: Journey, bulk_shop: BulkShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    real = BulkConnector.estimate
    monkeypatch.setattr(BulkConnector, "estimate", lambda self, rows: (seen.append(sum(rows)), real(self, rows))[1])
    bulk_shop.desk.bit = 0
    bulk_shop.desk.on_look = lambda _operation: pause(journey)
    assert journey.run().state is ChangeState.PAUSED
    with journey.database.session(journey.approver) as session:
        service.resume(session, journey.id)
    bulk_shop.desk.bit, bulk_shop.desk.on_look = 10, lambda _operation: None

    assert finish(journey) is ChangeState.APPLIED
    assert seen[1] == PRODUCTS
    assert {item.attempt for item in items_of(journey)} == {1}  # what was called back was no attempt


def test_little_time_is_enough_to_get_somewhere_and_blames_nobody(
    journey: Journey, bulk_shop: BulkShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_file, "READ_AT_ONCE", 2)
    bulk_shop.desk.most_rows = 10
    bulk_shop.store.on_read = lambda _ids: time.sleep(0.2)

    for _ in range(3):
        journey.run(hooks=ending_in(0.7))
        time.sleep(0.2)

    assert bulk_shop.store.journal
    assert not [item for item in items_of(journey) if item.last_error]
