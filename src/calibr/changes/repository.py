"""Writes and reads single price changes: every statement that touches their rows. Decides nothing."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, bindparam, delete, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.changes.model import PriceChange
from calibr.changes.tables import price_change, store_writer
from calibr.core.errors import NotFound
from calibr.core.ids import ConnectionId, PriceChangeId, PriceListId, UserId
from calibr.db import Session

CHANGE_COLUMNS = tuple(
    column
    for column in price_change.c
    if column.name not in {"tenant_id", "cursor_price_list_id", "cursor_product_id", "lease_until", "fence"}
)

UNCLAIMED: Mapping[str, Any] = {"fence": price_change.c.fence + 1, "lease_until": None}
"""Values that take the change away from a worker that may still be at it."""


def insert_change(session: Session, values: Mapping[str, Any]) -> PriceChange:
    """Insert a draft."""
    row = {"tenant_id": session.tenant_id, **values}
    found = session.execute(insert(price_change).values(row).returning(*CHANGE_COLUMNS)).mappings().one()
    return change_from(found)


def get_change(session: Session, change_id: PriceChangeId) -> PriceChange:
    """Return a price change. Raises NotFound, also for one of another tenant."""
    found = session.execute(select(*CHANGE_COLUMNS).where(price_change.c.id == change_id)).mappings().one_or_none()
    if found is None:
        raise NotFound("price_change.not_found", f"there is no price change {change_id}")
    return change_from(found)


def list_plans_before(session: Session, before: datetime, states: Collection[ChangeState]) -> list[PriceChange]:
    """Changes in `states` whose plan was computed before a time."""
    wanted = select(*CHANGE_COLUMNS).where(price_change.c.state.in_(states), price_change.c.computed_at < before)
    return [change_from(row) for row in session.execute(wanted).mappings()]


def compare_and_set(session: Session, expected: PriceChange, values: Mapping[str, Any]) -> PriceChange | None:
    """Update a change that is still in the state and revision of `expected`; None if somebody was faster."""
    statement = (
        update(price_change)
        .where(price_change.c.id == expected.id)
        .where(price_change.c.state == expected.state)
        .where(price_change.c.revision == expected.revision)
        .values(updated_at=session.now, **values)
        .returning(*CHANGE_COLUMNS)
    )
    found = session.execute(statement).mappings().one_or_none()
    return None if found is None else change_from(found)


def change_from(row: RowMapping) -> PriceChange:
    """Make a row into a value."""
    values = dict(row)
    values["state"] = ChangeState(values["state"])
    values["price_list_ids"] = tuple(PriceListId(i) for i in values["price_list_ids"])
    values["editors"] = tuple(UserId(i) for i in values["editors"])
    values["counts"] = {ItemState(state): number for state, number in values["counts"].items() if number}
    return PriceChange(**values)


_CLAIM = text("""
  update calibr.price_change
  set fence = fence + 1, lease_until = clock_timestamp() + make_interval(secs => :lease_s)
  where id = :id and state = any(:states) and (lease_until is null or lease_until < clock_timestamp())
  returning fence
""")
_RENEW = text("""
  update calibr.price_change set lease_until = clock_timestamp() + make_interval(secs => :lease_s)
  where id = :id and fence = :fence
""")
_RELEASE = text("update calibr.price_change set lease_until = null where id = :id and fence = :fence")
_LOCK = text("select state, fence from calibr.price_change where id = :id for no key update")


def claim_work(
    session: Session, change_id: PriceChangeId, states: Collection[ChangeState], lease_s: float
) -> int | None:
    """Take the work on a change for `lease_s` seconds and return the fence; None if another worker has it."""
    wanted = {"id": change_id, "states": [str(state) for state in states], "lease_s": lease_s}
    return session.execute(_CLAIM, wanted).scalar_one_or_none()


def renew_lease(session: Session, change_id: PriceChangeId, fence: int, lease_s: float) -> bool:
    """Extend the lease of the worker with this fence; False if another worker took over."""
    return session.execute(_RENEW, {"id": change_id, "fence": fence, "lease_s": lease_s}).rowcount == 1


def release_lease(session: Session, change_id: PriceChangeId, fence: int) -> None:
    """Give the work back before the lease ends."""
    session.execute(_RELEASE, {"id": change_id, "fence": fence})


def lock_for_work(session: Session, change_id: PriceChangeId, fence: int) -> ChangeState | None:
    """Lock the row until the end of the transaction and return the state; None if the fence is no longer the newest.

    Every transaction of a worker begins with it: so locks are always taken in the order change, items, event counter.
    """
    found = session.execute(_LOCK, {"id": change_id}).one()
    return ChangeState(found.state) if found.fence == fence else None


_MOVE_COUNTS = text("""
  update calibr.price_change c
  set counts = (
    select jsonb_object_agg(
      k.state, coalesce((c.counts ->> k.state)::bigint, 0) + coalesce((cast(:moves as jsonb) ->> k.state)::bigint, 0))
    from (select jsonb_object_keys(c.counts) as state union select jsonb_object_keys(cast(:moves as jsonb))) k)
  where id = :id
""").bindparams(bindparam("moves", type_=JSONB))


def set_counts(session: Session, change_id: PriceChangeId, counts: Mapping[ItemState, int]) -> None:
    """Write how many items are in each state."""
    session.execute(update(price_change).where(price_change.c.id == change_id).values(counts=dict(counts)))


def move_counts(session: Session, change_id: PriceChangeId, moves: Mapping[ItemState, int]) -> None:
    """Add to the number of items in each state, in the transaction that moves the items."""
    session.execute(_MOVE_COUNTS, {"id": change_id, "moves": {str(s): n for s, n in moves.items() if n}})


def take_stores(
    session: Session, change_id: PriceChangeId, connections: Collection[ConnectionId]
) -> PriceChangeId | None:
    """Hold the stores for this change until `release_stores`; returns another change that holds one, or None."""
    rows = [{"tenant_id": session.tenant_id, "connection_id": c, "change_id": change_id} for c in sorted(connections)]
    if rows:
        session.execute(insert(store_writer).on_conflict_do_nothing(), rows)
    other = (
        select(store_writer.c.change_id)
        .where(store_writer.c.connection_id.in_(connections), store_writer.c.change_id != change_id)
        .limit(1)
    )
    found = session.execute(other).scalar_one_or_none()
    return None if found is None else PriceChangeId(found)


def release_stores(session: Session, change_id: PriceChangeId) -> None:
    """Let other changes write to the stores that this change held."""
    session.execute(delete(store_writer).where(store_writer.c.change_id == change_id))
