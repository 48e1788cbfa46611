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


WINDOW = 20_000
"""How many numbers of the log one page looks at: a rare type must not make a request read a whole log."""

_EVENTS = text("""
  select seq, event_id as id, type, schema_version, aggregate_type, aggregate_id, actor, correlation_id, causation_id,
         at as created_at, body
  from calibr.event
  where seq > :after and seq <= :until
    and (cast(:type as text) is null or type = :type or starts_with(type, :prefix))
    and (cast(:aggregate_type as text) is null or aggregate_type = :aggregate_type)
    and (cast(:aggregate_id as text) is null or aggregate_id = :aggregate_id)
    and (cast(:since as timestamptz) is null or at >= :since)
    and (cast(:before as timestamptz) is null or at < :before)
  order by seq limit :limit
""")
_HEAD = text("select seq from calibr.tenant_head")
# Times are those of the beginning of a transaction, numbers those of its end: only nearly in the same order. So all
# rows are looked at, in the order of the key, and the first one that fits is the answer.
_FIRST_SINCE = text("select seq from calibr.event where at >= :since order by seq limit 1")


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events. `type` may be a prefix such as `price.*`; `before` is not included."""

    type: str | None = None
    aggregate_type: str | None = None
    aggregate_id: str | None = None
    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as it stands in the log. `body` is the canonical JSON of its envelope."""

    seq: int
    id: UUID
    type: str
    schema_version: str
    aggregate_type: str
    aggregate_id: str
    actor: str
    correlation_id: UUID
    causation_id: UUID | None
    created_at: datetime
    body: bytes


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events after a number. Everything up to `looked_to` was looked at; `head` is the last number of the log."""

    events: list[LoggedEvent]
    looked_to: int
    head: int


def list_events(session: Session, wanted: EventFilter, *, after: int, limit: int) -> EventPage:
    """Return the next events after `after`, in the order of the log. A page may be short and yet not the last."""
    head = int(session.execute(_HEAD).scalar_one_or_none() or 0)
    until = min(head, after + WINDOW)
    kind = wanted.type
    names = {
        "after": after,
        "until": until,
        "limit": limit,
        "type": kind,
        "prefix": kind.removesuffix("*") if kind is not None and kind.endswith(".*") else None,
        "aggregate_type": wanted.aggregate_type,
        "aggregate_id": wanted.aggregate_id,
        "since": wanted.since,
        "before": wanted.before,
    }
    found = [LoggedEvent(**row) for row in session.execute(_EVENTS, names).mappings()]
    return EventPage(found, found[-1].seq if len(found) == limit else until, head)


def seq_before(session: Session, moment: datetime) -> int:
    """Return the number after which everything that happened from `moment` on stands (earlier things may too)."""
    found = session.execute(_FIRST_SINCE, {"since": moment}).scalar_one_or_none()
    return int(found) - 1 if found is not None else head_seq(session)


def head_seq(session: Session) -> int:
    """Return the number of the last event."""
    return int(session.execute(_HEAD).scalar_one_or_none() or 0)
