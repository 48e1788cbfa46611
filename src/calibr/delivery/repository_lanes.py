"""Moves lanes: claim with lease and fence, read a window of the log, settle. Decides nothing.

A lane is worked on by one worker at a time. Its fence rises with every claim, and a settlement with an older one
changes nothing. All times come from the database.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text

from calibr.db import Session
from calibr.delivery.model import Message
from calibr.events import head_seq

LaneNumber = int


@dataclass(frozen=True, slots=True)
class ClaimedLane:
    """A lane in our hands. `attempt`: failed deliveries of the event after `pos`, in a row."""

    number: LaneNumber
    pos: int
    fence: int
    attempt: int
    replay_to: int
    released: bool


@dataclass(frozen=True, slots=True)
class Window:
    """Events of some lanes with `low` < seq <= `high`, in the order of the log."""

    high: int
    messages: dict[LaneNumber, list[Message]]


@dataclass(frozen=True, slots=True)
class LaneSettlement:
    """Where a lane stands after some work. `delay_s`: not before this many seconds (None: at once)."""

    lane: ClaimedLane
    pos: int
    attempt: int = 0
    delay_s: float | None = None
    error: str | None = None


_DUE = """
  from calibr.lane l
  join calibr.subscription s on s.tenant_id = l.tenant_id and s.id = l.subscription_id
  join calibr.tenant_head h on h.tenant_id = l.tenant_id
  where s.state = 'active' and (h.seq > l.pos or l.released) and l.next_at <= clock_timestamp()
    and (l.lease_until is null or l.lease_until < clock_timestamp())
"""
_DUE_SUBSCRIPTIONS = text(f"select distinct s.id {_DUE} order by s.id")
_STREAMS = text("select id from calibr.subscription where kind = 'jetstream' and state = 'active' order by id")
_CLAIM = text(f"""
  with due as (
    select l.subscription_id, l.lane {_DUE} and l.subscription_id = :subscription
    order by l.pos, l.lane limit :limit for update of l skip locked)
  update calibr.lane l
  set lease_owner = :owner, lease_until = clock_timestamp() + make_interval(secs => :lease_s), fence = l.fence + 1
  from due where l.subscription_id = due.subscription_id and l.lane = due.lane
  returning l.lane, l.pos, l.fence, l.attempt, l.replay_to, l.released
""")  # noqa: S608 - a constant
_LOCK_DUE = text(f"""
  select l.lane, l.pos, l.fence, l.attempt, l.replay_to, l.released {_DUE} and l.subscription_id = :subscription
  order by l.lane for update of l skip locked
""")


def due_subscriptions(session: Session) -> list[UUID]:
    """Subscriptions with a lane that has work, is due, and is in nobody's hands."""
    return list(session.execute(_DUE_SUBSCRIPTIONS).scalars())


def streams(session: Session) -> list[UUID]:
    """Active subscriptions whose receivers keep messages, and might lose them while nothing happens."""
    return list(session.execute(_STREAMS).scalars())


def claim_lanes(
    session: Session, subscription_id: UUID, *, owner: str, limit: int, lease_s: float
) -> list[ClaimedLane]:
    """Take up to `limit` lanes for `lease_s` seconds, those furthest behind first."""
    names = {"subscription": subscription_id, "owner": owner, "limit": limit, "lease_s": lease_s}
    return [_lane(row) for row in session.execute(_CLAIM, names).mappings()]


def lock_lanes(session: Session, subscription_id: UUID) -> list[ClaimedLane]:
    """Lock the due lanes until the end of the transaction, for work that is done within it."""
    return [_lane(row) for row in session.execute(_LOCK_DUE, {"subscription": subscription_id}).mappings()]


def _lane(row: RowMapping) -> ClaimedLane:
    return ClaimedLane(row["lane"], row["pos"], row["fence"], row["attempt"], row["replay_to"], row["released"])


# Straight from the driver and in binary: as text a body is twice as long, and that layer costs more than the reading.
_READ = """
  select seq, event_id, type, aggregate_type, aggregate_id, at, body, lane %% %(lanes)s
  from calibr.event
  where seq > %(low)s and seq <= %(high)s and lane %% %(lanes)s = any(%(numbers)s)
    and (cardinality(%(types)s::text[]) = 0 or type = any(%(types)s::text[]) or exists (
      select from unnest(%(prefixes)s::text[]) prefix where starts_with(type, prefix)))
  order by seq
"""
WILDCARD = ".*"


