"""The connector's parts over a scripted store."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
import stamina

from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.config import StoreConfig
from calibr.connectors.shopify.throttle import Throttle

sys.path.insert(0, str(Path(__file__).parent))
from scripted_store import TOKEN, ScriptedStore


@pytest.fixture(autouse=True)
def _retries_do_not_wait() -> Iterator[None]:
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture
def store() -> ScriptedStore:
    scripted = ScriptedStore()
    scripted.on("CalibrShop", {"shop": {"name": "Test", "currencyCode": "USD"}})
    return scripted


@pytest.fixture
def client(store: ScriptedStore) -> Iterator[ShopifyClient]:
    config = StoreConfig("https://test.myshopify.com", "2026-10", is_loopback=False, access_token=TOKEN)
    made = ShopifyClient(config, Throttle(), connections=4, transport=httpx2.MockTransport(store.handle))
    yield made
    made.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads
