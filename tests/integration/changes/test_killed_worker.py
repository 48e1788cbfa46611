"""A worker that is killed again and again in the middle of an apply run, against a real store over real HTTP."""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from journeys import Journey
from sandbox_worker import Task
from sqlalchemy import text
from stores import FakeStore, Shop

from calibr.catalog import NewConnection, create_connection, list_price_lists, request_sync, run_sync
from calibr.changes import service
from calibr.changes.lifecycle import TERMINAL_STATES, ChangeState, ItemState
from calibr.changes.preview import run_preview
from calibr.connectors.shopify import create
from calibr.core.ids import ConnectionId
from calibr.db import Context, Database, ServerUrl
from calibr.vault import Vault
from calibr_sandbox.catalog_writer import NewProduct, NewVariant, create_shop
from calibr_sandbox.client import SandboxClient
from calibr_sandbox.config import DEFAULT_TOKEN, SandboxConfig
from calibr_sandbox.server import running_sandbox

PRODUCTS, VARIANTS, EDITED, KILLS = 40, 10, 4, 4
GID = "gid://shopify/ProductVariant/"
FIRST_VARIANT = 45_100_000_000_001
FAULTS = (
    {"kind": "drop_after_commit", "rate": 0.05, "mutations_only": True},
    {"kind": "drop_before_commit", "rate": 0.05, "mutations_only": True},
    {"kind": "too_many_requests", "rate": 0.03},
)
ITEMS = text("""
  select l.external_id, i.product_id, i.state, i.after_amount from calibr.price_change_item i
  join calibr.listing l on l.product_id = i.product_id
  where i.change_id = :change
""")


@dataclass(frozen=True)
class RunningStore:
    """The control routes of a sandbox."""

    url: str

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        with SandboxClient(self.url, DEFAULT_TOKEN) as client:
            return client.request(method, path, body).body

    def edit(self, external_id: str, price: str) -> None:
        self.ask("POST", f"/sandbox/variants/{GID}{external_id}", {"price": price})

    def price(self, external_id: str) -> str:
        return str(self.ask("GET", f"/sandbox/variants/{GID}{external_id}")["price"])

    def writes(self) -> Counter[str]:
        """How often each variant was written through the API."""
        journal = self.ask("GET", "/sandbox/journal?after=0&limit=100000")["writes"]
        return Counter(str(write["variant_id"]) for write in journal if write["source"] != "hand")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunningStore]:
    config = SandboxConfig(db=tmp_path / "shop.db", plan="enterprise", bulk_delay_s=0.0)
    products = [
        NewProduct(f"P{p}", f"p{p}", "Acme", "", (), ("Size",), _variants(p), 1_767_225_600 + p)
        for p in range(PRODUCTS)
    ]
    create_shop(config.db, tuple(products), "USD")
    with running_sandbox(config) as running:
        yield RunningStore(running.url)


def _variants(product: int) -> tuple[NewVariant, ...]:
    return tuple(NewVariant((f"S{v}",), f"{20 + product}.{v:02d}", sku=f"{product}-{v}") for v in range(VARIANTS))


def connect(database: Database, context: Context, store_url: str, work_dir: Path) -> ConnectionId:
    """Connect the tenant to the store and take its catalog in."""
    new = NewConnection("shopify", "Main", {"shop_url": store_url}, {"access_token": DEFAULT_TOKEN})
    factory = partial(create, allow_loopback=True)
    vault = Vault(b"0123456789abcdef0123456789abcdef")
    with database.session(context) as session:
        connection = create_connection(session, new, vault=vault, connectors={"shopify": factory})
        sync = request_sync(session, connection.id)
    connector = factory(new.config, new.secrets)
    run_sync(database, context, sync.id, connector, work_dir)
    connector.close()
    return connection.id


def start_to_apply(database: Database, shop: Shop, approver: Context) -> Journey:
    """Ten percent off everything, approved and started; no worker is at it yet."""
    journey = Journey.begin(database, shop, approver)
    with database.session(shop.context) as session:
        service.request_preview(session, journey.id)
    assert run_preview(database, journey.worker, journey.id).counts == {ItemState.PENDING: PRODUCTS * VARIANTS}
    journey.approve()
    journey.start()
    return journey


def apply_under_kills(task: Task, journey: Journey) -> int:
    """Start workers and kill each after a random moment, until the change has ended; returns how many were killed."""
    chance, killed, deadline = random.Random(7), 0, time.monotonic() + 120  # noqa: S311 - a seed makes it repeatable
    command = [sys.executable, Path(__file__).with_name("sandbox_worker.py"), json.dumps(asdict(task))]
    while journey.change.state not in TERMINAL_STATES:
        assert time.monotonic() < deadline, journey.change
        with subprocess.Popen(command, stdout=subprocess.PIPE) as worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"ready\n"
            try:
                worker.wait(timeout=0.15 + chance.random() * 0.4 if killed < KILLS else 60)
            except subprocess.TimeoutExpired:
                worker.kill()
                killed += 1
    return killed


@pytest.mark.slow
def test_killed_workers_lose_repeat_and_hide_no_write(
    database: Database, tenant: Context, approver: Context, admin_url: ServerUrl, master_key: bytes,
    store: RunningStore, tmp_path: Path,
) -> None:  # fmt: skip
    connection_id = connect(database, tenant, store.url, tmp_path)
    with database.session(tenant) as session:
        (price_list,) = list_price_lists(session)
    journey = start_to_apply(database, Shop(tenant, connection_id, price_list.id, (), FakeStore()), approver)
    edited = {str(FIRST_VARIANT + 97 * number) for number in range(EDITED)}
    for external_id in edited:
        store.edit(external_id, "1.23")
    for fault in FAULTS:
        store.ask("POST", "/sandbox/faults", fault)

    task = Task(admin_url.uri(), master_key.decode(), str(tenant.tenant_id), str(journey.id), store.url)
    killed = apply_under_kills(task, journey)

    store.ask("DELETE", "/sandbox/faults")
    with database.session(tenant) as session:
        items = session.execute(ITEMS, {"change": journey.id}).all()
    applied = {row.external_id for row in items if row.state == "applied"}
    events = Counter(entry.entity_id for entry in journey.audit("price.changed"))
    assert killed >= 2  # a fast machine may be through before the last kill
    assert journey.change.state is ChangeState.PARTIALLY_APPLIED
    assert len(applied) == PRODUCTS * VARIANTS - EDITED
    assert {row.external_id for row in items if row.state == "drifted"} == edited
    assert {store.price(external_id) for external_id in edited} == {"1.23"}
    assert [
        r for r in items if r.state == "applied" and store.price(r.external_id) != f"{r.after_amount / 100:.2f}"
    ] == []
    assert store.writes() == Counter(dict.fromkeys(applied, 1))
    assert events == Counter(str(row.product_id) for row in items if row.state == "applied")
