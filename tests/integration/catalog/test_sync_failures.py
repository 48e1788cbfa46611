"""A sync that fails leaves everything as it was, says why, and can be asked for again."""

from collections.abc import Callable

import pytest
from catalog_shop import Item, Shop
from sqlalchemy import text

from calibr.catalog import NewPrice, find_syncs, record_prices, request_sync
from calibr.catalog.recording import VANISHING_IS_PLAUSIBLE
from calibr.catalog.sync_lease import SyncLease
from calibr.core.errors import Conflict, NotFound, Upstream
from calibr.core.ids import PriceChangeId, ProductId, SyncId, new_uuid
from calibr.db import Context, Database, Role

STATE = """
  select 'product' as kind, id::text as key, to_jsonb(p) as row from calibr.product p
  union all select 'listing', external_id, to_jsonb(l) from calibr.listing l
  union all select 'price', product_id || ' ' || valid_from, to_jsonb(v) from calibr.price_version v
  union all select 'cost', product_id || ' ' || valid_from, to_jsonb(k) from calibr.product_cost k
  order by 1, 2"""


def expire(database: Database, tenant: Context, sync_id: SyncId) -> None:
    """Let the worker of a run look dead."""
    with database.session(tenant, role=Role.WORKER) as session:
        session.execute(
            text("update calibr.sync_run set lease_until = now() - interval '1 hour' where id = :id"), {"id": sync_id}
        )


@pytest.mark.parametrize("is_baseline", [True, False], ids=["the first sync", "a later sync"])
def test_a_crash_in_the_middle_leaves_the_old_state(shop: Shop, is_baseline: bool) -> None:  # noqa: FBT001 - a case
    if not is_baseline:
        shop.sync()
    before, events = shop.rows(STATE), shop.rows("select count(*) from calibr.event")
    shop.store.change("11", price="1.00", title="Half done")
    shop.store.break_after = 1
    sync_id = shop.request()

    with pytest.raises(ConnectionResetError):
        shop.run(sync_id)

    assert shop.rows(STATE) == before
    (failed,) = shop.events("sync.failed")
    assert failed["code"] == "internal"
    assert shop.rows("select count(*) from calibr.event")[0]["count"] == events[0]["count"] + 2  # requested, failed
    run = shop.run_of(sync_id)
    assert (run.state, run.error) == ("failed", "The sync ended by an unexpected error (ConnectionResetError).")


def test_after_a_crash_the_next_sync_does_all_of_it(shop: Shop) -> None:
    shop.store.break_after = 1
    with pytest.raises(ConnectionResetError):
        shop.sync()
    shop.store.break_after = None

    assert shop.sync().new == 3
    assert [event["baseline"] for event in shop.events("sync.completed")] == [True]


def test_a_store_that_cannot_be_reached_makes_its_connection_failing_until_it_answers(shop: Shop) -> None:
    shop.store.error = Upstream("upstream.unreachable", "The store does not answer.", retryable=True)
    sync_id = shop.request()

    with pytest.raises(Upstream):
        shop.run(sync_id)

    assert shop.run_of(sync_id).error == "The store does not answer."
    (failed,) = shop.events("sync.failed")
    assert failed == {
        "connection_id": str(shop.connection.id),
        "code": "upstream.unreachable",
        "message": "The store does not answer.",
    }
    assert shop.rows("select state from calibr.connection") == [{"state": "failing"}]
    shop.store.error = None
    shop.sync()
    assert shop.rows("select state from calibr.connection") == [{"state": "active"}]


def test_what_a_store_says_is_recorded_without_credentials(shop: Shop) -> None:
    shop.store.error = Upstream("upstream.protocol", "refused: shpat_0123456789abcdef is not a token")
    sync_id = shop.request()

    with pytest.raises(Upstream):
        shop.run(sync_id)

    assert "shpat_0123456789abcdef" not in f"{shop.run_of(sync_id)} {shop.events('sync.failed')}"


def test_a_run_whose_worker_died_is_taken_over(shop: Shop) -> None:
    sync_id = shop.request()
    assert SyncLease.take(shop.database, shop.tenant, sync_id) is not None
    assert shop.run(sync_id) is None
    expire(shop.database, shop.tenant, sync_id)

    with shop.database.session(shop.tenant) as session:
        assert find_syncs(session) == [sync_id]
    summary = shop.run(sync_id)

    assert summary is not None
    assert summary.new == 3
    with shop.database.session(shop.tenant) as session:
        assert find_syncs(session) == []


