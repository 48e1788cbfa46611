"""A sync whose worker dies: who takes it over goes on with the operation that the store already works on."""

from collections.abc import Callable
from datetime import datetime

import pytest
from catalog_shop import Shop
from operation_store import OperationStore
from sqlalchemy import text

from calibr.catalog import NewPrice, SyncMode, record_prices, request_sync, run_sync
from calibr.core.errors import Conflict, Upstream
from calibr.core.ids import SyncId, new_uuid
from calibr.db import Role


class Killed(BaseException):
    """The worker's process is gone: nothing of it runs any more."""


@pytest.fixture
def store(shop: Shop) -> OperationStore:
    """The store of the shop, now one that is read by operations."""
    made = OperationStore(shop.store.items)
    shop.store = made
    return made


def at(moment: str) -> Callable[[str], None]:
    def dies(now: str) -> None:
        if now == moment:
            raise Killed

    return dies


def nothing(_moment: str) -> None:
    """Live."""


def kill(shop: Shop, store: OperationStore, moment: str, mode: SyncMode = SyncMode.FULL) -> SyncId:
    """Begin a sync, let its worker die there, and let its lease run out."""
    with shop.database.session(shop.tenant) as session:
        sync_id = request_sync(session, shop.connection.id, mode=mode).id
    store.dies = at(moment)
    with pytest.raises(Killed):
        run_sync(shop.database, shop.tenant, sync_id, store, shop.work_dir)
    store.dies = nothing
    end_lease(shop)
    return sync_id


def end_lease(shop: Shop) -> None:
    with shop.database.session(shop.tenant) as session:
        session.execute(text("update calibr.sync_run set lease_until = now() - interval '1 second'"))


def read_from(shop: Shop, sync_id: SyncId) -> datetime:
    found: datetime = shop.rows("select read_from from calibr.sync_run where id = :id", id=sync_id)[0]["read_from"]
    return found


@pytest.mark.parametrize(
    ("moment", "operations"), [("before the start", 1), ("before the note", 1), ("after the note", 1)]
)
def test_the_store_works_on_one_operation_whenever_the_worker_dies(
    shop: Shop, store: OperationStore, moment: str, operations: int
) -> None:
    sync_id = kill(shop, store, moment)

    summary = shop.run(sync_id)

    assert summary is not None
    assert (summary.baseline, summary.rows) == (True, 3)
    assert len(store.operations) == operations


def test_what_was_begun_keeps_its_age(shop: Shop, store: OperationStore) -> None:
    sync_id = kill(shop, store, "after the note")
    begun = read_from(shop, sync_id)

    shop.run(sync_id)

    assert read_from(shop, sync_id) == begun


def test_a_price_that_we_set_while_nobody_followed_is_not_taken_back(shop: Shop, store: OperationStore) -> None:
    shop.sync()
    sync_id = kill(shop, store, "after the note")
    (product,) = shop.rows("select product_id from calibr.listing where external_id = '11'")
    with shop.database.session(shop.tenant, role=Role.WORKER) as session:
        ours = NewPrice(product["product_id"], shop.price_list().id, "USD", 777, None)
        record_prices(session, [ours], change_id=new_uuid(), source="change")

    summary = shop.run(sync_id)

    assert summary is not None
    assert summary.prices_observed == 0


def test_an_incremental_sync_is_taken_over_as_what_it_was(shop: Shop, store: OperationStore) -> None:
    shop.sync()
    store.change("11", price="9.00")
    sync_id = kill(shop, store, "after the note", SyncMode.AUTO)

    summary = shop.run(sync_id)

    assert summary is not None
    assert (shop.run_of(sync_id).mode, summary.rows, summary.prices_observed) == (SyncMode.INCREMENTAL, 2, 1)
    assert len(store.operations) == 2


