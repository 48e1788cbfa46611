"""Reads the audit trail, which is the event log as people see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text

from calibr.db import Session
from calibr.events.tables import event

# Keys first: bodies are decoded only for the rows of the page, whatever the planner knows of the table. A new tenant's
# log has no statistics yet, and decoding all of it for each page took 0.2 s at 10,000 events.
_AUDIT = text("""
  select id, seq, entity, entity_id, action, actor, explain, correlation_id, causation_id, created_at
  from calibr.audit
  where seq = any(array(
    select e.seq from calibr.event e
    where e.seq > :after_seq
      and (cast(:entity as text) is null or e.aggregate_type = :entity)
      and (cast(:entity_id as text) is null or e.aggregate_id = :entity_id)
    order by e.seq
    limit :limit))
  order by seq
""")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which thing, when, and with which explanation."""

    id: UUID
    seq: int
    entity: str
    entity_id: str
    action: str
    actor: str
    explain: dict[str, Any]
    correlation_id: UUID
    causation_id: UUID | None
    created_at: datetime


def list_audit(
    session: Session, *, entity: str | None = None, entity_id: str | None = None, after_seq: int = 0, limit: int = 100
) -> list[AuditEntry]:
    """Return entries in the order in which they were committed, from `after_seq` on, which is not included."""
    wanted = {"entity": entity, "entity_id": entity_id, "after_seq": after_seq, "limit": limit}
    return [AuditEntry(**row) for row in session.execute(_AUDIT, wanted).mappings()]


def count_events(session: Session, *, event_type: str | None = None) -> int:
    """Return how many events the tenant has, of one type or of all."""
    counting = select(func.count()).select_from(event)
    if event_type is not None:
        counting = counting.where(event.c.type == event_type)
    return int(session.execute(counting).scalar_one())
