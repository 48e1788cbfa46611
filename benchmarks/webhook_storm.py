"""A webhook storm against `calibr serve` with its worker, on the embedded server (fsync on), and what is left of it.

`python benchmarks/webhook_storm.py [--deliveries 10000] [--threads 8] [--no-judge]`: 20 % repeats, 5 % with a bad
signature, shuffled. Exits 1 unless the state is that of the store, with one event for each price that really changed,
every forgery was answered with 401 and nothing else was, and 95 % of the answers came within 100 ms.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from ratios import Table
from storm import Outcome, brew, send

from calibr.cli.client import Client
from calibr.cli.demo.processes import Processes, run_once
from calibr.cli.demo.workspace import workspace
from calibr_sandbox.catalog_writer import NewProduct, NewVariant, create_shop
from calibr_sandbox.config import DEFAULT_TOKEN, DEFAULT_WEBHOOK_SECRET, SandboxConfig
from calibr_sandbox.endpoint import Shop
from calibr_sandbox.server import running_sandbox

PRODUCTS: Final = 500
VARIANTS: Final = 4
BOUND_P95_MS: Final = 100.0
PATIENCE_S: Final = 300.0


def main() -> int:
    """Run the storm and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deliveries", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-judge", action="store_true")
    wishes = parser.parse_args()
    table = Table()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="calibr-storm-")))
        create_shop(folder / "shop.db", [_product(n) for n in range(PRODUCTS)], "USD")
        config = SandboxConfig(folder / "shop.db", plan="enterprise", bulk_delay_s=0.01)
        sandbox = stack.enter_context(running_sandbox(config))
        place = stack.enter_context(workspace())
        processes = Processes(place)
        stack.callback(processes.end_all)
        office = Office.open(processes, str(place.data_dir), sandbox.url)
        office.sell()
        shop = sandbox.shop
        known = _prices(shop)
        storm = brew(shop, sorted(known), deliveries=wishes.deliveries, seed=wishes.seed)
        outcome = send(office.hook_url(), storm, threads=wishes.threads)
        _report(table, outcome, wishes.deliveries)
        wanted = _prices(shop)
        office.settle()
        changed = {number for number in wanted if wanted[number] != known[number]}
        for kind in ("price.observed", "price.drifted"):
            told = Counter(int(event["payload"]["external_id"]) for event in office.events(kind))
            table.judge(f"{kind}: events that are missing or too many", _difference(told, changed), 0)
        table.judge("prices that are not those of the store", _wrong(office, wanted), 0)
        print(f"{len(changed)} of {len(known)} prices really changed; {wishes.deliveries} deliveries", flush=True)
    return 1 if table.missed and not wishes.no_judge else 0


