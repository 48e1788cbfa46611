"""Users, tokens, who is asking, and what makes two requests the same one, as plain values."""

from dataclasses import dataclass, field
from datetime import datetime

from calibr.access.scopes import Scope, UserRole
from calibr.core.ids import TenantId, TokenId, UserId
from calibr.monitor import Secret


@dataclass(frozen=True, slots=True)
class User:
    """A person or a machine of a tenant."""

    id: UserId
    name: str
    role: UserRole
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token without its secret, which nobody can read again."""

    id: TokenId
    user_id: UserId
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking, proved by a token. `scopes` are those of the token that the user's role still allows."""

    tenant_id: TenantId
    tenant_name: str
    user_id: UserId
    user_name: str
    role: UserRole
    token_id: TokenId
    token_expires_at: datetime
    scopes: frozenset[Scope]

    @property
    def actor(self) -> str:
        """How events and logs name the user."""
        return f"user:{self.user_id}"


@dataclass(frozen=True, slots=True)
class NewToken:
    """What is asked for when a token is made. None: for oneself; the most that is allowed."""

    name: str
    user_id: UserId | None = None
    scopes: frozenset[Scope] | None = None
    expires_in_days: int = 90


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A new token with its text, which is shown once."""

    token: Token
    text: Secret


@dataclass(frozen=True, slots=True)
class NewTenant:
    """A new tenant with its first user, an admin, and the text of that user's token."""

    tenant_id: TenantId
    user_id: UserId
    token: Secret


@dataclass(frozen=True, slots=True)
class RequestMark:
    """What makes a request the same one: the key that the client chose, and a hash over method, path and body."""

    token_id: TokenId
    key: str
    method: str
    path: str
    request_hash: bytes


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The answer as it was sent first."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
