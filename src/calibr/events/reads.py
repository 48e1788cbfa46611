"""Reads the audit trail, which is the event log as people see it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
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

_COLUMNS = """
  select seq, event_id as id, type, schema_version, aggregate_type, aggregate_id, actor, correlation_id, causation_id,
         at as created_at, body
  from calibr.event
  where seq > :after and seq <= :until
    and (cast(:type as text) is null or type = :type or starts_with(type, :prefix))
    and (cast(:since as timestamptz) is null or at >= :since)
    and (cast(:before as timestamptz) is null or at < :before)
"""
_EVENTS = text(
    _COLUMNS
    + """
    and (cast(:aggregate_type as text) is null or aggregate_type = :aggregate_type)
    and (cast(:aggregate_id as text) is null or aggregate_id = :aggregate_id)
  order by seq limit :limit"""
)
# One thing has few events, which its own index finds anywhere in the log. `seq + 0` takes the other index, that of the
# order, from a planner without statistics: it would read the log from there on until it met enough of them.
_EVENTS_OF_ONE = text(
    _COLUMNS + " and aggregate_type = :aggregate_type and aggregate_id = :aggregate_id order by seq + 0 limit :limit"
)
_HEAD = text("select seq from calibr.tenant_head")
# Halves the log until `low` is the last number of which it is certain that it and all before it are too early. One
# probe is one look into the primary key, as a scalar, so that no planner makes a scan of it.
_CERTAINLY_BEFORE = text("""
  with recursive probe(low, high) as (
    select 0::bigint, seq from calibr.tenant_head
    union all
    select case when is_before then mid else low end, case when is_before then high else mid - 1 end
    from (select low, high, mid, (select e.at < :certain from calibr.event e where e.seq = mid) as is_before
          from (select low, high, (low + high + 1) / 2 as mid from probe where low < high) halves) looked)
  select low from probe where low = high
""")
_FIRST_SINCE = text("select seq from calibr.event where seq > :low and at >= :since order by seq limit 1")
_LONGEST_TRANSACTION: Final = timedelta(hours=1)
"""Times are those of the beginning of a transaction, numbers those of its end: only as far apart are they in order."""


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
    head = head_seq(session)
    is_of_one = wanted.aggregate_type is not None and wanted.aggregate_id is not None
    until = head if is_of_one else min(head, after + WINDOW)
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
    rows = session.execute(_EVENTS_OF_ONE if is_of_one else _EVENTS, names).mappings()
    found = [LoggedEvent(**row) for row in rows]
    return EventPage(found, found[-1].seq if len(found) == limit else until, head)


def seq_before(session: Session, moment: datetime) -> int:
    """Return the number after which everything that happened from `moment` on stands (earlier things may too).

    It reads the log of an hour at most, however long the log is. What a transaction of more than an hour did may stand
    before it.
    """
    # A number was given at the end of its transaction. So whatever stands before an event that began more than the
    # longest transaction before `moment` ended before `moment`, and began before it all the more.
    low = session.execute(_CERTAINLY_BEFORE, {"certain": _certain(moment)}).scalar_one_or_none() or 0
    found = session.execute(_FIRST_SINCE, {"low": low, "since": moment}).scalar_one_or_none()
    return int(found) - 1 if found is not None else head_seq(session)


def head_seq(session: Session) -> int:
    """Return the number of the last event."""
    return int(session.execute(_HEAD).scalar_one_or_none() or 0)


def _certain(moment: datetime) -> datetime:
    try:
        return moment - _LONGEST_TRANSACTION
    except OverflowError:  # in the first hour of the calendar
        return moment
