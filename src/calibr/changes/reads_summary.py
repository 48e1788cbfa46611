"""What a plan would do, in numbers: set-based over its items or, before anything is stored, over the catalog."""

from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, Select, TextClause, select, text

from calibr.catalog import ProductLabel, product_labels
from calibr.changes.lifecycle import ItemState
from calibr.changes.summary import EDGES_BP, MOVERS, STAYS, ItemGroup, Sums
from calibr.changes.tables import price_change_item
from calibr.core.ids import PriceChangeId, PriceListId, ProductId
from calibr.db import Session
from calibr.pricing import TraceLayout, Verdict

# The floor of the change in basis points: amounts are not negative, so that the truncating division gives the floor.
# The largest product is 10^16. A price that rises from 0 counts as above every edge.
_CHANGE_BP = "(after_amount * 10000 / nullif(before_amount, 0) - 10000)"

_GROUPS = """
  select currency, verdict, reason, binding, bucket, direction, count(*) as items,
    coalesce(sum(before_amount) filter (where proposed), 0)::bigint as before_total,
    coalesce(sum(after_amount) filter (where proposed), 0)::bigint as after_total,
    count(unit_cost) filter (where proposed) as costed,
    coalesce(sum(before_amount - unit_cost) filter (where proposed), 0)::bigint as margin_before,
    coalesce(sum(after_amount - unit_cost) filter (where proposed), 0)::bigint as margin_after,
    count(*) filter (where proposed and {rounded_far}) as rounded_far
  from (
    select currency, verdict, reason, binding, before_amount, after_amount, trace, trace[1] as unit_cost,
      verdict <> 'blocked' as proposed,
      case when after_amount is not distinct from before_amount then :stays
           else 1 + coalesce(width_bucket({change_bp}, cast(:edges as bigint[])), :above) end as bucket,
      coalesce(sign(after_amount - before_amount)::int, 0) as direction
    from calibr.price_change_item
    where change_id = :change offset 0) items
  group by currency, verdict, reason, binding, bucket, direction
"""

_MOVERS = """
  select product_id, price_list_id, currency, before_amount as before, after_amount as after,
    after_amount - before_amount as delta, {change_bp} as change_bp
  from calibr.price_change_item
  where change_id = :change and after_amount {side} before_amount
  order by {change_bp} {order}, after_amount - before_amount {order}, product_id limit :limit
"""


def item_groups(session: Session, change_id: PriceChangeId, layout: TraceLayout | None) -> list[ItemGroup]:
    """The items of a plan in groups. `layout` is that of its traces; None where no rule was evaluated (a rollback)."""
    names = {"change": change_id, "edges": list(EDGES_BP), "stays": STAYS, "above": len(EDGES_BP)}
    return [_group(row) for row in session.execute(_groups(layout), names).mappings()]


def _group(row: RowMapping) -> ItemGroup:
    proposed = row["items"] if row["verdict"] != Verdict.BLOCKED else 0
    names = ("before_total", "after_total", "costed", "margin_before", "margin_after")
    return ItemGroup(
        **{
            n: row[n]
            for n in ("currency", "verdict", "reason", "binding", "bucket", "direction", "items", "rounded_far")
        },
        sums=Sums(proposed, *(row[name] for name in names)),
    )


def top_movers(session: Session, change_id: PriceChangeId, *, up: bool) -> list[dict[str, Any]]:
    """The items whose price moves most in percent, then in amount."""
    side, order = (">", "desc nulls first") if up else ("<", "asc")
    statement = text(_MOVERS.format(change_bp=_CHANGE_BP, side=side, order=order))
    rows = session.execute(statement, {"change": change_id, "limit": MOVERS}).mappings().all()
    labels = product_labels(session, [ProductId(row["product_id"]) for row in rows])
    return [_mover(row, labels.get(ProductId(row["product_id"]))) for row in rows]


def products_to_write(change_id: PriceChangeId, price_list_id: PriceListId) -> Select[tuple[UUID]]:
    """The products whose price an apply run would write, as a statement to be built upon."""
    item = price_change_item.c
    return select(item.product_id).where(
        item.change_id == change_id, item.price_list_id == price_list_id, item.state == ItemState.PENDING
    )


def _mover(row: RowMapping, label: ProductLabel | None) -> dict[str, Any]:
    return {
        **row,
        "product_id": str(row["product_id"]),
        "price_list_id": str(row["price_list_id"]),
        "sku": label.sku if label else None,
        "title": label.title if label else None,
    }


def _groups(layout: TraceLayout | None) -> TextClause:
    return text(_GROUPS.format(rounded_far=_rounded_far(layout), change_bp=_CHANGE_BP))


def _rounded_far(layout: TraceLayout | None) -> str:
    """Whether rounding again moved the price by more than the guardrail did, read off the traces."""
    if layout is None or not layout.has_rounded:
        return "false"
    first = 3 if layout.has_branch else 2
    steps = [f"trace[{first + position}]" for position in reversed(range(layout.steps))]
    amount = f"coalesce({', '.join([*steps, 'before_amount'])})"
    clamped = f"trace[{first + layout.steps}]"
    rounded = f"trace[{first + layout.steps + 1}]"
    return f"abs({rounded} - {clamped}) > abs({clamped} - {amount})"
