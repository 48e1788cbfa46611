"""Writes deliveries and what becomes of them, the marks of the watch, and requests about people's data."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert

from calibr.connectors.port.webhooks import BODY_KINDS, WebhookDelivery, WebhookKind
from calibr.core.ids import ConnectionId
from calibr.db import Session
from calibr.inbound.model import Outcome, StoredDelivery
from calibr.inbound.tables import connection_watch, privacy_request, webhook_delivery

_STORE = insert(webhook_delivery).on_conflict_do_nothing()


def store_delivery(
    session: Session, connection_id: ConnectionId, delivery: WebhookDelivery, story: UUID, body: bytes
) -> bool:
    """Keep a delivery; False if it came before."""
    values = {
        "tenant_id": session.tenant_id,
        "connection_id": connection_id,
        "delivery_id": delivery.delivery_id,
        "topic": delivery.topic,
        "kind": delivery.kind.value,
        "correlation_id": story,
        "triggered_at": delivery.triggered_at,
        "body": body if delivery.kind in BODY_KINDS else None,
    }
    return session.execute(_STORE, values).rowcount == 1


_DUE = text("""
  select distinct d.connection_id
  from calibr.webhook_delivery d
  left join calibr.connection_watch w on w.connection_id = d.connection_id
  where d.state = 'waiting' and d.next_at <= clock_timestamp()
    and (w.inbox_until is null or w.inbox_until < clock_timestamp())""")
_CLAIM = text("""
  insert into calibr.connection_watch as w (tenant_id, connection_id, inbox_until)
  values (:tenant_id, :connection, clock_timestamp() + make_interval(secs => :lease_s))
  on conflict (tenant_id, connection_id) do update set inbox_until = excluded.inbox_until
  where w.inbox_until is null or w.inbox_until < clock_timestamp()
  returning inbox_until""")
_RENEW = text("""
  update calibr.connection_watch set inbox_until = clock_timestamp() + make_interval(secs => :lease_s)
  where connection_id = :connection""")
_TAKE = text("""
  select delivery_id, kind, correlation_id, body, attempt from calibr.webhook_delivery
  where connection_id = :connection and state = 'waiting' and next_at <= clock_timestamp()
  order by next_at, delivery_id limit :limit""")
_SETTLE = text("""
  update calibr.webhook_delivery d
  set state = u.state, attempt = d.attempt + 1, last_error = u.error,
      body = case when u.state = 'waiting' then d.body end,
      next_at = case when u.state = 'waiting' then clock_timestamp() + make_interval(secs => u.delay_s)
                     else d.next_at end,
      handled_at = case when u.state = 'waiting' then null else clock_timestamp() end
  from unnest(cast(:ids as text[]), cast(:states as text[]), cast(:delays as double precision[]),
              cast(:errors as text[])) u(id, state, delay_s, error)
  where d.connection_id = :connection and d.delivery_id = u.id and d.state = 'waiting'""")


def due_inboxes(session: Session) -> list[ConnectionId]:
    """Connections with deliveries that wait and that no worker is at."""
    return [ConnectionId(value) for value in session.execute(_DUE).scalars()]


def claim_inbox(session: Session, connection_id: ConnectionId, lease_s: float) -> bool:
    """Have the deliveries of a connection for yourself; False if another worker has them."""
    names = {"tenant_id": session.tenant_id, "connection": connection_id, "lease_s": lease_s}
    return session.execute(_CLAIM, names).scalar_one_or_none() is not None


def renew_inbox(session: Session, connection_id: ConnectionId, lease_s: float) -> None:
    """Keep them for longer; 0 gives them back."""
    session.execute(_RENEW, {"connection": connection_id, "lease_s": lease_s})


def take_waiting(session: Session, connection_id: ConnectionId, limit: int) -> list[StoredDelivery]:
    """Deliveries whose time has come, those that wait longest first."""
    rows = session.execute(_TAKE, {"connection": connection_id, "limit": limit}).mappings()
    return [
        StoredDelivery(
            row["delivery_id"],
            WebhookKind(row["kind"]),
            row["correlation_id"],
            None if row["body"] is None else bytes(row["body"]),
            row["attempt"],
        )
        for row in rows
    ]


def settle(session: Session, connection_id: ConnectionId, outcomes: Sequence[Outcome]) -> None:
    """Write what became of deliveries."""
    if not outcomes:
        return
    names = {
        "connection": connection_id,
        "ids": [outcome.delivery_id for outcome in outcomes],
        "states": [_state(outcome) for outcome in outcomes],
        "delays": [outcome.delay_s for outcome in outcomes],
        "errors": [outcome.error for outcome in outcomes],
    }
    session.execute(_SETTLE, names)


def _state(outcome: Outcome) -> str:
    if outcome.delay_s is not None:
        return "waiting"
    return "handled" if outcome.error is None else "failed"


def update_watch(session: Session, connection_id: ConnectionId, values: Mapping[str, Any]) -> None:
    """Set columns of the watch of a connection, which is made on first use."""
    row = {"tenant_id": session.tenant_id, "connection_id": connection_id, **values}
    made = insert(connection_watch).values(row)
    keys = (connection_watch.c.tenant_id, connection_watch.c.connection_id)
    session.execute(made.on_conflict_do_update(index_elements=keys, set_=dict(values)))


_WANT_SYNC = text("""
  insert into calibr.connection_watch as w (tenant_id, connection_id, sync_wanted_since)
  values (:tenant_id, :connection, :now)
  on conflict (tenant_id, connection_id) do update
  set sync_wanted_since = coalesce(w.sync_wanted_since, excluded.sync_wanted_since)""")


def want_sync(session: Session, connection_id: ConnectionId) -> None:
    """Note that something came that only a sync can take in."""
    names = {"tenant_id": session.tenant_id, "connection": connection_id, "now": session.now}
    session.execute(_WANT_SYNC, names)


_DUE_WATCHES = text("""
  select c.id,
    :with_webhooks and coalesce(w.webhooks_next_at, '-infinity') <= clock_timestamp() as webhooks,
    :with_rereads and greatest(c.first_synced_at + make_interval(secs => :reread_s),
                               coalesce(w.reread_next_at, '-infinity')) <= clock_timestamp() as reread,
    w.sync_wanted_since is not null
      and greatest(w.sync_wanted_since + make_interval(secs => :sync_s),
                   c.last_synced_at + make_interval(secs => :sync_every_s)) <= clock_timestamp() as sync,
    :with_price_lists and c.last_synced_at is not null
      and (coalesce(w.price_lists_next_at, '-infinity') <= clock_timestamp()
           or c.last_synced_at > w.price_lists_begun_at and w.price_lists_read_at >= w.price_lists_begun_at)
      as price_lists
  from calibr.connection c
  left join calibr.connection_watch w on w.connection_id = c.id
  where c.state in ('active', 'failing')""")


def due_watches(session: Session, numbers: Mapping[str, Any]) -> dict[ConnectionId, set[str]]:
    """Connections of which something is due: `webhooks`, `reread`, `sync`, `price_lists`."""
    found: dict[ConnectionId, set[str]] = {}
    for row in session.execute(_DUE_WATCHES, dict(numbers)).mappings():
        due = {name for name in ("webhooks", "reread", "sync", "price_lists") if row[name]}
        if due:
            found[ConnectionId(row["id"])] = due
    return found


def lock_watch(session: Session, connection_id: ConnectionId) -> None:
    """Let nobody else look what is due at a connection until the end of the transaction."""
    row = {"tenant_id": session.tenant_id, "connection_id": connection_id}
    session.execute(insert(connection_watch).values(row).on_conflict_do_nothing())
    watch = select(connection_watch.c.connection_id).where(connection_watch.c.connection_id == connection_id)
    session.execute(watch.with_for_update())


def move_price_lists(session: Session, connection_id: ConnectionId, due_at: datetime, later: datetime) -> bool:
    """Move the next reading of price lists from `due_at` to `later`; False, and nothing done, if it is not due then."""
    ours = (connection_watch.c.connection_id == connection_id) & (connection_watch.c.price_lists_next_at == due_at)
    return session.execute(update(connection_watch).where(ours).values(price_lists_next_at=later)).rowcount == 1


def forget_deliveries(session: Session, kept_for: timedelta) -> int:
    """Delete deliveries that were worked in so long ago that the store sends them no more."""
    old = webhook_delivery.c.received_at < session.now - kept_for
    return session.execute(delete(webhook_delivery).where(old, webhook_delivery.c.state != "waiting")).rowcount


def forget_connection(session: Session, connection_id: ConnectionId) -> None:
    """Delete all deliveries of a connection, and what was watched."""
    session.execute(delete(webhook_delivery).where(webhook_delivery.c.connection_id == connection_id))
    session.execute(delete(connection_watch).where(connection_watch.c.connection_id == connection_id))


def insert_request(session: Session, values: Mapping[str, Any]) -> UUID | None:
    """Keep a request about people's data; None if the same one waits already."""
    row = {"tenant_id": session.tenant_id, **values}
    statement = insert(privacy_request).values(row).on_conflict_do_nothing().returning(privacy_request.c.id)
    return session.execute(statement).scalar_one_or_none()


def waiting_requests(session: Session) -> list[tuple[UUID, ConnectionId]]:
    """Requests that wait to be carried out, the oldest first."""
    wanted = select(privacy_request.c.id, privacy_request.c.connection_id).where(privacy_request.c.state == "waiting")
    return [(row.id, ConnectionId(row.connection_id)) for row in session.execute(wanted.order_by(privacy_request.c.id))]


def end_request(session: Session, request_id: UUID) -> None:
    """A request was carried out."""
    done = {"state": "done", "reason": None, "done_at": session.now}
    session.execute(update(privacy_request).where(privacy_request.c.id == request_id).values(done))


def explain_request(session: Session, request_id: UUID, reason: str) -> None:
    """Say why a request still waits."""
    session.execute(update(privacy_request).where(privacy_request.c.id == request_id).values(reason=reason))
