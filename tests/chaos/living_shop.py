"""A store and a server as processes of their own, with an approved change: what the chaos tests do harm to."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from calibr.cli.client import Client
from calibr.cli.demo.processes import Launched, Processes, run_once
from calibr.cli.demo.workspace import workspace
from calibr.db import ServerUrl
from calibr.db.embedded.postmaster import PidFile

SHORT_LEASES = {
    "CALIBR_WORKER_LEASE_S": "2.4",
    "CALIBR_STORE_CALL_S": "1.2",
    "CALIBR_STORE_DELAY_S": "0.4",
    "CALIBR_LEASE_MARGIN_S": "0.1",
    "CALIBR_DELIVERY_LEASE_S": "2.4",
    "CALIBR_DELIVERY_CALL_S": "1.0",
    "CALIBR_POLL_S": "0.1",
    "CALIBR_ALLOW_LOOPBACK_STORES": "true",
    "CALIBR_ALLOW_LOOPBACK_WEBHOOKS": "true",
}
CHECKER = Path(__file__).parent / "checker" / "check.py"
OVER = {"applied", "partially_applied", "failed", "aborted"}
RULE = {"name": "down", "selector": {"all": []}, "transform": {"price": [{"op": "percent", "by": "-10"}]}}


@dataclass
class LivingShop:
    """One tenant on one server, its store, and two people."""

    processes: Processes
    store: Launched
    server: Launched
    data_dir: Path
    tenant_id: str
    author: Client
    approver: Client
    changes: list[str] = field(default_factory=list)

    @property
    def pgdata(self) -> Path:
        return self.data_dir / "postgres" / "pgdata"

    def admin(self) -> "psycopg.Connection[Any]":
        """A connection above the walls."""
        return psycopg.connect(self.admin_url().conninfo(), autocommit=True)

    def admin_url(self) -> ServerUrl:
        """A login above the walls, over the socket that the running server names."""
        found = PidFile.read(self.pgdata)
        assert found is not None
        password = (self.data_dir / "postgres" / "superuser.password").read_text().strip()
        return ServerUrl(found.socket_dir, found.port, "calibr", "postgres", password)

    def approved(self) -> str:
        """A change that lowers every price, approved."""
        change_id = str(self.author.post("/v1/price-changes", RULE)["id"])
        self.author.post(f"/v1/price-changes/{change_id}/preview")
        self.until(lambda: self.change(change_id)["state"] == "previewed")
        return self.approve(change_id)

    def approve(self, change_id: str) -> str:
        path = f"/v1/price-changes/{change_id}"
        self.author.post(f"{path}/submit")
        self.approver.post(f"{path}/approve", {"plan_root": self.change(change_id)["plan_root"]})
        self.changes.append(change_id)
        return change_id

    def change(self, change_id: str) -> dict[str, Any]:
        return dict(self.author.get(f"/v1/price-changes/{change_id}"))

    def apply(self, change_id: str) -> None:
        self.approver.post(f"/v1/price-changes/{change_id}/apply")

    def until(self, holds: Callable[[], bool], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"it did not come about in {seconds} s"
            time.sleep(0.05)

    def violations(self) -> dict[str, int]:
        """What the checker says of all changes so far; empty if nothing is wrong."""
        command = [sys.executable, str(CHECKER), "--database", self.admin_url().conninfo(), "--tenant", self.tenant_id]
        command += ["--store", str(self.processes.place.store_file)]
        for change_id in self.changes:
            command += ["--change", change_id]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.stdout, done.stderr
        verdict = json.loads(done.stdout)
        found = {**verdict["violations"], **verdict["integrity"]}
        return {name: number for name, number in found.items() if number}


@contextmanager
def living_shop(variants: int, environment: dict[str, str] | None = None) -> Iterator[LivingShop]:
    """Start it, read the catalog, and end all of it afterwards."""
    with workspace() as place:
        processes = Processes(place)
        try:
            store = processes.launch(
                "store",
                ["calibr_sandbox", "serve", "--db", str(place.store_file), "--plan", "enterprise",
                 "--products", str(variants)],
            )  # fmt: skip
            server = processes.launch(
                "server",
                ["calibr", "serve", "--json", "--port", "0", "--data-dir", str(place.data_dir)],
                {**SHORT_LEASES, **(environment or {})},
            )
            server.await_ready()
            store.await_ready()
            shop = _furnished(processes, store, server, place.data_dir)
            try:
                yield shop
            finally:
                shop.author.close()
                shop.approver.close()
        finally:
            processes.end_all()


def _furnished(processes: Processes, store: Launched, server: Launched, data_dir: Path) -> LivingShop:
    made = run_once(["calibr", "tenant", "create", "Shop", "--admin", "Ada", "--json", "--data-dir", str(data_dir)])
    author = Client(server.url, str(made["token"]))
    other = author.post("/v1/users", {"name": "Petra", "role": "admin"})
    token = str(author.post("/v1/tokens", {"name": "t", "user_id": other["id"]})["token"])
    shop = LivingShop(processes, store, server, data_dir, str(made["tenant_id"]), author, Client(server.url, token))
    body = {
        "kind": "shopify",
        "name": "s",
        "config": {"shop_url": store.url},
        "secrets": {"access_token": "shpat_sandbox"},
    }
    connection = author.post("/v1/connections", body)
    sync = author.post(f"/v1/connections/{connection['id']}/syncs")
    shop.until(lambda: author.get(f"/v1/syncs/{sync['id']}")["state"] == "completed")
    return shop
