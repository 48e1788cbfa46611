"""How fast a store's catalog comes in, as ratios in one run on the embedded server (fsync on).

`python benchmarks/ingest.py [--variants 1000000] [--no-judge]` prints a table and exits 1 if a bound is missed. The
base is COPY of the ready rows, one for each variant with all columns, into a logged heap without an index. Ours begins
at the JSONL file of a Shopify bulk query and ends with the commit: parse, join, normalize, stage, compare, write,
events. Each sync runs in a process of its own, so that the peak of its memory is its own.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, cast
from uuid import UUID

import psycopg
from ingest_catalog import write_catalog

from calibr.access import create_tenant
from calibr.catalog import NewConnection, create_connection, request_sync, run_sync
from calibr.connectors.port import STAGE_COLUMNS, BasePriceList, CatalogStream, Connector, Progress
from calibr.connectors.shopify import bulk_rows
from calibr.core.ids import ConnectionId, SyncId, TenantId, new_uuid
from calibr.db import Context, OpenDatabase
from calibr.vault import Vault

MASTER_KEY: Final = b"a benchmark's own master key, thrown away"
SEED: Final = 7
SMALL: Final = 100_000
"""The memory of a large ingest is compared with that of one of so many variants."""

BOUND_FIRST: Final = 8.0
BOUND_SECOND: Final = 4.5
BOUND_MEMORY_MB: Final = 600
TABLES: Final = ("product", "listing", "price_version", "product_cost")
_KINDS: Final = {
    **dict.fromkeys(("tags", "tags_norm"), "text[]"), **dict.fromkeys(("attributes", "attributes_norm"), "jsonb"),
    **dict.fromkeys(("unit_amount", "compare_at", "unit_cost"), "bigint"), "fingerprint": "uuid",
}  # fmt: skip
_READY: Final = ", ".join(f"{name} {_KINDS.get(name, 'text')}" for name in STAGE_COLUMNS)


class _FileStore:
    """The catalog half of a connector whose file is there already."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read_catalog(self, work_dir: Path, progress: Progress) -> CatalogStream:
        progress("staging", 0, None)
        return bulk_rows.stream(self._path, BasePriceList("Base prices", "USD"), work_dir)


@dataclass(frozen=True, slots=True)
class Measured:
    """One sync: its time, the peak memory of its process, what it counted, and what it wrote."""

    seconds: float
    memory_mb: int
    summary: dict[str, Any]
    wal_mb: float
    row_versions: int
    events: int


class Run:
    """One store of `variants` in a tenant of its own."""

    def __init__(self, area: Path, opened: OpenDatabase, variants: int) -> None:
        self.file = area / f"bulk-{variants}.jsonl"
        self.ready = area / f"ready-{variants}.csv"
        self._area = area
        self._opened = opened
        _part("files", str(self.file), str(self.ready), str(variants))
        made = create_tenant(opened.database, name=f"{variants} variants", admin_name="Ada")
        self._context = Context(made.tenant_id, f"user:{made.user_id}", new_uuid())
        self._connection = self._connect()

    def copy_ready(self) -> float:
        """Seconds of COPY into a logged heap."""
        with psycopg.connect(self._opened.admin.conninfo(), autocommit=True) as admin:
            admin.execute(f"create table ready({_READY})")
            admin.execute("checkpoint")
            start = time.perf_counter()
            with admin.cursor() as cursor, cursor.copy("copy ready from stdin (format csv)") as copy:
                for block in _blocks(self.ready):
                    copy.write(block)
            seconds = time.perf_counter() - start
            admin.execute("drop table ready")
        return seconds

    def sync(self) -> Measured:
        """Sync in a process of its own."""
        with self._opened.database.session(self._context) as session:
            sync_id = request_sync(session, self._connection).id
        with psycopg.connect(self._opened.admin.conninfo(), autocommit=True) as admin:
            admin.execute("vacuum")
            admin.execute("checkpoint")
            before = _marks(admin)
            told = _part("sync", str(self._area), str(self.file), str(self._context.tenant_id), str(sync_id))
            after = _marks(admin)
            touched = sum(_touched(admin, table, before["xid"]) for table in TABLES)
        wal_mb = (after["lsn"] - before["lsn"]) / 1e6
        return Measured(**told, wal_mb=wal_mb, row_versions=touched, events=after["events"] - before["events"])

    def _connect(self) -> ConnectionId:
        new = NewConnection("file", "Benchmark", {}, {})
        with self._opened.database.session(self._context) as session:
            connectors = {"file": lambda _config, _secrets: cast("Connector", _Closable())}
            return create_connection(session, new, vault=Vault(MASTER_KEY), connectors=connectors).id


class _Closable:
    def close(self) -> None:
        """Nothing is open."""


def _marks(admin: psycopg.Connection) -> dict[str, int]:
    """The position of the log, the next transaction, and the number of events that are not the end of a sync."""
    query = """select (pg_current_wal_insert_lsn() - '0/0')::bigint, pg_current_xact_id()::text::bigint,
      (select count(*) from calibr.event where type <> 'sync.completed')"""
    lsn, xid, events = admin.execute(query).fetchall()[0]
    return {"lsn": lsn, "xid": xid, "events": events}


