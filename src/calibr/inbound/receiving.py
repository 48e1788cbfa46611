"""Takes one delivery in: whose it is, whether it came before, and a durable copy of it. What it means comes later."""

from collections.abc import Mapping
from uuid import NAMESPACE_URL, UUID, uuid5

from calibr.catalog import connection_secrets, get_connection
from calibr.connectors.port.webhooks import WebhookDelivery, WebhookReader
from calibr.core.errors import Invalid, NotFound
from calibr.core.ids import new_uuid
from calibr.db import Context, Database
from calibr.inbound.address import HookAddress
from calibr.inbound.repository import store_delivery
from calibr.vault import Vault

ACTOR = "system:webhook"
Readers = Mapping[str, WebhookReader]
"""What understands deliveries, by kind of connector."""


def receive(
    database: Database, vault: Vault, readers: Readers, address: str, delivery: tuple[Mapping[str, str], bytes]
) -> bool:
    """Store a delivery (headers, raw body) that is the store's; False if it came before. One small transaction.

    Raises NotFound `webhook.no_such_address`, Unauthenticated for a bad signature and Invalid for bad headers or a
    body that is too long; then nothing is stored.
    """
    headers, body = delivery
    found = HookAddress.parse(address, vault)
    if found is None:
        raise _nowhere()
    with database.session(Context(found.tenant_id, ACTOR, new_uuid())) as session:
        connection = get_connection(session, found.connection_id)
        reader = readers.get(connection.kind)
        if reader is None:
            raise _nowhere()
        if len(body) > reader.max_body_bytes:
            raise Invalid("request.too_large", f"The body has more than {reader.max_body_bytes} bytes.")
        secrets = connection_secrets(session, connection.id, vault)
        known = reader.authenticate(headers, body, connection.config, secrets)
        return store_delivery(session, connection.id, known, _story(known), body)


def _story(delivery: WebhookDelivery) -> UUID:
    """The correlation id: the store's event id, which is a UUID; any other text gives one that is always the same."""
    if delivery.event_id is None:
        return new_uuid()
    try:
        return UUID(delivery.event_id)
    except ValueError:
        return uuid5(NAMESPACE_URL, f"calibr:webhook-event:{delivery.event_id}")


def _nowhere() -> NotFound:
    return NotFound("webhook.no_such_address", "There is no connection at this address.")
