"""Writes the drift ledger. Decides nothing."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, delete, insert, select, update

from calibr.catalog import Price
from calibr.core.ids import PriceListId, ProductId
from calibr.db import Session
from calibr.drift.model import Drift, DriftState
from calibr.drift.tables import drift

COLUMNS = tuple(column for column in drift.c if column.name != "tenant_id")


def open_drifts(session: Session, products: Collection[ProductId]) -> dict[tuple[PriceListId, ProductId], Drift]:
    """The open drifts of some products, locked to the end of the transaction."""
    wanted = select(*COLUMNS).where(drift.c.state == DriftState.OPEN, drift.c.product_id.in_(list(products)))
    rows = session.execute(wanted.order_by(drift.c.id).with_for_update(key_share=True)).mappings()
    return {found.place: found for found in map(drift_from, rows)}


def lock_drifts(session: Session, ids: Collection[UUID]) -> list[Drift]:
    """Drifts by id, locked to the end of the transaction, in the order of their ids."""
    wanted = select(*COLUMNS).where(drift.c.id.in_(list(ids))).order_by(drift.c.id).with_for_update(key_share=True)
    return [drift_from(row) for row in session.execute(wanted).mappings()]


def insert_drift(session: Session, new: Drift) -> None:
    """Open a drift."""
    values = {name: getattr(new, name) for name in Drift.__dataclass_fields__ if name not in {"expected", "observed"}}
    amounts = {**_amounts("expected", new.expected), **_amounts("observed", new.observed)}
    session.execute(insert(drift).values(tenant_id=session.tenant_id, **values, **amounts))


def update_observation(session: Session, changed: Drift) -> None:
    """Note what was seen last of an open drift."""
    values = {
        **_amounts("observed", changed.observed),
        "source": changed.source,
        "writer": changed.writer,
        "observations": changed.observations,
        "observed_at": changed.observed_at,
    }
    session.execute(update(drift).where(drift.c.id == changed.id).values(values))


def close_drift(session: Session, drift_id: UUID, values: Mapping[str, Any], at: datetime) -> bool:
    """End a drift with a state and who or what ended it; False if it had ended before."""
    ended = update(drift).where(drift.c.id == drift_id, drift.c.state == DriftState.OPEN)
    return session.execute(ended.values(closed_at=at, **values)).rowcount == 1


def note_reassertion(session: Session, ids: Collection[UUID], change_id: UUID) -> None:
    """Note the price change that was made to put the expected prices back."""
    session.execute(update(drift).where(drift.c.id.in_(list(ids))).values(reassert_change_id=change_id))


def clear_drifts(session: Session) -> None:
    """Forget all drift."""
    session.execute(delete(drift))


def drift_from(row: RowMapping) -> Drift:
    """Make a row into a value."""
    values = {name: row[name] for name in Drift.__dataclass_fields__ if name not in {"expected", "observed", "state"}}
    observed = None if row["observed_amount"] is None else (row["observed_amount"], row["observed_compare_at"])
    expected = (row["expected_amount"], row["expected_compare_at"])
    return Drift(**values, expected=expected, observed=observed, state=DriftState(row["state"]))


def _amounts(name: str, price: Price | None) -> dict[str, int | None]:
    amount, compare_at = price or (None, None)
    return {f"{name}_amount": amount, f"{name}_compare_at": compare_at}
