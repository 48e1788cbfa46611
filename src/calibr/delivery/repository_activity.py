"""Writes and reads the counts of the activity projection."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import text

from calibr.db import Session

# In the order of the key, so that two workers never wait for each other's rows.
_ADD = text("""
  insert into calibr.event_activity(tenant_id, day, type, events)
  select :tenant, u.day, u.type, u.events
  from unnest(cast(:days as date[]), cast(:types as text[]), cast(:events as bigint[])) u(day, type, events)
  order by u.day, u.type
  on conflict (tenant_id, day, type) do update set events = event_activity.events + excluded.events
""")
_CLEAR = text("delete from calibr.event_activity")
_READ = text("""
  select day, type, events from calibr.event_activity
  where day >= :since order by day, type
""")


@dataclass(frozen=True, slots=True)
class DayActivity:
    """How many events of one type a day had."""

    day: date
    type: str
    events: int


def add_activity(session: Session, counts: Mapping[tuple[date, str], int]) -> None:
    """Add to the counts of days and types."""
    keys = list(counts)
    names = {
        "tenant": session.tenant_id,
        "days": [day for day, _ in keys],
        "types": [kind for _, kind in keys],
        "events": [counts[key] for key in keys],
    }
    session.execute(_ADD, names)


def clear_activity(session: Session) -> None:
    """Delete all counts of the tenant."""
    session.execute(_CLEAR)


def list_activity(session: Session, since: date) -> list[DayActivity]:
    """Counts from a day on, by day and type."""
    return [DayActivity(**row) for row in session.execute(_READ, {"since": since}).mappings()]
