"""Applying a plan in files that the store works through by itself: nothing is lost or written twice, break what may."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from bulk_stores import BulkShop, Operation, with_files
from journeys import QUICK, Journey
from sqlalchemy import text
from stores import Shop

from calibr.changes import service
from calibr.changes.apply import RunHooks, bulk_file
from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.changes.model import Item, Price
from calibr.changes.reads import list_items
from calibr.connectors.port import BulkStart, BulkView, PriceWrite, WriteOutcome
from calibr.core.errors import Upstream
from calibr.db import Context, Database

PRODUCTS = 20
LOST = Upstream("upstream.unreachable", "no answer", retryable=True)


class CrashError(Exception):
    """The process is gone."""


@pytest.fixture(autouse=True)
def _looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_file, "FIRST_LOOK_S", 0.02)
    monkeypatch.setattr(bulk_file, "LONGEST_LOOK_S", 0.05)


@pytest.fixture
def bulk_shop(open_shop: Callable[..., Shop]) -> BulkShop:
    return with_files(open_shop(products=PRODUCTS))


@pytest.fixture
def journey(database: Database, bulk_shop: BulkShop, approver: Context) -> Journey:
    return Journey.begin(database, bulk_shop, approver).to(ChangeState.APPLYING)


def finish(journey: Journey) -> ChangeState:
    """Run again and again, as workers do, until the change is over."""
    state = journey.change.state
    for _ in range(20):
        if state not in {ChangeState.APPLYING, ChangeState.ABORTING}:
            break
        state = journey.run().state
    return state


def items_of(journey: Journey) -> list[Item]:
    with journey.database.session(journey.author) as session:
        return list(list_items(session, journey.id, limit=500))


def files_of(journey: Journey) -> list[tuple[str | None, str | None]]:
    wanted = text("select operation_id, status from calibr.bulk_write where change_id = :id order by created_at, id")
    with journey.database.session(journey.author) as session:
        return [tuple(row) for row in session.execute(wanted, {"id": journey.id})]


def assert_each_written_once(journey: Journey, shop: BulkShop) -> None:
    assert {item.state for item in items_of(journey)} == {ItemState.APPLIED}
    written = [external_id for external_id, _ in shop.store.journal]
    assert sorted(written) == sorted(set(written))
    assert len(written) == len(journey.audit("price.changed")) == PRODUCTS


def test_a_plan_goes_in_one_file_and_every_price_has_its_event(journey: Journey, bulk_shop: BulkShop) -> None:
    assert journey.run().state is ChangeState.APPLIED

    assert files_of(journey) == [("op-0", "COMPLETED")]
    assert_each_written_once(journey, bulk_shop)


def test_several_files_are_under_way_at_once(journey: Journey, bulk_shop: BulkShop) -> None:
    bulk_shop.desk.most_rows = 5
    open_at_once = []
    bulk_shop.desk.on_look = lambda _o: open_at_once.append(
        sum(not each.is_over for each in bulk_shop.desk.operations.values())
    )
    bulk_shop.desk.bit = 1

    assert journey.run().state is ChangeState.APPLIED
    assert len(files_of(journey)) == PRODUCTS // 5
    assert max(open_at_once) == QUICK.parallel_batches
    assert_each_written_once(journey, bulk_shop)


def test_few_rows_are_not_worth_a_file(journey: Journey, bulk_shop: BulkShop) -> None:
    bulk_shop.desk.most_rows = QUICK.batch_size

    assert journey.run().state is ChangeState.APPLIED
    assert files_of(journey) == []


def test_what_somebody_edited_before_the_file_is_left_alone(journey: Journey, bulk_shop: BulkShop) -> None:
    bulk_shop.store.prices["e3"] = Price(777, None)

    assert journey.run().state is ChangeState.PARTIALLY_APPLIED
    assert bulk_shop.store.prices["e3"] == Price(777, None)
    assert [item.state for item in items_of(journey)].count(ItemState.DRIFTED) == 1


def test_a_row_that_the_store_refuses_is_rejected_and_the_others_stand(journey: Journey, bulk_shop: BulkShop) -> None:
    def refuse(write: PriceWrite) -> WriteOutcome | None:
        return WriteOutcome.REJECTED if write.external_id == "e7" else None

    bulk_shop.store.on_write = refuse

    assert journey.run().state is ChangeState.PARTIALLY_APPLIED
    (refused,) = (item for item in items_of(journey) if item.state is ItemState.REJECTED)
    assert refused.last_error == "fake: said so"
    assert len(bulk_shop.store.journal) == PRODUCTS - 1


def test_a_result_that_cannot_be_had_leaves_the_decision_to_the_prices(journey: Journey, bulk_shop: BulkShop) -> None:
    bulk_shop.desk.with_results = False

    assert journey.run().state is ChangeState.APPLIED
    assert_each_written_once(journey, bulk_shop)


def test_a_store_without_a_free_place_is_asked_again(journey: Journey, bulk_shop: BulkShop) -> None:
    busy = [BulkStart(WriteOutcome.RETRY, None, "upstream.throttled", "five are running", 0)] * 2
    bulk_shop.desk.on_start = lambda _tag: busy.pop() if busy else None

    assert finish(journey) is ChangeState.APPLIED
    assert_each_written_once(journey, bulk_shop)
    assert [status for _, status in files_of(journey)].count("never_started") == 2


def test_an_answer_that_is_lost_before_the_store_took_the_file(journey: Journey, bulk_shop: BulkShop) -> None:
    lost = [BulkStart(WriteOutcome.UNKNOWN, None, "upstream.unreachable", "no answer")]
    bulk_shop.desk.on_start = lambda _tag: lost.pop() if lost else None

    assert finish(journey) is ChangeState.APPLIED
    assert_each_written_once(journey, bulk_shop)
    assert files_of(journey)[0] == (None, "never_started")


def test_an_answer_that_is_lost_after_the_store_took_the_file(journey: Journey, bulk_shop: BulkShop) -> None:
    def lose(_tag: str) -> None:
        raise LOST

    bulk_shop.desk.after_start = lose

    assert finish(journey) is ChangeState.APPLIED
    assert files_of(journey) == [("op-0", "COMPLETED")]
    assert_each_written_once(journey, bulk_shop)


@pytest.mark.parametrize("where", ["before_start", "after_start", "first_look", "later_look", "results"])
def test_whoever_comes_after_a_crash_goes_on_with_the_same_file(
    journey: Journey, bulk_shop: BulkShop, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = bulk_shop.desk
    left = {"crashes": 1}

    def crash(*_: object) -> None:
        if left["crashes"]:
            left["crashes"] -= 1
            raise CrashError

    def at_look(operation: Operation) -> None:
        if where == "first_look" or operation.done > 4:
            crash()

    if where == "before_start":
        desk.on_start = lambda _tag: crash()
    elif where == "after_start":
        desk.after_start = crash
    elif where == "results":
        real = bulk_file.settle_sent
        monkeypatch.setattr(bulk_file, "settle_sent", lambda *given: (crash(), real(*given)))
    else:
        desk.on_look = at_look
    with pytest.raises(CrashError):
        journey.run()

    assert finish(journey) is ChangeState.APPLIED
    assert_each_written_once(journey, bulk_shop)
    assert len(desk.operations) == 1


def test_rows_of_a_file_under_way_are_touched_by_nobody(journey: Journey, bulk_shop: BulkShop) -> None:
    def crash(_operation: Operation) -> None:
        raise CrashError

    bulk_shop.desk.on_look = crash
    with pytest.raises(CrashError):
        journey.run()
    time.sleep(QUICK.lease_s + 0.2)  # the leases of the rows are over
    looks, stop = [], threading.Event()

    def stop_later(_operation: Operation) -> None:
        looks.append(0)
        if len(looks) == 20:
            stop.set()

    bulk_shop.desk.on_look = stop_later
    bulk_shop.desk.bit = 0

    journey.run(hooks=RunHooks(stop))

    # The next worker read, sent and settled none of them, since the store may write any of them.
    assert files_of(journey) == [("op-0", None)]
    assert {item.state for item in items_of(journey)} == {ItemState.SENDING}
    assert bulk_shop.store.journal == []


def test_a_worker_that_is_asked_to_stop_leaves_the_file_to_the_next(journey: Journey, bulk_shop: BulkShop) -> None:
    stop = threading.Event()
    bulk_shop.desk.bit = 1
    bulk_shop.desk.on_look = lambda _operation: stop.set()

    assert journey.run(hooks=RunHooks(stop)).state is ChangeState.APPLYING
    assert files_of(journey) == [("op-0", None)]

    bulk_shop.desk.bit = 10
    assert finish(journey) is ChangeState.APPLIED
    assert_each_written_once(journey, bulk_shop)


def test_pausing_calls_the_file_back_and_what_was_not_written_waits(journey: Journey, bulk_shop: BulkShop) -> None:
    def pause(operation: Operation) -> None:
        if operation.done == 8:
            with journey.database.session(journey.approver) as session:
                service.pause(session, journey.id)

    bulk_shop.desk.on_look = pause

    assert journey.run().state is ChangeState.PAUSED
    states = [item.state for item in items_of(journey)]
    written = len(bulk_shop.store.journal)
    assert 8 <= written < PRODUCTS
    assert states.count(ItemState.APPLIED) == written
    assert set(states) == {ItemState.APPLIED, ItemState.RETRY_WAIT}

    bulk_shop.desk.on_look = lambda _operation: None
    with journey.database.session(journey.approver) as session:
        service.resume(session, journey.id)
    assert finish(journey) is ChangeState.APPLIED
    assert_each_written_once(journey, bulk_shop)


def test_aborting_calls_the_file_back_and_gives_up_the_rest(journey: Journey, bulk_shop: BulkShop) -> None:
    def abort(operation: Operation) -> None:
        if operation.done == 4:
            with journey.database.session(journey.approver) as session:
                service.abort(session, journey.id)

    bulk_shop.desk.on_look = abort

    assert finish(journey) is ChangeState.ABORTED
    states = [item.state for item in items_of(journey)]
    assert states.count(ItemState.APPLIED) == len(bulk_shop.store.journal) < PRODUCTS
    assert set(states) == {ItemState.APPLIED, ItemState.CANCELLED}


def test_a_file_that_never_begins_is_called_back(
    journey: Journey, bulk_shop: BulkShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_file, "STALL_S", 0.3)
    stuck = {"op-0"}
    real = bulk_shop.desk.work_on

    def work_on(operation: Operation) -> None:
        if operation.id not in stuck:
            real(operation)

    monkeypatch.setattr(bulk_shop.desk, "work_on", work_on)

    assert finish(journey) is ChangeState.APPLIED
    assert files_of(journey)[0] == ("op-0", "CANCELED")
    assert_each_written_once(journey, bulk_shop)


def test_an_edit_that_comes_while_the_file_is_worked_through_is_reported(journey: Journey, bulk_shop: BulkShop) -> None:
    def edit(operation: Operation) -> None:
        if operation.done >= PRODUCTS - 4:
            bulk_shop.store.prices["e0"] = Price(4242, None)

    bulk_shop.desk.on_look = edit

    assert finish(journey) is ChangeState.PARTIALLY_APPLIED
    assert bulk_shop.store.prices["e0"] == Price(4242, None)
    (drifted,) = (item for item in items_of(journey) if item.state is ItemState.DRIFTED)
    assert drifted.observed == Price(4242, None)


def test_a_store_that_cannot_be_reached_pauses_the_change_and_keeps_the_file(
    journey: Journey, bulk_shop: BulkShop
) -> None:
    def unreachable(_operation: Operation) -> None:
        raise LOST

    bulk_shop.desk.on_look = unreachable

    assert journey.run(replace(QUICK, give_up_after=2)).state is ChangeState.PAUSED
    assert files_of(journey) == [("op-0", None)]

    bulk_shop.desk.on_look = lambda _operation: None
    with journey.database.session(journey.approver) as session:
        service.resume(session, journey.id)
    assert finish(journey) is ChangeState.APPLIED
    assert_each_written_once(journey, bulk_shop)


def test_a_file_that_the_store_does_not_know_is_waited_for_as_long_as_it_may_be_worked_on(
    journey: Journey, bulk_shop: BulkShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, stop = [], threading.Event()

    def forget(_operation: Operation) -> None:
        bulk_shop.desk.operations.clear()
        raise LOST

    bulk_shop.desk.on_look = forget
    monkeypatch.setattr(bulk_shop.desk, "work_on", lambda _operation: None)
    real = bulk_shop.desk.look

    def look(operation_id: str) -> BulkView | None:
        looks.append(0)
        if len(looks) == 10:
            stop.set()
        return real(operation_id)

    monkeypatch.setattr(bulk_shop.desk, "look", look)
    journey.run(hooks=RunHooks(stop))
    assert files_of(journey) == [("op-0", None)]

    monkeypatch.undo()
    bulk_shop.desk.on_look = lambda _operation: None
    monkeypatch.setattr(bulk_file, "LONGEST_WORK", timedelta())
    assert finish(journey) is ChangeState.APPLIED
    assert files_of(journey)[0] == ("op-0", "forgotten")
    assert_each_written_once(journey, bulk_shop)
