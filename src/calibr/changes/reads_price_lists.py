"""What a plan does to the price lists beside the base prices of its stores, and which prices will not follow."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text

from calibr.catalog import PriceList, list_markets, list_price_lists
from calibr.changes.model import PriceChange
from calibr.core.ids import PriceListId
from calibr.db import Session

Counts = Mapping[str, int]

_WRITES = "verdict in ('changed', 'clamped')"
_WRITTEN = text(f"""
  select i.price_list_id, count(*) as to_write,
    count(*) filter (where i.before_relative and i.after_amount is not null) as becomes_fixed,
    count(*) filter (where i.after_amount is null) as becomes_relative,
    count(*) filter (where exists (
      select from calibr.quantity_break q where q.price_list_id = i.price_list_id and q.product_id = i.product_id)
    ) as quantity_breaks,
    count(*) filter (where b.product_id is not null) as with_base
  from calibr.price_change_item i
  left join calibr.price_change_item b
    on b.change_id = i.change_id and b.product_id = i.product_id and b.price_list_id = :base and b.{_WRITES}
  where i.change_id = :change and i.price_list_id = any(cast(:lists as uuid[])) and i.{_WRITES}
  group by i.price_list_id""")  # noqa: S608
_BASE = text(f"""
  select count(*) from calibr.price_change_item where change_id = :change and price_list_id = :base and {_WRITES}
""")  # noqa: S608
_STAYS = text(f"""
  select v.price_list_id, count(*) as stays_fixed
  from calibr.price_change_item b
  join calibr.price_version v on v.product_id = b.product_id and v.ends_at = 'infinity' and not v.relative
    and v.price_list_id = any(cast(:lists as uuid[]))
  where b.change_id = :change and b.price_list_id = :base and b.{_WRITES}
    and not exists (
      select from calibr.price_change_item i
      where i.change_id = :change and i.price_list_id = v.price_list_id and i.product_id = b.product_id
        and i.{_WRITES})
  group by v.price_list_id""")  # noqa: S608


def price_list_effects(session: Session, change: PriceChange) -> list[dict[str, Any]]:
    """One entry per active price list of the stores of a change, in the order of their names, as the summary has it."""
    known = list_price_lists(session)
    stores = {p.connection_id for p in known if p.id in change.price_list_ids}
    found: list[dict[str, Any]] = []
    for store in sorted(stores):
        lists = [p for p in known if p.connection_id == store and not p.is_base and p.active]
        base = next((p.id for p in known if p.connection_id == store and p.is_base), None)
        if lists:
            found += _effects(session, change, lists, base)
    return sorted(found, key=lambda each: (each["name"], each["price_list_id"]))


def _effects(
    session: Session, change: PriceChange, lists: Sequence[PriceList], base: PriceListId | None
) -> list[dict[str, Any]]:
    names = {"change": change.id, "base": base, "lists": [p.id for p in lists]}
    written: dict[PriceListId, Counts] = {
        row["price_list_id"]: {name: row[name] for name in row if name != "price_list_id"}
        for row in session.execute(_WRITTEN, names).mappings()
    }
    moved = int(session.execute(_BASE, names).scalar_one())
    stays = {row.price_list_id: int(row.stays_fixed) for row in session.execute(_STAYS, names)}
    markets = list_markets(session, lists[0].connection_id)
    return [
        {
            "price_list_id": str(p.id),
            "name": p.name,
            "currency": p.currency,
            "markets": [m.name for m in markets if m.active and p.id in m.price_list_ids],
            **_counted(written.get(p.id, {}), moved, stays.get(p.id, 0)),
        }
        for p in lists
    ]


def _counted(written: Counts, moved: int, stays: int) -> dict[str, int]:
    shown = ("to_write", "becomes_fixed", "becomes_relative", "quantity_breaks")
    follows = moved - written.get("with_base", 0) - stays
    return {**{name: written.get(name, 0) for name in shown}, "follows": follows, "stays_fixed": stays}
