"""Writes the items of a plan: from a compiled statement, or copied from the change that a rollback restores."""

from collections.abc import Sequence

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    Uuid,
    case,
    delete,
    literal,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert

from calibr.catalog import fixed_prices
from calibr.changes.model import Reassertion
from calibr.changes.tables import price_change_item
from calibr.core.ids import PriceChangeId, PriceListId
from calibr.db import Session
from calibr.pricing import Verdict

_COLUMNS = (
    *("product_id", "price_list_id", "currency", "before_amount", "before_compare_at", "after_amount"),
    *("after_compare_at", "verdict", "reason", "binding", "violated", "trace"),
)
_RELEASED = (
    *("tenant_id", "change_id", "price_list_id", "product_id", "currency", "before_amount", "before_compare_at"),
    *("verdict", "state", "trace"),
)
_WRITTEN = (Verdict.CHANGED, Verdict.CLAMPED)

_WHOLE_TABLES = text("select set_config('enable_nestloop', 'off', true), set_config('enable_sort', 'off', true)")

_NO_WAIT = text("select set_config('synchronous_commit', 'off', true)")

# Two-part keys would be shared by tenants; one hash of both is not. A collision costs waiting, nothing else.
_PLAN_LOCK = "hashtextextended(:tenant || '/' || :change, 0)"
_WRITE_LOCK = text(f"select pg_advisory_xact_lock_shared({_PLAN_LOCK})")
_DISCARD_LOCK = text(f"select pg_advisory_xact_lock({_PLAN_LOCK})")


def expect_many_rows(session: Session) -> None:
    """Let the planner join and group by hashing only, until the end of the transaction.

    There are never statistics about a plan that is being written, and none about a catalog right after its first sync:
    the planner would expect one row, loop over a million, and sort them to count them.
    """
    session.execute(_WHOLE_TABLES)


def lock_plan_for_writing(session: Session, change_id: PriceChangeId) -> None:
    """Keep `lock_plan_alone` waiting until this transaction ends. Take it before asking whether the lease holds.

    The transaction does not wait for the disk at its end: the one that makes its items a plan comes later in the same
    log, and does.
    """
    session.execute(_NO_WAIT)
    session.execute(_WRITE_LOCK, {"tenant": str(session.tenant_id), "change": str(change_id)})


def lock_plan_alone(session: Session, change_id: PriceChangeId) -> None:
    """Wait for every transaction that writes to the plan, and keep further ones out until this one ends.

    Take it before the row of the change: who writes a share asks for that row in another transaction.
    """
    session.execute(_DISCARD_LOCK, {"tenant": str(session.tenant_id), "change": str(change_id)})


def discard_items(session: Session, change_id: PriceChangeId) -> int:
    """Delete what an unfinished preview left; returns how many items. Needs `lock_plan_alone`."""
    return session.execute(delete(price_change_item).where(price_change_item.c.change_id == change_id)).rowcount


def insert_items(
    session: Session,
    change_id: PriceChangeId,
    items: Select[tuple[object, ...]],
    *,
    fixed_on: PriceListId | None = None,
) -> int:
    """Run a compiled statement and keep its rows as items; returns how many.

    Rows come in the order of the products, so that the primary key grows at its end. `fixed_on` is the price list if it
    is one beside the base prices: what has no fixed price there is noted as relative.
    """
    computed = items.offset(literal_column("0")).subquery("computed")
    if fixed_on is not None:
        relative, source = _with_origin(computed, fixed_on)
    else:
        relative, source = literal_column("false"), computed
    state = case((computed.c.verdict.in_(_WRITTEN), literal_column("'pending'")), else_=literal_column("'skipped'"))
    row = select(
        literal(session.tenant_id, Uuid),
        literal(change_id, Uuid),
        state,
        relative,
        *(computed.c[name] for name in _COLUMNS),
    ).select_from(source)
    names = ["tenant_id", "change_id", "state", "before_relative", *_COLUMNS]
    statement = insert(price_change_item).from_select(names, row)
    return session.execute(statement.execution_options(preserve_rowcount=True)).rowcount


def _with_origin(computed: Subquery, price_list_id: PriceListId) -> tuple[ColumnElement[bool], FromClause]:
    """Whether a computed row has no fixed price on the list, and what tells it."""
    fixed = fixed_prices(price_list_id)
    return fixed.c.product_id.is_(None), computed.outerjoin(fixed, fixed.c.product_id == computed.c.product_id)


