"""Holds the prices of all lists on disk until they are told: each listing once per list, and a fixed price before all.

A store may have millions of them, and its export may show a listing twice.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from calibr.connectors.port import CatalogFinding
from calibr.connectors.port.odd_values import shown
from calibr.connectors.port.price_lists import ListedPrice, QuantityBreak
from calibr.connectors.port.staging_statements import FINDINGS_PER_RULE

BLOCK: Final = 5_000
_SCHEMA: Final = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -65536;
    CREATE TABLE price (price_list TEXT, external_id TEXT, unit_amount INTEGER, compare_at INTEGER, relative INTEGER,
        PRIMARY KEY (price_list, external_id)) WITHOUT ROWID;
    CREATE TABLE quantity_break (price_list TEXT, external_id TEXT, minimum_quantity INTEGER, unit_amount INTEGER,
        PRIMARY KEY (price_list, external_id, minimum_quantity)) WITHOUT ROWID;
    BEGIN;
"""
"""Nothing is ever undone or read by another: the transaction without an end only spares the file a write per row."""

_SET_FIXED: Final = "INSERT OR REPLACE INTO price VALUES (?, ?, ?, ?, ?)"
_ADD_RELATIVE: Final = "INSERT OR IGNORE INTO price VALUES (?, ?, ?, ?, ?)"


class ListStaging:
    """Prices and quantity breaks in a file of their own, which `close` removes. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.unlink(missing_ok=True)
        self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._file.executescript(_SCHEMA)

    def add(self, prices: Iterable[ListedPrice]) -> None:
        """Keep these; a fixed price takes the place of what is there, a relative one yields to it."""
        rows = [(p.price_list, p.external_id, p.unit_amount, p.compare_at, p.relative) for p in prices]
        self._file.executemany(_SET_FIXED, [row for row in rows if not row[-1]])
        self._file.executemany(_ADD_RELATIVE, [row for row in rows if row[-1]])

    def add_breaks(self, breaks: Iterable[QuantityBreak]) -> None:
        """Keep these."""
        rows = [(each.price_list, each.external_id, each.minimum_quantity, each.unit_amount) for each in breaks]
        self._file.executemany("INSERT OR REPLACE INTO quantity_break VALUES (?, ?, ?, ?)", rows)

    def prices(self) -> Iterator[Sequence[ListedPrice]]:
        """Yield what was kept, in blocks."""
        rows = self._file.execute("SELECT * FROM price")
        while block := rows.fetchmany(BLOCK):
            yield [ListedPrice(who, what, price, compare, bool(rel)) for who, what, price, compare, rel in block]

    def breaks(self) -> Iterator[Sequence[QuantityBreak]]:
        """Yield what was kept, in blocks."""
        rows = self._file.execute("SELECT * FROM quantity_break")
        while block := rows.fetchmany(BLOCK):
            yield [QuantityBreak(*row) for row in block]

    def close(self) -> None:
        """Remove the file. May be called twice."""
        self._file.close()
        self._path.unlink(missing_ok=True)


class Findings:
    """What was refused: at most `FINDINGS_PER_RULE` of each list and field, then one that counts the rest."""

    def __init__(self, first: Sequence[CatalogFinding]) -> None:
        self._kept = list(first)
        self._totals: Counter[str] = Counter()

    def add(self, external_id: str, field: str, rule: str) -> None:
        """Note one value."""
        self._totals[field] += 1
        if self._totals[field] <= FINDINGS_PER_RULE:
            self._kept.append(CatalogFinding(shown(external_id), field, None, rule))

    def all(self) -> list[CatalogFinding]:
        """Everything that was noted."""
        left = {field: total - FINDINGS_PER_RULE for field, total in self._totals.items()}
        more = [CatalogFinding("*", field, None, f"{n} further values") for field, n in left.items() if n > 0]
        return [*self._kept, *more]
