"""The SQLite file behind a shop: its tables, its one writing connection, its reading snapshots.

Commits are in WAL mode with synchronous=NORMAL: what was committed survives the death of the process
(a power cut may lose the last commits, never the file).
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from calibr_sandbox.markets.tables import TABLES as MARKET_TABLES
from calibr_sandbox.money import decimals_of
from calibr_sandbox.webhook_tables import TABLES as WEBHOOK_TABLES

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS product (
  id INTEGER PRIMARY KEY,
  title TEXT NOT NULL,
  handle TEXT NOT NULL UNIQUE,
  vendor TEXT NOT NULL,
  product_type TEXT NOT NULL,
  status TEXT NOT NULL,
  tags TEXT NOT NULL,
  options TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  extra TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE IF NOT EXISTS variant (
  id INTEGER PRIMARY KEY,
  product_id INTEGER NOT NULL REFERENCES product (id),
  position INTEGER NOT NULL,
  title TEXT NOT NULL,
  sku TEXT,
  barcode TEXT,
  price TEXT NOT NULL,
  compare_at_price TEXT,
  cost TEXT,
  option_values TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  extra TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS product_updated ON product (updated_at, id);
CREATE INDEX IF NOT EXISTS variant_of_product ON variant (product_id, position, id);
CREATE TABLE IF NOT EXISTS bulk_operation (
  id INTEGER PRIMARY KEY,
  status TEXT NOT NULL,
  query TEXT NOT NULL,
  group_objects INTEGER NOT NULL,
  error_code TEXT,
  created_at INTEGER NOT NULL,
  completed_at INTEGER,
  object_count INTEGER NOT NULL,
  root_object_count INTEGER NOT NULL,
  file_size INTEGER,
  result TEXT,
  type TEXT NOT NULL DEFAULT 'QUERY',
  staged_path TEXT,
  client_identifier TEXT,
  writer TEXT
);
CREATE TABLE IF NOT EXISTS bulk_line (
  operation INTEGER NOT NULL,
  line INTEGER NOT NULL,
  answer TEXT NOT NULL,
  PRIMARY KEY (operation, line)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS staged_upload (
  key TEXT PRIMARY KEY,
  secret TEXT NOT NULL,
  method TEXT NOT NULL,
  mime_type TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  file TEXT,
  size INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS collection (
  id INTEGER PRIMARY KEY,
  handle TEXT NOT NULL UNIQUE,
  title TEXT NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS collection_member (
  product_id INTEGER NOT NULL REFERENCES product (id),
  collection_id INTEGER NOT NULL REFERENCES collection (id),
  PRIMARY KEY (product_id, collection_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metafield (
  id INTEGER PRIMARY KEY,
  product_id INTEGER NOT NULL REFERENCES product (id),
  namespace TEXT NOT NULL,
  key TEXT NOT NULL,
  type TEXT NOT NULL,
  value TEXT NOT NULL,
  UNIQUE (product_id, namespace, key)
);
"""
_JOURNAL: Final = """
CREATE TABLE IF NOT EXISTS journal (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  call INTEGER NOT NULL,
  source TEXT NOT NULL,
  at INTEGER NOT NULL,
  variant_id INTEGER NOT NULL,
  price TEXT,
  compare_at_price TEXT,
  cost TEXT,
  at_ms INTEGER NOT NULL DEFAULT 0,
  who TEXT NOT NULL DEFAULT '',
  price_before TEXT,
  compare_at_price_before TEXT,
  effective INTEGER NOT NULL DEFAULT 1,
  request_id TEXT,
  writer TEXT,
  price_list_id INTEGER,
  currency TEXT
);
"""
# Evidence: what was written and by whom can be added to, and nothing else.
_EVIDENCE: Final = """
CREATE TRIGGER IF NOT EXISTS journal_no_update BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS journal_no_delete BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
"""
_LATER_COLUMNS: Final = {
    "journal": {
        "at_ms": "INTEGER NOT NULL DEFAULT 0",
        "who": "TEXT NOT NULL DEFAULT ''",
        "price_before": "TEXT",
        "compare_at_price_before": "TEXT",
        "effective": "INTEGER NOT NULL DEFAULT 1",
        "request_id": "TEXT",
        "writer": "TEXT",
        "price_list_id": "INTEGER",
        "currency": "TEXT",
    },
    "product": {"extra": "TEXT NOT NULL DEFAULT '{}'"},
    "variant": {"extra": "TEXT NOT NULL DEFAULT '{}'"},
    "bulk_operation": {
        "type": "TEXT NOT NULL DEFAULT 'QUERY'",
        "staged_path": "TEXT",
        "client_identifier": "TEXT",
        "writer": "TEXT",
    },
}
"""Columns that files of an earlier version lack, by table."""


