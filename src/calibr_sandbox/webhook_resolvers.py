"""`webhookSubscription...`: subscriptions over the API, as an app reads them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

from calibr_sandbox.config import API_VERSION
from calibr_sandbox.connections import Page, Place, by_id, page_arguments, window
from calibr_sandbox.context import Info
from calibr_sandbox.errors import BadRequestError
from calibr_sandbox.fields import Getter, ShopContext, timestamp
from calibr_sandbox.ids import gid
from calibr_sandbox.queries import number_of
from calibr_sandbox.search import WEBHOOK_FIELDS, Filter, SearchError, parse_search
from calibr_sandbox.webhook_subscriptions import SubscriptionRow, find_subscription, list_subscriptions
from calibr_sandbox.webhook_writes import ANYWHERE, EVENT_BRIDGE, PUB_SUB, resolve_delete

_APP: Final = "$app"


class HttpEndpoint(NamedTuple):
    """An address on the web."""

    callback_url: str


class EventBridgeEndpoint(NamedTuple):
    """An event source of Amazon EventBridge."""

    arn: str


class PubSubEndpoint(NamedTuple):
    """A topic of Google Pub/Sub."""

    project: str
    topic: str


def _subscription(_root: object, info: Info, id: str) -> SubscriptionRow | None:  # noqa: A002
    return find_subscription(info.context.store, number_of(id, "WebhookSubscription"))


def _subscriptions(_root: object, info: Info, **arguments: Any) -> Page:  # noqa: ANN401 - a field's arguments
    address = arguments.get("uri") or arguments.get("callbackUrl")
    topics, shape = arguments.get("topics"), arguments.get("format")
    rows = [
        row
        for row in list_subscriptions(info.context.store, _filter(arguments))
        if address in {None, row.uri} and (not topics or row.topic in topics) and shape in {None, row.format}
    ]
    key: Callable[[SubscriptionRow], Place] = by_id if arguments.get("sortKey") == "ID" else _by_creation
    return window(rows, page_arguments(arguments), key)


def _count(_root: object, info: Info, **arguments: Any) -> dict[str, object]:  # noqa: ANN401
    total, limit = len(list_subscriptions(info.context.store, _filter(arguments))), arguments.get("limit")
    if limit is not None and total > limit:
        return {"count": limit, "precision": "AT_LEAST"}
    return {"count": total, "precision": "EXACT"}


def find_node(info: Info, type_name: str, number: int) -> object | None:
    """Return the subscription that a global id names, or None."""
    return find_subscription(info.context.store, number) if type_name == "WebhookSubscription" else None


def _filter(arguments: dict[str, Any]) -> Filter:
    try:
        return parse_search(arguments.get("query"), WEBHOOK_FIELDS)
    except SearchError as error:
        raise BadRequestError(str(error)) from error


def _by_creation(row: SubscriptionRow) -> Place:
    return (f"{datetime.fromtimestamp(row.created_at, UTC):%Y-%m-%d %H:%M:%S}.000000", row.id)


def _identifier(given: dict[str, str | None], shop: ShopContext) -> dict[str, str | None]:
    """A metafield that a subscription names: without a namespace, or in `$app`, it is one that only the app sees."""
    namespace, own = given.get("namespace") or _APP, f"app--{shop.config.client_id}"
    if namespace == _APP or namespace.startswith(f"{_APP}:"):
        namespace = own + namespace.removeprefix(_APP).replace(":", "--", 1)
    return {"key": given["key"], "namespace": namespace}


def _endpoint(row: SubscriptionRow, _shop: object) -> HttpEndpoint | EventBridgeEndpoint | PubSubEndpoint:
    if row.uri.startswith("arn:"):
        return EventBridgeEndpoint(row.uri)
    if row.uri.startswith("pubsub://"):
        project, _, topic = row.uri.removeprefix("pubsub://").rpartition(":")
        return PubSubEndpoint(project, topic)
    return HttpEndpoint(row.uri)


RESOLVERS: Final[dict[str, dict[str, Callable[..., Any]]]] = {
    "QueryRoot": {
        "webhookSubscription": _subscription,
        "webhookSubscriptions": _subscriptions,
        "webhookSubscriptionsCount": _count,
    },
    "Mutation": {
        "webhookSubscriptionCreate": ANYWHERE.create,
        "webhookSubscriptionUpdate": ANYWHERE.update,
        "webhookSubscriptionDelete": resolve_delete,
        "eventBridgeWebhookSubscriptionCreate": EVENT_BRIDGE.create,
        "eventBridgeWebhookSubscriptionUpdate": EVENT_BRIDGE.update,
        "pubSubWebhookSubscriptionCreate": PUB_SUB.create,
        "pubSubWebhookSubscriptionUpdate": PUB_SUB.update,
    },
}
GETTERS: Final[dict[str, dict[str, Getter]]] = {
    "WebhookSubscription": {
        "id": lambda row, _: gid("WebhookSubscription", row.id),
        "legacyResourceId": lambda row, _: str(row.id),
        "topic": lambda row, _: row.topic,
        "uri": lambda row, _: row.uri,
        "callbackUrl": lambda row, _: row.uri,
        "endpoint": _endpoint,
        "format": lambda row, _: row.format,
        "filter": lambda row, _: row.filter,
        "includeFields": lambda row, _: row.fields(),
        "metafieldNamespaces": lambda row, _: orjson.loads(row.metafield_namespaces),
        "metafields": lambda row, shop: [_identifier(each, shop) for each in orjson.loads(row.metafields)],
        "name": lambda row, _: row.name,
        "apiVersion": lambda _row, _shop: {
            "handle": API_VERSION,
            "displayName": f"{API_VERSION} (Latest)",
            "supported": True,
        },
        "createdAt": lambda row, _: timestamp(row.created_at),
        "updatedAt": lambda row, _: timestamp(row.updated_at),
    },
    "WebhookHttpEndpoint": {"callbackUrl": lambda row, _: row.callback_url},
    "WebhookEventBridgeEndpoint": {"arn": lambda row, _: row.arn},
    "WebhookPubSubEndpoint": {"pubSubProject": lambda row, _: row.project, "pubSubTopic": lambda row, _: row.topic},
}
TYPE_OF_ROW: Final[dict[type, str]] = {
    SubscriptionRow: "WebhookSubscription",
    HttpEndpoint: "WebhookHttpEndpoint",
    EventBridgeEndpoint: "WebhookEventBridgeEndpoint",
    PubSubEndpoint: "WebhookPubSubEndpoint",
}
