"""Webhooks out: who wants to hear of what, and what each is sent, with Shopify's headers.

There are subscriptions of the sandbox's own route, which stay until they are ended, and those that apps make over
the API, which Shopify deletes when they fail for too long. Both are stored. What waits to be sent is not: a server that
dies takes it along, as Shopify promises no delivery either.
"""

import base64
import hashlib
import hmac
import secrets
import sqlite3
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson

from calibr_sandbox.config import API_VERSION, SandboxConfig
from calibr_sandbox.courier import COUNTED, Courier, Delivery
from calibr_sandbox.faults import FaultKind, Faults
from calibr_sandbox.rows import BulkRow
from calibr_sandbox.store import Store
from calibr_sandbox.webhook_addresses import near
from calibr_sandbox.webhook_body import bulk_body, only, product_body, scopes_body, shop_body
from calibr_sandbox.webhook_subscriptions import SubscriptionRow, delete_subscription, list_subscriptions

TOPICS: Final = {
    "PRODUCTS_CREATE": "products/create",
    "PRODUCTS_UPDATE": "products/update",
    "PRODUCTS_DELETE": "products/delete",
    "BULK_OPERATIONS_FINISH": "bulk_operations/finish",
    "APP_UNINSTALLED": "app/uninstalled",
    "APP_SCOPES_UPDATE": "app/scopes_update",
}
"""The topics that the sandbox sends, by their names in the API."""
COMPLIANCE: Final = ("customers/data_request", "customers/redact", "shop/redact")
"""Topics that an app cannot subscribe to over the API."""
_KNOWN: Final = (*TOPICS.values(), *COMPLIANCE)
_MAX_URL: Final = 2_000

Key = tuple[Literal["route", "api"], int]


@dataclass(frozen=True, slots=True)
class _Subscriber:
    """Who is sent a topic: through which courier, under which name, which fields of the body (none: all)."""

    topic: str
    courier: Courier
    name: str | None = None
    fields: Sequence[str] = ()


