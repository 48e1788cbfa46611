"""Full and incremental syncs: what each reads, which is chosen, and that neither loses anything."""

from datetime import timedelta
from typing import Any, cast

import pytest
from catalog_shop import Item, Shop
from operation_store import OperationStore
from sqlalchemy import text

from calibr.catalog import SyncMode, SyncRun, SyncSummary, request_sync
from calibr.catalog.sync_reading import FULL_EVERY, OVERLAP
from calibr.core.errors import Conflict, Invalid

ACTIVE = "select external_id from calibr.listing where active order by external_id"
PRICE = """select v.unit_amount from calibr.price_version v join calibr.listing l on l.product_id = v.product_id
    where v.ends_at = 'infinity' and l.external_id = :id"""


@pytest.fixture
def store(shop: Shop) -> OperationStore:
    """The store of the shop, now one that is read by operations."""
    made = OperationStore(shop.store.items)
    shop.store = made
    return made


def sync(shop: Shop, mode: SyncMode = SyncMode.AUTO) -> tuple[SyncSummary, SyncRun]:
    with shop.database.session(shop.tenant) as session:
        sync_id = request_sync(session, shop.connection.id, mode=mode).id
    summary = shop.run(sync_id)
    assert summary is not None
    return summary, shop.run_of(sync_id)


def active(shop: Shop) -> list[str]:
    return [row["external_id"] for row in shop.rows(ACTIVE)]


def price(shop: Shop, external_id: str) -> Any:  # noqa: ANN401 - of a row
    return shop.rows(PRICE, id=external_id)[0]["unit_amount"]


def age(shop: Shop, by: timedelta) -> None:
    """Let all syncs have been so much earlier."""
    with shop.database.session(shop.tenant) as session:
        session.execute(text("update calibr.sync_run set read_from = read_from - cast(:by as interval)"), {"by": by})


def test_the_first_sync_reads_everything_and_the_next_what_changed(shop: Shop, store: OperationStore) -> None:
    sync(shop)
    store.change("11", price="9.00")

    summary, run = sync(shop)

    assert (run.mode, summary.rows, summary.prices_observed, summary.vanished) == (SyncMode.INCREMENTAL, 2, 1, 0)
    assert price(shop, "11") == 900
    assert active(shop) == ["11", "12", "21"]
    assert [event["mode"] for event in shop.events("sync.completed")] == ["full", "incremental"]


def test_an_incremental_sync_begins_before_the_last_reading_did(shop: Shop, store: OperationStore) -> None:
    sync(shop)
    (before,) = shop.rows("select read_from from calibr.sync_run")

    _, run = sync(shop)

    assert run.since == before["read_from"] - OVERLAP
    assert store.asked_since == [None, run.since]


def test_a_change_between_two_incremental_syncs_is_found_by_the_second(shop: Shop, store: OperationStore) -> None:
    sync(shop)
    store.change("21", price="1.00")
    sync(shop)
    store.change("21", price="2.00")

    summary, _ = sync(shop)

    assert summary.prices_observed == 1
    assert price(shop, "21") == 200


def test_an_incremental_sync_writes_nothing_about_groups_that_did_not_change(shop: Shop, store: OperationStore) -> None:
    sync(shop)
    versions = "select external_id, xmin::text from calibr.listing order by 1"
    before = shop.rows(versions)
    store.touch("1")

    summary, run = sync(shop)

    assert run.mode is SyncMode.INCREMENTAL
    assert (summary.rows, summary.changed, summary.vanished, summary.prices_observed) == (2, 0, 0, 0)
    assert shop.rows(versions) == before


def test_an_incremental_sync_sees_new_products(shop: Shop, store: OperationStore) -> None:
    sync(shop)
    store.items.append(Item("31", "3", price="3.00"))
    store.touch("3")

    summary, run = sync(shop)

    assert (run.mode, summary.new) == (SyncMode.INCREMENTAL, 1)
    assert price(shop, "31") == 300


def test_a_variant_that_leaves_a_group_vanishes_at_once(shop: Shop, store: OperationStore) -> None:
    sync(shop)
    store.remove("12")
    store.touch("1")

    summary, run = sync(shop)

    assert (run.mode, summary.vanished) == (SyncMode.INCREMENTAL, 1)
    assert active(shop) == ["11", "21"]


def test_a_deleted_group_is_noticed_by_the_count_and_found_by_reading_everything(
    shop: Shop, store: OperationStore
) -> None:
    sync(shop)
    store.remove("21")

    summary, run = sync(shop)

    assert (run.mode, run.since, summary.vanished) == (SyncMode.FULL, None, 1)
    assert active(shop) == ["11", "12"]
    assert [event["external_id"] for event in shop.events("listing.vanished")] == ["21"]
    assert len(store.asked_since) == 3


def test_variants_that_came_after_the_reading_are_no_reason_to_read_everything(
    shop: Shop, store: OperationStore
) -> None:
    sync(shop)
    store.hidden = 5

    assert sync(shop)[1].mode is SyncMode.INCREMENTAL


def test_everything_is_read_again_when_the_last_full_sync_is_old(shop: Shop, store: OperationStore) -> None:
    sync(shop)
    age(shop, FULL_EVERY - timedelta(hours=2))
    assert sync(shop)[1].mode is SyncMode.INCREMENTAL
    age(shop, timedelta(hours=3))

    assert sync(shop)[1].mode is SyncMode.FULL
    assert len(store.operations) == 3


def test_an_incremental_sync_that_is_asked_for_does_not_mind_an_old_full_one(shop: Shop, store: OperationStore) -> None:
    sync(shop)
    age(shop, 3 * FULL_EVERY)

    assert sync(shop, SyncMode.INCREMENTAL)[1].mode is SyncMode.INCREMENTAL
    assert store.asked_since[-1] is not None


def test_a_full_sync_that_is_asked_for_reads_everything(shop: Shop, store: OperationStore) -> None:
    sync(shop)

    summary, run = sync(shop, SyncMode.FULL)

    assert (run.mode, summary.rows) == (SyncMode.FULL, 3)
    assert store.asked_since == [None, None]


def test_a_failed_sync_is_nothing_to_build_on(shop: Shop, store: OperationStore) -> None:
    store.break_after = 1
    with pytest.raises(ConnectionResetError):
        sync(shop)
    store.break_after = None

    with pytest.raises(Conflict) as caught:
        sync(shop, SyncMode.INCREMENTAL)

    assert caught.value.code == "sync.no_full_sync"
    assert sync(shop)[1].mode is SyncMode.FULL


def test_a_store_without_operations_is_always_read_as_a_whole(shop: Shop) -> None:
    sync(shop)

    assert sync(shop)[1].mode is SyncMode.FULL
    assert sync(shop, SyncMode.INCREMENTAL)[1].mode is SyncMode.FULL


def test_force_needs_everything(shop: Shop, store: OperationStore) -> None:
    sync(shop)
    with shop.database.session(shop.tenant) as session, pytest.raises(Invalid) as caught:
        request_sync(session, shop.connection.id, force=True, mode=SyncMode.INCREMENTAL)
    sync_id = shop.request(force=True)
    shop.run(sync_id)

    assert caught.value.faults[0].path == "$.mode"
    assert shop.run_of(sync_id).mode is SyncMode.FULL
    assert cast("list[object]", store.asked_since) == [None, None]
