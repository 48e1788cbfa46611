"""The whole program, composed as `calibr serve` composes it, against a sandbox store."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from calibr.access import create_tenant
from calibr.app import Application, create_app
from calibr.core.errors import Unavailable
from calibr.db import ServerUrl
from calibr.http.server import HttpServer
from calibr.monitor import configure_logging
from calibr.settings import Settings
from calibr_sandbox.config import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_TOKEN, SandboxConfig
from calibr_sandbox.testing import StartedSandbox, started_sandbox

SALE = {
    "name": "Sale",
    "selector": {"field": "product.tags", "op": "has_any", "value": ["sale"]},
    "transform": {"price": [{"op": "percent", "by": "-10"}], "compare_at": {"set": "from_price"}},
}


@dataclass(frozen=True)
class Running:
    """The program, its store, and a client for each person."""

    app: Application
    store: StartedSandbox
    admin: httpx2.Client
    author: httpx2.Client
    approver: httpx2.Client
    log_lines: io.StringIO

    def wait(self, path: str, over: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while True:
            seen = dict(self.author.get(path).json())
            if over(seen):
                return seen
            assert time.monotonic() < deadline, seen
            time.sleep(0.05)

    def synced(self, config: dict[str, Any] | None = None, secrets: dict[str, str] | None = None) -> dict[str, Any]:
        body = {
            "kind": "shopify",
            "name": "Main",
            "config": {"shop_url": self.store.url, **(config or {})},
            "secrets": secrets or {"access_token": DEFAULT_TOKEN},
        }
        connection = self.author.post("/v1/connections", json=body).json()
        sync = self.author.post(f"/v1/connections/{connection['id']}/syncs")
        return self.wait(sync.headers["location"], lambda seen: seen["state"] in {"completed", "failed"})

    def changed(self, change: dict[str, Any], verb: str, client: httpx2.Client, **body: str) -> dict[str, Any]:
        path = f"/v1/price-changes/{change['id']}"
        answer = client.post(f"{path}/{verb}", json=body)
        assert answer.status_code in {200, 201, 202}, answer.text
        made = answer.json()
        working = {"previewing", "applying", "aborting"}
        return self.wait(f"/v1/price-changes/{made['id']}", lambda seen: seen["state"] not in working)

    def applied(self, change: dict[str, Any]) -> dict[str, Any]:
        self.changed(change, "submit", self.author)
        self.changed(change, "approve", self.approver, plan_root=change["plan_root"])
        return self.changed(change, "apply", self.approver)

    def prices(self) -> dict[str, tuple[int, int | None]]:
        found = self.author.get("/v1/products").json()["items"]
        return {p["title"]: (p["prices"][0]["unit_amount"], p["prices"][0]["compare_at"]) for p in found if p["sku"]}


@pytest.fixture(scope="module")
def own_database(make_database: Callable[[], ServerUrl]) -> ServerUrl:
    """A worker serves all tenants of its database, so it must not meet what other tests left broken on purpose."""
    return make_database()


@pytest.fixture
def running(own_database: ServerUrl, master_key: bytes, tmp_path: Path) -> Iterator[Running]:
    stream = io.StringIO()
    configure_logging(console=False, level="debug", stream=stream)
    settings = Settings.load(
        database_url=own_database.uri(),
        secret_key=master_key.decode(),
        data_dir=tmp_path,
        allow_loopback_stores=True,
    )
    with ExitStack() as stack:
        store = stack.enter_context(started_sandbox(SandboxConfig(tmp_path / "shop.db", bulk_delay_s=0.05)))
        app = stack.enter_context(create_app(settings))
        server = stack.enter_context(HttpServer(app.api, host="127.0.0.1", port=0))

        def client(token: str) -> httpx2.Client:
            headers = {"Authorization": f"Bearer {token}"}
            return stack.enter_context(httpx2.Client(base_url=server.url, headers=headers, timeout=30))

        admin = client(create_tenant(app.database, name="Shoes", admin_name="Root").token.reveal())

        def person(role: str) -> httpx2.Client:
            user = admin.post("/v1/users", json={"name": role, "role": role}).json()
            return client(admin.post("/v1/tokens", json={"name": "t", "user_id": user["id"]}).json()["token"])

        yield Running(app, store, admin, person("author"), person("approver"), stream)


def test_a_rule_reaches_the_store_and_is_taken_back(running: Running) -> None:
    sync = running.synced()
    assert (sync["state"], sync["error"]) == ("completed", None)
    before = running.prices()

    change = running.author.post("/v1/price-changes", json=SALE).json()
    previewed = running.changed(change, "preview", running.author)
    assert (previewed["state"], previewed["summary"]["items"]) == ("previewed", 2)
    applied = running.applied(previewed)

    assert (applied["state"], applied["error"], applied["progress"]["counts"]) == ("applied", None, {"applied": 2})
    assert running.prices() == {"Shirt": (990, 1100)}
    back = running.changed(applied, "rollback", running.admin)
    restored = running.applied(back)
    assert restored["state"] == "applied"
    assert running.prices() == before == {"Shirt": (1100, 1500)}
    assert 'calibr_apply_items_total{state="applied"} 4.0' in running.admin.get("/metrics").text


def test_a_store_that_lets_us_in_no_more_stops_an_apply_which_goes_on_once_it_does(running: Running) -> None:
    auth = {"method": "client_credentials", "client_id": DEFAULT_CLIENT_ID}
    sync = running.synced({"auth": auth}, {"client_secret": DEFAULT_CLIENT_SECRET})
    connection = f"/v1/connections/{sync['connection_id']}"
    plans = []
    for name in ("one", "two"):
        made = running.author.post("/v1/price-changes", json={**SALE, "name": name}).json()
        plan = running.changed(made, "preview", running.author)
        running.changed(plan, "submit", running.author)
        running.changed(plan, "approve", running.approver, plan_root=plan["plan_root"])
        plans.append(plan)
    app = f"{running.store.url}/sandbox/app"
    httpx2.post(app, json={"installed": False}, trust_env=False).raise_for_status()

    stopped = running.changed(plans[0], "apply", running.approver)
    assert (stopped["state"], stopped["error"]["code"]) == ("paused", "upstream.unauthorized")
    assert running.author.get(connection).json()["state"] == "unauthorized"
    refused = running.approver.post(f"/v1/price-changes/{plans[1]['id']}/apply", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "connection.unauthorized")
    assert running.author.post(f"{connection}/syncs", json={}).json()["code"] == "connection.unauthorized"
    again = running.changed(plans[0], "resume", running.approver)
    assert (again["state"], again["error"]["code"]) == ("paused", "connection.unauthorized")

    httpx2.post(app, json={"installed": True}, trust_env=False).raise_for_status()
    assert running.author.post(f"{connection}/check", json={}).json()["state"] == "active"
    done = running.changed(plans[0], "resume", running.approver)

    assert (done["state"], done["error"], done["progress"]["counts"]) == ("applied", None, {"applied": 2})
    assert running.prices() == {"Shirt": (990, 1100)}


def test_a_sync_that_waits_for_a_store_which_lets_us_in_no_more_ends_with_the_reason(
    own_database: ServerUrl, master_key: bytes, tmp_path: Path
) -> None:
    settings = Settings.load(
        database_url=own_database.uri(),
        secret_key=master_key.decode(),
        data_dir=tmp_path,
        allow_loopback_stores=True,
        worker_enabled=False,
    )
    config = {"shop_url": "http://127.0.0.1:9", "auth": {"method": "client_credentials", "client_id": "x"}}
    body = {"kind": "shopify", "name": "Gone", "config": config, "secrets": {"client_secret": "y"}}
    with create_app(settings) as app, HttpServer(app.api, host="127.0.0.1", port=0) as server:
        token = create_tenant(app.database, name="Waiting", admin_name="Root").token.reveal()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=server.url, headers=headers) as client:
            made = client.post("/v1/connections", json=body).json()
            sync = client.post(f"/v1/connections/{made['id']}/syncs", json={}).headers["location"]
            client.post(f"/v1/connections/{made['id']}/disable", json={})
            with create_app(settings.model_copy(update={"worker_enabled": True})):
                deadline = time.monotonic() + 30
                while (ended := client.get(sync).json())["state"] == "queued":
                    assert time.monotonic() < deadline
                    time.sleep(0.05)

    assert ended["state"] == "failed"
    assert ended["error"] == "The connection 'Gone' is disabled; enable it first."


def test_it_says_that_it_is_ready_and_counts_its_work(running: Running) -> None:
    running.synced()

    ready = running.admin.get("/readyz").json()
    assert ready["status"] == "ready"
    assert [check["name"] for check in ready["checks"]] == ["database", "schema", "disk", "worker"]
    text = running.admin.get("/metrics").text
    assert 'calibr_jobs_total{kind="sync",outcome="done"} 1.0' in text


def test_no_secret_is_in_a_log_line_of_the_whole_way(running: Running) -> None:
    running.synced()
    change = running.author.post("/v1/price-changes", json=SALE).json()
    running.applied(running.changed(change, "preview", running.author))

    written = running.log_lines.getvalue()

    assert DEFAULT_TOKEN not in written
    for person in (running.admin, running.author, running.approver):
        assert person.headers["authorization"].removeprefix("Bearer ") not in written
    lines = [json.loads(line) for line in written.splitlines()]
    assert {"worker.started", "http.request_answered", "sync.completed"} <= {line["event"] for line in lines}
    assert not [line for line in lines if line["level"] == "error"]


def test_a_store_that_is_away_fails_the_sync_with_a_message(running: Running) -> None:
    body = {
        "kind": "shopify",
        "name": "Gone",
        "config": {"shop_url": "http://127.0.0.1:9"},
        "secrets": {"access_token": "x"},
    }
    connection = running.author.post("/v1/connections", json=body).json()
    sync = running.author.post(f"/v1/connections/{connection['id']}/syncs").json()

    ended = running.wait(f"/v1/syncs/{sync['id']}", lambda seen: seen["state"] in {"completed", "failed"})

    assert ended["state"] == "failed"
    assert "cannot be reached" in ended["error"]
    assert running.author.get("/v1/products").json()["items"] == []
    assert running.author.get(f"/v1/connections/{connection['id']}").json()["state"] == "failing"


def test_a_store_on_this_machine_is_refused_unless_the_operator_allows_it(
    own_database: ServerUrl, master_key: bytes, tmp_path: Path
) -> None:
    settings = Settings.load(database_url=own_database.uri(), secret_key=master_key.decode(), data_dir=tmp_path)
    body = {"kind": "shopify", "name": "In", "config": {"shop_url": "http://127.0.0.1:5432"}}
    with create_app(settings) as app, HttpServer(app.api, host="127.0.0.1", port=0) as server:
        token = create_tenant(app.database, name="Shoes", admin_name="Root").token.reveal()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=server.url, headers=headers) as client:
            refused = client.post("/v1/connections", json={**body, "secrets": {"access_token": "x"}})
            kept = client.get("/v1/connections").json()["items"]

    assert (refused.status_code, refused.json()["code"], kept) == (422, "connection.config", [])
    assert "CALIBR_ALLOW_LOOPBACK_STORES=true" in refused.json()["detail"]


SERVE = """
import sys
from calibr.app import serve
from calibr.settings import Settings
serve(Settings.load(port=0), on_ready=lambda url: print(url, flush=True))
"""


def test_the_server_ends_in_order_when_it_is_told_to(
    own_database: ServerUrl, master_key: bytes, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "CALIBR_DATABASE_URL": own_database.uri(),
        "CALIBR_SECRET_KEY": master_key.decode(),
        "CALIBR_DATA_DIR": str(tmp_path),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert httpx2.get(f"{url}/healthz").json()["status"] == "ok"
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()

    events = [json.loads(line)["event"] for line in said.splitlines()]
    assert process.returncode == 0
    assert events[-3:] == ["server.stopping", "worker.stopped", "server.stopped"]


def test_a_database_that_is_away_ends_the_start_and_its_password_is_not_told(master_key: bytes, tmp_path: Path) -> None:
    url = "postgresql://joe:canary@127.0.0.1:9/calibr"
    settings = Settings.load(database_url=url, secret_key=master_key.decode(), data_dir=tmp_path)

    with (
        pytest.raises(Unavailable, match=r"joe@127\.0\.0\.1:9/calibr cannot be reached") as refused,
        create_app(settings),
    ):
        pass

    assert "canary" not in str(refused.value)
