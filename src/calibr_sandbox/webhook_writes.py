"""`...WebhookSubscriptionCreate` and `...Update`: one way to make and change subscriptions, three to say where to."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from calibr_sandbox.context import Info
from calibr_sandbox.ids import gid
from calibr_sandbox.queries import number_of
from calibr_sandbox.store import Reader
from calibr_sandbox.webhook_addresses import INVALID_ADDRESS, has_good_project, refusal_of
from calibr_sandbox.webhook_subscriptions import (
    SubscriptionRow,
    changed,
    delete_subscription,
    draft,
    find_subscription,
    insert_subscription,
    is_name_taken,
    is_taken,
    update_subscription,
)

Input = dict[str, Any]
Payload = dict[str, Any]
_INVALID: Final = "INVALID_PARAMETERS"
_MISSING: Final = {"field": ["id"], "message": "Webhook subscription does not exist", "code": _INVALID}
_NAME: Final = ["webhookSubscription", "name"]
_MAX_NAME: Final = 50
_GOOD_NAME: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{_MAX_NAME}}}")

_FILTERED: Final = re.compile(r"[A-Za-z_][\w.]*:\S")
_FILTERED_TOPICS: Final = frozenset({"METAOBJECTS_CREATE", "METAOBJECTS_UPDATE", "METAOBJECTS_DELETE"})
_BAD_FILTER: Final = "The specified filter is invalid, please ensure you specify the field(s) you wish to filter on."


@dataclass(frozen=True, slots=True)
class Destination:
    """How the input of a mutation says where webhooks go.

    `address` reads it as Shopify stores it, None when the input says nothing of it. `scheme` is what it begins with,
    `field` the part of the input that an error about an address names.
    """

    address: Callable[[Input], str | None]
    field: Callable[[str], str]
    scheme: str = ""

    def create(self, _root: object, info: Info, topic: str, webhookSubscription: Input) -> Payload:  # noqa: N803
        """Make a subscription: one address may hear of a topic once, or through several filters."""
        store, address = info.context.store, self.address(webhookSubscription) or ""
        with store.transaction() as connection:
            row = draft(topic, address, webhookSubscription)
            errors = self._errors(store, row, address)
            if errors:
                return {"webhookSubscription": None, "userErrors": errors}
            row = insert_subscription(connection, row)
        info.context.webhooks.follow(row)
        return {"webhookSubscription": row, "userErrors": []}

    def update(
        self,
        _root: object,
        info: Info,
        id: str,  # noqa: A002
        webhookSubscription: Input,  # noqa: N803 - the argument's name in the schema
    ) -> Payload:
        """Change a subscription: the topic stays, and an absent address. It may move to another kind of address."""
        store, number = info.context.store, number_of(id, "WebhookSubscription")
        with store.transaction() as connection:
            row = find_subscription(store, number)
            if row is None:
                return {"webhookSubscription": None, "userErrors": [_MISSING]}
            address = self.address(webhookSubscription)
            moved = row._replace(uri=row.uri if address is None else address, updated_at=int(time.time()))
            row = changed(moved, webhookSubscription)
            errors = self._errors(store, row, address)
            if errors:
                return {"webhookSubscription": None, "userErrors": errors}
            update_subscription(connection, row)
        info.context.webhooks.follow(row)
        return {"webhookSubscription": row, "userErrors": []}

    def _errors(self, store: Reader, row: SubscriptionRow, given: str | None) -> list[dict[str, Any]]:
        """What is wrong with the address of a subscription, then with its filter, then with its name."""
        refusal, code = refusal_of(row.uri), _INVALID
        if refusal is None and given is not None and not given.startswith(self.scheme):
            refusal = INVALID_ADDRESS
        if refusal is None and is_taken(store, row):
            refusal, code = "Address for this topic has already been taken", "TAKEN"
        if refusal is not None:
            return [{"field": ["webhookSubscription", self.field(row.uri)], "message": refusal, "code": code}]
        if not _has_good_filter(row):
            return [{"field": ["webhookSubscription"], "message": _BAD_FILTER, "code": _INVALID}]
        refusal = _refusal_of_name(row.name)
        if refusal is None and is_name_taken(store, row):
            refusal = "Name has already been taken"
        return [] if refusal is None else [{"field": _NAME, "message": refusal, "code": _INVALID}]


def resolve_delete(_root: object, info: Info, id: str) -> Payload:  # noqa: A002
    """`webhookSubscriptionDelete`: what waits is not sent anymore."""
    store, number = info.context.store, number_of(id, "WebhookSubscription")
    with store.transaction() as connection:
        if find_subscription(store, number) is None:
            return {"deletedWebhookSubscriptionId": None, "userErrors": [_MISSING]}
        delete_subscription(connection, number)
    info.context.webhooks.forget(number)
    return {"deletedWebhookSubscriptionId": gid("WebhookSubscription", number), "userErrors": []}


def _stripped(given: Input) -> str | None:
    """The address as Shopify reads it: without blanks around it. None when none was given."""
    text = given.get("uri") if given.get("uri") is not None else given.get("callbackUrl")
    return None if text is None else str(text).strip()


def _arn(given: Input) -> str | None:
    text = given.get("arn")
    return None if text is None else str(text).strip()


def _topic_of_project(given: Input) -> str:
    return f"pubsub://{given['pubSubProject'].strip()}:{given['pubSubTopic'].strip()}"


def _part_at_fault(address: str) -> str:
    return "pubSubTopic" if has_good_project(address) else "pubSubProject"


def _has_good_filter(row: SubscriptionRow) -> bool:
    """Whether a filter names a field; metaobjects are told of by their type only, so that they need one."""
    text = (row.filter or "").strip()
    return _FILTERED.search(text) is not None if text else row.topic not in _FILTERED_TOPICS


def _refusal_of_name(name: str | None) -> str | None:
    if name is None or _GOOD_NAME.fullmatch(name):
        return None
    if len(name) > _MAX_NAME:
        return f"Name is too long (maximum is {_MAX_NAME} characters)"
    return "Name can only contain alphanumeric characters, underscores, and hyphens"


ANYWHERE: Final = Destination(_stripped, lambda _address: "callbackUrl")
EVENT_BRIDGE: Final = Destination(_arn, lambda _address: "arn", "arn:")
PUB_SUB: Final = Destination(_topic_of_project, _part_at_fault, "pubsub:")
