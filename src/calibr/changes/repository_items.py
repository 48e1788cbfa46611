"""Moves the items of a plan through an apply run: claim, mark as sent, settle. Decides nothing.

All statements go by the primary key (change, price list, product) or by the partial index of items in flight, and every
write checks the fence: a worker that lost its lease changes nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, RowMapping, text

from calibr.changes.lifecycle import ItemState
from calibr.changes.model import Price
from calibr.core.ids import EventId, PriceChangeId, PriceListId, ProductId
from calibr.db import Session
from calibr.pricing import Verdict


@dataclass(frozen=True, slots=True)
class Lot:
    """The items of one change on one price list, as one run works on them. `later`: the lists that come after it."""

    change_id: PriceChangeId
    price_list_id: PriceListId
    fence: int
    later: tuple[PriceListId, ...] = ()

    def names(self, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - statement parameters
        """Statement parameters."""
        return {"change": self.change_id, "list": self.price_list_id, "fence": self.fence, **more}


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is written to one item. `delay_s`: not before this many seconds; `event_id`: of the event that tells it.

    Without `is_attempt` the last sending does not count: the store had no turn for it.
    """

    product_id: ProductId
    target: ItemState
    is_observed: bool
    observed_amount: int | None
    observed_compare_at: int | None
    delay_s: float | None
    error: str | None
    event_id: EventId | None
    is_attempt: bool


def before_of(row: RowMapping) -> Price:
    """What the plan of a stored item began with."""
    return Price(row["before_amount"], row["before_compare_at"], row["before_relative"])


def after_of(row: RowMapping) -> Price:
    """What the plan of a stored item wants: an item that is written and has no amount follows the base price again."""
    is_written = row["verdict"] in {Verdict.CHANGED, Verdict.CLAMPED}
    relative = row["after_amount"] is None if is_written else row["before_relative"]
    return Price(row["after_amount"], row["after_compare_at"], relative)


_FRESH = text("""
  with picked as materialized (
    select product_id from calibr.price_change_item
    where change_id = :change and price_list_id = :list and product_id > :cursor and state = 'pending'
    order by product_id limit :limit)
  update calibr.price_change_item i
  set state = 'claimed', fence = :fence, lease_until = clock_timestamp() + make_interval(secs => :lease_s)
  where i.change_id = :change and i.price_list_id = :list and i.state = 'pending'
    and i.product_id = any(array(select product_id from picked))
  returning i.*, old.state as was
""")

# Due: what waits for its time, and what a worker left behind that is no more. A claimed item was never sent. What
# stands in a file that the store is still at work on is left alone: its price may change at any moment.
_DUE = text("""
  with picked as materialized (
    select product_id from calibr.price_change_item
    where change_id = :change and price_list_id = :list
      and fence is not null and state in ('claimed', 'sending', 'unknown', 'retry_wait') and state = any(:states)
      and (next_at <= clock_timestamp() or (next_at is null and fence < :fence and lease_until < clock_timestamp()))
      and not exists (select from calibr.bulk_write b where b.id = bulk_id and b.ended_at is null)
    order by product_id limit :limit)
  update calibr.price_change_item i
  set state = case when i.state in ('claimed', 'retry_wait') then 'claimed' else 'unknown' end,
      fence = :fence, next_at = null, lease_until = clock_timestamp() + make_interval(secs => :lease_s)
  where i.change_id = :change and i.price_list_id = :list and i.product_id = any(array(select product_id from picked))
  returning i.*, old.state as was
""")

_CURSOR = text("""
  select case when cursor_price_list_id = :list then cursor_product_id end as product_id,
         cursor_price_list_id = any(cast(:later as uuid[])) as is_past
  from calibr.price_change where id = :change
""")
_MOVE_CURSOR = text("""
  update calibr.price_change set cursor_price_list_id = :list, cursor_product_id = :product
  where id = :change
""")
_NIL = UUID(int=0)


def claim_fresh(session: Session, lot: Lot, *, limit: int, lease_s: float) -> Sequence[RowMapping]:
    """Claim the next items that no run has claimed, in the order of the plan, and move the cursor past them.

    The cursor, which knows one list at a time, keeps this a range scan: an index on `pending` would cost every preview
    more than it saves here.
    """
    at = session.execute(_CURSOR, lot.names(later=list(lot.later))).one()
    if at.is_past:
        return []
    names = lot.names(cursor=at.product_id or _NIL, limit=limit, lease_s=lease_s)
    rows = _in_order(session.execute(_FRESH, names))
    if rows:
        session.execute(_MOVE_CURSOR, lot.names(product=rows[-1]["product_id"]))
    return rows


def claim_due(
    session: Session, lot: Lot, states: Collection[ItemState], *, limit: int, lease_s: float
) -> Sequence[RowMapping]:
    """Claim items in `states` whose time has come, or that an earlier run left behind in the middle of its work."""
    names = lot.names(states=[str(state) for state in states], limit=limit, lease_s=lease_s)
    return _in_order(session.execute(_DUE, names))


def _in_order(result: CursorResult[Any]) -> Sequence[RowMapping]:
    return sorted(result.mappings(), key=itemgetter("product_id"))


_WAITING = text("""
  select count(*) as items, min(coalesce(next_at, lease_until) - clock_timestamp()) as wait
  from calibr.price_change_item
  where change_id = :change and price_list_id = :list
    and fence is not null and state in ('claimed', 'sending', 'unknown', 'retry_wait') and state = any(:states)
    and not exists (select from calibr.bulk_write b where b.id = bulk_id and b.ended_at is null)
""")


