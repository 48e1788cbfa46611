"""How long a large change takes on either path to a store, against its preview; and how the store's rate is used.

`python benchmarks/writes.py [--variants 100000] [--speed 10] [--no-judge]` changes every price of a generated store on
the smallest plan, once by calls and once in files, over real HTTP: store, server and worker are processes. The store's
time runs `--speed` times as fast, and it tells its rate accordingly; the pace at which it works through a file is the
one that the estimate assumes, since no store promises one. Judged: the time within 15 % of the estimate; by calls,
answers that the store refused for want of points under 1 %, and at least 97 % of the points that its rate allows used.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx2
from ratios import Table

from calibr.access import create_tenant
from calibr.cli.client import Client
from calibr.cli.demo.processes import Processes
from calibr.cli.demo.workspace import workspace
from calibr.connectors.port import WritePath
from calibr.connectors.shopify.estimates import LINES_PER_S
from calibr.db import OpenDatabase
from calibr.settings import Settings, master_key
from calibr_sandbox.catalog_writer import NewProduct, NewVariant, create_shop

VARIANTS_PER_PRODUCT: Final = 5
TOKEN: Final = "shpat_benchmark"  # noqa: S105 - of a store that lives for minutes
RATE: Final = 100
"""Points per second of the smallest plan."""
OFF_ESTIMATE: Final = 0.15
MOST_REFUSED: Final = 0.01
LEAST_USED: Final = 0.97
RULE: Final = {
    "selector": {"all": []},
    "transform": {"price": [{"op": "percent", "by": "-10"}], "compare_at": {"set": "from_price"}},
    "guardrails": [],
}
NO_WORKER: Final = {"CALIBR_WORKER_ENABLED": "false"}
_ENDED: Final = frozenset({"applied", "partially_applied", "failed", "paused", "aborted"})


@dataclass(frozen=True)
class Measured:
    """One apply run: seconds, what the preview said, and what the store counted meanwhile."""

    seconds: float
    eta: dict[str, Any]
    state: str
    calls: int
    throttled: int
    points: int


@dataclass(frozen=True)
class Bench:
    """A store and a server, with an author and an approver."""

    store: str
    author: Client
    approver: Client

    def change_everything(self, path: WritePath) -> Measured:
        """Connect on one path, preview, approve, apply; only the last is timed."""
        connection = self.author.post(
            "/v1/connections",
            {
                "kind": "shopify", "name": str(path), "config": {"shop_url": self.store, "write_path": str(path)},
                "secrets": {"access_token": TOKEN},
            },
        )  # fmt: skip
        sync = self.author.post(f"/v1/connections/{connection['id']}/syncs")
        self._wait(f"/v1/syncs/{sync['id']}", {"completed", "failed"})
        lists = [p["id"] for p in self.author.pages("/v1/price-lists") if p["connection_id"] == connection["id"]]
        change = self.author.post("/v1/price-changes", {"name": str(path), **RULE, "price_list_ids": lists})
        at = f"/v1/price-changes/{change['id']}"
        self.author.post(f"{at}/preview")
        planned = self._wait(at, {"previewed", "draft"})
        self.author.post(f"{at}/submit")
        self.approver.post(f"{at}/approve", {"plan_root": planned["plan_root"]})
        time.sleep(3.0 if path is WritePath.CALLS else 0)  # the bucket is full, as the estimate takes it to be
        before, began = self._stats(), time.monotonic()
        self.approver.post(f"{at}/apply")
        ended = self._wait(at, _ENDED)
        seconds, after = time.monotonic() - began, self._stats()
        counted = {name: after[name] - before[name] for name in ("calls", "throttled", "points_spent")}
        (eta,) = planned["summary"]["eta"]
        return Measured(seconds, eta, ended["state"], counted["calls"], counted["throttled"], counted["points_spent"])

    def _wait(self, path: str, states: set[str] | frozenset[str]) -> dict[str, Any]:
        while (found := self.author.get(path))["state"] not in states:
            time.sleep(0.2)
        return found

    def _stats(self) -> dict[str, int]:
        found: dict[str, int] = httpx2.get(f"{self.store}/sandbox/stats", trust_env=False).json()
        return found


def products(variants: int) -> Iterator[NewProduct]:
    """Products with five variants each."""
    for number in range(variants // VARIANTS_PER_PRODUCT):
        sizes = tuple(NewVariant((f"Size {n}",), f"{20 + n}.00") for n in range(VARIANTS_PER_PRODUCT))
        yield NewProduct(
            f"Shirt {number}", f"shirt-{number}", "Acme", "Tops", (), ("Size",), sizes, 1_767_225_600 + number
        )


@contextmanager
def opened_bench(variants: int, speed: int) -> Iterator[Bench]:
    """A store on the smallest plan, a server and a worker."""
    with ExitStack() as stack:
        place = stack.enter_context(workspace())
        processes = Processes(place)
        stack.callback(processes.end_all)
        create_shop(place.store_file, products(variants))
        serve = ["calibr_sandbox", "serve", "--db", str(place.store_file), "--token", TOKEN, "--plan", "standard"]
        pace = ["--time-factor", str(speed), "--bulk-lines-per-s", str(LINES_PER_S / speed), "--bulk-delay", "1"]
        store = processes.launch("store", [*serve, *pace])
        settings = Settings.load(data_dir=place.data_dir, secret_key=None, database_url=None)
        place.data_dir.mkdir(mode=0o711, exist_ok=True)
        opened = stack.enter_context(OpenDatabase.embedded(place.data_dir / "postgres", master_key(settings)))
        here, may = ["--json", "--data-dir", str(place.data_dir)], {"CALIBR_ALLOW_LOOPBACK_STORES": "1"}
        server = processes.launch("server", ["calibr", "serve", "--port", "0", *here], {**may, **NO_WORKER})
        processes.launch("worker", ["calibr", "worker", *here], may).await_ready()
        made = create_tenant(opened.database, name="Bench", admin_name="Ada")
        for process in (store, server):
            process.await_ready()
        approver = stack.enter_context(closing(Client(server.url, made.token.reveal())))
        person = approver.post("/v1/users", {"name": "Petra", "role": "admin"})
        token = str(approver.post("/v1/tokens", {"name": "bench", "user_id": person["id"]})["token"])
        yield Bench(store.url, stack.enter_context(closing(Client(server.url, token))), approver)


def judge(table: Table, path: WritePath, found: Measured, speed: int) -> None:
    """Print what was found, and judge it."""
    if found.state != "applied":
        raise SystemExit(f"{path}: the change ended {found.state}")
    estimated = found.eta["seconds"]
    print(
        f"{path}: {found.seconds:.1f} s, estimated {estimated} s ({found.eta['path']}); {found.calls:,} calls, "
        f"{found.points:,} points (estimated {found.eta['points']:,}), {found.throttled} refused for want of points"
    )
    table.judge(f"{path}: off the estimate", abs(found.seconds / max(estimated, 1) - 1), OFF_ESTIMATE)
    if path is WritePath.CALLS:
        table.judge("calls: share refused for want of points", found.throttled / max(found.calls, 1), MOST_REFUSED)
        possible = RATE * speed * found.seconds + 2_000
        table.judge("calls: share of the possible points left unused", 1 - found.points / possible, 1 - LEAST_USED)


def main() -> int:
    """Measure both paths; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", type=int, default=100_000)
    parser.add_argument("--speed", type=int, default=10, help="how many times as fast the store's time runs")
    parser.add_argument("--no-judge", action="store_true", help="print, but do not fail")
    options = parser.parse_args()
    table = Table()
    with opened_bench(options.variants, options.speed) as bench:
        for path in WritePath:
            judge(table, path, bench.change_everything(path), options.speed)
    return 1 if table.missed and not options.no_judge else 0


if __name__ == "__main__":
    sys.exit(main())
