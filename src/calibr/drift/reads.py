"""Lists and finds drift."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from calibr.core.errors import NotFound
from calibr.core.ids import ConnectionId
from calibr.db import Session
from calibr.drift.model import Drift, DriftState
from calibr.drift.repository import COLUMNS, drift_from
from calibr.drift.tables import drift


@dataclass(frozen=True, slots=True)
class DriftFilter:
    """Which drift: all conditions hold."""

    state: DriftState | None = DriftState.OPEN
    connection_id: ConnectionId | None = None


def list_drifts(session: Session, which: DriftFilter, *, after: UUID | None, limit: int) -> list[Drift]:
    """Drift by age."""
    wanted = select(*COLUMNS).order_by(drift.c.id).limit(limit)
    if which.state is not None:
        wanted = wanted.where(drift.c.state == which.state)
    if which.connection_id is not None:
        wanted = wanted.where(drift.c.connection_id == which.connection_id)
    if after is not None:
        wanted = wanted.where(drift.c.id > after)
    return [drift_from(row) for row in session.execute(wanted).mappings()]


def get_drift(session: Session, drift_id: UUID) -> Drift:
    """The drift. Raises NotFound."""
    row = session.execute(select(*COLUMNS).where(drift.c.id == drift_id)).mappings().one_or_none()
    if row is None:
        raise unknown(drift_id)
    return drift_from(row)


def unknown(drift_id: UUID) -> NotFound:
    """There is no such drift in this tenant."""
    return NotFound("drift.not_found", f"There is no drift {drift_id}.")
