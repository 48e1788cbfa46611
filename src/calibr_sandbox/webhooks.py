"""Webhooks out: who wants to hear of changed products, and what each is sent, with Shopify's headers.

Subscriptions are stored. What waits to be sent is not: a server that dies takes it along, as Shopify promises no
delivery either.
"""

import base64
import hashlib
import hmac
import secrets
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from calibr_sandbox.config import API_VERSION, SandboxConfig
from calibr_sandbox.courier import COUNTED, Courier, Delivery
from calibr_sandbox.faults import FaultKind, Faults
from calibr_sandbox.store import Store
from calibr_sandbox.webhook_body import product_body

TOPIC: Final = "products/update"
_MAX_URL: Final = 2_000


class Webhooks:
    """The subscriptions of a shop. All methods but `counts` belong to the event loop."""

    def __init__(self, config: SandboxConfig, store: Store, faults: Faults, secret: Callable[[], str]) -> None:
        """Take up the subscriptions that the shop's file holds. `secret` tells what to sign with."""
        self._secret = secret
        self._config = config
        self._store = store
        self._faults = faults
        self._counts = Counter(dict.fromkeys(COUNTED, 0))
        rows = store.fetch_all("SELECT id, url FROM webhook ORDER BY id")
        self._couriers = {number: Courier(urlsplit(url)) for number, url in rows}

    def subscribe(self, topic: object, url: object) -> int:
        """Send the topic to this address from now on, and return the subscription's number. Raises ValueError."""
        if topic != TOPIC:
            raise ValueError(f"topic: {topic!r} is not sent; there is {TOPIC}")
        address = _loopback(url)
        try:
            with self._store.transaction() as connection:
                row = connection.execute(
                    "INSERT INTO webhook (topic, url, created_at) VALUES (?, ?, ?) RETURNING id",
                    (topic, address.geturl(), int(time.time())),
                ).fetchone()
        except sqlite3.IntegrityError:
            raise ValueError(f"url: {address.geturl()!r} has a subscription to {topic} already") from None
        self._couriers[row[0]] = Courier(address)
        return int(row[0])

    def unsubscribe(self, number: int | None = None) -> None:
        """End one subscription, or all; what waits is not sent anymore. Raises LookupError for an unknown one."""
        if number is not None and number not in self._couriers:
            raise LookupError(f"there is no webhook {number}")
        ended = list(self._couriers) if number is None else [number]
        with self._store.transaction() as connection:
            connection.executemany("DELETE FROM webhook WHERE id = ?", [(each,) for each in ended])
        for each in ended:
            courier = self._couriers.pop(each)
            courier.stop()
            self._counts.update(courier.counts())

    def subscriptions(self) -> list[dict[str, object]]:
        """List the subscriptions with what became of their deliveries."""
        return [
            {"id": number, "topic": TOPIC, "url": courier.url, **courier.counts()}
            for number, courier in self._couriers.items()
        ]

    def counts(self) -> dict[str, int]:
        """Add up the deliveries of all subscriptions, ended ones too. From any thread."""
        parts = [self._counts, *(courier.counts() for courier in list(self._couriers.values()))]
        return {name: sum(part[name] for part in parts) for name in COUNTED}

    def products_changed(self, product_ids: Iterable[int]) -> None:
        """Tell all subscribers of products that one committed write has touched."""
        if not self._couriers:
            return
        event = str(uuid.uuid4())
        for product_id in sorted(set(product_ids)):
            body = product_body(self._store, product_id)
            headers = self._headers(body, event)
            for courier in self._couriers.values():
                delivery = Delivery(body, {**headers, "X-Shopify-Webhook-Id": str(uuid.uuid4())})
                kind = self._faults.pick_for_webhook()
                courier.take(delivery, is_held=kind is FaultKind.REORDER_WEBHOOKS)
                if kind is FaultKind.DUPLICATE_WEBHOOKS:
                    courier.take(delivery)

    def close(self) -> None:
        """Stop sending; what waits is lost."""
        for courier in self._couriers.values():
            courier.stop()

    def _headers(self, body: bytes, event: str) -> dict[str, str]:
        digest = hmac.new(self._secret().encode(), body, hashlib.sha256).digest()
        return {
            "Content-Type": "application/json",
            "User-Agent": "Shopify-Captain-Hook",
            "X-Request-Id": secrets.token_hex(8),
            "X-Shopify-Topic": TOPIC,
            "X-Shopify-Shop-Domain": self._config.shop_domain,
            "X-Shopify-API-Version": API_VERSION,
            "X-Shopify-Event-Id": event,
            "X-Shopify-Triggered-At": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
            "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode(),
        }


def _loopback(url: object) -> SplitResult:
    """Read an address on this machine. The sandbox sends nowhere else, whoever asks for it."""
    if not isinstance(url, str) or len(url) > _MAX_URL or not url.isascii() or not all("!" <= c <= "~" for c in url):
        raise ValueError(f"url: {url!r} is not an address of up to {_MAX_URL} plain characters")
    if not _is_near(url):
        raise ValueError(f"url: {url!r} is not an http address of this machine, such as http://127.0.0.1:8000/hook")
    return urlsplit(url)._replace(fragment="")


def _is_near(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_plain = parts.scheme == "http" and "@" not in parts.netloc and parts.port != 0
        return is_plain and (parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback)
    except ValueError:
        return False
