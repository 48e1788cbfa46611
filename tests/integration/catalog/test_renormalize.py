"""Normal forms follow the Unicode tables of the running Python, from the texts as the store gave them."""

from catalog_shop import Item, Shop
from sqlalchemy import text

from calibr.catalog import renormalize
from calibr.core.text import unidata_version
from calibr.db import Role

FORMS = """
  select l.external_id, p.sku_norm, p.title_norm, p.vendor_norm, p.product_type_norm, p.status_norm, p.tags_norm,
    p.attributes_norm
  from calibr.listing l join calibr.product p on p.id = l.product_id order by 1"""
MAKE_STALE = (
    "update calibr.connection set unidata_version = '1.0.0', name_norm = 'stale'",
    "update calibr.price_list set name_norm = 'stale'",
    """update calibr.product set title_norm = 'stale', tags_norm = '{stale}', attributes_norm = '{"stale": 1}'
      where title_norm is not null""",
)


def make_stale(shop: Shop) -> None:
    with shop.database.session(shop.tenant, role=Role.WORKER) as session:
        for statement in MAKE_STALE:
            session.execute(text(statement))


def names(shop: Shop) -> list[str]:
    query = "select name_norm from calibr.connection union all select name_norm from calibr.price_list"
    return [row["name_norm"] for row in shop.rows(query)]


def test_stale_forms_are_recomputed(shop: Shop) -> None:
    shop.store.items.append(
        Item("31", "3", sku=None, title=None, vendor="", tags=('a"b', "Größe \\ {x}", " "), color="ﬁ")
    )
    shop.sync()
    before = shop.rows(FORMS)
    make_stale(shop)
    assert shop.rows(FORMS) != before

    assert renormalize(shop.database, shop.tenant, shop.connection.id)

    assert shop.rows(FORMS) == before
    assert names(shop) == ["main store", "base prices"]
    assert shop.rows("select unidata_version from calibr.connection") == [{"unidata_version": unidata_version()}]
    assert not renormalize(shop.database, shop.tenant, shop.connection.id)


def test_rows_that_are_right_are_not_written(shop: Shop) -> None:
    shop.sync()
    versions = "select id, xmin::text from calibr.product order by id"
    before = shop.rows(versions)
    with shop.database.session(shop.tenant, role=Role.WORKER) as session:
        session.execute(text("update calibr.connection set unidata_version = '1.0.0'"))

    assert renormalize(shop.database, shop.tenant, shop.connection.id)

    assert shop.rows(versions) == before


def test_a_connection_that_was_never_read_has_nothing_to_recompute(shop: Shop) -> None:
    assert not renormalize(shop.database, shop.tenant, shop.connection.id)


def test_a_sync_recomputes_products_that_the_store_no_longer_has(shop: Shop) -> None:
    shop.sync()
    shop.store.remove("21")
    shop.sync()
    before = shop.rows(FORMS)
    make_stale(shop)

    shop.sync()

    assert shop.rows(FORMS) == before
    assert names(shop) == ["main store", "base prices"]
