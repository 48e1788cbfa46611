"""How much memory a worker takes to read a large store over HTTP, and whether it tells exactly what changed.

`python benchmarks/store_sync.py [--variants 1000000]` prints a table and exits 1 if a bound is missed. The
store is a sandbox in a process of its own, whose export puts children apart from their parents. Each sync runs as in a
worker, in a process of its own, from opening the connector to the commit; its memory is `ru_maxrss`. Between the
syncs 50 prices are edited by hand in the store: an incremental sync, and then a full one, must each tell these 50 and
no other as `price.observed`.
"""

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx2
import psycopg

from calibr.access import create_tenant
from calibr.catalog import (
    Connectors,
    NewConnection,
    SyncMode,
    create_connection,
    get_sync,
    open_connector,
    request_sync,
    run_sync,
)
from calibr.connectors import shopify
from calibr.connectors.port import Connector
from calibr.core.ids import SyncId, TenantId, new_uuid
from calibr.db import Context, OpenDatabase, Role
from calibr.vault import Vault
from calibr.worker.jobs import ACTOR  # with all that a worker has in its memory

MASTER_KEY: Final = b"a benchmark's own master key, thrown away"
TOKEN: Final = "shpat_benchmark"  # noqa: S105 - of a store that lives for minutes
SEED: Final = 7
EDITS: Final = 50
TAGS: Final = ("sale", "new", "summer", "clearance", "gift", "travel")
BOUND_MEMORY_MB: Final = 600


def _connect(config: dict[str, object], secrets: dict[str, str]) -> Connector:
    return shopify.create(config, secrets, allow_loopback=True)


CONNECTORS: Final[Connectors] = {shopify.KIND: _connect}


@dataclass(frozen=True, slots=True)
class Measured:
    """One sync: its time, the peak memory of its process, how it read and what it counted."""

    seconds: float
    memory_mb: int
    mode: str
    summary: dict[str, Any]