def test_a_worker_that_lost_its_run_changes_nothing(shop: Shop) -> None:
    shop.sync()
    before = shop.rows(STATE)
    shop.store.change("11", price="1.00")
    sync_id = shop.request()

    def lose_the_run() -> None:
        expire(shop.database, shop.tenant, sync_id)
        assert SyncLease.take(shop.database, shop.tenant, sync_id) is not None

    shop.store.on_read = lose_the_run
    with pytest.raises(Conflict) as caught:
        shop.run(sync_id)

    assert caught.value.code == "sync.lease_lost"
    assert shop.rows(STATE) == before
    assert shop.run_of(sync_id).state == "running"
    assert shop.events("price.observed", "sync.failed") == []


def test_an_ended_run_is_not_done_again(shop: Shop) -> None:
    sync_id = shop.request()
    shop.run(sync_id)

    assert shop.run(sync_id) is None


def test_an_unknown_run_and_one_of_another_tenant_look_the_same(shop: Shop, other_tenant: Context) -> None:
    sync_id = shop.request()
    stranger = Shop(shop.database, other_tenant, shop.connection, shop.store, shop.work_dir)

    for unknown, asked in ((stranger, sync_id), (shop, SyncId(new_uuid()))):
        with pytest.raises(NotFound) as caught:
            unknown.run(asked)
        assert caught.value.code == "sync.not_found"


def test_a_connection_has_one_sync_at_a_time(shop: Shop) -> None:
    shop.request()

    with pytest.raises(Conflict) as caught:
        shop.request()

    assert caught.value.code == "sync.already_running"


def test_a_disabled_connection_is_not_read(shop: Shop) -> None:
    with shop.database.session(shop.tenant) as session:
        session.execute(text("update calibr.connection set state = 'disabled'"))
        with pytest.raises(Conflict) as caught:
            request_sync(session, shop.connection.id)

    assert caught.value.code == "connection.disabled"


def test_a_store_that_suddenly_has_nothing_is_not_believed(make_shop: Callable[..., Shop], tenant: Context) -> None:
    shop = make_shop(tenant, items=[Item(str(n)) for n in range(VANISHING_IS_PLAUSIBLE + 1)])
    shop.sync()
    before = shop.rows(STATE)
    shop.store.items = [Item("another")]
    sync_id = shop.request()

    with pytest.raises(Conflict, match="none of the 101 listings") as caught:
        shop.run(sync_id)

    assert caught.value.code == "sync.everything_vanished"
    assert shop.rows(STATE) == before
    assert shop.run_of(sync_id).state == "failed"
    assert shop.sync(force=True).vanished == VANISHING_IS_PLAUSIBLE + 1


def test_a_store_that_keeps_a_single_listing_is_believed(make_shop: Callable[..., Shop], tenant: Context) -> None:
    shop = make_shop(tenant, items=[Item(str(n)) for n in range(VANISHING_IS_PLAUSIBLE + 2)])
    shop.sync()
    shop.store.items = shop.store.items[:1]

    assert shop.sync().vanished == VANISHING_IS_PLAUSIBLE + 1


def test_a_store_that_changed_its_currency_is_refused(shop: Shop) -> None:
    shop.sync()
    before = shop.rows(STATE)
    shop.store.currency = "EUR"

    with pytest.raises(Conflict, match="in EUR now") as caught:
        shop.sync()

    assert caught.value.code == "sync.currency_changed"
    assert shop.rows(STATE) == before


def test_a_price_that_we_wrote_while_the_store_was_read_stays(shop: Shop) -> None:
    shop.sync()
    price_list = shop.price_list()
    (row,) = shop.rows("select product_id from calibr.listing where external_id = '11'")

    def apply() -> None:
        written = NewPrice(ProductId(row["product_id"]), price_list.id, "USD", 777, None)
        with shop.database.session(shop.tenant, role=Role.WORKER) as session:
            record_prices(session, [written], change_id=PriceChangeId(new_uuid()), source="change")

    shop.store.change("12", price="9.99")
    shop.store.on_read = apply
    summary = shop.sync()

    prices = "select unit_amount from calibr.price_version where product_id = :id and valid_to is null"
    assert shop.rows(prices, id=row["product_id"]) == [{"unit_amount": 777}]
    assert [event["external_id"] for event in shop.events("price.observed")] == ["12"]
    assert summary.prices_observed == 1
    shop.store.on_read = lambda: None
    assert [shop.sync().prices_observed for _ in range(2)] == [1, 0]  # what the store says later is news again


def test_findings_are_those_of_the_run_and_stay_with_it(shop: Shop) -> None:
    shop.store.change("11", price="-1")
    first, second = shop.request(), None
    shop.run(first)
    shop.store.change("11", price="10.00")
    second = shop.request()
    shop.run(second)

    count = "select count(*) from calibr.sync_finding where sync_id = :id"
    assert [shop.rows(count, id=each)[0]["count"] for each in (first, second)] == [1, 0]
