"""Fixtures of the tests of price changes."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from calibr.db import Context, Database

sys.path.insert(0, str(Path(__file__).parent))

from bulk_stores import PRODUCTS, BulkShop, with_files
from stores import Shop, make_shop

from calibr.changes.apply import bulk_file


@pytest.fixture
def shop(database: Database, tenant: Context) -> Shop:
    """A tenant's store with ten products in US dollars."""
    return make_shop(database, tenant, products=10)


@pytest.fixture
def open_shop(database: Database, tenant: Context) -> Callable[..., Shop]:
    """Makes another store of the same tenant."""
    return lambda **wishes: make_shop(database, tenant, **wishes)


@pytest.fixture(scope="module")
def open_large_shop(database: Database) -> Callable[[Context, int], Shop]:
    """Makes a store of a given tenant with many products, for a whole module."""
    return lambda context, products: make_shop(database, context, products=products)


@pytest.fixture
def bulk_shop(open_shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch) -> BulkShop:
    """A store of twenty products that takes files, which are looked at often."""
    monkeypatch.setattr(bulk_file, "FIRST_LOOK_S", 0.02)
    monkeypatch.setattr(bulk_file, "LONGEST_LOOK_S", 0.05)
    return with_files(open_shop(products=PRODUCTS))
