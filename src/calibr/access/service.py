"""Commands on tenants, users and tokens. Each is one transaction with its events."""

import unicodedata
from datetime import timedelta

from calibr.access import events, repository
from calibr.access.model import MintedToken, NewTenant, NewToken, Principal, Token, User
from calibr.access.scopes import ROLE_SCOPES, Scope, UserRole, in_order
from calibr.access.token_text import TokenText
from calibr.core.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from calibr.core.ids import TenantId, TokenId, UserId, new_uuid
from calibr.db import Context, Database, Session
from calibr.events import emit

NAME_LENGTH = 200
MAX_EXPIRY_DAYS = 365
BIDI_CONTROLS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def create_tenant(database: Database, *, name: str, admin_name: str) -> NewTenant:
    """Make a tenant with an admin and a token for them, in one transaction. The only command that needs no token."""
    tenant_id = TenantId(new_uuid())
    context = Context(tenant_id, actor="system:setup", correlation_id=new_uuid())
    tenant_name = checked_name(name, "name")
    with database.session(context) as session:
        repository.insert_tenant(session, tenant_name)
        database.register_tenant(session)
        admin = _insert_user(session, checked_name(admin_name, "admin_name"), UserRole.ADMIN)
        emit(session, events.tenant_created(tenant_id, tenant_name, admin.id), events.user_created(admin))
        minted = _insert_token(session, admin, NewToken("first token"), ROLE_SCOPES[admin.role])
    return NewTenant(tenant_id, admin.id, minted.text)


def create_user(session: Session, *, name: str, role: UserRole) -> User:
    """Add a user. Raises Conflict `user.name_taken`."""
    user = _insert_user(session, checked_name(name, "name"), role)
    emit(session, events.user_created(user))
    return user


def mint_token(session: Session, creator: Principal, wanted: NewToken) -> MintedToken:
    """Make a token. Its scopes are never wider than the creator's own token or than the user's role.

    Raises:
        NotFound: `user.not_found`.
        Conflict: `user.disabled`.
        Invalid: `token.expiry`, `token.name`, or `token.scopes` for an empty list.
        Forbidden: `token.too_wide`, naming the scopes.
    """
    user_id = wanted.user_id or creator.user_id
    user = repository.find_user(session, user_id)
    if user is None:
        raise NotFound("user.not_found", f"There is no user {user_id}.")
    if user.disabled_at is not None:
        raise Conflict("user.disabled", f"User {user_id} is disabled and gets no token.")
    return _insert_token(session, user, wanted, _granted(creator, user, wanted.scopes))


def revoke_token(session: Session, token_id: TokenId) -> None:
    """Make a token useless from now on. Revoking it again changes nothing. Raises NotFound `token.not_found`."""
    token = repository.find_token(session, token_id, for_update=True)
    if token is None:
        raise NotFound("token.not_found", f"There is no token {token_id}.")
    if token.revoked_at is None:
        repository.set_revoked(session, token_id)
        emit(session, events.token_revoked(token))


def list_users(session: Session, *, after: UserId | None, limit: int) -> list[User]:
    """Users, oldest first."""
    return repository.list_users(session, after=after, limit=limit)


def list_tokens(session: Session, *, after: TokenId | None, limit: int) -> list[Token]:
    """Tokens without their secrets, oldest first; revoked and expired ones too."""
    return repository.list_tokens(session, after=after, limit=limit)


def checked_name(name: str, field: str) -> str:
    """The name without outer spaces. Raises Invalid `name.invalid`, naming the field and the rule."""
    stripped = name.strip()
    if stripped and len(stripped) <= NAME_LENGTH and not any(map(_is_hidden, stripped)):
        return stripped
    rule = f"1 to {NAME_LENGTH} characters, no control characters"
    fault = Fault(path=f"$.{field}", value=ascii(name[:80]), rule=rule)
    raise Invalid("name.invalid", f"{fault.path} is {fault.value}: it must have {rule}.", faults=(fault,))


def _is_hidden(character: str) -> bool:
    """Control characters, halves of pairs, and what turns the direction of the text around it."""
    return (
        unicodedata.category(character) in {"Cc", "Cs", "Cn"} or unicodedata.bidirectional(character) in BIDI_CONTROLS
    )


def _insert_user(session: Session, name: str, role: UserRole) -> User:
    user = repository.insert_user(session, name, role)
    if user is None:
        raise Conflict("user.name_taken", f"There is a user {name!r} already.")
    return user


def _granted(creator: Principal, user: User, wanted: frozenset[Scope] | None) -> frozenset[Scope]:
    allowed = creator.scopes & ROLE_SCOPES[user.role]
    if wanted is not None and not wanted <= allowed:
        excess = ", ".join(in_order(wanted - allowed))
        role = f"the role {user.role.value} of the user allows"
        raise Forbidden(
            "token.too_wide", f"A token cannot have {excess}: neither wider than your token nor than {role}."
        )
    granted = allowed if wanted is None else wanted
    if not granted:
        fault = Fault(path="$.scopes", value="an empty list", rule="at least one scope")
        raise Invalid("token.scopes", "$.scopes: a token needs at least one scope.", faults=(fault,))
    return granted


def _insert_token(session: Session, user: User, wanted: NewToken, scopes: frozenset[Scope]) -> MintedToken:
    days = wanted.expires_in_days
    if not 1 <= days <= MAX_EXPIRY_DAYS:
        rule = f"from 1 to {MAX_EXPIRY_DAYS} days"
        fault = Fault(path="$.expires_in_days", value=str(days), rule=rule)
        raise Invalid("token.expiry", f"{fault.path} is {days}: a token lives {rule}.", faults=(fault,))
    text = TokenText.new(session.tenant_id, TokenId(new_uuid()))
    token = Token(
        id=text.token_id,
        user_id=user.id,
        name=checked_name(wanted.name, "name"),
        scopes=scopes,
        created_at=session.now,
        expires_at=session.now + timedelta(days=days),
        revoked_at=None,
        last_used_at=None,
    )
    repository.insert_token(session, token, text.secret_hash())
    emit(session, events.token_created(token))
    return MintedToken(token, text.as_secret())
