"""All SQL of tenants, users and tokens. The tenant comes from the session; every statement sees one tenant only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from calibr.access.model import Token, User
from calibr.access.scopes import Scope, UserRole, in_order
from calibr.access.tables import app_user, tenant, token
from calibr.core.ids import TokenId, UserId
from calibr.db import Session

USER_COLUMNS = (app_user.c.id, app_user.c.name, app_user.c.role, app_user.c.created_at, app_user.c.disabled_at)
TOKEN_COLUMNS = (
    token.c.id, token.c.user_id, token.c.name, token.c.scopes, token.c.created_at, token.c.expires_at,
    token.c.revoked_at, token.c.last_used_at,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Credential:
    """A token with what decides whether it is good."""

    token: Token
    secret_hash: bytes
    user: User
    tenant_name: str


def insert_tenant(session: Session, name: str) -> None:
    """Insert the session's tenant with an empty event log."""
    session.execute(insert(tenant).values(tenant_id=session.tenant_id, name=name))
    session.execute(text("insert into calibr.tenant_head(tenant_id) values (:id)"), {"id": session.tenant_id})


def insert_user(session: Session, name: str, role: UserRole) -> User | None:
    """Insert a user; None if the name is taken."""
    statement = insert_or_skip(app_user).values(tenant_id=session.tenant_id, name=name, role=role)
    row = session.execute(statement.on_conflict_do_nothing().returning(*USER_COLUMNS)).one_or_none()
    return _user(row) if row is not None else None


def find_user(session: Session, user_id: UserId) -> User | None:
    """The user, or None."""
    row = session.execute(select(*USER_COLUMNS).where(app_user.c.id == user_id)).one_or_none()
    return _user(row) if row is not None else None


def list_users(session: Session, *, after: UUID | None, limit: int) -> list[User]:
    """Users in the order of their ids, which is that of their creation."""
    query = select(*USER_COLUMNS).order_by(app_user.c.id).limit(limit)
    if after is not None:
        query = query.where(app_user.c.id > after)
    return [_user(row) for row in session.execute(query)]


def insert_token(session: Session, made: Token, secret_hash: bytes) -> None:
    """Insert a token; only the hash of its secret is stored."""
    session.execute(
        insert(token).values(
            tenant_id=session.tenant_id,
            id=made.id,
            user_id=made.user_id,
            name=made.name,
            secret_hash=secret_hash,
            scopes=[scope.value for scope in in_order(made.scopes)],
            created_at=made.created_at,
            expires_at=made.expires_at,
        )
    )


def find_token(session: Session, token_id: TokenId, *, for_update: bool = False) -> Token | None:
    """The token, or None."""
    query = select(*TOKEN_COLUMNS).where(token.c.id == token_id)
    row = session.execute(query.with_for_update() if for_update else query).one_or_none()
    return _token(row) if row is not None else None


def list_tokens(session: Session, *, after: UUID | None, limit: int) -> list[Token]:
    """Tokens in the order of their ids, which is that of their creation; revoked and expired ones too."""
    query = select(*TOKEN_COLUMNS).order_by(token.c.id).limit(limit)
    if after is not None:
        query = query.where(token.c.id > after)
    return [_token(row) for row in session.execute(query)]


def set_revoked(session: Session, token_id: TokenId) -> None:
    """Revoke at the time of the transaction."""
    session.execute(update(token).where(token.c.id == token_id).values(revoked_at=session.now))


def find_credential(session: Session, token_id: TokenId) -> Credential | None:
    """The token with its user and tenant, or None."""
    query = (
        select(*TOKEN_COLUMNS, *USER_COLUMNS, token.c.secret_hash, tenant.c.name)
        .join(app_user, (app_user.c.tenant_id == token.c.tenant_id) & (app_user.c.id == token.c.user_id))
        .join(tenant, tenant.c.tenant_id == token.c.tenant_id)
        .where(token.c.id == token_id)
    )
    row = session.execute(query).one_or_none()
    if row is None:
        return None
    values, split = list(row), len(TOKEN_COLUMNS)
    return Credential(_token(values[:split]), values[-2], _user(values[split:-2]), values[-1])


def touch_token(session: Session, token_id: TokenId, *, not_since: datetime) -> None:
    """Note the use of a token unless another request did after `not_since` (so at most once in that time)."""
    stale = or_(token.c.last_used_at.is_(None), token.c.last_used_at < not_since)
    session.execute(update(token).where(token.c.id == token_id, stale).values(last_used_at=session.now))


def _user(row: Sequence[Any]) -> User:
    id_, name, role, created_at, disabled_at = row
    return User(UserId(id_), name, UserRole(role), created_at, disabled_at)


def _token(row: Sequence[Any]) -> Token:
    """A stored scope that this version does not know gives no right."""
    id_, user_id, name, scopes, created_at, expires_at, revoked_at, last_used_at = row
    return Token(
        id=TokenId(id_),
        user_id=UserId(user_id),
        name=name,
        scopes=frozenset(scope for scope in Scope if scope.value in scopes),
        created_at=created_at,
        expires_at=expires_at,
        revoked_at=revoked_at,
        last_used_at=last_used_at,
    )
