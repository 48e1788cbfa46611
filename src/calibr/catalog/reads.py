"""What screens show of the catalog. Pages are cut before anything is joined, by keys that an index has in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, text

from calibr.catalog.model import (
    Connection,
    Cost,
    Listing,
    PriceInForce,
    PriceVersion,
    Product,
    SyncFinding,
    SyncRun,
)
from calibr.catalog.repository import CONNECTION_COLUMNS, SYNC_COLUMNS
from calibr.catalog.tables import connection, price_version, sync_finding, sync_run
from calibr.core.errors import Fault, Invalid, NotFound
from calibr.core.ids import ConnectionId, ProductId, SyncId
from calibr.core.text import normalize
from calibr.db import Session

_FACETS = {
    "tags": "select t as value, count(*) as count from calibr.product p, unnest(p.tags_norm) t "
    "where p.active group by 1",
    "vendor": "select vendor_norm as value, count(*) as count from calibr.product "
    "where active and vendor_norm is not null group by 1",
    "product_type": "select product_type_norm as value, count(*) as count from calibr.product "
    "where active and product_type_norm is not null group by 1",
}
_PAGE = """
  select p.id, p.sku, p.title, p.vendor, p.product_type, p.status, p.tags, p.attributes, p.active
  from calibr.product p where {condition} order by p.id limit :limit"""


# Looked up product by product, and OFFSET 0 keeps the planner from making a join of it. It takes every tenant for one
# of average size; where one is much larger than the others, it would read all that the tenant has by the primary key,
# whose order is the one asked for. Prices and costs have one index each, so nothing can be chosen wrongly there.
_LISTINGS = """
  select product_id, connection_id, external_id, group_external_id, active
  from unnest(cast(:ids as uuid[])) n(id) cross join lateral (
    select * from calibr.listing where product_id = n.id offset 0) of_product
  order by connection_id"""
_PRICES = """
  select product_id, price_list_id, currency, unit_amount, compare_at, relative from calibr.price_version
  where price_list_id in (select id from calibr.price_list) and product_id = any(:ids) and ends_at = 'infinity'
  order by price_list_id"""
_COSTS = """
  select product_id, currency, unit_cost from calibr.product_cost
  where product_id = any(:ids) and ends_at = 'infinity'"""


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """Which products: all conditions hold. Texts are matched in normal form; `title` by how it begins."""

    sku: str | None = None
    title: str | None = None
    tag: str | None = None
    active: bool | None = True


@dataclass(frozen=True, slots=True)
class FacetCount:
    """How many active products have a value, in normal form."""

    value: str
    count: int


# Made once: nearly every request and delivery asks, and SQLAlchemy takes longer to make it than PostgreSQL to answer.
_CONNECTION = select(*CONNECTION_COLUMNS).where(connection.c.id == bindparam("id"))


def get_connection(session: Session, connection_id: ConnectionId) -> Connection:
    """The connection. Raises NotFound."""
    row = session.execute(_CONNECTION, {"id": connection_id}).mappings().one_or_none()
    if row is None:
        raise NotFound("connection.not_found", f"There is no connection {connection_id}.")
    return Connection(**row)


def list_connections(session: Session, *, after: UUID | None, limit: int) -> list[Connection]:
    """Connections by age."""
    query = select(*CONNECTION_COLUMNS).order_by(connection.c.id).limit(limit)
    if after is not None:
        query = query.where(connection.c.id > after)
    return [Connection(**row) for row in session.execute(query).mappings()]


def get_sync(session: Session, sync_id: SyncId) -> SyncRun:
    """The sync. Raises NotFound."""
    row = session.execute(select(*SYNC_COLUMNS).where(sync_run.c.id == sync_id)).mappings().one_or_none()
    if row is None:
        raise NotFound("sync.not_found", f"There is no sync {sync_id}.")
    return SyncRun(**row)


def list_findings(session: Session, sync_id: SyncId, *, after: int | None, limit: int) -> list[SyncFinding]:
    """What a sync refused, in the order found. Raises NotFound for an unknown sync."""
    get_sync(session, sync_id)
    columns = (c for c in sync_finding.c if c.name not in {"tenant_id", "sync_id"})
    query = select(*columns).where(sync_finding.c.sync_id == sync_id, sync_finding.c.ordinal > (after or 0))
    return [SyncFinding(**r) for r in session.execute(query.order_by(sync_finding.c.ordinal).limit(limit)).mappings()]


def list_products(session: Session, which: ProductFilter, *, after: UUID | None, limit: int) -> list[Product]:
    """Products in the order of their ids, each with its listings, prices and cost in force."""
    conditions = {
        "p.active = :active": which.active,
        "p.sku_norm = :sku": None if which.sku is None else normalize(which.sku) or "",
        "p.title_norm ^@ :title": None if which.title is None else normalize(which.title),
        "array[:tag] <@ p.tags_norm": None if which.tag is None else normalize(which.tag) or "",
        "p.id > :after": after,
    }
    used = {c: value for c, value in conditions.items() if value is not None}
    values = {c.rsplit(":", 1)[1].split("]")[0]: value for c, value in used.items()}
    page = text(_PAGE.format(condition=" and ".join(used) or "true"))
    rows = session.execute(page, {**values, "limit": limit}).mappings().all()
    details = _details(session, [ProductId(row["id"]) for row in rows])
    return [Product(**row, **details[row["id"]]) for row in rows]


def get_product(session: Session, product_id: ProductId) -> Product:
    """The product. Raises NotFound."""
    row = session.execute(text(_PAGE.format(condition="p.id = :id")), {"id": product_id, "limit": 1}).mappings().first()
    if row is None:
        raise NotFound("product.not_found", f"There is no product {product_id}.")
    return Product(**row, **_details(session, [product_id])[product_id])


def list_prices(session: Session, product_id: ProductId) -> list[PriceVersion]:
    """The price history of a product, the newest first. Raises NotFound for an unknown product."""
    get_product(session, product_id)
    names = (
        *("price_list_id", "currency", "unit_amount", "compare_at", "relative", "valid_from", "valid_to", "source"),
        "change_id",
    )
    query = (
        select(*(price_version.c[name] for name in names))
        .where(price_version.c.product_id == product_id)
        .order_by(price_version.c.valid_from.desc())
    )
    return [PriceVersion(**row) for row in session.execute(query).mappings()]


def facets(session: Session, field: str, *, limit: int) -> list[FacetCount]:
    """The most frequent values of `tags`, `vendor` or `product_type` among active products."""
    if field not in _FACETS:
        rule = f"is not one of {', '.join(_FACETS)}"
        raise Invalid("facet.field", f"field: {field!r} {rule}.", faults=(Fault("$.field", field, rule),))
    query = text(f"{_FACETS[field]} order by count desc, value limit :limit")
    return [FacetCount(**row) for row in session.execute(query, {"limit": limit}).mappings()]


def _details(session: Session, product_ids: Sequence[ProductId]) -> dict[UUID, dict[str, Any]]:
    """Listings, prices and cost in force of some products: three queries, whatever their number."""
    listings = _by_product(session, _LISTINGS, product_ids)
    prices = _by_product(session, _PRICES, product_ids)
    costs = _by_product(session, _COSTS, product_ids)
    return {
        i: {
            "channel_refs": [Listing(**row) for row in listings.get(i, ())],
            "prices": [PriceInForce(**row) for row in prices.get(i, ())],
            "cost": next((Cost(**row) for row in costs.get(i, ())), None),
        }
        for i in product_ids
    }


def _by_product(session: Session, query: str, product_ids: Sequence[ProductId]) -> dict[UUID, list[dict[str, Any]]]:
    found: dict[UUID, list[dict[str, Any]]] = {}
    for row in session.execute(text(query), {"ids": list(product_ids)}).mappings():
        values = {str(name): value for name, value in row.items()}
        found.setdefault(values.pop("product_id"), []).append(values)
    return found
