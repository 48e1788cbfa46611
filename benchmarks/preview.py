"""How fast a plan is computed, sealed, counted and read, as ratios in one run on the embedded server.

`python benchmarks/preview.py [--rows 1000000] [--rounds 3] [--no-judge]` prints a table and exits 1 if a bound is
missed. The base is what an expert would write by hand: one `INSERT ... SELECT` in bigint arithmetic of the same rows,
traces included, into a heap without an index and without row-level security. Ours goes the whole way: `run_preview`,
the rule compiler, row-level security, keys and partial indexes, summary, seal.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest import mock
from uuid import UUID

import psycopg
from preview_tables import BARE_JOIN, DIFFERENCES, HAND_WRITTEN, RULE, SCRATCH, fill_tenant
from ratios import Table
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from calibr.changes import service
from calibr.changes.model import Documents, ItemKey, NewPriceChange
from calibr.changes.preview import quick_summary, run, run_preview
from calibr.changes.reads import items_page
from calibr.changes.seal import plan_lines
from calibr.core.ids import PriceChangeId, PriceListId, ProductId, TenantId, new_uuid
from calibr.core.text import unidata_version
from calibr.core.written_json import load_written
from calibr.db import Context, Database, OpenDatabase, Role, ServerUrl
from calibr.monitor import configure_logging

MASTER_KEY: Final = b"of a benchmark, thrown away with its server"
SMALL: Final = 100_000
PAGE: Final = 200
PAGES: Final = 400
MEMORY_MB: Final = 600
FLAT: Final = 1.25


@dataclass(frozen=True)
class Bench:
    """A tenant with `rows` products on a running server."""

    database: Database
    admin: psycopg.Connection
    names: dict[str, Any]

    @property
    def author(self) -> Context:
        """Who writes changes."""
        return Context(TenantId(self.names["tenant"]), f"user:{self.names['author']}", new_uuid())

    @property
    def worker(self) -> Context:
        """Who computes plans."""
        return Context(TenantId(self.names["tenant"]), "system:worker", new_uuid())

    def waiting_change(self) -> PriceChangeId:
        """A change whose preview was asked for."""
        documents = (load_written(json.dumps(RULE[name])) for name in ("selector", "transform", "guardrails"))
        with self.database.session(self.author) as session:
            change = service.create(session, NewPriceChange("Bench", Documents(*documents)))
            return service.request_preview(session, change.id).id


def measure_plans(bench: Bench, table: Table, rounds: int) -> PriceChangeId:
    """Hand-written, bare join, and our previews without and with the seal, in turn; returns the last plan."""
    hand = {**bench.names, "change": new_uuid()}
    change_id = bench.waiting_change()
    for _ in range(rounds):
        bench.admin.execute(SCRATCH)
        bench.admin.execute("checkpoint")
        table.time("hand-written", lambda: bench.admin.execute(HAND_WRITTEN, hand))
        table.time("bare join", lambda: bench.admin.execute(BARE_JOIN, bench.names).fetchall())
        table.time("quick summary", lambda c=change_id: _quick(bench, c))  # type: ignore[misc]
        bench.admin.execute("checkpoint")
        with mock.patch.object(run, "seal_items", return_value="0" * 64):
            unsealed = bench.waiting_change()
            table.time("preview", lambda c=unsealed: run_preview(bench.database, bench.worker, c))  # type: ignore[misc]
        bench.admin.execute("checkpoint")
        change_id = bench.waiting_change()
        table.time("sealed preview", lambda c=change_id: run_preview(bench.database, bench.worker, c))  # type: ignore[misc]
    differing = bench.admin.execute(DIFFERENCES, {"ours": change_id}).fetchone()
    if differing != (0,):
        raise SystemExit(
            f"the hand-written statement and the compiled one differ in {differing} rows: nothing is proved"
        )
    return change_id


def _quick(bench: Bench, change_id: PriceChangeId) -> None:
    with bench.database.session(bench.worker, role=Role.WORKER) as session:
        quick_summary(session, change_id)


def measure_pages(bench: Bench, table: Table, change_id: PriceChangeId) -> None:
    """Time of the server for a page of a plan at a random depth, planning included."""
    keys = bench.admin.execute(
        "select product_id from calibr.price_change_item where change_id = %s order by random() limit %s",
        (change_id, PAGES),
    ).fetchall()
    dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
    times = []
    with bench.database.session(bench.author) as session:
        for (product_id,) in keys:
            after = ItemKey(PriceListId(bench.names["list"]), ProductId(product_id))
            page = items_page(change_id, None, None, after, PAGE)
            sql = str(page.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
            plan = session.execute(text(f"explain (analyze, format json) {sql}")).scalar_one()[0]
            times.append(plan["Execution Time"] + plan["Planning Time"])
    times.sort()
    table.judge("page of 200 at random depth, p95 in ms", times[int(len(times) * 0.95)], 3.0)


def measure_memory(server: ServerUrl, names: dict[str, Any], table: Table, small: dict[str, Any]) -> None:
    """Peak memory of a process that previews, seals and exports, at two sizes."""
    peaks = []
    for chosen in (small, names):
        told = json.dumps({**{k: str(v) for k, v in chosen.items()}, "server": server.conninfo()})
        done = subprocess.run([sys.executable, __file__, "--child", told], check=True, capture_output=True, text=True)
        peaks.append(int(done.stdout.splitlines()[-1]))
        table.judge(f"peak memory at {chosen['rows']} rows in MB", peaks[-1] / 1024, MEMORY_MB)
    table.judge("peak memory, large / small", peaks[1] / peaks[0], FLAT)


def child(told: str) -> None:
    """Preview, seal and export one plan, and print the peak memory in KB as the last line.

    Not by `ru_maxrss`, which remembers the size of the process that started this one.
    """
    names = json.loads(told)
    database = Database.connect(ServerUrl.parse(names["server"]), MASTER_KEY)
    bench = Bench(database, psycopg.connect(names["server"]), {**names, "tenant": UUID(names["tenant"])})
    change_id = bench.waiting_change()
    run_preview(database, bench.worker, change_id)
    with database.session(bench.author, isolation="repeatable read") as session:
        exported = sum(len(block) for block in plan_lines(session, change_id))
    print(exported)
    status = Path("/proc/self/status").read_text().splitlines()
    print(next(line.split()[1] for line in status if line.startswith("VmHWM:")))


def new_names(rows: int) -> dict[str, Any]:
    """The names of a tenant that is to be made."""
    ids = {name: new_uuid() for name in ("tenant", "author", "connection", "list")}
    return {**ids, "rows": rows, "unidata": unidata_version()}


@contextmanager
def server() -> Iterator[OpenDatabase]:
    """The embedded server in a folder of its own, which its account can reach."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("CALIBR_BENCH_DIR")) as folder:
        Path(folder).chmod(0o711)
        # A vacuum of what the round before wrote would take one of the processors from whichever case comes next.
        with OpenDatabase.embedded(Path(folder) / "postgres", MASTER_KEY, overrides={"autovacuum": "off"}) as opened:
            yield opened


def main() -> int:
    """Run everything and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-judge", action="store_true", help="print, but do not fail")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child)
        return 0
    random.seed(1)
    configure_logging(console=False, level="ERROR")  # the table is what there is to read
    table, names, small = Table(), new_names(options.rows), new_names(min(SMALL, options.rows))
    with server() as opened, psycopg.connect(opened.admin.conninfo(), autocommit=True) as admin:
        for made in (names, small):
            fill_tenant(admin, made)
        bench = Bench(opened.database, admin, names)
        print(f"{options.rows} products on {os.cpu_count()} processors, medians of {options.rounds} rounds")
        change_id = measure_plans(bench, table, options.rounds)
        print(f"hand-written: {statistics.median(table.seconds['hand-written']):.2f} s")
        table.ratio("preview", "hand-written", 1.5)
        table.ratio("sealed preview", "hand-written", 3.0)
        table.ratio("quick summary", "bare join", 3.0)
        measure_pages(bench, table, change_id)
        measure_memory(opened.admin, names, table, small)
    return 1 if table.missed and not options.no_judge else 0


if __name__ == "__main__":
    sys.exit(main())
