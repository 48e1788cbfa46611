"""Subscriptions and dead letters: every statement that touches their rows. Decides nothing."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert

from calibr.core.errors import NotFound
from calibr.db import Session
from calibr.delivery.core import Key, Parked
from calibr.delivery.model import Message, OnPoison, Subscription, SubscriptionKind, SubscriptionState
from calibr.delivery.tables import lane, subscription

COLUMNS = tuple(column for column in subscription.c if column.name not in {"tenant_id", "sealed"})


def insert_subscription(session: Session, values: Mapping[str, Any], *, pos: int) -> Subscription | None:
    """Insert a subscription with its lanes at `pos`; None if its name is taken."""
    row = {"tenant_id": session.tenant_id, **values}
    statement = insert(subscription).values(row).on_conflict_do_nothing().returning(*COLUMNS)
    found = session.execute(statement).mappings().one_or_none()
    if found is None:
        return None
    made = subscription_from(found)
    rows = [
        {"tenant_id": session.tenant_id, "subscription_id": made.id, "lane": number, "pos": pos}
        for number in range(made.lanes)
    ]
    session.execute(insert(lane), rows)
    return made


def get_subscription(session: Session, subscription_id: UUID) -> Subscription:
    """Return a subscription. Raises NotFound, also for one of another tenant."""
    found = session.execute(select(*COLUMNS).where(subscription.c.id == subscription_id)).mappings().one_or_none()
    if found is None:
        raise NotFound("subscription.not_found", f"there is no subscription {subscription_id}")
    return subscription_from(found)


def lock_subscription(session: Session, subscription_id: UUID) -> Subscription:
    """Lock a subscription until the end of the transaction. Raises NotFound."""
    statement = select(*COLUMNS).where(subscription.c.id == subscription_id).with_for_update(key_share=True)
    found = session.execute(statement).mappings().one_or_none()
    if found is None:
        raise NotFound("subscription.not_found", f"there is no subscription {subscription_id}")
    return subscription_from(found)


def update_subscription(session: Session, subscription_id: UUID, values: Mapping[str, Any]) -> Subscription:
    """Write columns of a subscription."""
    statement = update(subscription).where(subscription.c.id == subscription_id).values(**values).returning(*COLUMNS)
    return subscription_from(session.execute(statement).mappings().one())


def delete_subscription(session: Session, subscription_id: UUID) -> None:
    """Delete a subscription with its lanes and dead letters."""
    session.execute(delete(subscription).where(subscription.c.id == subscription_id))


def load_sealed(session: Session, subscription_id: UUID) -> dict[str, str]:
    """The sealed secrets of a subscription by name."""
    found = session.execute(select(subscription.c.sealed).where(subscription.c.id == subscription_id))
    return dict(found.scalar_one())


def subscription_from(row: RowMapping) -> Subscription:
    """Make a row into a value."""
    values = dict(row)
    values["kind"] = SubscriptionKind(values["kind"])
    values["on_poison"] = OnPoison(values["on_poison"])
    values["state"] = SubscriptionState(values["state"])
    values["event_types"] = tuple(values["event_types"])
    return Subscription(**values)


_FAILING = text("""
  update calibr.subscription
  set failing_since = case when :failed then coalesce(failing_since, clock_timestamp()) end
  where id = :id and (failing_since is null) = :failed
""")
_FAILING_FOR = text("""
  select extract(epoch from clock_timestamp() - failing_since)::double precision
  from calibr.subscription where id = :id and state = 'active'
""")


def note_outcome(session: Session, subscription_id: UUID, *, failed: bool) -> None:
    """Remember since when nothing is delivered any more. Touches the row only when that changes."""
    session.execute(_FAILING, {"id": subscription_id, "failed": failed})


def failing_for_s(session: Session, subscription_id: UUID) -> float:
    """For how many seconds nothing was delivered, as the database counts; 0 while something is."""
    return session.execute(_FAILING_FOR, {"id": subscription_id}).scalar_one_or_none() or 0.0


_PARKED_KEYS = text("""
  select lane, aggregate_type, aggregate_id from calibr.dead_letter
  where subscription_id = :subscription and lane = any(:lanes) and resolved_at is null
  group by lane, aggregate_type, aggregate_id
""")
_PARK = text("""
  insert into calibr.dead_letter(
    tenant_id, subscription_id, seq, event_id, lane, aggregate_type, aggregate_id, type, reason, attempts)
  select :tenant, :subscription, u.seq, u.event_id, :lane, u.aggregate_type, u.aggregate_id, u.type, u.reason,
         u.attempts
  from unnest(
    cast(:seqs as bigint[]), cast(:ids as uuid[]), cast(:aggregate_types as text[]), cast(:aggregate_ids as text[]),
    cast(:types as text[]), cast(:reasons as text[]), cast(:attempts as int[]))
    u(seq, event_id, aggregate_type, aggregate_id, type, reason, attempts)
  on conflict (tenant_id, subscription_id, seq) do update
  set state = 'parked', reason = excluded.reason, attempts = excluded.attempts, parked_at = clock_timestamp(),
      resolved_at = null
