"""Queries for screens: price changes, pages of items, progress."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, and_, exists, func, literal_column, or_, select, text, tuple_

from calibr.catalog import ProductLabel, product_labels
from calibr.changes.lifecycle import OPEN_ITEM_STATES, ChangeState, ItemState
from calibr.changes.model import Item, ItemKey, Price, PriceChange, Progress
from calibr.changes.repository import CHANGE_COLUMNS, change_from, get_change
from calibr.changes.repository_items import after_of, before_of
from calibr.changes.tables import bulk_write, price_change, price_change_item
from calibr.core.errors import NotFound
from calibr.core.ids import PriceChangeId, PriceListId, ProductId
from calibr.db import Session
from calibr.pricing import Verdict

__all__ = [
    "get_change",
    "get_item",
    "list_changes",
    "list_items",
    "list_rollbacks",
    "list_work",
    "progress",
    "progress_of",
]

_ITEM = price_change_item.c
_NOTABLE_VERDICTS = (Verdict.BLOCKED, Verdict.CLAMPED)
_TOLD_STATES = (ItemState.DRIFTED, ItemState.REJECTED, ItemState.NOOP)
_WORK = (ChangeState.PREVIEWING, ChangeState.APPLYING, ChangeState.ABORTING)
_HAS_OPEN_FILES = exists().where(bulk_write.c.change_id == price_change.c.id, bulk_write.c.ended_at.is_(None))

_NO_SORT = text("select set_config('enable_sort', 'off', true)")


@dataclass(frozen=True, slots=True)
class _Rare:
    """A value that few items have: its column, the value, and the condition of the partial index that covers it."""

    column: ColumnElement[str]
    word: ColumnElement[str]
    covered: ColumnElement[bool]


def list_changes(
    session: Session, *, state: ChangeState | None = None, after: PriceChangeId | None = None, limit: int
) -> list[PriceChange]:
    """Price changes, newest first, from `after` on, which is not included."""
    wanted = select(*CHANGE_COLUMNS).order_by(price_change.c.id.desc()).limit(limit)
    if state is not None:
        wanted = wanted.where(price_change.c.state == state)
    if after is not None:
        wanted = wanted.where(price_change.c.id < after)
    return [change_from(row) for row in session.execute(wanted).mappings()]


def list_rollbacks(session: Session, change_id: PriceChangeId) -> list[PriceChange]:
    """The price changes that restore what this one changed, oldest first."""
    wanted = select(*CHANGE_COLUMNS).where(price_change.c.rollback_of == change_id).order_by(price_change.c.id)
    return [change_from(row) for row in session.execute(wanted).mappings()]


def list_work(session: Session) -> list[tuple[PriceChangeId, ChangeState]]:
    """The changes that wait for a worker, and nobody at it: a preview or an apply run to be done.

    A paused one does if files of it are still at the store: they must be called back, and settled.
    """
    column = price_change.c
    wanted = (
        select(column.id, column.state)
        .where(or_(column.state.in_(_WORK), and_(column.state == ChangeState.PAUSED, _HAS_OPEN_FILES)))
        .where(or_(column.lease_until.is_(None), column.lease_until < func.clock_timestamp()))
        .order_by(column.id)
    )
    return [(PriceChangeId(row.id), ChangeState(row.state)) for row in session.execute(wanted)]


def list_items(
    session: Session,
    change_id: PriceChangeId,
    *,
    verdict: Verdict | None = None,
    state: ItemState | None = None,
    after: ItemKey | None = None,
    limit: int,
) -> list[Item]:
    """A page of the plan in its order, from `after` on, which is not included; empty while there is no plan.

    The page is cut before anything is joined to it: a range does not pass through a join.
    """
    if get_change(session, change_id).plan_root is None:
        return []
    read_in_order(session)
    rows = session.execute(items_page(change_id, verdict, state, after, limit)).mappings().all()
    labels = product_labels(session, [ProductId(row["product_id"]) for row in rows])
    return [_item_from(row, labels) for row in rows]


def items_page(
    change_id: PriceChangeId, verdict: Verdict | None, state: ItemState | None, after: ItemKey | None, limit: int
) -> Select[Any]:
    """The statement behind `list_items`.

    A rare value is asked for as a range that leads the order. By an equality the planner may read the plan in its own
    order instead and drop what differs, which for a few rows in a million reads the million.
    """
    rare = _rare(verdict, state)
    order = [*((rare.column,) if rare else ()), _ITEM.price_list_id, _ITEM.product_id]
    wanted = select(price_change_item).where(_ITEM.change_id == change_id, *_filters(verdict, state, rare))
    if after is not None:
        start = [*((rare.word,) if rare else ()), after.price_list_id, after.product_id]
        wanted = wanted.where(tuple_(*order) > tuple_(*start))
    return wanted.order_by(*order).limit(limit)


def read_in_order(session: Session) -> None:
    """Let the planner read by an index that has the order, until the end of the transaction.

    Without statistics it expects a handful of items, would read them all and sort them.
    """
    session.execute(_NO_SORT)


def find_items(session: Session, change_id: PriceChangeId, keys: Sequence[ItemKey]) -> dict[PriceListId, Item]:
    """The items of one product by price list, as far as the plan has them."""
    wanted = select(price_change_item).where(
        _ITEM.change_id == change_id,
        tuple_(_ITEM.price_list_id, _ITEM.product_id).in_([(key.price_list_id, key.product_id) for key in keys]),
    )
    rows = session.execute(wanted).mappings().all()
    labels = product_labels(session, list({key.product_id for key in keys}))
    return {PriceListId(row["price_list_id"]): _item_from(row, labels) for row in rows}


def get_item(session: Session, change_id: PriceChangeId, key: ItemKey) -> Item:
    """One item of a plan. Raises NotFound."""
    row = item_row(session, change_id, key)
    return _item_from(row, product_labels(session, [key.product_id]))


def item_row(session: Session, change_id: PriceChangeId, key: ItemKey) -> RowMapping:
    """The stored row of one item of a plan. Raises NotFound."""
    wanted = select(price_change_item).where(
        _ITEM.change_id == change_id, _ITEM.price_list_id == key.price_list_id, _ITEM.product_id == key.product_id
    )
    row = None
    if get_change(session, change_id).plan_root is not None:
        row = session.execute(wanted).mappings().one_or_none()
    if row is None:
        said = f"the plan of price change {change_id} has no item for product {key.product_id} on {key.price_list_id}"
        raise NotFound("price_change.item_not_found", said)
    return row


def progress(session: Session, change_id: PriceChangeId) -> Progress:
    """How far the apply run is, without reading an item."""
    return progress_of(get_change(session, change_id))


def progress_of(change: PriceChange) -> Progress:
    """The same from a change that was read already."""
    to_write = sum(n for state, n in change.counts.items() if state is not ItemState.SKIPPED)
    open_items = sum(change.counts.get(state, 0) for state in OPEN_ITEM_STATES)
    return Progress(change.state, to_write, to_write - open_items, change.counts)


def _rare(verdict: Verdict | None, state: ItemState | None) -> _Rare | None:
    """The rare value that a partial index has in the order of the plan, if one is asked for."""
    if verdict in _NOTABLE_VERDICTS:
        covered = or_(*(_ITEM.verdict == _constant(word) for word in _NOTABLE_VERDICTS))
        return _Rare(_ITEM.verdict, _constant(verdict), covered)
    if state in _TOLD_STATES:
        covered = and_(_ITEM.event_id.is_not(None), _ITEM.state.in_([_constant(word) for word in _TOLD_STATES]))
        return _Rare(_ITEM.state, _constant(state), covered)
    return None


def _filters(verdict: Verdict | None, state: ItemState | None, rare: _Rare | None) -> list[ColumnElement[bool]]:
    """Constants (of closed lists) and not parameters, so that the planner sees that a partial index covers them."""
    found = [] if rare is None else [rare.covered, rare.column >= rare.word, rare.column <= rare.word]
    for column, value in ((_ITEM.verdict, verdict), (_ITEM.state, state)):
        if value is not None and (rare is None or rare.column is not column):
            found.append(column == _constant(value))
    return found


def _constant(word: Verdict | ItemState) -> ColumnElement[str]:
    return literal_column(f"'{word.value}'")


def _item_from(row: RowMapping, labels: Mapping[ProductId, ProductLabel]) -> Item:
    label = labels.get(ProductId(row["product_id"]))
    observed = Price(row["observed_amount"], row["observed_compare_at"])
    kept: dict[str, Any] = {
        name: row[name]
        for name in ("currency", "verdict", "reason", "binding", "violated", "attempt", "observed_at", "last_error")
    }
    return Item(
        key=ItemKey(PriceListId(row["price_list_id"]), ProductId(row["product_id"])),
        sku=label.sku if label else None,
        title=label.title if label else None,
        before=before_of(row),
        after=after_of(row),
        state=ItemState(row["state"]),
        observed=observed if row["observed_at"] is not None else None,
        event_id=row["event_id"],
        **kept,
    )
