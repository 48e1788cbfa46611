"""Syncs of a sandbox store over HTTP: what the merchant does there, and what of it is told here."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from calibr.catalog import (
    Connection,
    NewConnection,
    SyncMode,
    SyncRun,
    SyncSummary,
    create_connection,
    get_sync,
    open_connector,
    request_sync,
    run_sync,
)
from calibr.connectors import shopify
from calibr.connectors.port import Connector
from calibr.core.ids import ConnectionId
from calibr.db import Context, Database, Role
from calibr.vault import Vault
from calibr_sandbox.config import SandboxConfig
from calibr_sandbox.generate import CatalogSpec, generate_products
from calibr_sandbox.testing import StartedSandbox, started_sandbox

VAULT = Vault(b"catalog test key, 32 bytes or more")
GROUPS = """select l.group_external_id as id, count(*) as listings from calibr.listing l where l.active
    group by 1 order by 2 desc, 1"""


def connect(config: dict[str, object], secrets: dict[str, str]) -> Connector:
    return shopify.create(config, secrets, allow_loopback=True)


@dataclass(frozen=True)
class Merchant:
    """A tenant connected to a sandbox store, and the merchant's hands in that store."""

    database: Database
    tenant: Context
    connection: ConnectionId
    store: httpx2.Client
    work_dir: Path

    def sync(self) -> tuple[SyncSummary, SyncRun]:
        with self.database.session(self.tenant) as session:
            sync_id = request_sync(session, self.connection).id
            connector = open_connector(session, self.connection, VAULT, {shopify.KIND: connect})
        summary = run_sync(self.database, self.tenant, sync_id, connector, self.work_dir)
        connector.close()
        assert summary is not None
        with self.database.session(self.tenant) as session:
            return summary, get_sync(session, sync_id)

    def rows(self, query: str) -> list[dict[str, Any]]:
        with self.database.session(self.tenant, role=Role.WORKER) as session:
            return [dict(row) for row in session.execute(text(query)).mappings()]

    def does(self, method: str, path: str, body: object = None) -> None:
        self.store.request(method, f"/sandbox/{path}", json=body).raise_for_status()


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[StartedSandbox]:
    config = SandboxConfig(tmp_path / "shop.db", bulk_delay_s=0)
    with started_sandbox(config, tuple(generate_products(CatalogSpec(200, 1, "USD")))) as running:
        yield running


@pytest.fixture
def merchant(database: Database, tenant: Context, sandbox: StartedSandbox, tmp_path: Path) -> Iterator[Merchant]:
    secrets = {"access_token": "shpat_sandbox"}
    new = NewConnection(shopify.KIND, "Sandbox", {"shop_url": sandbox.url}, secrets)
    with database.session(tenant) as session:
        made: Connection = create_connection(session, new, vault=VAULT, connectors={shopify.KIND: connect})
    with httpx2.Client(base_url=sandbox.url, trust_env=False, timeout=30) as store:
        yield Merchant(database, tenant, made.id, store, tmp_path)


def test_a_deleted_product_is_found_by_the_count_of_a_sync_of_what_changed(merchant: Merchant) -> None:
    merchant.sync()
    group = merchant.rows(GROUPS)[0]
    merchant.does("DELETE", f"products/{group['id']}")

    summary, run = merchant.sync()

    assert (run.mode, summary.vanished) == (SyncMode.FULL, group["listings"])
    assert merchant.sync()[1].mode is SyncMode.INCREMENTAL


def test_an_edited_price_is_found_by_a_sync_of_what_changed(merchant: Merchant) -> None:
    merchant.sync()
    (listing,) = merchant.rows("select external_id from calibr.listing order by 1 limit 1")
    merchant.does("POST", f"variants/{listing['external_id']}", {"price": "1234.56"})

    summary, run = merchant.sync()

    assert (run.mode, summary.prices_observed, summary.vanished) == (SyncMode.INCREMENTAL, 1, 0)


def test_a_collection_is_an_attribute_after_a_full_sync(merchant: Merchant) -> None:
    merchant.sync()
    groups = [group["id"] for group in merchant.rows(GROUPS)]
    merchant.does("POST", "collections", {"handle": "outlet", "title": "Outlet", "products": groups[:2]})

    with merchant.database.session(merchant.tenant) as session:
        session.execute(text("update calibr.sync_run set read_from = read_from - interval '2 days'"))
    summary, run = merchant.sync()

    query = """select distinct l.group_external_id as id from calibr.product p
        join calibr.listing l on l.product_id = p.id
        where p.attributes_norm ->> 'collection.outlet' = 'outlet'"""
    assert {row["id"] for row in merchant.rows(query)} == set(groups[:2])
    assert (run.mode, summary.prices_observed) == (SyncMode.FULL, 0)
    assert summary.changed == sum(group["listings"] for group in merchant.rows(GROUPS)[:2])
