"""What is known of the prices of some listings, and what a reading of the store changes in it. Decides nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, text

from calibr.catalog.model import PriceList
from calibr.core.ids import ConnectionId, ProductId
from calibr.db import Session

_STANDINGS = text("""
  select n.external_id, l.product_id, l.active, v.unit_amount, v.compare_at, v.valid_from,
    f.product_id is not null as in_flight, f.after_amount as sent_amount, f.after_compare_at as sent_compare_at
  from unnest(cast(:external_ids as text[])) n(external_id)
  left join calibr.listing l on l.connection_id = :connection and l.external_id = n.external_id
  left join calibr.price_version v
    on v.price_list_id = :list and v.product_id = l.product_id and v.ends_at = 'infinity'
  left join calibr.price_in_flight f on f.price_list_id = :list and f.product_id = l.product_id""")
_CLOSE = text("""
  update calibr.price_version v set valid_to = greatest(:now, v.valid_from + interval '1 microsecond')
  where v.price_list_id = :list and v.product_id = any(cast(:products as uuid[])) and v.ends_at = 'infinity'""")
_OPEN = text("""
  insert into calibr.price_version(tenant_id, product_id, price_list_id, currency, unit_amount, compare_at, valid_from,
                                   source)
  select :tenant_id, n.product_id, :list, :currency, n.unit_amount, n.compare_at,
         greatest(:now, (select max(v.valid_to) from calibr.price_version v
                         where v.price_list_id = :list and v.product_id = n.product_id)), :source
  from unnest(cast(:products as uuid[]), cast(:unit_amounts as bigint[]), cast(:compare_ats as bigint[]))
    n(product_id, unit_amount, compare_at)""")
_VANISH_LISTINGS = text("""
  update calibr.listing set active = false, vanished_at = :now
  where connection_id = :connection and product_id = any(cast(:products as uuid[])) and active""")
_VANISH_PRODUCTS = text("""
  update calibr.product p set active = false, updated_at = :now
  where p.id = any(cast(:products as uuid[])) and p.active
    and not exists (select from calibr.listing o where o.product_id = p.id and o.active)""")
_GROUP = text("""
  select group_external_id, array_agg(external_id order by external_id) as external_ids from calibr.listing
  where connection_id = :connection and group_external_id = any(cast(:groups as text[])) and active
  group by group_external_id""")
_SAMPLE = text("""
  select external_id from calibr.listing where connection_id = :connection and active
  order by hashtextextended(external_id, :seed) limit :limit""")
_COUNT = text("select count(*) from calibr.listing where connection_id = :connection and active")


@dataclass(frozen=True, slots=True)
class SeenPrice:
    """A price of a product as a store shows it; no amount: it has no usable one."""

    product_id: ProductId
    unit_amount: int | None
    compare_at: int | None


def standings(session: Session, price_list: PriceList, external_ids: Sequence[str]) -> list[RowMapping]:
    """What is known of listings: product, price in force, and whether a write to it is on its way."""
    names = {"external_ids": list(external_ids), "list": price_list.id, "connection": price_list.connection_id}
    return list(session.execute(_STANDINGS, names).mappings())


def replace_prices(session: Session, price_list: PriceList, seen: Sequence[SeenPrice], source: str) -> None:
    """Close what is in force for these products, each once, and open what was seen."""
    usable = [price for price in seen if price.unit_amount is not None]
    names: dict[str, Any] = {"list": price_list.id, "now": session.now}
    session.execute(_CLOSE, {**names, "products": [price.product_id for price in seen]})
    opened = {
        "tenant_id": session.tenant_id,
        "currency": price_list.currency,
        "source": source,
        "products": [price.product_id for price in usable],
        "unit_amounts": [price.unit_amount for price in usable],
        "compare_ats": [price.compare_at for price in usable],
    }
    session.execute(_OPEN, {**names, **opened})


def vanish_listings(session: Session, price_list: PriceList, products: Sequence[ProductId]) -> None:
    """Deactivate listings that the store no longer has, with their products and prices."""
    names = {"connection": price_list.connection_id, "list": price_list.id, "now": session.now}
    for statement in (_VANISH_LISTINGS, _VANISH_PRODUCTS, _CLOSE):
        session.execute(statement, {**names, "products": list(products)})


def listings_by_group(session: Session, connection_id: ConnectionId, groups: Sequence[str]) -> dict[str, list[str]]:
    """External ids of the active listings of some product groups."""
    rows = session.execute(_GROUP, {"connection": connection_id, "groups": list(groups)})
    return {row.group_external_id: list(row.external_ids) for row in rows}


def sample_listings(session: Session, connection_id: ConnectionId, *, share_bp: int, at: datetime) -> list[str]:
    """A share (basis points) of the active listings, at least one; another one at every time."""
    known = int(session.execute(_COUNT, {"connection": connection_id}).scalar_one())
    wanted = min(known, -(-known * share_bp // 10_000))
    names = {"connection": connection_id, "limit": wanted, "seed": int(at.timestamp())}
    return list(session.execute(_SAMPLE, names).scalars()) if wanted else []
