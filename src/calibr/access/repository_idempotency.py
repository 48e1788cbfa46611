"""The SQL of idempotency keys."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert

from calibr.access.model import RequestMark, StoredAnswer
from calibr.access.tables import idempotency
from calibr.core.errors import Conflict
from calibr.db import Session


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key whose request has ended."""

    request_hash: bytes
    status: int
    body: bytes
    headers: dict[str, str]


# Held to the end of the transaction, as the key's row is. Asking for it never waits: a duplicate in flight must not
# hold a connection, of which fifty at once would take all.
_IN_FLIGHT = text("select pg_try_advisory_xact_lock(hashtextextended(:key, :salt))")
_SALT = 0x69646B31


def insert_key(session: Session, mark: RequestMark) -> bool:
    """Insert the key; False if it exists. Raises Conflict `idempotency.in_flight` while the first one is in work."""
    names = {"key": f"{session.tenant_id} {mark.token_id} {mark.key}", "salt": _SALT}
    if not session.execute(_IN_FLIGHT, names).scalar_one():
        message = f"The first request with the idempotency key {mark.key!r} is still in work; try again."
        raise Conflict("idempotency.in_flight", message, retryable=True)
    values = {
        "tenant_id": session.tenant_id,
        "token_id": mark.token_id,
        "key": mark.key,
        "method": mark.method,
        "path": mark.path,
        "request_hash": mark.request_hash,
    }
    statement = insert(idempotency).values(values).on_conflict_do_nothing().returning(idempotency.c.key)
    return session.execute(statement).one_or_none() is not None


def get_answer(session: Session, mark: RequestMark) -> KeyRow | None:
    """The key with its answer, if there is one."""
    row = session.execute(select(idempotency).where(_is(mark))).mappings().one_or_none()
    return KeyRow(row["request_hash"], row["status"], row["response"], row["headers"]) if row is not None else None


def set_answer(session: Session, mark: RequestMark, answer: StoredAnswer) -> None:
    """Store the answer of the key."""
    values: dict[str, Any] = {"status": answer.status, "response": answer.body, "headers": answer.headers}
    session.execute(update(idempotency).where(_is(mark)).values(values))


def delete_before(session: Session, moment: datetime) -> int:
    """Delete keys made before a moment; return their number."""
    return session.execute(delete(idempotency).where(idempotency.c.created_at < moment)).rowcount


def _is(mark: RequestMark) -> ColumnElement[bool]:
    return and_(idempotency.c.token_id == mark.token_id, idempotency.c.key == mark.key)
