"""What a plan reads of the catalog: price lists, the rows to evaluate, and the names and ids of products."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, FromClause, Select, Subquery, Uuid, func, literal, select, text, true

from calibr.catalog.model import ListingRef, Market, PriceList, ProductLabel
from calibr.catalog.tables import (
    IN_FORCE,
    connection,
    listing,
    market,
    price_list,
    price_version,
    product,
    product_cost,
    quantity_break,
)
from calibr.core.errors import NotFound
from calibr.core.ids import ConnectionId, PriceListId, ProductId
from calibr.db import Session
from calibr.pricing.source import PlanSource

ProductRange = tuple[ProductId | None, ProductId | None]
"""Products with `above < id <= up_to`; None leaves a side open."""

EVERYTHING: ProductRange = (None, None)
_LIST_COLUMNS = (
    price_list.c.id, price_list.c.connection_id, price_list.c.external_id, price_list.c.name, price_list.c.currency,
    price_list.c.is_base, price_list.c.audience, price_list.c.active, price_list.c.adjustment_ppm,
    price_list.c.adjusts_compare_at, price_list.c.read_at,
)  # fmt: skip


def list_price_lists(session: Session) -> list[PriceList]:
    """All price lists of the tenant, by age."""
    return [PriceList(**row) for row in session.execute(select(*_LIST_COLUMNS).order_by(price_list.c.id)).mappings()]


def base_price_list(session: Session, connection_id: ConnectionId) -> PriceList | None:
    """The base price list of a connection; None before its first sync."""
    wanted = select(*_LIST_COLUMNS).where(price_list.c.connection_id == connection_id, price_list.c.is_base)
    row = session.execute(wanted).mappings().one_or_none()
    return None if row is None else PriceList(**row)


def list_markets(session: Session, connection_id: ConnectionId | None = None) -> list[Market]:
    """The markets of one store or of all, by name."""
    columns = [column for column in market.c if column.name != "tenant_id"]
    wanted = select(*columns).order_by(market.c.name, market.c.id)
    if connection_id is not None:
        wanted = wanted.where(market.c.connection_id == connection_id)
    rows = session.execute(wanted).mappings()
    lists = ("countries", "price_list_ids")
    return [Market(**{**row, **{name: tuple(row[name]) for name in lists}}) for row in rows]


def plan_source(
    session: Session, price_list_id: PriceListId, *, computed_at: datetime, product_range: ProductRange = EVERYTHING
) -> PlanSource:
    """The active products of the connection of a price list, with their price and cost in force.

    The range is repeated on each joined table: PostgreSQL carries equalities across a join and not ranges. Raises
    NotFound for an unknown price list.
    """
    head = _head(session, price_list_id)
    products = _products(session, head.connection_id, product_range)
    prices = _prices(price_list_id, product_range)
    costs = _costs(head.currency, product_range)
    rows = products.outerjoin(prices, prices.c.product_id == products.c.id)
    rows = rows.outerjoin(costs, costs.c.product_id == products.c.id)
    return PlanSource(
        rows=rows,
        where=(),
        price_list_id=literal(price_list_id, Uuid),
        currency=head.currency,
        price_list_name=head.name_norm,
        connection_name=head.connection_name_norm,
        computed_at=computed_at,
        product_id=products.c.id,
        sku=products.c.sku_norm,
        title=products.c.title_norm,
        vendor=products.c.vendor_norm,
        product_type=products.c.product_type_norm,
        status=products.c.status_norm,
        tags=products.c.tags_norm,
        attributes=products.c.attributes_norm,
        unit_amount=prices.c.unit_amount,
        compare_at=prices.c.compare_at,
        valid_from=prices.c.valid_from,
        unit_cost=costs.c.unit_cost,
    )


def fixed_prices(price_list_id: PriceListId, *, without_breaks: bool = False) -> Subquery:
    """The prices in force that somebody fixed on a list (all of them on base prices), to be built upon.

    `without_breaks` leaves those out that have lower prices from some quantity on.
    """
    named = (price_version.c[name] for name in ("product_id", "currency", "unit_amount", "compare_at"))
    in_force = (price_version.c.price_list_id == price_list_id, price_version.c.ends_at == IN_FORCE)
    wanted = select(*named).where(*in_force, ~price_version.c.relative)
    if without_breaks:
        breaks = select(true()).where(
            quantity_break.c.price_list_id == price_list_id, quantity_break.c.product_id == price_version.c.product_id
        )
        wanted = wanted.where(~breaks.exists())
    return wanted.subquery("fixed")


def product_id_after(
    session: Session, price_list_id: PriceListId, after: ProductId | None, rows: int
) -> ProductId | None:
    """The product `rows` places after `after` among the prices in force on a list; None where the list ends before.

    `after` None is the place before the first. So a list is cut into ranges, each by an index scan of its own length.
    """
    ordered = (
        select(price_version.c.product_id)
        .where(
            price_version.c.price_list_id == price_list_id,
            price_version.c.ends_at == IN_FORCE,
            *_within(price_version.c.product_id, (after, None)),
        )
        .order_by(price_version.c.product_id)
        .offset(rows - 1)
        .limit(1)
    )
    found = session.execute(ordered).scalar_one_or_none()
    return None if found is None else ProductId(found)


def rows_per_group(session: Session, connection_id: ConnectionId, product_ids: Select[tuple[UUID]]) -> list[int]:
    """How many of the products stand in each group of the connection that has any of them."""
    query = (
        select(func.count())
        .where(listing.c.connection_id == connection_id, listing.c.active, listing.c.product_id.in_(product_ids))
        .group_by(listing.c.group_external_id)
    )
    # A plan just written has no statistics yet. The planner then takes it for one row and reads the listings once per
    # item: 100,000 items took minutes. Whole plans are joined by hash or merge.
    session.execute(text("set local enable_nestloop = off"))
    found = list(session.execute(query).scalars())
    session.execute(text("set local enable_nestloop to default"))
    return found


def product_labels(session: Session, product_ids: Sequence[ProductId]) -> dict[ProductId, ProductLabel]:
    """What a person knows these products by."""
    query = text("""
        select id, sku, title,
               (select string_agg(value, ' / ' order by key)
                from jsonb_each_text(attributes) where key ^@ 'option.') as options
        from calibr.product where id = any(:ids)""")
    rows = session.execute(query, {"ids": list(product_ids)}).mappings()
    return {ProductId(row["id"]): ProductLabel(row["sku"], row["title"], row["options"]) for row in rows}


def listing_refs(
    session: Session, connection_id: ConnectionId, product_ids: Sequence[ProductId]
) -> dict[ProductId, ListingRef]:
    """Ids of the active listings of these products in one connection."""
    # One by one, as a page of the catalog does it, and for the same reason.
    query = text("""
        select product_id, external_id, group_external_id
        from unnest(cast(:ids as uuid[])) n(id) cross join lateral (
          select * from calibr.listing where product_id = n.id and connection_id = :connection offset 0) of_product
        where active""")
    rows = session.execute(query, {"ids": list(product_ids), "connection": connection_id}).mappings()
    return {ProductId(r["product_id"]): ListingRef(r["external_id"], r["group_external_id"]) for r in rows}


def _head(session: Session, price_list_id: PriceListId) -> Any:  # noqa: ANN401 - a row of three names
    query = (
        select(
            price_list.c.currency,
            price_list.c.name_norm,
            price_list.c.connection_id,
            connection.c.name_norm.label("connection_name_norm"),
        )
        .join(connection, connection.c.id == price_list.c.connection_id)
        .where(price_list.c.id == price_list_id)
    )
    row = session.execute(query).one_or_none()
    if row is None:
        raise NotFound("price_list.not_found", f"There is no price list {price_list_id}.")
    return row


def _products(session: Session, connection_id: ConnectionId, product_range: ProductRange) -> FromClause:
    query = select(product).where(product.c.active, *_within(product.c.id, product_range))
    if session.execute(select(func.count()).select_from(connection)).scalar_one() > 1:
        # With a single connection an active product is listed there; only with several must the listing say so.
        query = query.where(
            select(true())
            .where(listing.c.product_id == product.c.id, listing.c.connection_id == connection_id, listing.c.active)
            .exists()
        )
    return query.subquery("p")


def _prices(price_list_id: PriceListId, product_range: ProductRange) -> FromClause:
    return (
        select(price_version)
        .where(
            price_version.c.price_list_id == price_list_id,
            price_version.c.ends_at == IN_FORCE,
            *_within(price_version.c.product_id, product_range),
        )
        .subquery("v")
    )


def _costs(currency: str, product_range: ProductRange) -> FromClause:
    return (
        select(product_cost)
        .where(
            product_cost.c.currency == currency,
            product_cost.c.ends_at == IN_FORCE,
            *_within(product_cost.c.product_id, product_range),
        )
        .subquery("k")
    )


def _within(column: Column[UUID], product_range: ProductRange) -> list[ColumnElement[bool]]:
    above, up_to = product_range
    bounds = []
    if above is not None:
        bounds.append(column > literal(above, Uuid))
    if up_to is not None:
        bounds.append(column <= literal(up_to, Uuid))
    return bounds
