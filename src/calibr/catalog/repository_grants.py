"""Reads and writes what stores issued: the grant of a connection, its sealed tokens, and consents under way."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from calibr.catalog.tables import consent_attempt, secret, store_grant
from calibr.core.ids import ConnectionId
from calibr.db import Session

_LOCK_WAIT = "set local lock_timeout = '30s'"
"""Whoever holds the row may be waiting for a store that is slow to give a token; requests wait for it that long."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What is known of the token that a connection holds, without the token."""

    generation: int
    account: str | None
    scopes: tuple[str, ...]
    obtained_at: datetime | None
    expires_at: datetime | None
    refresh_expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent that was asked for and not used yet."""

    connection_id: ConnectionId
    redirect_uri: str
    requested_by: str
    correlation_id: UUID
    expires_at: datetime


_GRANT = (
    store_grant.c.generation, store_grant.c.account, store_grant.c.scopes, store_grant.c.obtained_at,
    store_grant.c.expires_at, store_grant.c.refresh_expires_at,
)  # fmt: skip


def find_grant(session: Session, connection_id: ConnectionId) -> Grant | None:
    """The grant of a connection, if it ever had one."""
    row = session.execute(select(*_GRANT).where(store_grant.c.connection_id == connection_id)).one_or_none()
    return None if row is None else _grant(row)


def lock_grant(session: Session, connection_id: ConnectionId) -> Grant:
    """Be the only one who asks for a token of this connection until the end of the transaction."""
    session.execute(text(_LOCK_WAIT))
    session.may_stand_still()  # who was stopped with a new pair in hand must still keep it: the old one is void
    made = insert(store_grant).values(tenant_id=session.tenant_id, connection_id=connection_id)
    session.execute(made.on_conflict_do_nothing())
    query = select(*_GRANT).where(store_grant.c.connection_id == connection_id).with_for_update()
    return _grant(session.execute(query).one())


def find_secrets_revision(session: Session, connection_id: ConnectionId) -> int:
    """How often a person gave the connection another credential."""
    query = select(store_grant.c.secrets_revision).where(store_grant.c.connection_id == connection_id)
    return session.execute(query).scalar_one_or_none() or 0


def end_issued(session: Session, connection_id: ConnectionId) -> None:
    """What was issued for the credential so far is not used any more. The grant is locked."""
    revision = store_grant.c.secrets_revision + 1
    update_grant(session, connection_id, {"expires_at": session.now, "secrets_revision": revision})


def update_grant(session: Session, connection_id: ConnectionId, values: Mapping[str, Any]) -> None:
    """Change the grant of a connection."""
    session.execute(update(store_grant).where(store_grant.c.connection_id == connection_id).values(**values))


def lock_account(session: Session, account: str) -> ConnectionId | None:
    """The connection that holds the pair of tokens of an account; nobody else may take it until this ends."""
    session.execute(text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"account {account}"})
    query = select(store_grant.c.connection_id).where(store_grant.c.account == account)
    found: UUID | None = session.execute(query).scalar_one_or_none()
    return None if found is None else ConnectionId(found)


def upsert_secrets(session: Session, connection_id: ConnectionId, sealed: Mapping[str, str]) -> None:
    """Keep sealed secrets in place of those that had the same names."""
    for field, ciphertext in sorted(sealed.items()):
        row = {"tenant_id": session.tenant_id, "connection_id": connection_id, "field": field, "ciphertext": ciphertext}
        statement = insert(secret).values(row)
        key = (secret.c.tenant_id, secret.c.connection_id, secret.c.field)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=key, set_={"ciphertext": ciphertext, "created_at": session.now}
            )
        )


def insert_consent(
    session: Session, connection_id: ConnectionId, state_hash: bytes, redirect_uri: str, lives: timedelta
) -> datetime:
    """Note a consent that is asked for, and forget those of this connection that ran out. Returns when it runs out."""
    old = (consent_attempt.c.connection_id == connection_id, consent_attempt.c.expires_at < session.now)
    session.execute(delete(consent_attempt).where(*old))
    expires_at = session.now + lives
    values = {
        "connection_id": connection_id,
        "state_hash": state_hash,
        "redirect_uri": redirect_uri,
        "requested_by": session.context.actor,
        "correlation_id": session.context.correlation_id,
        "expires_at": expires_at,
    }
    session.execute(insert(consent_attempt).values(tenant_id=session.tenant_id, **values))
    return expires_at


def find_consent(session: Session, state_hash: bytes) -> Consent | None:
    """A consent that still may be used."""
    columns = (
        consent_attempt.c.connection_id, consent_attempt.c.redirect_uri, consent_attempt.c.requested_by,
        consent_attempt.c.correlation_id, consent_attempt.c.expires_at,
    )  # fmt: skip
    row = session.execute(select(*columns).where(*_open(session, state_hash))).mappings().one_or_none()
    return None if row is None else Consent(**row)


def use_consent(session: Session, state_hash: bytes) -> bool:
    """Use a consent up; False if somebody else did, or it ran out."""
    statement = update(consent_attempt).where(*_open(session, state_hash)).values(used_at=func.clock_timestamp())
    return session.execute(statement).rowcount == 1


def _open(session: Session, state_hash: bytes) -> tuple[Any, ...]:
    return (
        consent_attempt.c.state_hash == state_hash,
        consent_attempt.c.used_at.is_(None),
        consent_attempt.c.expires_at > session.now,
    )


def _grant(row: Any) -> Grant:  # noqa: ANN401 - a row of the driver
    return Grant(
        row.generation, row.account, tuple(row.scopes), row.obtained_at, row.expires_at, row.refresh_expires_at
    )