# A price that was relative follows the base price again: what it was then is no amount to go back to. Where it has got
# quantity breaks since, it stays fixed, as stores take these away with the fixed price.
_COPY_BACK = text("""
  insert into calibr.price_change_item(
    tenant_id, change_id, price_list_id, product_id, currency, before_amount, before_compare_at, before_relative,
    after_amount, after_compare_at, verdict, state, trace)
  select tenant_id, :rollback, price_list_id, product_id, currency, after_amount, after_compare_at,
    after_amount is null, b.amount, b.compare_at, 'changed', 'pending', array[trace[1], b.amount]
  from calibr.price_change_item i
  cross join lateral (select case when not before_relative then before_amount end as amount,
                             case when not before_relative then before_compare_at end as compare_at) b
  where change_id = :original and state = 'applied'
    and not (before_relative and exists (
      select from calibr.quantity_break q where q.price_list_id = i.price_list_id and q.product_id = i.product_id))
  order by price_list_id, product_id
""")


def copy_items_back(session: Session, original: PriceChangeId, rollback: PriceChangeId) -> int:
    """Copy what `original` applied, with before and after swapped; returns how many items.

    The trace of a copied item is that of one step that sets the recorded price; the cost stays beside it.
    """
    return session.execute(_COPY_BACK, {"original": original, "rollback": rollback}).rowcount


_COPY_AGAIN = text("""
  insert into calibr.price_change_item(
    tenant_id, change_id, price_list_id, product_id, currency, before_amount, before_compare_at, before_relative,
    after_amount, after_compare_at, verdict, state, reason, binding, violated, trace)
  select tenant_id, :retry, price_list_id, product_id, currency, before_amount, before_compare_at, before_relative,
    after_amount, after_compare_at, verdict, 'pending', reason, binding, violated, trace
  from calibr.price_change_item
  where change_id = :original and state in ('rejected', 'cancelled')
  order by price_list_id, product_id
""")


def copy_items_again(session: Session, original: PriceChangeId, retry: PriceChangeId) -> int:
    """Copy what `original` wanted to write and did not: refused by the store, or given up. Returns how many items.

    What somebody else changed is left out: its before-price is no longer true, so it needs a new preview.
    """
    return session.execute(_COPY_AGAIN, {"original": original, "retry": retry}).rowcount


# Before is the price in force now, which on a list beside the base prices may be a relative one. A price that is as
# wanted already, and a base price without an amount, makes no item.
_RESTORE = text("""
  insert into calibr.price_change_item(
    tenant_id, change_id, price_list_id, product_id, currency, before_amount, before_compare_at, before_relative,
    after_amount, after_compare_at, verdict, state, trace)
  select :tenant, :change, w.price_list_id, w.product_id, l.currency, v.unit_amount, v.compare_at,
    not l.is_base and coalesce(v.relative, true), w.unit_amount, w.compare_at, 'changed', 'pending',
    array[null, w.unit_amount]
  from unnest(cast(:lists as uuid[]), cast(:products as uuid[]), cast(:amounts as bigint[]),
              cast(:compare_ats as bigint[])) w(price_list_id, product_id, unit_amount, compare_at)
  join calibr.price_list l on l.id = w.price_list_id
  left join calibr.price_version v
    on v.price_list_id = w.price_list_id and v.product_id = w.product_id and v.ends_at = 'infinity'
  where (v.unit_amount, v.compare_at, v.relative) is distinct from (w.unit_amount, w.compare_at, false)
    and not (l.is_base and v.product_id is null)
  order by w.price_list_id, w.product_id
""")


def insert_releases(
    session: Session, change_id: PriceChangeId, price_list_id: PriceListId, chosen: Select[tuple[object, ...]]
) -> int:
    """Write items that take away the fixed prices of a list, of what `chosen` (a compiled selection) takes.

    A price with quantity breaks is left out: stores take these away with it, and they are not ours to touch.
    """
    picked, fixed = chosen.subquery("chosen"), fixed_prices(price_list_id, without_breaks=True)
    row = select(
        literal(session.tenant_id, Uuid),
        literal(change_id, Uuid),
        literal(price_list_id, Uuid),
        *(fixed.c[name] for name in ("product_id", "currency", "unit_amount", "compare_at")),
        literal_column("'changed'"),
        literal_column("'pending'"),
        literal_column("array[null, null]::bigint[]"),
    ).where(fixed.c.product_id.in_(select(picked.c.product_id)))
    statement = insert(price_change_item).from_select(_RELEASED, row)
    return session.execute(statement.execution_options(preserve_rowcount=True)).rowcount


def insert_reassertions(session: Session, change_id: PriceChangeId, wanted: Sequence[Reassertion]) -> int:
    """Write items that put prices back, from what is in force now; returns how many.

    The trace is that of one step that sets the recorded price, as a rollback has it; no cost was used.
    """
    names = {
        "tenant": session.tenant_id,
        "change": change_id,
        "lists": [each.key.price_list_id for each in wanted],
        "products": [each.key.product_id for each in wanted],
        "amounts": [each.unit_amount for each in wanted],
        "compare_ats": [each.compare_at for each in wanted],
    }
    return session.execute(_RESTORE, names).rowcount
