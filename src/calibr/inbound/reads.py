"""What is known of a connection's webhooks and samples, and of requests about people's data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from calibr.core.ids import ConnectionId
from calibr.db import Session
from calibr.inbound.model import Watch
from calibr.inbound.tables import connection_watch, privacy_request

_NAMES = (
    "webhooks", "webhooks_problem", "webhooks_checked_at", "reread_at", "reread_listings", "reread_differing",
    "sync_wanted_since", "uninstalled_at", "price_lists_begun_at", "price_lists_read_at",
    "price_lists_problem",
)  # fmt: skip
_DELIVERIES = text("""
  select count(*) filter (where state = 'waiting') as waiting, count(*) filter (where state = 'failed') as failed,
         max(received_at) as last_received_at
  from calibr.webhook_delivery where connection_id = :connection""")


@dataclass(frozen=True, slots=True)
class PrivacyRequest:
    """What a platform asked for on behalf of the people behind a store's data."""

    id: UUID
    connection_id: UUID
    kind: str
    state: str
    reason: str | None
    received_at: datetime
    done_at: datetime | None


def get_watch(session: Session, connection_id: ConnectionId) -> Watch:
    """What is watched at a connection, and how many deliveries wait or failed."""
    wanted = select(*(connection_watch.c[name] for name in _NAMES)).where(
        connection_watch.c.connection_id == connection_id
    )
    row = session.execute(wanted).mappings().one_or_none()
    known: Mapping[str, Any] = {} if row is None else {str(name): value for name, value in row.items()}
    counts = session.execute(_DELIVERIES, {"connection": connection_id}).mappings().one()
    return Watch(connection_id=connection_id, **known, **counts)


def list_requests(session: Session, *, after: UUID | None, limit: int) -> Sequence[PrivacyRequest]:
    """Requests about people's data, by age."""
    columns = [column for column in privacy_request.c if column.name != "tenant_id"]
    wanted = select(*columns).order_by(privacy_request.c.id).limit(limit)
    if after is not None:
        wanted = wanted.where(privacy_request.c.id > after)
    return [PrivacyRequest(**row) for row in session.execute(wanted).mappings()]
