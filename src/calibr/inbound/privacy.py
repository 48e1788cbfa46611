"""What a platform asks for on behalf of people: recorded with its event, and carried out where there is anything.

No customer data is ever taken in, so requests about customers end at once. A store's own data is erased when its app is
certainly gone: never while the store still lets us in.
"""

from types import MappingProxyType
from typing import Final
from uuid import UUID

from calibr import catalog
from calibr.connectors.port.webhooks import WebhookKind
from calibr.core.ids import ConnectionId
from calibr.db import Session
from calibr.events import Event, JsonValue, emit
from calibr.inbound.reads import get_watch
from calibr.inbound.repository import end_request, explain_request, forget_connection, insert_request

KINDS: Final = MappingProxyType({
    WebhookKind.DATA_REQUEST: "data_request",
    WebhookKind.CUSTOMER_REDACT: "customer_redact",
    WebhookKind.SHOP_REDACT: "shop_redact",
})  # fmt: skip


def note_request(session: Session, connection_id: ConnectionId, kind: WebhookKind) -> None:
    """Record a request. Emits `privacy.requested`, and `privacy.carried_out` where nothing is held."""
    name = KINDS[kind]
    waits = kind is WebhookKind.SHOP_REDACT
    values = {
        "connection_id": connection_id,
        "kind": name,
        "state": "waiting" if waits else "done",
        "done_at": None if waits else session.now,
    }
    request_id = insert_request(session, values)
    if request_id is None:
        return
    _tell(session, "privacy.requested", request_id, {"connection_id": str(connection_id), "kind": name})
    if not waits:
        _tell_done(session, request_id, connection_id, name)


def why_not_erased(session: Session, connection_id: ConnectionId) -> str | None:
    """Why the data of a store must stay for now; None if the app was removed."""
    state = catalog.get_connection(session, connection_id).state
    if state not in {"uninstalled", "disabled"} or get_watch(session, connection_id).uninstalled_at is None:
        return "the store has not said that the app was removed"
    return None


def keep_waiting(session: Session, request_id: UUID, reason: str) -> None:
    """Say why a request is not carried out yet."""
    explain_request(session, request_id, reason)


def erase(session: Session, request_id: UUID, connection_id: ConnectionId) -> None:
    """Erase a store's data and end the request. Emits `privacy.carried_out`."""
    catalog.erase_connection(session, connection_id)
    forget_connection(session, connection_id)
    end_request(session, request_id)
    _tell_done(session, request_id, connection_id, KINDS[WebhookKind.SHOP_REDACT])


def _tell_done(session: Session, request_id: UUID, connection_id: ConnectionId, kind: str) -> None:
    erased = kind == KINDS[WebhookKind.SHOP_REDACT]
    payload: dict[str, JsonValue] = {"connection_id": str(connection_id), "kind": kind, "erased": erased}
    _tell(session, "privacy.carried_out", request_id, payload)


def _tell(session: Session, event: str, request_id: UUID, payload: dict[str, JsonValue]) -> None:
    emit(session, Event(event, "privacy_request", str(request_id), payload))
