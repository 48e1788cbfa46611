"""What a sync reads and what it is at the store, noted under its fence; up to when a store is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select, update

from calibr.catalog.model import SyncMode
from calibr.catalog.tables import sync_run
from calibr.core.ids import ConnectionId, SyncId
from calibr.db import Session

ON_THE_WAY: Final = ("upstream.unreachable", "upstream.unavailable", "upstream.throttled", "upstream.unauthorized")
"""Errors that say nothing against what the store has made or is making."""

GOOD_FOR: Final = timedelta(hours=24)
"""How old an operation of a failed run may be: its result is as old as that."""

_CLOCK: ColumnElement[Any] = func.clock_timestamp()


@dataclass(frozen=True, slots=True)
class Watermark:
    """When the last reading began that was recorded, and the last one of everything."""

    read_from: datetime
    full_from: datetime


@dataclass(frozen=True, slots=True)
class NotedReading:
    """A reading as it stands in its run. `read_from` is when the last of its `operations` was begun."""

    mode: SyncMode
    since: datetime | None
    read_from: datetime | None
    operations: int
    operation_id: str | None


def find_watermark(session: Session, connection_id: ConnectionId) -> Watermark | None:
    """Up to when the changes of a store are known; None if it was never read as a whole."""
    began = sync_run.c.read_from
    query = select(
        func.max(began).label("read_from"),
        func.max(began).filter(sync_run.c.mode == SyncMode.FULL).label("full_from"),
    ).where(sync_run.c.connection_id == connection_id, sync_run.c.state == "completed")
    row = session.execute(query).one()
    return None if row.full_from is None else Watermark(row.read_from, row.full_from)


def load_reading(session: Session, sync_id: SyncId) -> NotedReading:
    """What is noted of the reading of a run."""
    columns = (
        *(sync_run.c.mode, sync_run.c.since, sync_run.c.read_from),
        *(sync_run.c.operations, sync_run.c.operation_id),
    )
    row = session.execute(select(*columns).where(sync_run.c.id == sync_id)).one()
    return NotedReading(SyncMode(row.mode), row.since, row.read_from, row.operations, row.operation_id)


def find_abandoned(
    session: Session, sync_id: SyncId, connection_id: ConnectionId, since: datetime | None
) -> tuple[datetime, str] | None:
    """The operation of the run before this one, if that read the same and failed on the way to the store.

    Returns when it began, and its id at the store.
    """
    before = (
        select(sync_run)
        .where(sync_run.c.connection_id == connection_id, sync_run.c.id < sync_id)
        .order_by(sync_run.c.id.desc())
        .limit(1)
        .subquery()
    )
    query = select(before.c.read_from, before.c.operation_id).where(
        before.c.state == "failed",
        before.c.error_code.in_(ON_THE_WAY),
        before.c.operation_id.is_not(None),
        before.c.since.is_not_distinct_from(since),
        before.c.read_from > _CLOCK - GOOD_FOR,
    )
    row = session.execute(query).one_or_none()
    return None if row is None else (row.read_from, row.operation_id)


def adopt_operation(session: Session, sync_id: SyncId, fence: int, operation: tuple[datetime, str]) -> bool:
    """Go on with an operation of another run; False if another worker has taken over."""
    return _note(session, sync_id, fence, {"read_from": operation[0], "operation_id": operation[1]})


def set_reading(session: Session, sync_id: SyncId, fence: int, *, mode: SyncMode, since: datetime | None) -> bool:
    """Decide what is read. An operation that reads something else is left. False: another worker has taken over."""
    return _note(session, sync_id, fence, {"mode": mode, "since": since, "read_from": None, "operation_id": None})


def begin_operation(session: Session, sync_id: SyncId, fence: int) -> tuple[int, datetime] | None:
    """Count a new operation and note its beginning; returns both, or None if another worker has taken over."""
    values = {"operations": sync_run.c.operations + 1, "read_from": _CLOCK, "operation_id": None}
    statement = update(sync_run).where(*_held(sync_id, fence)).values(values)
    row = session.execute(statement.returning(sync_run.c.operations, sync_run.c.read_from)).one_or_none()
    return None if row is None else (row.operations, row.read_from)


def note_operation(session: Session, sync_id: SyncId, fence: int, operation_id: str) -> bool:
    """Note how the store calls the last operation; False if another worker has taken over."""
    return _note(session, sync_id, fence, {"operation_id": operation_id})


def note_read_from(session: Session, sync_id: SyncId, fence: int, read_from: datetime) -> bool:
    """Note when a reading without an operation began; False if another worker has taken over."""
    return _note(session, sync_id, fence, {"read_from": read_from})


def _note(session: Session, sync_id: SyncId, fence: int, values: Mapping[str, Any]) -> bool:
    return session.execute(update(sync_run).where(*_held(sync_id, fence)).values(values)).rowcount == 1


def _held(sync_id: SyncId, fence: int) -> tuple[ColumnElement[bool], ...]:
    return sync_run.c.id == sync_id, sync_run.c.fence == fence, sync_run.c.state == "running"