def read_window(
    session: Session, lanes: Sequence[ClaimedLane], *, count: int, event_types: Sequence[str], size: int
) -> Window:
    """Read what lies before these lanes of a subscription that has `count` lanes: at most `size` numbers of the log.

    Numbers have no gaps, so a window is bounded whatever it holds; a lane that is further than the window gets nothing.
    """
    low = min(lane.pos for lane in lanes)
    high = min(head_seq(session), low + size)
    names: dict[str, Any] = {
        "lanes": count,
        "low": low,
        "high": high,
        "numbers": [lane.number for lane in lanes],
        "types": list(event_types),
        "prefixes": [t.removesuffix("*") for t in event_types if t.endswith(WILDCARD)],
    }
    messages: dict[LaneNumber, list[Message]] = {lane.number: [] for lane in lanes}
    begins = {lane.number: lane for lane in lanes}
    tenant_id = session.tenant_id
    for seq, event_id, kind, aggregate_type, aggregate_id, at, body, number in session.raw.execute(
        _READ, names, binary=True
    ).fetchall():
        lane = begins[number]
        if seq > lane.pos:
            is_replay = seq <= lane.replay_to
            messages[number].append(
                Message(tenant_id, seq, event_id, kind, aggregate_type, aggregate_id, at, body, is_replay)
            )
    return Window(high, messages)


_SETTLE = text("""
  update calibr.lane l
  set pos = greatest(l.pos, u.pos), attempt = u.attempt, last_error = u.error,
      released = exists (
        select from calibr.dead_letter d
        where d.subscription_id = l.subscription_id and d.lane = l.lane
          and d.state = 'released' and d.resolved_at is null),
      next_at = coalesce(clock_timestamp() + make_interval(secs => u.delay_s), '-infinity'),
      lease_owner = null, lease_until = null
  from unnest(
    cast(:numbers as smallint[]), cast(:positions as bigint[]), cast(:fences as bigint[]), cast(:attempts as int[]),
    cast(:delays as double precision[]), cast(:errors as text[]))
    u(lane, pos, fence, attempt, delay_s, error)
  where l.subscription_id = :subscription and l.lane = u.lane and l.fence = u.fence
  returning l.lane
""")
_HOLD = text("select fence from calibr.lane where subscription_id = :subscription and lane = :lane for no key update")


def holds(session: Session, subscription_id: UUID, lane: ClaimedLane) -> bool:
    """Lock a lane until the end of the transaction; False if another worker took it over."""
    found = session.execute(_HOLD, {"subscription": subscription_id, "lane": lane.number}).scalar_one_or_none()
    return found == lane.fence


def settle_lanes(session: Session, subscription_id: UUID, settlements: Sequence[LaneSettlement]) -> set[LaneNumber]:
    """Move lanes and give them back; returns those that were still ours. May be repeated."""
    if not settlements:
        return set()
    names = {
        "subscription": subscription_id,
        "numbers": [s.lane.number for s in settlements],
        "positions": [s.pos for s in settlements],
        "fences": [s.lane.fence for s in settlements],
        "attempts": [s.attempt for s in settlements],
        "delays": [s.delay_s for s in settlements],
        "errors": [s.error for s in settlements],
    }
    return set(session.execute(_SETTLE, names).scalars())


_RESET = text("""
  update calibr.lane
  set pos = :pos, replay_to = :replay_to, fence = fence + 1, attempt = 0, next_at = '-infinity', last_error = null,
      lease_owner = null, lease_until = null
  where subscription_id = :subscription
""")
# Returns those that were there, which is nearly always none. The lanes of the messages are locked, so that nobody else
# takes them in meanwhile: looking first is enough, and takes half the time of ON CONFLICT.
_TAKE_IN = """
  with known as materialized (
    select message_id from calibr.inbox where consumer = %(consumer)s and message_id = any(%(ids)b::uuid[])),
  taken as (
    insert into calibr.inbox(tenant_id, consumer, message_id)
    select %(tenant)s, %(consumer)s, id from unnest(%(ids)b::uuid[]) id
    where id not in (select message_id from known))
  select message_id from known
"""
_FORGET_INBOX = text("delete from calibr.inbox where consumer = :consumer")
_OLD_INBOX = text("delete from calibr.inbox where received_at < :before")


def reset_lanes(session: Session, subscription_id: UUID, *, pos: int, replay_to: int) -> None:
    """Put all lanes to a position and take them away from whoever works on them."""
    session.execute(_RESET, {"subscription": subscription_id, "pos": pos, "replay_to": replay_to})


def take_in(session: Session, consumer: str, message_ids: Sequence[UUID]) -> set[UUID]:
    """Note messages as taken in by a consumer, in the transaction of their effect; returns those that are new.

    The transaction holds the locks of their lanes.
    """
    names = {"tenant": session.tenant_id, "consumer": consumer, "ids": list(message_ids)}
    known = session.raw.execute(_TAKE_IN, names).fetchall()
    return set(message_ids).difference(id_ for (id_,) in known)


def forget_inbox(session: Session, consumer: str) -> None:
    """Forget what a consumer has taken in, so that a replay has effects again."""
    session.execute(_FORGET_INBOX, {"consumer": consumer})


def forget_inbox_before(session: Session, moment: datetime) -> int:
    """Forget messages that were taken in before a moment; returns their number."""
    return session.execute(_OLD_INBOX, {"before": moment}).rowcount
