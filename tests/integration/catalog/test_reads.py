"""What screens and plans read of the catalog."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from catalog_shop import Item, Shop
from psycopg import sql
from sqlalchemy import event, select

from calibr.catalog import (
    ProductFilter,
    facets,
    get_connection,
    get_product,
    list_connections,
    list_findings,
    list_prices,
    list_products,
    listing_refs,
    plan_source,
)
from calibr.core.errors import Invalid, NotFound
from calibr.core.ids import ConnectionId, ProductId, new_uuid
from calibr.db import Context, ServerUrl, Session

PAGE_BUFFERS = 250  # the listings of 50 products, one by one; reading all 20,000 takes at least 300, by an index 4,000


def skus(shop: Shop, which: ProductFilter) -> list[str | None]:
    with shop.database.session(shop.tenant) as session:
        return [product.sku for product in list_products(session, which, after=None, limit=100)]


def test_a_product_shows_its_listings_its_prices_and_its_cost(shop: Shop) -> None:
    shop.sync()

    with shop.database.session(shop.tenant) as session:
        first, second, third = list_products(session, ProductFilter(), after=None, limit=10)
        again = get_product(session, first.id)

    assert again == first
    assert (first.sku, first.tags, first.attributes) == ("A-1", ["Sale"], {"option.Color": "Red"})
    assert [(ref.external_id, ref.group_external_id, ref.active) for ref in first.channel_refs] == [("11", "1", True)]
    assert [(p.currency, p.unit_amount, p.compare_at) for p in first.prices] == [("USD", 1000, 1200)]
    assert first.cost is not None
    assert (first.cost.currency, first.cost.unit_cost) == ("USD", 400)
    assert (second.cost, third.sku) == (None, None)


def test_pages_follow_each_other(make_shop: Callable[..., Shop], tenant: Context) -> None:
    shop = make_shop(tenant, items=[Item(str(n), str(n), sku=f"S-{n:02}") for n in range(25)])
    shop.sync()
    seen: list[str | None] = []
    after: UUID | None = None

    with shop.database.session(tenant) as session:
        while page := list_products(session, ProductFilter(), after=after, limit=10):
            seen += [product.sku for product in page]
            after = page[-1].id

    assert seen == [f"S-{n:02}" for n in range(25)]


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (ProductFilter(sku=" a-1 "), ["A-1"]),
        (ProductFilter(sku="a"), []),
        (ProductFilter(title="GRÖSS"), [None]),
        (ProductFilter(title="%"), []),
        (ProductFilter(tag="sale"), ["A-1", "A-2"]),
        (ProductFilter(tag="sal"), []),
        (ProductFilter(sku="A-2", tag="SALE", title="shirt"), ["A-2"]),
    ],
)
def test_filters_match_normal_forms(shop: Shop, which: ProductFilter, expected: list[str | None]) -> None:
    shop.sync()

    assert skus(shop, which) == expected


def test_products_that_are_gone_are_shown_when_asked_for(shop: Shop) -> None:
    shop.sync()
    shop.store.remove("12")
    shop.sync()

    assert skus(shop, ProductFilter()) == ["A-1", None]
    assert skus(shop, ProductFilter(active=False)) == ["A-2"]
    assert skus(shop, ProductFilter(active=None)) == ["A-1", "A-2", None]


@pytest.fixture
def misjudge(admin_url: ServerUrl) -> Iterator[Callable[[str, float], None]]:
    """Lets the planner take a table for one of that many tenants (negative: that share of the rows)."""
    told: set[str] = set()
    tell = """select pg_restore_attribute_stats('schemaname', 'calibr', 'relname', %s::text, 'attname', 'tenant_id',
                'inherited', false, 'null_frac', 0::real, 'avg_width', 16, 'n_distinct', %s::real)"""

    def apply(table: str, tenants: float) -> None:
        told.add(table)
        admin.execute(tell, (table, tenants))

    with psycopg.connect(admin_url.conninfo(), autocommit=True) as admin:
        yield apply
        for table in told:
            admin.execute(sql.SQL("analyze {}").format(sql.Identifier("calibr", table)))


@pytest.mark.parametrize("tenants", [None, 1, 200, -0.5, -1])
@pytest.mark.parametrize("depth", [0, 19_000])
def test_a_page_reads_little_however_deep_it_is(
    make_shop: Callable[..., Shop],
    tenant: Context,
    misjudge: Callable[[str, float], None],
    depth: int,
    tenants: float | None,
) -> None:
    shop = make_shop(tenant, items=[Item(str(n), str(n)) for n in range(20_000)])
    shop.sync()
    (cut,) = shop.rows("select id from calibr.product order by id offset :depth limit 1", depth=depth)
    if tenants is not None:
        for table in ("product", "listing", "price_version", "product_cost"):
            misjudge(table, tenants)

    with shop.database.session(tenant) as session:
        statements = recorded(session, lambda: list_products(session, ProductFilter(), after=cut["id"], limit=50))
        reads = [blocks_read(session, *statement) for statement in statements]

    assert len(reads) == 4
    assert max(reads) < PAGE_BUFFERS


def test_the_ids_of_listings_are_looked_up_and_not_searched_for(
    make_shop: Callable[..., Shop], tenant: Context, misjudge: Callable[[str, float], None]
) -> None:
    shop = make_shop(tenant, items=[Item(str(n), str(n)) for n in range(20_000)])
    shop.sync()
    rows = shop.rows("select product_id, external_id from calibr.listing order by product_id limit 50")
    expected = {ProductId(row["product_id"]): row["external_id"] for row in rows}
    misjudge("listing", -1)

    with shop.database.session(tenant) as session:
        refs = listing_refs(session, shop.connection.id, list(expected))
        (sent,) = recorded(session, lambda: listing_refs(session, shop.connection.id, list(expected)))
        read = blocks_read(session, *sent)

    assert {product_id: ref.external_id for product_id, ref in refs.items()} == expected
    assert read < PAGE_BUFFERS


def recorded(session: Session, read: Callable[[], object]) -> list[tuple[str, Any]]:
    """The statements that a read sends."""
    sent: list[tuple[str, Any]] = []

    def note(*arguments: Any) -> None:  # noqa: ANN401 - what SQLAlchemy sends
        sent.append((arguments[2], arguments[3]))

    event.listen(session.connection, "before_cursor_execute", note)
    read()
    event.remove(session.connection, "before_cursor_execute", note)
    return sent


def blocks_read(session: Session, statement: str, parameters: Any) -> int:  # noqa: ANN401 - as recorded
    explain = f"explain (analyze, buffers, format json) {statement}"
    plan = session.connection.exec_driver_sql(explain, parameters).scalar_one()[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def test_the_history_of_a_price_is_read_newest_first(shop: Shop) -> None:
    shop.sync()
    shop.store.change("11", price="9.00")
    shop.sync()
    (row,) = shop.rows("select product_id from calibr.listing where external_id = '11'")

    with shop.database.session(shop.tenant) as session:
        history = list_prices(session, ProductId(row["product_id"]))

    assert [(v.unit_amount, v.valid_to is None, v.source) for v in history] == [
        (900, True, "ingest"),
        (1000, False, "ingest"),
    ]
    assert history[1].valid_to == history[0].valid_from


def test_facets_count_active_products_by_normal_form(shop: Shop) -> None:
    shop.store.items.append(Item("31", "3", vendor="ACME", tags=("SALE", "New")))
    shop.sync()

    with shop.database.session(shop.tenant) as session:
        tags = [(facet.value, facet.count) for facet in facets(session, "tags", limit=10)]
        vendors = [(facet.value, facet.count) for facet in facets(session, "vendor", limit=1)]
        with pytest.raises(Invalid, match="color"):
            facets(session, "color", limit=10)

    assert tags == [("sale", 3), ("new", 1)]
    assert vendors == [("acme", 4)]


def test_findings_are_paged_by_their_number(shop: Shop) -> None:
    for item_id in ("11", "12", "21"):
        shop.store.change(item_id, price="-1")
    sync_id = shop.request()
    shop.run(sync_id)

    with shop.database.session(shop.tenant) as session:
        first = list_findings(session, sync_id, after=None, limit=2)
        rest = list_findings(session, sync_id, after=first[-1].ordinal, limit=2)

    assert [(f.ordinal, f.external_id) for f in (*first, *rest)] == [(1, "11"), (2, "12"), (3, "21")]


def test_another_tenant_sees_nothing(shop: Shop, other_tenant: Context) -> None:
    sync_id = shop.request()
    shop.run(sync_id)
    (row,) = shop.rows("select product_id from calibr.listing where external_id = '11'")
    product_id = ProductId(row["product_id"])

    with shop.database.session(other_tenant) as session:
        assert list_connections(session, after=None, limit=10) == []
        assert list_products(session, ProductFilter(active=None), after=None, limit=10) == []
        assert facets(session, "tags", limit=10) == []
        for read in (
            lambda: get_connection(session, shop.connection.id),
            lambda: get_product(session, product_id),
            lambda: list_prices(session, product_id),
            lambda: list_findings(session, sync_id, after=None, limit=10),
        ):
            with pytest.raises(NotFound):
                read()


def test_an_unknown_connection_is_not_found(shop: Shop) -> None:
    with shop.database.session(shop.tenant) as session, pytest.raises(NotFound):
        get_connection(session, ConnectionId(new_uuid()))


def test_a_plan_reads_active_products_with_price_and_cost_in_the_currency_of_the_list(
    make_shop: Callable[..., Shop], shop: Shop, tenant: Context
) -> None:
    shop.store.change("11", cost="400", cost_currency="JPY")
    shop.store.change("21", price="free")
    shop.store.items.append(Item("31", "3"))
    shop.sync()
    shop.store.remove("31")
    shop.sync()
    make_shop(tenant, "Second store", items=[Item("11")]).sync()

    with shop.database.session(tenant) as session:
        source = plan_source(session, shop.price_list().id, computed_at=session.now)
        columns = (source.sku, source.title, source.unit_amount, source.compare_at, source.unit_cost)
        query = select(*columns).select_from(source.rows).where(*source.where).order_by(source.product_id)
        rows = [tuple(row) for row in session.execute(query)]

    assert rows == [
        ("a-1", "shirt", 1000, 1200, None),
        ("a-2", "shirt", 1100, None, None),
        (None, "grösse", None, None, 400),
    ]
    assert (source.currency, source.price_list_name, source.connection_name) == ("USD", "base prices", "main store")
