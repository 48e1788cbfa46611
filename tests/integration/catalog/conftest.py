"""Fixtures of the tests of the catalog."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from calibr.catalog import NewConnection, create_connection
from calibr.db import Context, Database
from calibr.vault import Vault

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from catalog_shop import Item, Shop, Store

MASTER_KEY = b"catalog test key, 32 bytes or more"


@pytest.fixture
def make_shop(database: Database, tmp_path: Path) -> Callable[..., Shop]:
    """Connects a tenant to a store of its own."""
    vault = Vault(MASTER_KEY)

    def make(tenant: Context, name: str = "Main store", items: Sequence[Item] = ()) -> Shop:
        store = Store(list(items))
        new = NewConnection("fake", name, {}, {"access_token": "shpat_test"})
        with database.session(tenant) as session:
            made = create_connection(session, new, vault=vault, connectors={"fake": lambda _config, _secrets: store})
        return Shop(database, tenant, made, store, tmp_path)

    return make


@pytest.fixture
def shop(make_shop: Callable[..., Shop], tenant: Context) -> Shop:
    """A store of three variants of two products, never read yet."""
    items = [
        Item("11", "1", sku="A-1", title="Shirt", price="10.00", compare_at="12.00"),
        Item("12", "1", sku="A-2", title="Shirt", price="11.00", color="Blue", cost=None),
        Item("21", "2", sku=None, title="Größe", price="5.50", tags=()),
    ]
    return make_shop(tenant, items=items)
