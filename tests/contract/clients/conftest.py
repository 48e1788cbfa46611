"""A sandbox for each test, under its Shopify name."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from clients_of_others import Storefront, serving


@pytest.fixture
def storefront(tmp_path: Path) -> Iterator[Storefront]:
    with serving(tmp_path, "--products", "60", "--plan", "standard", "--bulk-delay", "0.05") as started:
        yield started
