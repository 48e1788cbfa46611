"""Fixtures of the tests of price changes."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from calibr.db import Context, Database

sys.path.insert(0, str(Path(__file__).parent))

from stores import Shop, make_shop


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
