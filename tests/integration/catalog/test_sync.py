"""A sync records what a store says, touches what differs and nothing else, and says so in events."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from catalog_shop import Item, Shop

from calibr.core.text import unidata_version
from calibr.db import Context, Role

VERSIONS = """
  select 'product' as kind, id::text as key, xmin::text, ctid::text from calibr.product
  union all select 'listing', external_id, xmin::text, ctid::text from calibr.listing
  union all select 'price', product_id || ' ' || valid_from, xmin::text, ctid::text from calibr.price_version
  union all select 'cost', product_id || ' ' || valid_from, xmin::text, ctid::text from calibr.product_cost
  order by 1, 2"""
PRICES = """
  select l.external_id, v.unit_amount, v.compare_at, v.currency, v.valid_to is null as in_force, v.source, v.change_id
  from calibr.price_version v join calibr.listing l using (product_id) order by 1, v.valid_from"""
COSTS = """
  select l.external_id, k.unit_cost, k.currency, k.valid_to is null as in_force
  from calibr.product_cost k join calibr.listing l using (product_id) order by 1, k.valid_from"""
PRODUCTS = """
  select l.external_id, l.group_external_id, l.active as listed, l.vanished_at is not null as gone, p.*
  from calibr.listing l join calibr.product p on p.id = l.product_id order by l.external_id"""
ORPHANS = """
  select count(*) from (
    select product_id from calibr.listing union all select product_id from calibr.price_version
    union all select product_id from calibr.product_cost) r
  where not exists (select from calibr.product p where p.id = r.product_id)"""


def in_force(shop: Shop) -> dict[str, tuple[int, int | None]]:
    return {r["external_id"]: (r["unit_amount"], r["compare_at"]) for r in shop.rows(PRICES) if r["in_force"]}


def test_the_first_sync_records_everything(shop: Shop) -> None:
    summary = shop.sync()

    first, second, third = shop.rows(PRODUCTS)
    assert (first["sku"], first["sku_norm"], first["title"], first["tags"]) == ("A-1", "a-1", "Shirt", ["Sale"])
    assert (third["title_norm"], third["sku"], third["tags_norm"]) == ("grösse", None, [])
    assert third["attributes"] == {"option.Color": "Red"}
    assert third["attributes_norm"] == {"option.Color": "red"}
    assert {row["active"] and row["listed"] for row in (first, second, third)} == {True}
    assert in_force(shop) == {"11": (1000, 1200), "12": (1100, None), "21": (550, None)}
    assert [(row["external_id"], row["unit_cost"]) for row in shop.rows(COSTS)] == [("11", 400), ("21", 400)]
    assert (summary.baseline, summary.rows, summary.new, summary.prices_observed) == (True, 3, 3, 0)


def test_the_first_sync_is_one_event_and_no_price_is_news(shop: Shop) -> None:
    shop.sync()

    (completed,) = shop.events("sync.completed")
    assert completed["baseline"] is True
    assert completed["new"] == 3
    assert shop.events("price.observed", "listing.vanished") == []


def test_variants_of_a_group_are_neighbors_in_the_order_of_products(
    make_shop: Callable[..., Shop], tenant: Context
) -> None:
    shop = make_shop(tenant, items=[Item(str(n), str(n % 7)) for n in range(60)])

    shop.sync()

    groups = [r["group_external_id"] for r in shop.rows("select * from calibr.listing order by product_id")]
    assert len([1 for one, other in pairwise(groups) if one != other]) == 6
    versions = shop.rows("select distinct uuid_extract_version(id) as v from calibr.product")
    assert [row["v"] for row in versions] == [7]


def test_an_unchanged_catalog_writes_no_row_and_no_event_but_the_end(shop: Shop) -> None:
    shop.sync()
    before = shop.rows(VERSIONS)

    summary = shop.sync()

    assert shop.rows(VERSIONS) == before
    assert summary.document() | {"rows": 0} == dict.fromkeys(summary.document(), 0) | {"baseline": False}
    assert [event["baseline"] for event in shop.events("sync.completed")] == [True, False]
    assert shop.events("price.observed", "listing.vanished") == []


def test_a_changed_price_closes_one_version_and_opens_another(shop: Shop) -> None:
    shop.sync()
    before = {(row["kind"], row["key"]): row for row in shop.rows(VERSIONS)}
    shop.store.change("11", price="9.00")

    summary = shop.sync()

    history = [row for row in shop.rows(PRICES) if row["external_id"] == "11"]
    assert [(r["unit_amount"], r["compare_at"], r["in_force"], r["source"]) for r in history] == [
        (1000, 1200, False, "ingest"),
        (900, 1200, True, "ingest"),
    ]
    (observed,) = shop.events("price.observed")
    assert observed["before"] == {"unit_amount": 1000, "compare_at": 1200}
    assert observed["after"] == {"unit_amount": 900, "compare_at": 1200}
    assert (observed["external_id"], observed["currency"]) == ("11", "USD")
    assert summary.prices_observed == 1
    touched = [row for row in shop.rows(VERSIONS) if before.get((row["kind"], row["key"])) != row]
    assert [row["kind"] for row in touched] == ["price", "price"]


@pytest.mark.parametrize(
    ("fields", "after"),
    [
        ({"compare_at": "13.00"}, (1000, 1300)),
        ({"compare_at": None}, (1000, None)),
        ({"price": "10.01", "compare_at": None}, (1001, None)),
    ],
)
def test_the_compare_at_price_is_part_of_the_price(
    shop: Shop, fields: dict[str, Any], after: tuple[int, int | None]
) -> None:
    shop.sync()
    shop.store.change("11", **fields)

    assert shop.sync().prices_observed == 1
    assert in_force(shop)["11"] == after


def test_a_new_listing_is_observed_with_no_price_before(shop: Shop) -> None:
    shop.sync()
    shop.store.items.append(Item("22", "2", sku="B-2", price="7.25", cost="1"))

    summary = shop.sync()

    (observed,) = shop.events("price.observed")
    assert (observed["external_id"], observed["before"]) == ("22", None)
    assert observed["after"] == {"unit_amount": 725, "compare_at": None}
    assert in_force(shop)["22"] == (725, None)
    assert (summary.new, summary.changed, summary.vanished) == (1, 0, 0)


def test_changed_texts_change_the_product_and_not_its_id(shop: Shop) -> None:
    shop.sync()
    ids = {row["external_id"]: row["id"] for row in shop.rows(PRODUCTS)}
    for item_id in ("11", "12"):
        shop.store.change(item_id, title="Blouse")

    summary = shop.sync()

    rows = {row["external_id"]: row for row in shop.rows(PRODUCTS)}
    assert {row["title_norm"] for row in rows.values()} == {"blouse", "grösse"}
    assert {key: row["id"] for key, row in rows.items()} == ids
    assert (summary.changed, summary.prices_observed) == (2, 0)
    assert shop.sync().changed == 0


def test_a_listing_that_moves_to_another_group_keeps_its_product(shop: Shop) -> None:
    shop.sync()
    shop.store.change("12", group="2", title="Größe", tags=())

    shop.sync()

    assert {row["external_id"]: row["group_external_id"] for row in shop.rows(PRODUCTS)} == {
        "11": "1",
        "12": "2",
        "21": "2",
    }


def test_a_vanished_listing_ends_its_price_and_its_product(shop: Shop) -> None:
    shop.sync()
    shop.store.remove("12")

    summary = shop.sync()

    gone = next(row for row in shop.rows(PRODUCTS) if row["external_id"] == "12")
    assert (gone["active"], gone["listed"], gone["gone"]) == (False, False, True)
    assert "12" not in in_force(shop)
    assert [event["external_id"] for event in shop.events("listing.vanished")] == ["12"]
    assert shop.events("price.observed") == []
    assert summary.vanished == 1
    assert shop.sync().vanished == 0


def test_a_listing_that_comes_back_is_the_same_product(shop: Shop) -> None:
    shop.sync()
    (item,) = [item for item in shop.store.items if item.id == "12"]
    before = next(row for row in shop.rows(PRODUCTS) if row["external_id"] == "12")
    shop.store.remove("12")
    shop.sync()
    shop.store.items.append(item)

    summary = shop.sync()

    back = next(row for row in shop.rows(PRODUCTS) if row["external_id"] == "12")
    assert (back["id"], back["active"], back["listed"], back["gone"]) == (before["id"], True, True, False)
    assert (summary.reappeared, summary.new, summary.changed) == (1, 0, 0)
    assert in_force(shop)["12"] == (1100, None)
    assert [event["before"] for event in shop.events("price.observed")] == [None]


def test_costs_follow_and_are_no_events(shop: Shop) -> None:
    shop.sync()
    shop.store.change("11", cost="4.50")
    shop.store.change("12", cost="3.00")
    shop.store.change("21", cost=None)

    summary = shop.sync()

    assert [(r["external_id"], r["unit_cost"], r["in_force"]) for r in shop.rows(COSTS)] == [
        ("11", 400, False),
        ("11", 450, True),
        ("12", 300, True),
        ("21", 400, False),
    ]
    assert summary.costs_changed == 3
    assert shop.events("price.observed") == []
    assert shop.sync().costs_changed == 0


def test_a_cost_keeps_its_own_currency(shop: Shop) -> None:
    shop.store.change("11", cost="450", cost_currency="JPY")

    shop.sync()

    assert [(r["unit_cost"], r["currency"]) for r in shop.rows(COSTS) if r["external_id"] == "11"] == [(450, "JPY")]


def test_a_refused_price_ends_the_price_in_force_and_is_a_finding(shop: Shop) -> None:
    shop.sync()
    shop.store.change("11", price="-1")
    sync_id = shop.request()

    summary = shop.run(sync_id)

    assert "11" not in in_force(shop)
    findings = shop.rows("select * from calibr.sync_finding where sync_id = :id", id=sync_id)
    assert [(f["external_id"], f["field"], f["value"], f["rule"]) for f in findings] == [
        ("11", "unit_amount", "-1", "must not be negative")
    ]
    assert summary is not None
    assert summary.findings == 1
    assert [event["after"] for event in shop.events("price.observed")] == [None]
    product = next(row for row in shop.rows(PRODUCTS) if row["external_id"] == "11")
    assert product["active"]


def test_a_price_that_becomes_usable_is_observed(shop: Shop) -> None:
    shop.store.change("11", price="free")
    shop.sync()
    shop.store.change("11", price="8.00")

    shop.sync()

    (observed,) = shop.events("price.observed")
    assert (observed["before"], observed["after"]) == (None, {"unit_amount": 800, "compare_at": 1200})


def test_an_empty_store_has_no_baseline_yet(make_shop: Callable[..., Shop], tenant: Context) -> None:
    shop = make_shop(tenant)

    assert shop.sync().baseline
    shop.store.items = [Item("1"), Item("2")]
    assert shop.sync().baseline
    assert shop.events("price.observed") == []


def test_a_sync_leaves_the_state_of_its_connection_and_its_run(shop: Shop) -> None:
    sync_id = shop.request()

    summary = shop.run(sync_id)

    run = shop.run_of(sync_id)
    assert summary is not None
    assert (run.state, run.stage, run.rows_read, run.rows_total, run.error) == ("completed", "completed", 3, 3, None)
    assert run.summary == summary.document()
    assert run.finished_at is not None
    (row,) = shop.rows("select * from calibr.connection")
    assert row["first_synced_at"] == row["last_synced_at"] is not None
    assert (row["state"], row["unidata_version"]) == ("active", unidata_version())


def test_nothing_refers_to_a_product_that_is_not_there(shop: Shop) -> None:
    shop.sync()
    shop.store.remove("11")
    shop.store.items.append(Item("31", "3"))
    shop.sync()

    assert shop.rows(ORPHANS) == [{"count": 0}]


def test_two_tenants_with_the_same_ids_do_not_meet(
    make_shop: Callable[..., Shop], shop: Shop, other_tenant: Context
) -> None:
    other = make_shop(other_tenant, items=shop.store.items)
    shop.sync()
    other.sync()
    mine = shop.rows(VERSIONS)
    other.store.change("11", price="1.00", title="Mine")
    other.store.remove("12")

    other.sync()

    assert shop.rows(VERSIONS) == mine
    assert shop.sync().document()["changed"] == 0
    assert in_force(other)["11"] == (100, 1200)
    assert in_force(shop)["11"] == (1000, 1200)


def test_two_connections_of_a_tenant_have_their_own_listings(
    make_shop: Callable[..., Shop], shop: Shop, tenant: Context
) -> None:
    second = make_shop(tenant, "Second store", items=shop.store.items)
    shop.sync()
    assert second.sync().baseline
    second.store.remove("11", "12", "21")

    second.sync()

    active = shop.rows("select connection_id, count(*) from calibr.listing where active group by 1")
    assert [(row["connection_id"], row["count"]) for row in active] == [(shop.connection.id, 3)]
    assert shop.rows("select count(*) from calibr.product where active") == [{"count": 3}]


def test_a_sync_continues_the_story_of_its_request(shop: Shop) -> None:
    with shop.database.session(shop.tenant, role=Role.APP):
        shop.sync()

    told = shop.rows("select distinct correlation_id from calibr.event where type like 'sync.%'")
    assert [row["correlation_id"] for row in told] == [shop.tenant.correlation_id]


def test_more_prices_than_one_batch_of_events_are_all_observed(make_shop: Callable[..., Shop], tenant: Context) -> None:
    count = 6_000
    shop = make_shop(tenant, items=[Item(str(n), str(n)) for n in range(count)])
    shop.sync()
    shop.store.items = [Item(str(n), str(n), price="11.00") for n in range(count)]

    assert shop.sync().prices_observed == count

    numbers = shop.rows("select count(distinct seq), max(seq) - min(seq) + 1 as span from calibr.event")
    assert numbers == [{"count": count + 5, "span": count + 5}]
    assert len(shop.events("price.observed")) == count
