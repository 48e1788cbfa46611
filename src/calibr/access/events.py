"""The events of tenants, users and tokens. None of them carries a secret or a hash of one."""

from calibr.access.model import Token, User
from calibr.access.scopes import in_order
from calibr.core.ids import TenantId, UserId
from calibr.events import Event


def tenant_created(tenant_id: TenantId, name: str, admin: UserId) -> Event:
    """A tenant began."""
    return Event("tenant.created", "tenant", str(tenant_id), {"name": name, "admin_user_id": str(admin)})


def user_created(user: User) -> Event:
    """A user was added."""
    payload = {"user_id": str(user.id), "name": user.name, "role": user.role.value}
    return Event("user.created", "user", str(user.id), {**payload})


def token_created(token: Token) -> Event:
    """A token was made."""
    scopes = [scope.value for scope in in_order(token.scopes)]
    expires_at = token.expires_at.isoformat()
    facts = {"token_id": str(token.id), "user_id": str(token.user_id), "name": token.name, "expires_at": expires_at}
    return Event("token.created", "token", str(token.id), {**facts, "scopes": [*scopes]})


def token_revoked(token: Token) -> Event:
    """A token was revoked."""
    facts = {"token_id": str(token.id), "user_id": str(token.user_id), "name": token.name}
    return Event("token.revoked", "token", str(token.id), {**facts})
