"""Writes prices that Calibr puts in force, by writing them or by adopting them, and finds the last of them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from calibr.catalog.model import NewPrice
from calibr.core.ids import PriceChangeId, PriceListId, ProductId
from calibr.db import Session

_NEW = """
  unnest(cast(:product_ids as uuid[]), cast(:price_list_ids as uuid[]), cast(:currencies as text[]),
         cast(:unit_amounts as bigint[]), cast(:compare_ats as bigint[]), cast(:are_relative as boolean[]))
    as n(product_id, price_list_id, currency, unit_amount, compare_at, relative)
"""
# A version never gets an empty interval: two writes of one transaction, or of one microsecond, still follow each other.
_CLOSE = text(f"""
  update calibr.price_version v set valid_to = greatest(:now, v.valid_from + interval '1 microsecond')
  from {_NEW}
  where v.price_list_id = n.price_list_id and v.product_id = n.product_id and v.ends_at = 'infinity'""")  # noqa: S608
_OPEN = text(f"""
  insert into calibr.price_version(tenant_id, product_id, price_list_id, currency, unit_amount, compare_at, relative,
                                   valid_from, change_id, source)
  select :tenant_id, n.product_id, n.price_list_id, n.currency, n.unit_amount, n.compare_at, n.relative,
         greatest(:now, (select max(v.valid_to) from calibr.price_version v
                         where v.price_list_id = n.price_list_id and v.product_id = n.product_id)),
         :change_id, :source
  from {_NEW}""")  # noqa: S608


def record_prices(session: Session, prices: Sequence[NewPrice], *, change_id: UUID, source: str) -> None:
    """Close the versions in force of these products and open the new ones, each product once, in this transaction.

    `source` is `change` or `rollback`. Two statements, whatever the number of prices.
    """
    if not prices:
        return
    values = {
        "product_ids": [p.product_id for p in prices],
        "price_list_ids": [p.price_list_id for p in prices],
        "currencies": [p.currency for p in prices],
        "unit_amounts": [p.unit_amount for p in prices],
        "compare_ats": [p.compare_at for p in prices],
        "are_relative": [p.relative for p in prices],
        "now": session.now,
    }
    session.execute(_CLOSE, values)
    session.execute(_OPEN, {**values, "tenant_id": session.tenant_id, "change_id": change_id, "source": source})


# What stands is closed and opened again as ours, with the same amounts; nothing else can be adopted.
_CLOSE_ADOPTED = text("""
  update calibr.price_version v set valid_to = greatest(:now, v.valid_from + interval '1 microsecond')
  where v.price_list_id = :list and v.product_id = :product and v.ends_at = 'infinity'
    and (v.relative and :relative
         or not v.relative and v.unit_amount = :unit_amount and v.compare_at is not distinct from :compare_at)
  returning valid_to, unit_amount, compare_at""")
_OPEN_ADOPTED = text("""
  insert into calibr.price_version(tenant_id, product_id, price_list_id, currency, unit_amount, compare_at, relative,
                                   valid_from, source)
  values (:tenant_id, :product, :list, :currency, :unit_amount, :compare_at, :relative, :valid_from, 'adopted')""")
# All prices that Calibr put in force, whatever stores were seen to ask since. Amounts of a currency that a price list
# had once say nothing any more.
_GOVERNED = text("""
  select v.price_list_id, v.product_id, v.unit_amount, v.compare_at, v.valid_from, v.change_id, v.relative
  from unnest(cast(:lists as uuid[]), cast(:products as uuid[])) n(price_list_id, product_id)
  join calibr.price_list p on p.id = n.price_list_id
  join calibr.price_version v
    on v.price_list_id = n.price_list_id and v.product_id = n.product_id and v.source <> 'ingest'
      and v.currency = p.currency""")


def adopt_price(session: Session, price: NewPrice) -> bool:
    """Make the price in force one of ours; False if another one is in force by now.

    A relative price is adopted whatever its amount: from then on nothing is expected there.
    """
    names = {
        "list": price.price_list_id,
        "product": price.product_id,
        "unit_amount": price.unit_amount,
        "compare_at": price.compare_at,
        "relative": price.relative,
    }
    closed = session.execute(_CLOSE_ADOPTED, {**names, "now": session.now}).mappings().one_or_none()
    if closed is None:
        return False
    shown = {"unit_amount": closed["unit_amount"], "compare_at": closed["compare_at"]}
    opened = {"tenant_id": session.tenant_id, "currency": price.currency, "valid_from": closed["valid_to"], **shown}
    session.execute(_OPEN_ADOPTED, {**names, **opened})
    return True


@dataclass(frozen=True, slots=True)
class GovernedPrice:
    """A price that Calibr put in force, by a change or by adopting it (no change then).

    No price: it let a price list follow the base price, and expects nothing of it.
    """

    price: tuple[int, int | None] | None
    valid_from: datetime
    change_id: PriceChangeId | None


def governed_prices(
    session: Session, places: Collection[tuple[PriceListId, ProductId]]
) -> dict[tuple[PriceListId, ProductId], list[GovernedPrice]]:
    """The prices that Calibr put in force for products on price lists, in no order; without any, none is named."""
    names = {"lists": [each[0] for each in places], "products": [each[1] for each in places]}
    found: dict[tuple[PriceListId, ProductId], list[GovernedPrice]] = {}
    for row in session.execute(_GOVERNED, names):
        price = None if row.relative else (row.unit_amount, row.compare_at)
        governed = GovernedPrice(price, row.valid_from, row.change_id)
        found.setdefault((row.price_list_id, row.product_id), []).append(governed)
    return found
