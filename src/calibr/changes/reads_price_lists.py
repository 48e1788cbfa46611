"""What a plan does to the price lists beside the base prices of its stores, and which prices will not follow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import text

from calibr.catalog import Market, PriceList, get_product, list_markets, list_price_lists
from calibr.changes.model import Item, ItemKey, Price, PriceChange
from calibr.changes.reads import find_items
from calibr.core.ids import PriceListId, ProductId
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
            "markets": _names(markets, p),
            **_counted(written.get(p.id, {}), moved, stays.get(p.id, 0)),
        }
        for p in lists
    ]


def _counted(written: Counts, moved: int, stays: int) -> dict[str, int]:
    shown = ("to_write", "becomes_fixed", "becomes_relative", "quantity_breaks")
    follows = moved - written.get("with_base", 0) - stays
    return {**{name: written.get(name, 0) for name in shown}, "follows": follows, "stays_fixed": stays}


class Outcome(StrEnum):
    """What a plan makes of a product's price on one price list."""

    WRITTEN = "written"
    FOLLOWS = "follows"
    """It moves with the base price, which is written."""
    STAYS = "stays"
    """A fixed price that does not follow the base price, or nothing that it could follow."""


@dataclass(frozen=True, slots=True)
class ListEffect:
    """A product's price on one price list before and after a plan.

    `is_estimate`: the store computes what follows a base price; the amount is in proportion to the base price.
    """

    price_list: PriceList
    markets: tuple[str, ...]
    before: Price
    after: Price
    outcome: Outcome
    is_estimate: bool


_UNTOLD = Price(None, None, relative=True)
"""A list without a price of a product: relative, and the store does not tell how much."""


def product_effects(session: Session, change: PriceChange, product_id: ProductId) -> list[ListEffect]:
    """What a plan means for one product on each active price list of its stores, base prices first.

    Raises NotFound for an unknown product.
    """
    known = list_price_lists(session)
    in_force = {p.price_list_id: p for p in get_product(session, product_id).prices}
    stores = {p.connection_id for p in known if p.id in change.price_list_ids}
    lists = sorted((p for p in known if p.connection_id in stores and p.active), key=lambda p: (not p.is_base, p.name))
    items = find_items(session, change.id, [ItemKey(p.id, product_id) for p in lists])
    base = {p.connection_id: items.get(p.id) for p in lists if p.is_base}
    markets = list_markets(session)
    effects: list[ListEffect] = []
    for p in lists:
        price = in_force.get(p.id)
        if p.is_base and price is None:
            continue
        now = _UNTOLD if price is None else Price(price.unit_amount, price.compare_at, price.relative)
        effects.append(_effect(p, tuple(_names(markets, p)), now, items.get(p.id), base.get(p.connection_id)))
    return effects


def _effect(
    price_list: PriceList, markets: tuple[str, ...], now: Price, item: Item | None, base: Item | None
) -> ListEffect:
    if item is not None and item.is_written:
        return ListEffect(price_list, markets, item.before, item.after, Outcome.WRITTEN, is_estimate=False)
    moves = base is not None and base.is_written
    if not now.relative or not moves or base is None:
        return ListEffect(price_list, markets, now, now, Outcome.STAYS, is_estimate=False)
    after = Price(_in_proportion(now.unit_amount, base), None, relative=True)
    return ListEffect(price_list, markets, now, after, Outcome.FOLLOWS, is_estimate=True)


def _in_proportion(amount: int | None, base: Item) -> int | None:
    """Half up, in minor units."""
    before, after = base.before.unit_amount, base.after.unit_amount
    if amount is None or not before or after is None:
        return None
    return (2 * amount * after + before) // (2 * before)


def _names(markets: Sequence[Market], price_list: PriceList) -> list[str]:
    return [m.name for m in markets if m.active and price_list.id in m.price_list_ids]
