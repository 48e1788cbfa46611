"""Writes connections, their secrets and health, and asks for syncs."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import bindparam, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from calibr.catalog.model import Connection, SyncRun
from calibr.catalog.tables import connection, secret, sync_run
from calibr.core.errors import NotFound
from calibr.core.ids import ConnectionId, SyncId
from calibr.db import Session

REPLACED: Final = "previous_"
"""How the names of secrets begin that were replaced by others."""
REPLACED_GOOD_FOR: Final = timedelta(hours=4)
"""How long what a store signed with a replaced secret may still arrive: it tries its deliveries again for so long."""

CONNECTION_COLUMNS = (
    connection.c.id, connection.c.kind, connection.c.name, connection.c.state, connection.c.config,
    connection.c.health, connection.c.created_at, connection.c.first_synced_at, connection.c.last_synced_at,
)  # fmt: skip
SYNC_COLUMNS = (
    sync_run.c.id, sync_run.c.connection_id, sync_run.c.state, sync_run.c.stage, sync_run.c.rows_read,
    sync_run.c.rows_total, sync_run.c.summary, sync_run.c.error, sync_run.c.requested_by, sync_run.c.correlation_id,
    sync_run.c.created_at, sync_run.c.finished_at, sync_run.c.forced, sync_run.c.mode, sync_run.c.since,
)  # fmt: skip


def insert_connection(session: Session, new: Mapping[str, Any]) -> Connection | None:
    """Insert a connection; None if the name is taken."""
    statement = insert_or_skip(connection).values(tenant_id=session.tenant_id, **new).on_conflict_do_nothing()
    row = session.execute(statement.returning(*CONNECTION_COLUMNS)).mappings().one_or_none()
    return Connection(**row) if row is not None else None


def insert_secrets(session: Session, connection_id: ConnectionId, sealed: Mapping[str, str]) -> None:
    """Keep sealed secrets of a new connection, by field."""
    rows = [
        {"tenant_id": session.tenant_id, "connection_id": connection_id, "field": field, "ciphertext": ciphertext}
        for field, ciphertext in sealed.items()
    ]
    if rows:
        session.execute(insert(secret), rows)


_SECRETS = select(secret.c.field, secret.c.ciphertext).where(
    secret.c.connection_id == bindparam("connection"),
    or_(~secret.c.field.startswith(REPLACED), secret.c.created_at >= bindparam("since")),
)


def load_secrets(session: Session, connection_id: ConnectionId) -> dict[str, str]:
    """The sealed secrets of a connection, by field; a replaced one for some hours only."""
    names = {"connection": connection_id, "since": session.now - REPLACED_GOOD_FOR}
    return {row.field: row.ciphertext for row in session.execute(_SECRETS, names)}


def update_health(session: Session, connection_id: ConnectionId, health: Mapping[str, Any]) -> None:
    """Keep the answer of a health check."""
    session.execute(update(connection).where(connection.c.id == connection_id).values(health=dict(health)))


def lock_state(session: Session, connection_id: ConnectionId) -> str:
    """The state of a connection, which nobody else changes until the end of the transaction. Raises NotFound."""
    query = select(connection.c.state).where(connection.c.id == connection_id).with_for_update()
    state: str | None = session.execute(query).scalar_one_or_none()
    if state is None:
        raise NotFound("connection.not_found", f"There is no connection {connection_id}.")
    return state


def update_state(session: Session, connection_id: ConnectionId, state: str) -> None:
    """Move a connection whose state is locked."""
    session.execute(update(connection).where(connection.c.id == connection_id).values(state=state))


_ERASE = (
    "delete from calibr.secret where connection_id = :connection",
    "update calibr.store_grant set account = null, scopes = '{}' where connection_id = :connection",
    """update calibr.product p
       set sku = null, title = null, vendor = null, product_type = null, status = null, tags = '{}', attributes = '{}',
         sku_norm = null, title_norm = null, vendor_norm = null, product_type_norm = null, status_norm = null,
         tags_norm = '{}', attributes_norm = '{}', active = false, updated_at = :now
       from calibr.listing l
       where l.connection_id = :connection and p.id = l.product_id
         and not exists (select from calibr.listing o where o.product_id = p.id and o.connection_id <> :connection)""",
    """update calibr.listing set active = false, fingerprint = null, vanished_at = coalesce(vanished_at, :now)
       where connection_id = :connection""",
    """update calibr.sync_finding f set value = null
       from calibr.sync_run r where r.connection_id = :connection and f.sync_id = r.id""",
    """update calibr.connection
       set name = 'erased ' || id, name_norm = 'erased ' || id, config = '{}', health = null, state = 'disabled'
       where id = :connection""",
)


def erase(session: Session, connection_id: ConnectionId) -> None:
    """Delete secrets and configuration, and empty the texts that came from the store."""
    for statement in _ERASE:
        session.execute(text(statement), {"connection": connection_id, "now": session.now})


def insert_sync(session: Session, connection_id: ConnectionId, *, forced: bool, mode: str) -> SyncRun | None:
    """Ask for a sync; None if the connection has one that has not ended."""
    statement = insert_or_skip(sync_run).values(
        tenant_id=session.tenant_id,
        connection_id=connection_id,
        forced=forced,
        mode=mode,
        requested_by=session.context.actor,
        correlation_id=session.context.correlation_id,
    )
    row = session.execute(statement.on_conflict_do_nothing().returning(*SYNC_COLUMNS)).mappings().one_or_none()
    return SyncRun(**row) if row is not None else None


def find_syncs(session: Session) -> list[SyncId]:
    """Syncs that wait for a worker, or whose worker has let its lease run out; the oldest first."""
    query = (
        select(sync_run.c.id)
        .where(
            sync_run.c.state.in_(("queued", "running")),
            (sync_run.c.lease_until.is_(None)) | (sync_run.c.lease_until < session.now),
        )
        .order_by(sync_run.c.id)
    )
    return [SyncId(value) for value in session.execute(query).scalars()]