def waiting(session: Session, lot: Lot, states: Collection[ItemState]) -> tuple[int, float]:
    """How many items are in `states` (all of them in flight), and in how many seconds the first is due."""
    found = session.execute(_WAITING, lot.names(states=[str(state) for state in states])).one()
    return found.items, max(0.0, found.wait.total_seconds()) if found.wait is not None else 0.0


_REOPEN = text("""
  update calibr.price_change_item set state = 'claimed'
  where change_id = :change and price_list_id = :list and product_id = any(:products)
    and state = 'unknown' and fence = :fence
""")
_MARK = text("""
  update calibr.price_change_item i
  set state = 'sending', sent_at = clock_timestamp(), attempt = i.attempt + 1, next_at = null, bulk_id = :bulk
  where i.change_id = :change and i.price_list_id = :list and i.product_id = any(:products)
    and i.state = 'claimed' and i.fence = :fence
  returning i.product_id
""")


def reopen(session: Session, lot: Lot, products: Sequence[ProductId]) -> None:
    """Make `unknown` items, which the store shows at their old price, claimed ones again."""
    if products:
        session.execute(_REOPEN, lot.names(products=list(products)))


def mark_sending(
    session: Session, lot: Lot, products: Sequence[ProductId], bulk_id: UUID | None = None
) -> set[ProductId]:
    """Mark claimed items as sent, before the request (or the file `bulk_id`) leaves; returns those still owned."""
    names = lot.names(products=list(products), bulk=bulk_id)
    return {ProductId(p) for p in session.execute(_MARK, names).scalars()}


_SETTLE = text("""
  update calibr.price_change_item i
  set state = u.state,
      observed_amount = case when u.is_observed then u.observed_amount else i.observed_amount end,
      observed_compare_at = case when u.is_observed then u.observed_compare_at else i.observed_compare_at end,
      observed_at = case when u.is_observed then clock_timestamp() else i.observed_at end,
      sent_at = case when u.state = 'retry_wait' then null else i.sent_at end,
      next_at = clock_timestamp() + make_interval(secs => u.delay_s),
      last_error = u.error,
      event_id = u.event_id,
      attempt = case when u.is_attempt then i.attempt else greatest(i.attempt - 1, 0) end
  from unnest(
    cast(:products as uuid[]), cast(:targets as text[]), cast(:are_observed as boolean[]),
    cast(:amounts as bigint[]), cast(:compare_ats as bigint[]), cast(:delays as double precision[]),
    cast(:errors as text[]), cast(:events as uuid[]), cast(:are_attempts as boolean[]))
    u(product_id, state, is_observed, observed_amount, observed_compare_at, delay_s, error, event_id, is_attempt)
  where i.change_id = :change and i.price_list_id = :list and i.product_id = any(cast(:products as uuid[]))
    and i.product_id = u.product_id and i.state in ('claimed', 'sending', 'unknown') and i.fence = :fence
  returning i.product_id, old.state as was
""")


def settle(session: Session, lot: Lot, settlements: Sequence[Settlement]) -> dict[ProductId, ItemState]:
    """Write settlements; returns the items that this run still owned, each with the state that it had."""
    if not settlements:
        return {}
    names = lot.names(
        products=[s.product_id for s in settlements],
        targets=[str(s.target) for s in settlements],
        are_observed=[s.is_observed for s in settlements],
        amounts=[s.observed_amount for s in settlements],
        compare_ats=[s.observed_compare_at for s in settlements],
        delays=[s.delay_s for s in settlements],
        errors=[s.error for s in settlements],
        events=[s.event_id for s in settlements],
        are_attempts=[s.is_attempt for s in settlements],
    )
    return {ProductId(row.product_id): ItemState(row.was) for row in session.execute(_SETTLE, names)}


_CANCEL = text("""
  with picked as materialized (
    select price_list_id, product_id from calibr.price_change_item
    where change_id = :change and (price_list_id, product_id) > (:list, :product)
    order by price_list_id, product_id limit :limit),
  cancelled as (
    update calibr.price_change_item i set state = 'cancelled', next_at = null
    from picked p
    where i.change_id = :change and i.price_list_id = p.price_list_id and i.product_id = p.product_id
      and i.state in ('pending', 'retry_wait')
    returning old.state as was)
  select (select count(*) from picked) as seen,
         (select price_list_id from picked order by price_list_id desc, product_id desc limit 1) as price_list_id,
         (select product_id from picked order by price_list_id desc, product_id desc limit 1) as product_id,
         (select count(*) from cancelled where was = 'pending') as pending,
         (select count(*) from cancelled where was = 'retry_wait') as retry_wait
""")


def cancel_waiting(
    session: Session, change_id: PriceChangeId, after: tuple[UUID, UUID] | None, limit: int
) -> RowMapping:
    """Cancel what is pending or waiting for a retry among the next `limit` items of the plan after `after`.

    Returns `seen` (fewer than `limit` at the end), the key of the last one, and how many were cancelled by state.
    """
    price_list_id, product_id = after or (_NIL, _NIL)
    names = {"change": change_id, "list": price_list_id, "product": product_id, "limit": limit}
    return session.execute(_CANCEL, names).mappings().one()


_COUNTS = text("""
  select state, count(*) as items from calibr.price_change_item where change_id = :change group by state
""")


def count_states(session: Session, change_id: PriceChangeId) -> dict[ItemState, int]:
    """How many items of a plan are in each state, counted."""
    return {ItemState(row.state): row.items for row in session.execute(_COUNTS, {"change": change_id})}
