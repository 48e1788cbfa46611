"""Which webhooks a store sends us, page by page, and asking for more."""

import json
from collections.abc import Callable

import httpx2
import pytest

from calibr.connectors.port.webhooks import RegistersWebhooks, RemoteWebhook
from calibr.connectors.shopify.config import parse_config
from calibr.connectors.shopify.connector import ShopifyConnector
from calibr.core.errors import Upstream

URL = "https://calibr.example.com/v1/hooks/abc"


def connector(answer: Callable[[str, dict[str, object]], object]) -> ShopifyConnector:
    """A store that answers as `answer` says, by operation name and variables."""

    def respond(request: httpx2.Request) -> httpx2.Response:
        sent = json.loads(request.content)
        return httpx2.Response(200, json={"data": answer(sent["operationName"], sent["variables"])})

    config = parse_config({"shop_url": "https://shoes.myshopify.com"}, {"access_token": "shpat_x"})
    return ShopifyConnector(config, transport=httpx2.MockTransport(respond))


def test_all_pages_are_listed_with_the_topics_of_headers() -> None:
    def answer(_name: str, variables: dict[str, object]) -> object:
        first = variables["after"] is None
        nodes = [{"topic": "PRODUCTS_UPDATE", "uri": URL}, {"topic": "BULK_OPERATIONS_FINISH", "uri": URL}]
        if not first:
            nodes = [{"topic": "APP_SCOPES_UPDATE", "uri": URL}, {"topic": "ORDERS_PAID", "uri": "pubsub://p:t"}]
        return {
            "webhookSubscriptions": {
                "nodes": nodes,
                "pageInfo": {"hasNextPage": first, "endCursor": "c" if first else None},
            }
        }

    store = connector(answer)

    assert isinstance(store, RegistersWebhooks)
    assert store.list_webhooks() == [
        RemoteWebhook("products/update", URL),
        RemoteWebhook("bulk_operations/finish", URL),
        RemoteWebhook("app/scopes_update", URL),
        RemoteWebhook("ORDERS_PAID", "pubsub://p:t"),
    ]


def test_a_subscription_says_topic_and_address() -> None:
    sent: list[dict[str, object]] = []

    def answer(_name: str, variables: dict[str, object]) -> object:
        sent.append(variables)
        return {"webhookSubscriptionCreate": {"webhookSubscription": {"id": "gid://x/1"}, "userErrors": []}}

    connector(answer).subscribe_webhook("products/update", URL)

    assert sent == [{"topic": "PRODUCTS_UPDATE", "uri": URL}]


@pytest.mark.parametrize("message", ["Address for this topic has already been taken", "Address is not allowed"])
def test_what_is_there_already_is_fine_and_a_refusal_is_told(message: str) -> None:
    def answer(_name: str, _variables: dict[str, object]) -> object:
        errors = [{"field": ["webhookSubscription", "callbackUrl"], "message": message}]
        return {"webhookSubscriptionCreate": {"webhookSubscription": None, "userErrors": errors}}

    store = connector(answer)
    if "taken" in message:
        store.subscribe_webhook("products/update", URL)
        return
    with pytest.raises(Upstream, match="Address is not allowed") as caught:
        store.subscribe_webhook("products/update", URL)
    assert (caught.value.code, caught.value.retryable) == ("upstream.rejected", False)
