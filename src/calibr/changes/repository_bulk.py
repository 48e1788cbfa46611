"""Files of writes in PostgreSQL: noted before the store hears of them, over only when the store says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping, text

from calibr.changes.repository_items import Lot
from calibr.db import Session

NEVER_STARTED = "never_started"
"""The status of a file that the store never heard of."""

FORGOTTEN = "forgotten"
"""The status of a file that the store no longer knows, long after it must have been over."""


@dataclass(frozen=True, slots=True)
class BulkFile:
    """A file that may be under way. `layout` tells which rows stand in which line; `created_at` is the database's."""

    id: UUID
    layout: bytes
    created_at: datetime
    operation_id: str | None

    @property
    def tag(self) -> str:
        """Its name at the store."""
        return str(self.id)


_ADD = text("""
  insert into calibr.bulk_write(tenant_id, id, change_id, price_list_id, rows, layout)
  values (:tenant, :id, :change, :list, :rows, :layout)
  returning id, layout, created_at, operation_id
""")
_OPEN = text("""
  select id, layout, created_at, operation_id from calibr.bulk_write
  where change_id = :change and price_list_id = :list and ended_at is null order by created_at, id
""")
_STARTED = text("update calibr.bulk_write set operation_id = :operation where id = :id and operation_id is null")
_END = text("update calibr.bulk_write set ended_at = clock_timestamp(), status = :status where id = :id")
# Whoever judges a file takes its rows over, so that a worker that wakes up late settles none of them.
_TAKE = text("""
  update calibr.price_change_item i
  set fence = :fence, lease_until = clock_timestamp() + make_interval(secs => :lease_s)
  where i.change_id = :change and i.price_list_id = :list and i.bulk_id = :bulk and i.state = 'sending'
  returning i.*
""")


def add_bulk(session: Session, lot: Lot, bulk_id: UUID, rows: int, layout: bytes) -> BulkFile:
    """Note a file, in the transaction that marks its rows as sent."""
    names = lot.names(tenant=session.tenant_id, id=bulk_id, rows=rows, layout=layout)
    return BulkFile(**session.execute(_ADD, names).mappings().one())


def open_bulks(session: Session, lot: Lot) -> Sequence[BulkFile]:
    """Files that are not over as far as is known, oldest first."""
    return [BulkFile(**row) for row in session.execute(_OPEN, lot.names()).mappings()]


def note_operation(session: Session, bulk_id: UUID, operation_id: str) -> None:
    """Keep what the store calls it."""
    session.execute(_STARTED, {"id": bulk_id, "operation": operation_id})


def end_bulk(session: Session, bulk_id: UUID, status: str) -> None:
    """Note that nothing of it will be written any more."""
    session.execute(_END, {"id": bulk_id, "status": status})


def take_rows(session: Session, lot: Lot, bulk_id: UUID, lease_s: float) -> Sequence[RowMapping]:
    """Take over the rows of a file that are not settled, in the order of the plan."""
    rows = session.execute(_TAKE, lot.names(bulk=bulk_id, lease_s=lease_s)).mappings()
    return sorted(rows, key=lambda row: row["product_id"])