class Run:
    """One tenant, connected to one sandbox store."""

    def __init__(self, area: Path, opened: OpenDatabase, url: str) -> None:
        self._area = area
        self._opened = opened
        self._store = httpx2.Client(base_url=url, timeout=60, trust_env=False)
        made = create_tenant(opened.database, name="Large", admin_name="Ada")
        self._context = Context(made.tenant_id, f"user:{made.user_id}", new_uuid())
        new = NewConnection(shopify.KIND, "Large store", {"shop_url": url}, {"access_token": TOKEN})
        with opened.database.session(self._context) as session:
            self._connection = create_connection(session, new, vault=Vault(MASTER_KEY), connectors=CONNECTORS).id

    def sync(self, mode: SyncMode) -> Measured:
        """Let a worker do a sync, in a process of its own."""
        with self._opened.database.session(self._context) as session:
            sync_id = request_sync(session, self._connection, mode=mode).id
        command = [sys.executable, __file__, "--worker", str(self._area), str(self._context.tenant_id), str(sync_id)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        told = json.loads(done.stdout.splitlines()[-1])  # what is logged stands before it
        with self._opened.database.session(self._context) as session:
            run = get_sync(session, sync_id)
        if run.summary is None:
            raise SystemExit(f"the sync {run.state}: {run.error}")
        return Measured(**told, mode=run.mode.value, summary=dict(run.summary))

    def collect(self) -> None:
        """Put every product with one of these tags into a collection of its name."""
        for tag in TAGS:
            collection = {"handle": tag, "title": tag.title(), "tag": tag}
            self._store.post("/sandbox/collections", json=collection).raise_for_status()

    def edit(self, seed: int) -> dict[str, int]:
        """Raise the prices of some variants by hand in the store; returns the new prices in minor units."""
        with psycopg.connect(self._opened.admin.conninfo()) as admin:
            query = "select external_id from calibr.listing where connection_id = %s order by external_id"
            ids = [row[0] for row in admin.execute(query, (self._connection,))]
        chosen = random.Random(seed).sample(ids, EDITS)  # noqa: S311 - repeatable on purpose
        new = {external_id: 100_000 * seed + place for place, external_id in enumerate(chosen)}
        edits = [{"id": external_id, "price": f"{cents / 100:.2f}"} for external_id, cents in new.items()]
        self._store.post("/sandbox/edits", json={"edits": edits, "who": "a merchant"}).raise_for_status()
        return new

    def observed(self, after: int) -> tuple[int, list[tuple[str, int]]]:
        """What the log tells of prices after this position, and the position of its end."""
        query = """select seq, convert_from(body, 'UTF8')::jsonb -> 'payload' from calibr.event
            where seq > %s and type = 'price.observed' and tenant_id = %s order by seq"""
        with psycopg.connect(self._opened.admin.conninfo()) as admin:
            (end,) = admin.execute("select coalesce(max(seq), 0) from calibr.event").fetchall()[0]
            rows = admin.execute(query, (after, self._context.tenant_id)).fetchall()
        return end, [(payload["external_id"], payload["after"]["unit_amount"]) for _, payload in rows]

    def close(self) -> None:
        """End the connections to the store."""
        self._store.close()


def work(area: str, tenant: str, sync_id: str) -> None:
    """Do one sync as a worker does, and tell its time and the peak memory of this process."""
    context, wanted = Context(TenantId(UUID(tenant)), ACTOR, new_uuid()), SyncId(UUID(sync_id))
    with OpenDatabase.embedded(Path(area) / "postgres", MASTER_KEY) as opened, _folder(Path(area)) as folder:
        start = time.perf_counter()
        with opened.database.session(context, role=Role.WORKER) as session:
            connection_id = get_sync(session, wanted).connection_id
            connector = open_connector(session, connection_id, Vault(MASTER_KEY), CONNECTORS)
        run_sync(opened.database, context, wanted, connector, folder)
        connector.close()
        seconds = time.perf_counter() - start
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "memory_mb": peak_kb // 1024}))


def measure(area: Path, variants: int) -> list[str]:
    """Run everything once and print it; return the bounds that were missed."""
    missed: list[str] = []
    with _sandbox(area, variants) as url, OpenDatabase.embedded(area / "postgres", MASTER_KEY) as opened:
        run = Run(area, opened, url)
        run.collect()
        _tell("first, full", run.sync(SyncMode.AUTO), "full", missed)
        position, news = run.observed(0)
        _judge("price.observed of the baseline", len(news), 0, missed)
        for seed, (name, asked, expected) in enumerate(
            [("50 edits, left to itself", SyncMode.AUTO, "incremental"), ("50 edits, full", SyncMode.FULL, "full")], 1
        ):
            edited = run.edit(seed)
            _tell(name, run.sync(asked), expected, missed)
            position, news = run.observed(position)
            _judge("price.observed", len(news), EDITS, missed)
            _judge("  of them the edits", len(set(news) & set(edited.items())), EDITS, missed)
        run.close()
    return missed


def _tell(name: str, done: Measured, mode: str, missed: list[str]) -> None:
    rows = done.summary["rows"]
    print(f"{name:32} {done.mode:12} {rows:>9,} rows  {done.seconds:7.2f} s")
    verdict = "ok" if done.memory_mb < BOUND_MEMORY_MB else "MISSED"
    print(f"  peak memory of the worker        {done.memory_mb:>8} MB  bound {BOUND_MEMORY_MB}  {verdict}", flush=True)
    if verdict != "ok":
        missed.append(f"memory of {name}")
    if done.mode != mode:
        missed.append(f"{name} was {done.mode}")


def _judge(name: str, value: int, wanted: int, missed: list[str]) -> None:
    print(f"  {name:32} {value:>8}     must be {wanted}  {'ok' if value == wanted else 'MISSED'}", flush=True)
    if value != wanted:
        missed.append(name.strip())


@contextmanager
def _folder(parent: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="store-sync-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _sandbox(area: Path, variants: int) -> Iterator[str]:
    options = ["--db", str(area / "shop.db"), "--token", TOKEN, "--products", str(variants), "--seed", str(SEED)]
    command = [sys.executable, "-m", "calibr_sandbox", "serve", *options, "--bulk-delay", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None:
                raise AssertionError("the sandbox has no standard output")
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def main() -> int:
    """Measure, print, judge; return the exit status."""
    if sys.argv[1:2] == ["--worker"]:
        work(*sys.argv[2:])
        return 0
    parser = argparse.ArgumentParser(description="How a large store comes in over HTTP.")
    parser.add_argument("--variants", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with _folder(Path(tempfile.gettempdir())) as area:
        area.chmod(0o711)  # as root, the server runs as another user and has to pass
        missed = measure(area, arguments.variants)
    print(f"missed: {', '.join(missed)}" if missed else "all bounds met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
