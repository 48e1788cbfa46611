"""On whose behalf a transaction runs, and the signature that the database checks before it shows a single row."""

import hmac
from dataclasses import dataclass
from uuid import UUID

from calibr.core.ids import TenantId


@dataclass(frozen=True, slots=True)
class Context:
    """The tenant, the actor (`user:<uuid>` or `system:<word>`) and the ids that tie one story together."""

    tenant_id: TenantId
    actor: str
    correlation_id: UUID
    causation_id: UUID | None = None
    request_id: str | None = None


def signed(tenant_id: TenantId, binding: str, key: bytes) -> str:
    """Return `<tenant>.<mac>`, the value of `calibr.ctx`.

    `binding` is what `sec.binding()` says in this transaction: a context that leaks is worth nothing in any other.
    """
    message = f"{tenant_id}.{binding}"
    return f"{tenant_id}.{hmac.digest(key, message.encode(), 'sha256').hex()}"
