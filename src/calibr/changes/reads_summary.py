"""What a plan would do, in numbers: set-based over its stored items, part by part or whole."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, Select, TextClause, select, text

from calibr.catalog import product_labels
from calibr.changes.lifecycle import OPEN_ITEM_STATES
from calibr.changes.summary import EDGES_BP, MOVERS, STAYS, UNKNOWN, ItemGroup, Mover, Sums
from calibr.changes.tables import price_change_item
from calibr.core.ids import PriceChangeId, PriceListId, ProductId
from calibr.db import Session
from calibr.pricing import TraceLayout


@dataclass(frozen=True, slots=True)
class Part:
    """Items of one price list with `above < product <= up_to`; None leaves a side open."""

    price_list_id: PriceListId
    above: ProductId | None = None
    up_to: ProductId | None = None


# The floor of the change in basis points: amounts are not negative, so that the truncating division gives the floor.
# The largest product is 10^16. A price that rises from 0 counts as above every edge.
_CHANGE_BP = "(after_amount * 10000 / nullif(before_amount, 0) - 10000)"

_GROUPS = """
  select currency, verdict, reason, binding, bucket, count(*) as items,
    coalesce(sum(before_amount) filter (where proposed), 0)::bigint as before_total,
    coalesce(sum(after_amount) filter (where proposed), 0)::bigint as after_total,
    count(unit_cost) filter (where proposed) as costed,
    coalesce(sum(before_amount - unit_cost) filter (where proposed), 0)::bigint as margin_before,
    coalesce(sum(after_amount - unit_cost) filter (where proposed), 0)::bigint as margin_after,
    count(*) filter (where proposed) as proposed,
    count(*) filter (where proposed and {rounded_far}) as rounded_far
  from (
    select currency, verdict, reason, binding, before_amount, after_amount, trace, trace[1] as unit_cost,
      verdict <> 'blocked' and before_amount is not null and after_amount is not null as proposed,
      case when after_amount is not distinct from before_amount then :stays
           when before_amount is null or after_amount is null then :unknown
           else 1 + coalesce(width_bucket({change_bp}, cast(:edges as bigint[])), :above_all) end as bucket
    from calibr.price_change_item
    where {items} offset 0) items
  group by currency, verdict, reason, binding, bucket
"""

_MOVERS = """
  select product_id, price_list_id, currency, before_amount as before, after_amount as after, {change_bp} as change_bp
  from calibr.price_change_item
  where {items} and after_amount {side} before_amount
  order by {change_bp} {order}, after_amount - before_amount {order}, product_id limit :limit
"""


def item_groups(
    session: Session, change_id: PriceChangeId, layout: TraceLayout | None, part: Part | None = None
) -> list[ItemGroup]:
    """The items of a plan, or of a part of it, in groups.

    `layout` is that of the traces; None where no rule was evaluated (a rollback).
    """
    names = {
        "edges": list(EDGES_BP),
        "stays": STAYS,
        "unknown": UNKNOWN,
        "above_all": len(EDGES_BP),
        **_names(change_id, part),
    }
    return [_group(row) for row in session.execute(_groups(layout, part), names).mappings()]


def top_movers(session: Session, change_id: PriceChangeId, part: Part | None = None, *, up: bool) -> list[Mover]:
    """The items whose price rises (or falls) most in percent, then in amount."""
    side, order = (">", "desc nulls first") if up else ("<", "asc")
    statement = text(_MOVERS.format(change_bp=_CHANGE_BP, side=side, order=order, items=_where(part)))
    rows = session.execute(statement, {"limit": MOVERS, **_names(change_id, part)}).mappings()
    return [Mover(**row) for row in rows]


def labeled(session: Session, movers: Iterable[Mover]) -> list[dict[str, Any]]:
    """Movers as the summary shows them, with what people know the products by."""
    chosen = list(movers)
    labels = product_labels(session, [ProductId(mover.product_id) for mover in chosen])
    return [mover.document(labels.get(ProductId(mover.product_id))) for mover in chosen]


def products_to_write(change_id: PriceChangeId, price_list_id: PriceListId) -> Select[tuple[UUID]]:
    """The products whose price an apply run would (still) write, as a statement to be built upon."""
    item = price_change_item.c
    return select(item.product_id).where(
        item.change_id == change_id, item.price_list_id == price_list_id, item.state.in_(OPEN_ITEM_STATES)
    )


def _group(row: RowMapping) -> ItemGroup:
    kept = ("currency", "verdict", "reason", "binding", "bucket", "items", "rounded_far")
    sums = ("before_total", "after_total", "costed", "margin_before", "margin_after")
    return ItemGroup(**{name: row[name] for name in kept}, sums=Sums(row["proposed"], *(row[name] for name in sums)))


def _where(part: Part | None) -> str:
    if part is None:
        return "change_id = :change"
    bounds = [("product_id > :above", part.above), ("product_id <= :up_to", part.up_to)]
    return " and ".join(["change_id = :change", "price_list_id = :list", *(b for b, end in bounds if end is not None)])


def _names(change_id: PriceChangeId, part: Part | None) -> dict[str, Any]:
    if part is None:
        return {"change": change_id}
    ends = {"above": part.above, "up_to": part.up_to}
    return {
        "change": change_id,
        "list": part.price_list_id,
        **{name: end for name, end in ends.items() if end is not None},
    }


def _groups(layout: TraceLayout | None, part: Part | None) -> TextClause:
    return text(_GROUPS.format(rounded_far=_rounded_far(layout), change_bp=_CHANGE_BP, items=_where(part)))


def _rounded_far(layout: TraceLayout | None) -> str:
    """Whether rounding again moved the price by more than the guardrail did, read off the traces.

    Nothing is rounded again unless a guardrail bound, and asking for that first spares most rows the arithmetic.
    """
    if layout is None or not layout.has_rounded:
        return "false"
    first = 3 if layout.has_branch else 2
    steps = [f"trace[{first + position}]" for position in reversed(range(layout.steps))]
    amount = f"coalesce({', '.join([*steps, 'before_amount'])})"
    clamped = f"trace[{first + layout.steps}]"
    rounded = f"trace[{first + layout.steps + 1}]"
    return f"binding is not null and abs({rounded} - {clamped}) > abs({clamped} - {amount})"
