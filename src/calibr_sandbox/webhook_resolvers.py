"""`webhookSubscription...`: subscriptions over the API, as an app makes, reads, changes and ends them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

from calibr_sandbox.config import API_VERSION
from calibr_sandbox.connections import Page, Place, by_id, page_arguments, window
from calibr_sandbox.context import Info
from calibr_sandbox.errors import BadRequestError
from calibr_sandbox.fields import Getter, timestamp
from calibr_sandbox.ids import gid
from calibr_sandbox.queries import number_of
from calibr_sandbox.search import WEBHOOK_FIELDS, Filter, SearchError, parse_search
from calibr_sandbox.webhook_addresses import refusal_of
from calibr_sandbox.webhook_subscriptions import (
    SubscriptionRow,
    delete_subscription,
    find_subscription,
    insert_subscription,
    is_taken,
    list_subscriptions,
    update_subscription,
)

Input = dict[str, Any]
_ADDRESS: Final = ["webhookSubscription", "callbackUrl"]
_MISSING: Final = {"field": ["id"], "message": "Webhook subscription does not exist"}
_MAX_NAME: Final = 50


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


def resolve_create(_root: object, info: Info, topic: str, webhookSubscription: Input) -> dict[str, Any]:  # noqa: N803
    """`webhookSubscriptionCreate`: one address may hear of a topic once."""
    store, address = info.context.store, _address(webhookSubscription) or ""
    with store.transaction() as connection:
        errors = _address_errors(address) or _name_errors(webhookSubscription)
        if not errors and is_taken(store, topic, address):
            errors = [{"field": _ADDRESS, "message": "Address for this topic has already been taken"}]
        if errors:
            return {"webhookSubscription": None, "userErrors": errors}
        row = insert_subscription(connection, topic, address, webhookSubscription)
    info.context.webhooks.follow(row)
    return {"webhookSubscription": row, "userErrors": []}


def resolve_update(
    _root: object,
    info: Info,
    id: str,  # noqa: A002
    webhookSubscription: Input,  # noqa: N803 - the argument's name in the schema
) -> dict[str, Any]:
    """`webhookSubscriptionUpdate`: the topic stays; an absent address stays too."""
    store, number = info.context.store, number_of(id, "WebhookSubscription")
    with store.transaction() as connection:
        row = find_subscription(store, number)
        if row is None:
            return {"webhookSubscription": None, "userErrors": [_MISSING]}
        given = _address(webhookSubscription)
        address = row.uri if given is None else given
        errors = _address_errors(address) or _name_errors(webhookSubscription)
        if not errors and is_taken(store, row.topic, address, number):
            errors = [{"field": _ADDRESS, "message": "Address for this topic has already been taken"}]
        if errors:
            return {"webhookSubscription": None, "userErrors": errors}
        changed = update_subscription(connection, row._replace(uri=address), webhookSubscription)
    info.context.webhooks.follow(changed)
    return {"webhookSubscription": changed, "userErrors": []}


def resolve_delete(_root: object, info: Info, id: str) -> dict[str, Any]:  # noqa: A002
    """`webhookSubscriptionDelete`: what waits is not sent anymore."""
    store, number = info.context.store, number_of(id, "WebhookSubscription")
    with store.transaction() as connection:
        if find_subscription(store, number) is None:
            return {"deletedWebhookSubscriptionId": None, "userErrors": [_MISSING]}
        delete_subscription(connection, number)
    info.context.webhooks.forget(number)
    return {"deletedWebhookSubscriptionId": gid("WebhookSubscription", number), "userErrors": []}


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


def _address(given: Input) -> str | None:
    """The address as Shopify reads it: without blanks around it. None when none was given."""
    text = given.get("uri") if given.get("uri") is not None else given.get("callbackUrl")
    return None if text is None else str(text).strip()


def _address_errors(address: str) -> list[dict[str, Any]]:
    refusal = refusal_of(address)
    return [] if refusal is None else [{"field": _ADDRESS, "message": refusal}]


def _name_errors(given: Input) -> list[dict[str, Any]]:
    if len(given.get("name") or "") <= _MAX_NAME:
        return []
    message = f"Name is too long (maximum is {_MAX_NAME} characters)"
    return [{"field": ["webhookSubscription", "name"], "message": message}]


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
        "webhookSubscriptionCreate": resolve_create,
        "webhookSubscriptionUpdate": resolve_update,
        "webhookSubscriptionDelete": resolve_delete,
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
        "metafields": lambda row, _: orjson.loads(row.metafields),
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