def _touched(admin: psycopg.Connection, table: str, since: int) -> int:
    """Rows that were written, or only locked, since a transaction."""
    query = f"select count(*) from calibr.{table} where xmin::text::bigint > {since} or xmax::text::bigint > {since}"
    return int(admin.execute(query).fetchall()[0][0])


# -- parts that run in a process of their own ------------------------------------------------------------------------


def _part(name: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--part", name, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])  # what is logged stands before it
    return told


def make_files(file: str, ready: str, variants: str) -> dict[str, Any]:
    """Write the JSONL file, and the same rows ready for COPY."""
    write_catalog(Path(file), int(variants), SEED)
    with _folder(Path(file).parent) as work_dir, Path(ready).open("wb") as target:
        stream = _FileStore(Path(file)).read_catalog(work_dir, lambda *_: None)
        target.writelines(stream.chunks())
        stream.close()
    return {}


def do_sync(area: str, file: str, tenant: str, sync_id: str) -> dict[str, Any]:
    """Do a sync that was asked for."""
    context = Context(TenantId(UUID(tenant)), "system:benchmark", new_uuid())
    store = cast("Connector", _FileStore(Path(file)))
    with OpenDatabase.embedded(Path(area) / "postgres", MASTER_KEY) as opened, _folder(Path(area)) as work_dir:
        start = time.perf_counter()
        summary = run_sync(opened.database, context, SyncId(UUID(sync_id)), store, work_dir)
        seconds = time.perf_counter() - start
    peak_kb = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    return {"seconds": seconds, "memory_mb": peak_kb // 1024, "summary": summary and summary.document()}


PARTS: Final[dict[str, Callable[..., dict[str, Any]]]] = {"files": make_files, "sync": do_sync}


# -- the whole -------------------------------------------------------------------------------------------------------


def measure(area: Path, variants: int) -> dict[str, Any]:
    """Run everything once. The base is measured before and after each sync, since a shared machine drifts."""
    with OpenDatabase.embedded(area / "postgres", MASTER_KEY) as opened:
        small = Run(area, opened, min(SMALL, variants)).sync()
        run = Run(area, opened, variants)
        copies = [run.copy_ready()]
        first = run.sync()
        copies.append(run.copy_ready())
        second = run.sync()
        copies.append(run.copy_ready())
    return {"variants": variants, "copies": copies, "small": small, "first": first, "second": second}


def report(found: dict[str, Any]) -> list[str]:
    """Print the table; return the bounds that were missed."""
    first, second, small = found["first"], found["second"], found["small"]
    around_first, around_second = (statistics.mean(pair) for pair in pairwise(found["copies"]))
    copies = ", ".join(f"{seconds:.2f}" for seconds in found["copies"])
    print(f"COPY of {found['variants']:,} ready rows before, between and after: {copies} s")
    lines = [
        (
            "first ingest",
            f"{first.seconds:.2f} s, WAL {first.wal_mb:.0f} MB",
            first.seconds / around_first,
            BOUND_FIRST,
            "x",
        ),
        (
            "second, unchanged",
            f"{second.seconds:.2f} s, WAL {second.wal_mb:.2f} MB",
            second.seconds / around_second,
            BOUND_SECOND,
            "x",
        ),
        ("  row versions written", "", second.row_versions, 0, ""),
        ("  events besides its end", "", second.events, 0, ""),
        ("peak memory, first", f"{small.memory_mb} MB at {SMALL:,}", first.memory_mb, BOUND_MEMORY_MB, "MB"),
        ("peak memory, second", "", second.memory_mb, BOUND_MEMORY_MB, "MB"),
    ]
    for name, detail, value, bound, unit in lines:
        print(f"{name:26} {detail:32} {value:8.2f} {unit:2}  bound {bound:g}  {'ok' if value <= bound else 'MISSED'}")
    print(f"{found['variants'] / first.seconds:,.0f} variants/s first, {found['variants'] / second.seconds:,.0f} again")
    return [name.strip() for name, _, value, bound, _ in lines if value > bound]


@contextmanager
def _folder(parent: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="work-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb", 0) as file:
        while block := file.read(1 << 20):
            yield block


def main() -> int:
    """Measure, print, judge; return the exit status."""
    if sys.argv[1:2] == ["--part"]:
        print(json.dumps(PARTS[sys.argv[2]](*sys.argv[3:])))
        return 0
    parser = argparse.ArgumentParser(description="How fast a store's catalog comes in.")
    parser.add_argument("--variants", type=int, default=1_000_000)
    parser.add_argument("--no-judge", action="store_true", help="print only; a small run says nothing about the bounds")
    arguments = parser.parse_args()
    with _folder(Path(tempfile.gettempdir())) as area:
        area.chmod(0o711)  # as root, the server runs as another user and has to pass
        missed = report(measure(area, arguments.variants))
    return 1 if missed and not arguments.no_judge else 0


if __name__ == "__main__":
    sys.exit(main())
