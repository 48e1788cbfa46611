"""Reads about subscriptions: who gets what, how far they are, what is parked."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text

from calibr.db import Session
from calibr.delivery.model import Subscription
from calibr.delivery.repository import COLUMNS, subscription_from
from calibr.delivery.tables import subscription


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a subscription is. `behind` counts events of the log that its slowest lane has not passed."""

    head: int
    position: int
    behind: int
    waiting_lanes: int
    next_at: datetime | None
    last_error: str | None
    parked: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a subscriber did not get."""

    seq: int
    event_id: UUID
    type: str
    aggregate_type: str
    aggregate_id: str
    reason: str
    attempts: int
    state: str
    parked_at: datetime
    resolved_at: datetime | None


def list_subscriptions(session: Session, *, after: UUID | None = None, limit: int = 100) -> list[Subscription]:
    """Subscriptions in the order of their ids, which is that of their making; `after` is not included."""
    wanted = select(*COLUMNS).order_by(subscription.c.id).limit(limit)
    if after is not None:
        wanted = wanted.where(subscription.c.id > after)
    return [subscription_from(row) for row in session.execute(wanted).mappings()]


_STANDING = text("""
  select h.seq as head, min(l.pos) as position, h.seq - min(l.pos) as behind,
         count(*) filter (where l.next_at > clock_timestamp()) as waiting_lanes,
         min(l.next_at) filter (where l.next_at > clock_timestamp()) as next_at,
         (array_agg(l.last_error order by l.next_at desc) filter (where l.last_error is not null))[1] as last_error,
         (select count(*) from calibr.dead_letter d
          where d.subscription_id = :subscription and d.resolved_at is null) as parked
  from calibr.lane l join calibr.tenant_head h on h.tenant_id = l.tenant_id
  where l.subscription_id = :subscription
  group by h.seq
""")
_DEAD_LETTERS = text("""
  select seq, event_id, type, aggregate_type, aggregate_id, reason, attempts, state, parked_at, resolved_at
  from calibr.dead_letter
  where subscription_id = :subscription and seq > :after and (:all or resolved_at is null)
  order by seq limit :limit
""")


def standing(session: Session, subscription_id: UUID) -> Standing:
    """How far a subscription is, now."""
    return Standing(**session.execute(_STANDING, {"subscription": subscription_id}).mappings().one())


def list_dead_letters(
    session: Session, subscription_id: UUID, *, after: int = 0, limit: int = 100, resolved: bool = False
) -> list[DeadLetter]:
    """Dead letters in the order of the log; `resolved` includes those that are over."""
    names = {"subscription": subscription_id, "after": after, "limit": limit, "all": resolved}
    return [DeadLetter(**row) for row in session.execute(_DEAD_LETTERS, names).mappings()]