""")


def parked_keys(session: Session, subscription_id: UUID, lanes: Sequence[int]) -> dict[int, set[Key]]:
    """The aggregates with open dead letters, by lane."""
    keys: dict[int, set[Key]] = {number: set() for number in lanes}
    for row in session.execute(_PARKED_KEYS, {"subscription": subscription_id, "lanes": list(lanes)}):
        keys[row.lane].add((row.aggregate_type, row.aggregate_id))
    return keys


def park(session: Session, subscription_id: UUID, number: int, parked: Sequence[Parked]) -> None:
    """Write dead letters of one lane."""
    if not parked:
        return
    names = {
        "tenant": session.tenant_id,
        "subscription": subscription_id,
        "lane": number,
        "seqs": [p.message.seq for p in parked],
        "ids": [p.message.event_id for p in parked],
        "aggregate_types": [p.message.aggregate_type for p in parked],
        "aggregate_ids": [p.message.aggregate_id for p in parked],
        "types": [p.message.type for p in parked],
        "reasons": [p.reason[:1000] for p in parked],
        "attempts": [p.attempts for p in parked],
    }
    session.execute(_PARK, names)


# All open rows of an aggregate of which one was released: what was parked behind it in the meantime follows it.
_RELEASED = text("""
  select e.seq, e.event_id, e.type, e.aggregate_type, e.aggregate_id, e.at, e.body
  from calibr.dead_letter d
  join calibr.event e on e.tenant_id = d.tenant_id and e.seq = d.seq
  where d.subscription_id = :subscription and d.lane = :lane and d.resolved_at is null
    and exists (
      select from calibr.dead_letter r
      where r.subscription_id = d.subscription_id and r.lane = d.lane and r.resolved_at is null
        and r.state = 'released' and r.aggregate_type = d.aggregate_type and r.aggregate_id = d.aggregate_id)
  order by d.seq limit :limit
""")
_RESOLVE = text("""
  update calibr.dead_letter set state = :state, resolved_at = clock_timestamp()
  where subscription_id = :subscription and seq = any(:seqs) and resolved_at is null
""")
_PARK_AGAIN = text("""
  update calibr.dead_letter
  set state = 'parked', reason = case when seq = :seq then :reason else reason end,
      attempts = attempts + (seq = :seq)::int
  where subscription_id = :subscription and lane = :lane and resolved_at is null
    and aggregate_type = :aggregate_type and aggregate_id = :aggregate_id
""")


def released_messages(session: Session, subscription_id: UUID, number: int, limit: int) -> list[Message]:
    """Parked messages of a lane that are to be delivered again, in the order of the log."""
    names = {"subscription": subscription_id, "lane": number, "limit": limit}
    return [
        Message(
            session.tenant_id,
            row.seq,
            row.event_id,
            row.type,
            row.aggregate_type,
            row.aggregate_id,
            row.at,
            bytes(row.body),
            is_replay=True,
        )
        for row in session.execute(_RELEASED, names)
    ]


def resolve(session: Session, subscription_id: UUID, seqs: Sequence[int], *, state: str) -> int:
    """Close dead letters as `delivered` or `discarded`; returns their number."""
    names = {"subscription": subscription_id, "seqs": list(seqs), "state": state}
    return session.execute(_RESOLVE, names).rowcount


def park_again(session: Session, subscription_id: UUID, number: int, message: Message, reason: str) -> None:
    """Keep an aggregate parked whose first open message was refused again."""
    names = {
        "subscription": subscription_id,
        "lane": number,
        "seq": message.seq,
        "aggregate_type": message.aggregate_type,
        "aggregate_id": message.aggregate_id,
        "reason": reason[:1000],
    }
    session.execute(_PARK_AGAIN, names)


_RELEASE = text("""
  with released as (
    update calibr.dead_letter set state = 'released'
    where subscription_id = :subscription and resolved_at is null
      and (cast(:aggregate_type as text) is null
           or aggregate_type = :aggregate_type and aggregate_id = :aggregate_id)
    returning lane),
  woken as (
    update calibr.lane set released = true, next_at = '-infinity'
    where subscription_id = :subscription and lane in (select lane from released))
  select count(*) from released
""")


def release(session: Session, subscription_id: UUID, key: Key | None) -> int:
    """Mark open dead letters (of one aggregate, or all) to be delivered again; returns their number."""
    names = {
        "subscription": subscription_id,
        "aggregate_type": key and key[0],
        "aggregate_id": key and key[1],
    }
    return int(session.execute(_RELEASE, names).scalar_one())
