"""From a connector's raw relation to staged catalog rows: normal forms, exact money, findings, order. Knows no vendor.

What is refused becomes a finding, never another value: a refused amount, text or tag counts as null, and a listing
without a usable id or without its group is left out. Amounts are integers of minor units of the base price list's
currency, costs of their own. Memory is bounded; what does not fit is spilled into the work directory.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from calibr.connectors.port import BasePriceList, CatalogFinding
from calibr.connectors.port import staging_statements as statements
from calibr.connectors.port.odd_values import shown, treat_odd_values
from calibr.connectors.port.staging_sql import MACROS
from calibr.core.currencies import MINOR_UNITS
from calibr.core.errors import Upstream

MEMORY_LIMIT: Final = "256MB"
MAX_THREADS: Final = 4
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class RawCatalog:
    """What a connector has read, as two DuckDB queries. `ordinal` orders groups, and listings within their group.

    `groups`: group_external_id varchar, ordinal bigint, title, vendor, product_type, status varchar, tags varchar[];
    perhaps attributes, which all listings of the group get (one of their own with the same name counts more).
    `listings`: external_id, group_external_id varchar, ordinal bigint, sku varchar, attributes struct(name varchar,
    text_value varchar, number_value varchar)[], unit_amount, compare_at, unit_cost, cost_currency varchar.
    Amounts are texts in major units. `number_value` is a number as JSON writes it; an attribute with neither value is
    null. Rows come in any order. Of groups that repeat an id the first is kept, of listings the first in the order of
    the catalog.
    """

    groups: str
    listings: str


def open_workspace(work_dir: Path) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB database that keeps within `MEMORY_LIMIT`, spills into `work_dir` and never uses the network."""
    workspace = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": MEMORY_LIMIT,
            "threads": min(MAX_THREADS, os.cpu_count() or 1),
            "temp_directory": str(work_dir / "staging.spill"),
            "preserve_insertion_order": True,  # the first of a repeated id is kept
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    for macro in MACROS:
        workspace.execute(macro)
    return workspace


def stage(
    workspace: duckdb.DuckDBPyConnection,
    raw: RawCatalog,
    base_price_list: BasePriceList,
    *,
    work_dir: Path,
    findings: Sequence[CatalogFinding] = (),
) -> "StagedCatalog":
    """Read both queries once and return the staged rows; the workspace belongs to the result, which closes it.

    `findings` are those that the connector has already. Raises Upstream `upstream.currency` for a base price list in
    a currency that ISO 4217 does not have.
    """
    if base_price_list.currency not in MINOR_UNITS:
        raise Upstream("upstream.currency", f"The store's currency {base_price_list.currency!r} is not in ISO 4217.")
    rows_read = _prepare(workspace, raw, base_price_list.currency)
    return StagedCatalog(workspace, base_price_list, work_dir=work_dir, rows_read=rows_read, earlier=tuple(findings))


class StagedCatalog:
    """A `CatalogStream` over the staged rows of a workspace, which `close` ends. `chunks` may be called once.

    `rows_read` counts the groups and listings of the raw catalog, those that were left out included.
    """

    def __init__(
        self,
        workspace: duckdb.DuckDBPyConnection,
        base_price_list: BasePriceList,
        *,
        work_dir: Path,
        rows_read: int,
        earlier: tuple[CatalogFinding, ...],
    ) -> None:
        """Use `stage`."""
        self.base_price_list = base_price_list
        self.rows_total: int | None = _count(workspace, "staged")
        self._workspace = workspace
        self._work_dir = work_dir
        self.rows_read = rows_read
        self._earlier = earlier

    def chunks(self) -> Iterator[bytes]:
        """Yield the rows as CSV in blocks of about a mebibyte, while the next range of rows is being written."""
        ranges = self._workspace.execute(statements.RANGES).fetchall()
        with ThreadPoolExecutor(1, "staging") as writer:
            pending = [writer.submit(self._write, 0, *bounds) for bounds in ranges[:1]]
            for place in range(1, len(ranges) + 1):
                path = pending.pop().result()
                pending.extend(writer.submit(self._write, place % 2, *bounds) for bounds in ranges[place : place + 1])
                yield from _blocks(path)

    def findings(self) -> list[CatalogFinding]:
        """Return what was refused: at most `FINDINGS_PER_RULE` for a field and rule, then one that counts the rest."""
        rows = self._workspace.execute(statements.FINDINGS).fetchall()
        noted = [_finding(who, field, value, rule) for who, field, value, rule, _ in rows]
        return [*self._earlier, *noted, *_remainders(rows)]

    def close(self) -> None:
        """End the workspace; its files go with the work directory."""
        self._workspace.close()

    def _write(self, slot: int, first: int, last: int) -> Path:
        path = self._work_dir / f"staged-{slot}.csv"
        with self._workspace.cursor() as cursor:
            cursor.execute(f"copy ({statements.rows_of(first, last)}) to $1 (format csv, header false)", [str(path)])
        return path


def _prepare(workspace: duckdb.DuckDBPyConnection, raw: RawCatalog, currency: str) -> int:
    """Groups first, since listings are sorted by them; each query is read once. Returns the number of rows read."""
    _execute(workspace, statements.FINDING_TABLE, statements.read_groups(raw.groups))
    rows_read = _count(workspace, "raw_group")
    _execute(workspace, *statements.findings_of_groups())
    treat_odd_values(workspace, statements.odd_values_of_groups())
    _execute(workspace, statements.staged_groups(), statements.read_listings(raw.listings, currency))
    rows_read += _count(workspace, "staged")
    _execute(workspace, *statements.findings_of_listings(currency))
    treat_odd_values(workspace, statements.odd_values_of_listings())
    _execute(workspace, *statements.findings_of_odd_values(), "drop table raw_group")
    return rows_read


def _execute(workspace: duckdb.DuckDBPyConnection, *commands: str) -> None:
    for command in commands:
        workspace.execute(command)


def _count(workspace: duckdb.DuckDBPyConnection, table: str) -> int:
    rows: list[tuple[int]] = workspace.table(table).count("*").fetchall()
    return rows[0][0]


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb", 0) as file:
        while block := file.read(_BLOCK):
            yield block


def _finding(external_id: str, field: str, value: str | None, rule: str) -> CatalogFinding:
    return CatalogFinding(shown(external_id), field, None if value is None else shown(value), rule)


def _remainders(rows: list[tuple[Any, ...]]) -> list[CatalogFinding]:
    totals = {(field, rule): total for _, field, _, rule, total in rows}
    return [
        CatalogFinding("*", field, None, f"{total - statements.FINDINGS_PER_RULE} further values: {rule}")
        for (field, rule), total in totals.items()
        if total > statements.FINDINGS_PER_RULE
    ]
