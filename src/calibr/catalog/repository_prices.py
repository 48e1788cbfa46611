"""Writes prices that a store was seen to hold after we wrote them."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from calibr.catalog.model import NewPrice
from calibr.db import Session

_NEW = """
  unnest(cast(:product_ids as uuid[]), cast(:price_list_ids as uuid[]), cast(:currencies as text[]),
         cast(:unit_amounts as bigint[]), cast(:compare_ats as bigint[]))
    as n(product_id, price_list_id, currency, unit_amount, compare_at)
"""
# A version never gets an empty interval: two writes of one transaction, or of one microsecond, still follow each other.
_CLOSE = text(f"""
  update calibr.price_version v set valid_to = greatest(:now, v.valid_from + interval '1 microsecond')
  from {_NEW}
  where v.price_list_id = n.price_list_id and v.product_id = n.product_id and v.ends_at = 'infinity'""")  # noqa: S608
_OPEN = text(f"""
  insert into calibr.price_version(tenant_id, product_id, price_list_id, currency, unit_amount, compare_at, valid_from,
                                   change_id, source)
  select :tenant_id, n.product_id, n.price_list_id, n.currency, n.unit_amount, n.compare_at,
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
        "now": session.now,
    }
    session.execute(_CLOSE, values)
    session.execute(_OPEN, {**values, "tenant_id": session.tenant_id, "change_id": change_id, "source": source})
