"""A storm of webhooks, small: repeats, forgeries and any order end in the state of the store, one event a change."""

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from rest import Team
from storefront import Storefront

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from storm import brew, send

from calibr.db import Database
from calibr.http import ApiServices
from calibr_sandbox.catalog_writer import NewProduct, NewVariant
from calibr_sandbox.config import SandboxConfig
from calibr_sandbox.testing import started_sandbox

PRODUCTS, DELIVERIES = 40, 600


@pytest.fixture
def stormy(
    database: Database, services: ApiServices, team: Team, anonymous: httpx2.Client, tmp_path: Path
) -> Iterator[Storefront]:
    products = tuple(
        NewProduct(
            f"Shirt {n}", f"shirt-{n}", "Acme", "Tops", (), ("Size",),
            tuple(NewVariant((f"Size {m}",), f"{10 + m}.00") for m in range(3)), 1_767_225_601,
        )
        for n in range(PRODUCTS)
    )  # fmt: skip
    with started_sandbox(
        SandboxConfig(tmp_path / "shop.db", plan="enterprise", bulk_delay_s=0.01), products
    ) as sandbox:
        front = Storefront(database, services, team, sandbox, anonymous)
        front.sync(tmp_path)
        assert front.applied()["state"] == "applied"
        yield front


def test_the_state_is_that_of_the_store_with_one_event_for_each_real_change(stormy: Storefront) -> None:
    store = stormy.sandbox.shop.store
    known = dict(store.fetch_all("SELECT id, price FROM variant"))
    storm = brew(stormy.sandbox.shop, sorted(known), deliveries=DELIVERIES, seed=7)
    wanted = dict(store.fetch_all("SELECT id, price FROM variant"))
    changed = {str(number) for number in wanted if wanted[number] != known[number]}
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            stormy.work_in()
            stormy.make_due()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        outcome = send(str(stormy.anonymous.base_url).rstrip("/") + stormy.path, storm, threads=4)
    finally:
        over.set()
        worker.join()
    stormy.make_due()
    stormy.work_in()

    forged = round(DELIVERIES * 0.05)
    assert outcome.statuses == {(False, 200): DELIVERIES - forged, (True, 401): forged}
    assert stormy.deliveries() == {"handled": round(DELIVERIES * 0.75)}
    assert 0 < len(changed) < len(known)
    for kind in ("price.observed", "price.drifted"):
        told = Counter(event["payload"]["external_id"] for event in stormy.told(kind))
        assert told == dict.fromkeys(changed, 1), kind
    assert {i: f"{unit / 100:.2f}" for i, (unit, _) in stormy.prices().items()} == {
        str(number): price for number, price in wanted.items()
    }
    assert len(stormy.drift()) == min(len(changed), 100)
