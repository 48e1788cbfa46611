"""Which webhooks this app gets from a store, and asking for more."""

from typing import Final

from calibr.connectors.port.webhooks import RemoteWebhook
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.documents import SUBSCRIBE_WEBHOOK, WEBHOOKS
from calibr.connectors.shopify.errors import PROTOCOL, CallError, RefusedError
from calibr.connectors.shopify.pages import read_pages
from calibr.connectors.shopify.shapes import as_list, as_object, as_text

REJECTED: Final = "upstream.rejected"
PAGE: Final = 100
MAX_PAGES: Final = 20
_TAKEN: Final = "already been taken"


def list_webhooks(client: ShopifyClient, until: float) -> list[RemoteWebhook]:
    """All subscriptions of this app at the store. Raises `CallError`."""
    pages = read_pages(client, WEBHOOKS, {}, lambda data: data.get("webhookSubscriptions"), points=PAGE, until=until)
    found: list[RemoteWebhook] = []
    for number, page in enumerate(pages):
        if number == MAX_PAGES:
            raise CallError(PROTOCOL, f"Shopify lists more than {PAGE * MAX_PAGES} webhook subscriptions.")
        shown = ((as_text(each.get("topic"), "topic"), as_text(each.get("uri"), "uri")) for each in page)
        found += [RemoteWebhook(_topic(topic), uri) for topic, uri in shown]
    return found


def subscribe_webhook(client: ShopifyClient, topic: str, url: str, until: float) -> None:
    """Subscribe. Raises `CallError`, `upstream.rejected` with the store's reason when it refuses."""
    data = client.insist(SUBSCRIBE_WEBHOOK, {"topic": _enum(topic), "uri": url}, rows=1, until=until)
    payload = as_object(data.get("webhookSubscriptionCreate"), "webhookSubscriptionCreate")
    errors = [as_object(error, "userError") for error in as_list(payload.get("userErrors"), "userErrors")]
    said = [as_text(error.get("message"), "message") for error in errors]
    if said and not all(_TAKEN in each for each in said):
        raise RefusedError(REJECTED, f"Shopify does not send {topic} to this address: {'; '.join(said)[:300]}")


_TOPICS: Final = ("app/", "bulk_operations/", "products/", "customers/", "shop/")


def _enum(topic: str) -> str:
    return topic.upper().replace("/", "_")


def _topic(name: str) -> str:
    """The topic as headers write it, by its first part; others keep the name of the API."""
    lower = name.lower()
    start = next((each for each in _TOPICS if lower.startswith(each.replace("/", "_"))), None)
    return name if start is None else start + lower[len(start) :]
