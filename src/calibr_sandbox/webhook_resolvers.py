"""`webhookSubscription...`: subscriptions over the API, as an app makes, reads, changes and ends them."""

import re
import time
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
from calibr_sandbox.store import Reader
from calibr_sandbox.webhook_addresses import refusal_of
from calibr_sandbox.webhook_subscriptions import (
    SubscriptionRow,
    changed,
    delete_subscription,
    draft,
    find_subscription,
    insert_subscription,
    is_name_taken,
    is_taken,
    list_subscriptions,
    update_subscription,
)

Input = dict[str, Any]
_ADDRESS: Final = ["webhookSubscription", "callbackUrl"]
_MISSING: Final = {"field": ["id"], "message": "Webhook subscription does not exist"}
_NAME: Final = ["webhookSubscription", "name"]
_MAX_NAME: Final = 50
_GOOD_NAME: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{_MAX_NAME}}}")


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
    """`webhookSubscriptionCreate`: one address may hear of a topic once, or through several filters."""
    store, address = info.context.store, _address(webhookSubscription) or ""
    with store.transaction() as connection:
        row = draft(topic, address, webhookSubscription)
        errors = _errors(store, row)
        if errors:
            return {"webhookSubscription": None, "userErrors": errors}
        row = insert_subscription(connection, row)
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
        address = _address(webhookSubscription)
        moved = row._replace(uri=row.uri if address is None else address, updated_at=int(time.time()))
        row = changed(moved, webhookSubscription)
        errors = _errors(store, row)
        if errors:
            return {"webhookSubscription": None, "userErrors": errors}
        update_subscription(connection, row)
    info.context.webhooks.follow(row)
    return {"webhookSubscription": row, "userErrors": []}


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


def _errors(store: Reader, row: SubscriptionRow) -> list[dict[str, Any]]:
    """What is wrong with the address of a subscription, then with its name."""
    refusal = refusal_of(row.uri)
    if refusal is None and is_taken(store, row):
        refusal = "Address for this topic has already been taken"
    if refusal is not None:
        return [{"field": _ADDRESS, "message": refusal}]
    refusal = _refusal_of_name(row.name)
    if refusal is None and is_name_taken(store, row):
        refusal = "Name has already been taken"
    return [] if refusal is None else [{"field": _NAME, "message": refusal}]


def _refusal_of_name(name: str | None) -> str | None:
    if name is None or _GOOD_NAME.fullmatch(name):
        return None
    if len(name) > _MAX_NAME:
        return f"Name is too long (maximum is {_MAX_NAME} characters)"
    return "Name can only contain alphanumeric characters, underscores, and hyphens"


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
