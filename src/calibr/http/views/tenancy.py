"""What the API shows of users, tokens and the caller."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from calibr.access import MintedToken, Principal, Scope, Token, User, UserRole, in_order


@dataclass(frozen=True, slots=True)
class TenantRef:
    """The tenant of the caller."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class UserRef:
    """The user that the token belongs to."""

    id: UUID
    name: str
    role: UserRole


@dataclass(frozen=True, slots=True)
class TokenRef:
    """The token that was used. `scopes` are those that count: of the token, and still allowed by the user's role."""

    id: UUID
    scopes: list[Scope]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Me:
    """Who is calling."""

    tenant: TenantRef
    user: UserRef
    token: TokenRef


@dataclass(frozen=True, slots=True)
class UserView:
    """A user."""

    id: UUID
    name: str
    role: UserRole
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token without its text."""

    id: UUID
    user_id: UUID
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class MintedTokenView:
    """A new token. `token` is its text, shown this once: a repeat of the request shows null."""

    id: UUID
    user_id: UUID
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime
    token: str | None


def me(principal: Principal) -> Me:
    """The view of the caller."""
    return Me(
        TenantRef(principal.tenant_id, principal.tenant_name),
        UserRef(principal.user_id, principal.user_name, principal.role),
        TokenRef(principal.token_id, in_order(principal.scopes), principal.token_expires_at),
    )


def user(found: User) -> UserView:
    """The view of a user."""
    return UserView(found.id, found.name, found.role, found.created_at, found.disabled_at)


def token(found: Token) -> TokenView:
    """The view of a token."""
    return TokenView(
        id=found.id,
        user_id=found.user_id,
        name=found.name,
        scopes=in_order(found.scopes),
        created_at=found.created_at,
        expires_at=found.expires_at,
        revoked_at=found.revoked_at,
        last_used_at=found.last_used_at,
    )


def minted(made: MintedToken, *, with_text: bool) -> MintedTokenView:
    """The view of a new token."""
    found = made.token
    return MintedTokenView(
        id=found.id,
        user_id=found.user_id,
        name=found.name,
        scopes=in_order(found.scopes),
        created_at=found.created_at,
        expires_at=found.expires_at,
        token=made.text.reveal() if with_text else None,
    )
