"""A process that was stopped between getting its points and sending must not send any more."""

import time
from collections.abc import Iterator

import httpx2
import pytest
from scripted_store import TOKEN, ScriptedStore

from calibr.connectors.shopify.bucket import Reservation
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.config import StoreConfig
from calibr.connectors.shopify.documents import SHOP
from calibr.connectors.shopify.errors import ThrottledError
from calibr.connectors.shopify.throttle import Throttle


class StoppedThrottle(Throttle):
    """Grants points, and then the process sleeps for longer than the call may take."""

    def __init__(self) -> None:
        self.slept = 0.0
        super().__init__(lambda: time.monotonic() + self.slept)

    def acquire(self, cost: int, until: float, *, first: bool = False) -> Reservation:
        held = super().acquire(cost, until, first=first)
        self.slept = 100.0
        return held


@pytest.fixture
def late(store: ScriptedStore) -> Iterator[ShopifyClient]:
    config = StoreConfig("https://test.myshopify.com", "2026-10", is_loopback=False, access_token=TOKEN)
    made = ShopifyClient(config, StoppedThrottle(), connections=4, transport=httpx2.MockTransport(store.handle))
    yield made
    made.close()


def test_a_call_that_slept_past_its_deadline_is_not_sent(late: ShopifyClient, store: ScriptedStore) -> None:
    with pytest.raises(ThrottledError):
        late.call(SHOP, {}, rows=1, until=late.throttle.clock() + 5)

    assert store.calls == []
