"""A generated sandbox store, one for the session, without faults at the start of each test."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from calibr.connectors.shopify import ShopifyConnector

sys.path.insert(0, str(Path(__file__).parent))
from sandbox_process import Sandbox, sandbox


@pytest.fixture(scope="session")
def running_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(tmp_path_factory.mktemp("shop"), "--products", "1500", "--bulk-delay", "0.05") as running:
        yield running


@pytest.fixture
def store(running_sandbox: Sandbox) -> Iterator[Sandbox]:
    yield running_sandbox
    running_sandbox.heal()


@pytest.fixture
def connector(store: Sandbox) -> Iterator[ShopifyConnector]:
    made = store.connect()
    yield made
    made.close()