def test_a_sync_that_was_widened_is_taken_over_as_a_full_one(shop: Shop, store: OperationStore) -> None:
    shop.sync()
    store.remove("21")
    with shop.database.session(shop.tenant) as session:
        sync_id = request_sync(session, shop.connection.id).id
    started: list[str] = []

    def dies_in_the_second(moment: str) -> None:
        started.append(moment)
        if started.count("after the note") == 2:
            raise Killed

    store.dies = dies_in_the_second
    with pytest.raises(Killed):
        run_sync(shop.database, shop.tenant, sync_id, store, shop.work_dir)
    store.dies = nothing
    end_lease(shop)

    summary = shop.run(sync_id)

    assert summary is not None
    assert (shop.run_of(sync_id).mode, summary.vanished) == (SyncMode.FULL, 1)
    assert len(store.operations) == 3
    assert len({operation.name for operation in store.operations.values()}) == 3


def fails_with(error: Exception) -> Callable[[str], None]:
    def dies(moment: str) -> None:
        if moment == "after the note":
            raise error

    return dies


@pytest.mark.parametrize("code", ["upstream.unauthorized", "upstream.unreachable", "upstream.unavailable"])
def test_the_next_sync_goes_on_with_what_a_failed_one_had_the_store_do(
    shop: Shop, store: OperationStore, code: str
) -> None:
    store.dies = fails_with(Upstream(code, "The store is away."))
    with pytest.raises(Upstream):
        shop.run(shop.request())
    store.dies = nothing
    (failed,) = shop.rows("select read_from from calibr.sync_run")

    sync_id = shop.request()
    shop.run(sync_id)

    assert len(store.operations) == 1
    assert read_from(shop, sync_id) == failed["read_from"]
    assert shop.run_of(sync_id).state == "completed"


def test_what_was_adopted_is_taken_over_too(shop: Shop, store: OperationStore) -> None:
    store.dies = fails_with(Upstream("upstream.unreachable", "The store is away."))
    with pytest.raises(Upstream):
        shop.run(shop.request())

    shop.run(kill(shop, store, "after the note"))

    assert len(store.operations) == 1


@pytest.mark.parametrize(
    "error",
    [Upstream("upstream.protocol", "The file cannot be read."), Conflict("sync.everything_vanished", "No."), OSError()],
)
def test_a_result_that_was_no_good_is_not_used_again(shop: Shop, store: OperationStore, error: Exception) -> None:
    store.dies = fails_with(error)
    with pytest.raises(type(error)):
        shop.run(shop.request())
    store.dies = nothing

    shop.run(shop.request())

    assert len(store.operations) == 2


def test_a_result_of_yesterday_or_of_another_reading_is_not_used_again(shop: Shop, store: OperationStore) -> None:
    away = Upstream("upstream.unreachable", "The store is away.")
    store.dies = fails_with(away)
    with pytest.raises(Upstream):
        shop.run(shop.request())
    with shop.database.session(shop.tenant) as session:
        session.execute(text("update calibr.sync_run set read_from = read_from - interval '25 hours'"))
    store.dies = nothing
    shop.run(shop.request())
    assert len(store.operations) == 2

    store.dies = fails_with(away)
    with pytest.raises(Upstream):
        shop.run(shop.request())
    store.dies = nothing
    shop.run(shop.request(force=True))

    assert len(store.operations) == 4


def test_a_late_worker_notes_nothing(shop: Shop, store: OperationStore) -> None:
    with shop.database.session(shop.tenant) as session:
        sync_id = request_sync(session, shop.connection.id).id

    def another_takes_over(moment: str) -> None:
        if moment == "before the note":
            store.dies = nothing
            end_lease(shop)
            shop.run(sync_id)

    store.dies = another_takes_over
    with pytest.raises(Conflict) as caught:
        run_sync(shop.database, shop.tenant, sync_id, store, shop.work_dir)

    assert caught.value.code == "sync.lease_lost"
    assert shop.run_of(sync_id).state == "completed"
    assert [event["rows"] for event in shop.events("sync.completed")] == [3]