class Webhooks:
    """The subscriptions of a shop. A lock guards them: bulk operations and couriers call from threads of their own.

    Nothing waits for the shop's file while it holds the lock, since whoever writes the file may wait for the lock.
    """

    def __init__(self, config: SandboxConfig, store: Store, faults: Faults, secret: Callable[[], str]) -> None:
        """Take up the subscriptions that the shop's file holds. `secret` tells what to sign with."""
        self._secret = secret
        self._config = config
        self._store = store
        self._faults = faults
        self._lock = threading.RLock()
        self._counts = Counter(dict.fromkeys((*COUNTED, "subscriptions_deleted"), 0))
        self._subscribers: dict[Key, _Subscriber] = {}
        self._leaving: list[Courier] = []
        """Couriers without a subscription that still have something to send."""
        for number, topic, url in store.fetch_all("SELECT id, topic, url FROM webhook ORDER BY id"):
            address = near(url)
            if address is not None:
                self._subscribers["route", number] = _Subscriber(topic, Courier(address, config.webhook_speed))
        for row in list_subscriptions(store):
            self.follow(row)

    def subscribe(self, topic: object, url: object) -> int:
        """Send the topic to this address from now on, and return the subscription's number. Raises ValueError."""
        if topic not in _KNOWN:
            raise ValueError(f"topic: {topic!r} is not sent; there are {', '.join(_KNOWN)}")
        if not isinstance(url, str) or len(url) > _MAX_URL:
            raise ValueError(f"url: {url!r} is not an address of up to {_MAX_URL} plain characters")
        address = near(url)
        if address is None:
            raise ValueError(f"url: {url!r} is not an http address of this machine, such as http://127.0.0.1:8000/hook")
        try:
            with self._store.transaction() as connection:
                row = connection.execute(
                    "INSERT INTO webhook (topic, url, created_at) VALUES (?, ?, ?) RETURNING id",
                    (topic, address.geturl(), int(time.time())),
                ).fetchone()
        except sqlite3.IntegrityError:
            raise ValueError(f"url: {address.geturl()!r} has a subscription to {topic} already") from None
        with self._lock:
            self._subscribers["route", row[0]] = _Subscriber(str(topic), Courier(address, self._config.webhook_speed))
        return int(row[0])

    def unsubscribe(self, number: int | None = None) -> None:
        """End one subscription of the route, or all; what waits is not sent anymore. Raises LookupError."""
        with self._lock:
            own = [each for kind, each in self._subscribers if kind == "route"]
        if number is not None and number not in own:
            raise LookupError(f"there is no webhook {number}")
        ended = own if number is None else [number]
        with self._store.transaction() as connection:
            connection.executemany("DELETE FROM webhook WHERE id = ?", [(each,) for each in ended])
        with self._lock:
            for each in ended:
                self._drop(("route", each))

    def subscriptions(self) -> list[dict[str, object]]:
        """List the subscriptions of the route with what became of their deliveries."""
        with self._lock:
            return [
                {"id": number, "topic": each.topic, "url": each.courier.url, **each.courier.counts()}
                for (kind, number), each in self._subscribers.items()
                if kind == "route"
            ]

    def follow(self, row: SubscriptionRow) -> None:
        """Send what a subscription made over the API asks for, if the sandbox sends it and its address is near."""
        key: Key = ("api", row.id)
        topic, address = TOPICS.get(row.topic), near(row.uri)
        with self._lock:
            self._drop(key)
            if topic is None or address is None:
                return
            courier = Courier(address, self._config.webhook_speed, lambda: self._give_up(row.id))
            self._subscribers[key] = _Subscriber(topic, courier, row.name, tuple(row.fields()))

    def forget(self, number: int) -> None:
        """Send nothing more to a subscription made over the API."""
        with self._lock:
            self._drop(("api", number))

    def counts(self) -> dict[str, int]:
        """Add up the deliveries of all subscriptions, ended ones too."""
        with self._lock:
            couriers = [*(each.courier for each in self._subscribers.values()), *self._leaving]
            parts = [self._counts, *(courier.counts() for courier in couriers)]
            return {name: sum(part.get(name, 0) for part in parts) for name in self._counts}

    def products_changed(self, product_ids: Iterable[int]) -> None:
        """Tell all subscribers of products that one committed write has touched."""
        self._tell_of_products("products/update", product_ids)

    def products_created(self, product_ids: Iterable[int]) -> None:
        """Tell all subscribers of products that are new."""
        self._tell_of_products("products/create", product_ids)

    def products_deleted(self, product_ids: Iterable[int]) -> None:
        """Tell all subscribers of products that are gone."""
        self.tell("products/delete", *({"id": number} for number in sorted(set(product_ids))))

    def bulk_finished(self, row: BulkRow) -> None:
        """Tell all subscribers that a bulk operation has ended, however it has."""
        self.tell("bulk_operations/finish", bulk_body(row))

    def app_uninstalled(self) -> None:
        """Tell that the app is gone; what it subscribed to over the API goes with it, as at Shopify's."""
        self.tell("app/uninstalled", shop_body(self._config, self._store.currency))
        with self._store.transaction() as connection:
            for row in list_subscriptions(self._store):
                delete_subscription(connection, row.id)
        with self._lock:
            for key in [key for key in self._subscribers if key[0] == "api"]:
                courier = self._subscribers.pop(key).courier
                courier.finish()
                self._leaving.append(courier)

    def scopes_changed(self, previous: Sequence[str], current: Sequence[str]) -> None:
        """Tell that the merchant lets the app do other things than before."""
        self.tell("app/scopes_update", scopes_body(list(previous), list(current)))

    def tell(self, topic: str, *bodies: dict[str, Any]) -> int:
        """Send one event, a webhook for each body, to all subscribers of a topic. Returns how many there are."""
        with self._lock:
            subscribers = [each for each in self._subscribers.values() if each.topic == topic]
            event = str(uuid.uuid4())
            for body in bodies if subscribers else ():
                for each in subscribers:
                    self._send(each, orjson.dumps(only(body, list(each.fields))), event)
            return len(subscribers)

    def close(self) -> None:
        """Stop sending; what waits is lost."""
        with self._lock:
            for courier in [*(each.courier for each in self._subscribers.values()), *self._leaving]:
                courier.stop()

    def _tell_of_products(self, topic: str, product_ids: Iterable[int]) -> None:
        with self._lock:
            is_awaited = any(each.topic == topic for each in self._subscribers.values())
        if is_awaited:
            self.tell(topic, *[product_body(self._store, number) for number in sorted(set(product_ids))])

    def _send(self, subscriber: _Subscriber, body: bytes, event: str) -> None:
        delivery = Delivery(body, self._headers(subscriber, body, event))
        kind = self._faults.pick_for_webhook()
        subscriber.courier.take(delivery, is_held=kind is FaultKind.REORDER_WEBHOOKS)
        if kind is FaultKind.DUPLICATE_WEBHOOKS:
            subscriber.courier.take(delivery)

    def _headers(self, subscriber: _Subscriber, body: bytes, event: str) -> dict[str, str]:
        digest = hmac.new(self._secret().encode(), body, hashlib.sha256).digest()
        name = {} if subscriber.name is None else {"X-Shopify-Name": subscriber.name}
        return name | {
            "Content-Type": "application/json",
            "User-Agent": "Shopify-Captain-Hook",
            "X-Request-Id": secrets.token_hex(8),
            "X-Shopify-Topic": subscriber.topic,
            "X-Shopify-Shop-Domain": self._config.shop_domain,
            "X-Shopify-API-Version": API_VERSION,
            "X-Shopify-Webhook-Id": str(uuid.uuid4()),
            "X-Shopify-Event-Id": event,
            "X-Shopify-Triggered-At": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
            "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode(),
        }

    def _give_up(self, number: int) -> None:
        """Delete a subscription that has failed too often. In the thread of its courier."""
        with self._store.transaction() as connection:
            delete_subscription(connection, number)
        with self._lock:
            self._drop(("api", number))
            self._counts["subscriptions_deleted"] += 1

    def _drop(self, key: Key) -> None:
        gone = self._subscribers.pop(key, None)
        if gone is not None:
            gone.courier.stop()
            self._counts.update(gone.courier.counts())