class Reader:
    """Reads from one connection, which a lock guards."""

    def __init__(self, connection: sqlite3.Connection, lock: "threading.RLock", currency: str) -> None:
        """Wrap a connection of a shop with this currency."""
        self._connection = connection
        self._lock = lock
        self.currency = currency

    def fetch_all(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Run one reading statement and return all of its rows."""
        with self._lock:
            return self._connection.execute(sql, parameters).fetchall()

    def fetch_one(self, sql: str, parameters: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
        """Run one reading statement and return its first row, or None."""
        with self._lock:
            row: tuple[Any, ...] | None = self._connection.execute(sql, parameters).fetchone()
            return row

    def fetch_value(self, sql: str, parameters: tuple[Any, ...] = ()) -> object:
        """Run one reading statement and return the first column of its first row, or None."""
        row = self.fetch_one(sql, parameters)
        return None if row is None else row[0]

    def stream(self, sql: str, parameters: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Run one reading statement and yield its rows as they come. For snapshots: it takes no lock."""
        yield from self._connection.execute(sql, parameters)


class Store(Reader):
    """A shop's database. The writing connection is shared by threads and guarded by a lock."""

    def __init__(self, path: Path, currency: str) -> None:
        """Open the file, creating it with this currency when it is new."""
        decimals_of(currency)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA busy_timeout = 10000")
        connection.execute("PRAGMA cache_size = -65536")
        connection.executescript(_TABLES + MARKET_TABLES + WEBHOOK_TABLES + _JOURNAL)
        _bring_up_to_date(connection)
        connection.executescript(_EVIDENCE)
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('currency', ?)", (currency,))
        stored = connection.execute("SELECT value FROM meta WHERE key = 'currency'").fetchone()
        super().__init__(connection, threading.RLock(), stored[0])

    def close(self) -> None:
        """Close the writing connection; SQLite folds the write-ahead log into the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit everything written in the block, or nothing. Other threads wait.

        A block within a block of the same thread is undone by itself when it fails and committed with the outer one.
        """
        with self._lock:
            is_inner = self._connection.in_transaction
            self._connection.execute("SAVEPOINT inner_block" if is_inner else "BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK TO inner_block" if is_inner else "ROLLBACK")
                if is_inner:
                    self._connection.execute("RELEASE inner_block")
                raise
            self._connection.execute("RELEASE inner_block" if is_inner else "COMMIT")

    @contextmanager
    def snapshot(self) -> Iterator[Reader]:
        """Read the state as of now for as long as the block lasts, without stopping writers."""
        with closing(sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            yield Reader(connection, threading.RLock(), self.currency)


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    for table, columns in _LATER_COLUMNS.items():
        known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        for name, kind in columns.items():
            if name not in known:
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")
    if any(row[1] == "price" and row[3] for row in connection.execute("PRAGMA table_info(journal)")):
        _let_price_be_null(connection)


def _let_price_be_null(connection: sqlite3.Connection) -> None:
    """Copy a journal of an earlier version, in which each entry had a price: a deleted fixed price leaves none."""
    columns = ", ".join(row[1] for row in connection.execute("PRAGMA table_info(journal)"))
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ALTER TABLE journal RENAME TO earlier_journal")
    connection.execute(_JOURNAL)
    connection.execute(f"INSERT INTO journal ({columns}) SELECT {columns} FROM earlier_journal ORDER BY seq")  # noqa: S608
    connection.execute("DROP TRIGGER IF EXISTS journal_no_update")
    connection.execute("DROP TRIGGER IF EXISTS journal_no_delete")
    connection.execute("DROP TABLE earlier_journal")
    connection.execute("COMMIT")
