"""A storm of webhooks: what a store sends of many edits, with repeats and forgeries, shuffled, from many threads."""

import base64
import hashlib
import hmac
import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import orjson

from calibr_sandbox.config import DEFAULT_WEBHOOK_SECRET
from calibr_sandbox.endpoint import Shop
from calibr_sandbox.hand_edits import Edit, apply_edits
from calibr_sandbox.webhook_body import product_body

DUPLICATES: Final = 0.20
FORGED: Final = 0.05
EDITED_BACK: Final = 10
"""One edit in so many puts back what a variant cost before the storm."""


@dataclass(frozen=True)
class Delivery:
    """One arrival. A forged one is signed with another secret, or over other bytes."""

    body: bytes
    headers: Mapping[str, str]
    is_forged: bool = False


@dataclass
class Outcome:
    """What came of a storm."""

    statuses: Counter[tuple[bool, int]] = field(default_factory=Counter)
    """By whether it was forged, and the status of the answer."""
    seconds: list[float] = field(default_factory=list)

    def quantile_ms(self, share: float) -> float:
        """How long so many of the answers took at most."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def brew(shop: Shop, variants: Sequence[int], *, deliveries: int, seed: int) -> list[Delivery]:
    """Edit prices by hand, one edit for each genuine delivery, and put together what arrives, in any order.

    A variant is edited several times, and some are edited back. The store is left as the last edits made it.
    """
    chance = random.Random(seed)  # noqa: S311 - a plan of a test
    forged, repeated = round(deliveries * FORGED), round(deliveries * DUPLICATES)
    before = dict(shop.store.fetch_all("SELECT id, price FROM variant"))
    genuine = []
    for turn in range(deliveries - forged - repeated):
        variant = chance.choice(variants)
        price = before[variant] if turn % EDITED_BACK == 0 else f"{chance.randrange(100, 99_999) / 100:.2f}"
        (row,) = apply_edits(shop.store, [Edit(str(variant), {"price": price})], "storm")
        genuine.append(_signed(orjson.dumps(product_body(shop.store, row.product_id)), chance))
    storm = genuine + chance.choices(genuine, k=repeated)
    storm += [_forged(chance.choice(genuine), chance) for _ in range(forged)]
    chance.shuffle(storm)
    return storm


def send(url: str, storm: Sequence[Delivery], *, threads: int) -> Outcome:
    """Send everything to an address, each thread over a connection of its own, as fast as the answers come."""
    outcome, turns, lock = Outcome(), count(), threading.Lock()

    def work() -> None:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        while (turn := next(turns)) < len(storm):
            delivery = storm[turn]
            started = time.perf_counter()
            connection.request("POST", parts.path, delivery.body, dict(delivery.headers))
            answer = connection.getresponse()
            answer.read()
            with lock:
                outcome.seconds.append(time.perf_counter() - started)
                outcome.statuses[delivery.is_forged, answer.status] += 1
        connection.close()

    _in_parallel(work, threads)
    return outcome


def _in_parallel(work: Callable[[], None], threads: int) -> None:
    running = [threading.Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def _signed(body: bytes, chance: random.Random) -> Delivery:
    headers = {
        "Content-Type": "application/json",
        "X-Shopify-Topic": "products/update",
        "X-Shopify-Shop-Domain": "calibr-sandbox.myshopify.com",
        "X-Shopify-Webhook-Id": str(UUID(int=chance.getrandbits(128))),
        "X-Shopify-Event-Id": str(UUID(int=chance.getrandbits(128))),
        "X-Shopify-Triggered-At": "2026-11-24T12:00:00.000000Z",
        "X-Shopify-Hmac-Sha256": _signature(body, DEFAULT_WEBHOOK_SECRET),
    }
    return Delivery(body, headers)


def _forged(genuine: Delivery, chance: random.Random) -> Delivery:
    """With an id of its own, so that letting it in would show; half of them keep the signature and change the bytes."""
    headers = {**genuine.headers, "X-Shopify-Webhook-Id": str(UUID(int=chance.getrandbits(128)))}
    if chance.random() < 1 / 2:
        return Delivery(genuine.body + b" ", headers, is_forged=True)
    headers["X-Shopify-Hmac-Sha256"] = _signature(genuine.body, "of somebody else")
    return Delivery(genuine.body, headers, is_forged=True)


def _signature(body: bytes, secret: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