@dataclass(frozen=True)
class Office:
    """A server with a connected store, and people who work on it."""

    url: str
    people: Mapping[str, Client]
    connection_id: str

    @classmethod
    def open(cls, processes: Processes, data_dir: str, store_url: str) -> "Office":
        """Start a server, connect the store and read it."""
        arguments = ["calibr", "serve", "--json", "--port", "0", "--data-dir", data_dir]
        server = processes.launch("server", arguments, {"CALIBR_ALLOW_LOOPBACK_STORES": "true"})
        server.await_ready()
        made = run_once(["calibr", "tenant", "create", "Storm", "--admin", "Ada", "--json", "--data-dir", data_dir])
        people = {"admin": Client(server.url, str(made["token"]))}
        for role in ("author", "approver"):
            user = people["admin"].post("/v1/users", {"name": role, "role": role})
            token = people["admin"].post("/v1/tokens", {"name": "t", "user_id": user["id"]})["token"]
            people[role] = Client(server.url, str(token))
        secrets = {"access_token": DEFAULT_TOKEN, "client_secret": DEFAULT_WEBHOOK_SECRET}
        body = {"kind": "shopify", "name": "Shop", "config": {"shop_url": store_url}, "secrets": secrets}
        connection_id = str(people["author"].post("/v1/connections", body)["id"])
        office = cls(server.url, people, connection_id)
        sync = people["author"].post(f"/v1/connections/{connection_id}/syncs", {})
        office.await_(f"/v1/syncs/{sync['id']}", lambda seen: seen["state"] == "completed")
        return office

    def sell(self) -> None:
        """Take ten percent off everything, so that every price is one of ours."""
        author, approver = self.people["author"], self.people["approver"]
        body = {
            "name": "Sale",
            "selector": {"all": []},
            "transform": {"price": [{"op": "percent", "by": "-10"}, {"op": "round", "to": "0.01"}]},
        }
        path = f"/v1/price-changes/{author.post('/v1/price-changes', body)['id']}"
        author.post(f"{path}/preview", {})
        plan = self.await_(path, lambda seen: seen["state"] == "previewed")
        author.post(f"{path}/submit", {})
        approver.post(f"{path}/approve", {"plan_root": plan["plan_root"]})
        approver.post(f"{path}/apply", {})
        self.await_(path, lambda seen: seen["state"] == "applied")

    def hook_url(self) -> str:
        """Where the store sends."""
        return self.url + str(self.watch()["path"])

    def watch(self) -> dict[str, Any]:
        """What became of the deliveries."""
        return self.people["author"].get(f"/v1/connections/{self.connection_id}/webhooks")

    def settle(self) -> None:
        """Wait until everything is worked in and told."""
        path = f"/v1/connections/{self.connection_id}/webhooks"
        started = time.perf_counter()
        seen = self.await_(path, lambda watch: watch["waiting"] == 0)
        print(f"worked in {time.perf_counter() - started:.1f} s after the last answer; failed: {seen['failed']}")
        told = -1
        while told != (told := len(self.events("price.drifted"))):
            time.sleep(3.0)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """All events of a type that a webhook led to."""
        found = self.people["admin"].pages("/v1/events", {"type": kind})
        return [event for event in found if event["payload"].get("source") == "webhook"]

    def await_(self, path: str, is_done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Ask until it is as wanted."""
        deadline = time.monotonic() + PATIENCE_S
        while not is_done(seen := self.people["admin"].get(path)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path}: {seen}")
            time.sleep(0.2)
        return seen


def _report(table: Table, outcome: Outcome, deliveries: int) -> None:
    genuine, forged = ({s: n for (f, s), n in outcome.statuses.items() if f is wanted} for wanted in (False, True))
    table.judge("genuine deliveries that were not answered with 200", sum(genuine.values()) - genuine.get(200, 0), 0)
    table.judge("forged deliveries that were not answered with 401", sum(forged.values()) - forged.get(401, 0), 0)
    table.judge("deliveries without an answer", deliveries - outcome.statuses.total(), 0)
    note = f"p50 {outcome.quantile_ms(0.5):.1f} ms, p99 {outcome.quantile_ms(0.99):.1f} ms"
    table.judge("95 % of the answers came within (ms)", outcome.quantile_ms(0.95), BOUND_P95_MS, note)


def _difference(told: Mapping[int, int], changed: set[int]) -> int:
    return sum(abs(told.get(number, 0) - (number in changed)) for number in changed | set(told))


def _wrong(office: Office, wanted: Mapping[int, str]) -> int:
    known = {}
    for product in office.people["author"].pages("/v1/products"):
        for listing in product["channel_refs"]:
            known[int(listing["external_id"])] = product["prices"][0]["unit_amount"]
    return sum(known.get(number) != int(Decimal(price) * 100) for number, price in wanted.items())


def _prices(shop: Shop) -> dict[int, str]:
    return dict(shop.store.fetch_all("SELECT id, price FROM variant"))


def _product(number: int) -> NewProduct:
    variants = tuple(NewVariant((f"Size {n}",), f"{10 + n}.00", sku=f"S-{number}-{n}") for n in range(VARIANTS))
    return NewProduct(f"Shirt {number}", f"shirt-{number}", "Acme", "Tops", (), ("Size",), variants, 1_767_225_601)


if __name__ == "__main__":
    sys.exit(main())
