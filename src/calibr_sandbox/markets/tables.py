"""The tables of markets, catalogs and price lists, and how their rows are numbered."""

import sqlite3
from typing import Final

TABLES: Final = """
CREATE TABLE IF NOT EXISTS market (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  handle TEXT NOT NULL UNIQUE,
  status TEXT NOT NULL,
  base_currency TEXT NOT NULL,
  manual_rate TEXT,
  local_currencies INTEGER NOT NULL,
  rounding_enabled INTEGER NOT NULL,
  duties_strategy TEXT NOT NULL,
  tax_strategy TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS market_region (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  market_id INTEGER NOT NULL REFERENCES market (id),
  country TEXT NOT NULL,
  UNIQUE (market_id, country)
);
CREATE TABLE IF NOT EXISTS publication (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  auto_publish INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS price_list (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  currency TEXT NOT NULL,
  adjustment_type TEXT NOT NULL,
  adjustment_value TEXT NOT NULL,
  compare_at_mode TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS catalog (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  title TEXT NOT NULL,
  status TEXT NOT NULL,
  price_list_id INTEGER UNIQUE REFERENCES price_list (id),
  publication_id INTEGER UNIQUE REFERENCES publication (id)
);
CREATE TABLE IF NOT EXISTS catalog_context (
  catalog_id INTEGER NOT NULL REFERENCES catalog (id),
  context_id INTEGER NOT NULL,
  PRIMARY KEY (catalog_id, context_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fixed_price (
  price_list_id INTEGER NOT NULL REFERENCES price_list (id),
  variant_id INTEGER NOT NULL REFERENCES variant (id),
  price TEXT NOT NULL,
  compare_at_price TEXT,
  PRIMARY KEY (price_list_id, variant_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS fixed_price_of_variant ON fixed_price (variant_id);
CREATE TABLE IF NOT EXISTS quantity_rule (
  price_list_id INTEGER NOT NULL REFERENCES price_list (id),
  variant_id INTEGER NOT NULL REFERENCES variant (id),
  minimum INTEGER NOT NULL,
  maximum INTEGER,
  increment INTEGER NOT NULL,
  PRIMARY KEY (price_list_id, variant_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS quantity_price_break (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  price_list_id INTEGER NOT NULL REFERENCES price_list (id),
  variant_id INTEGER NOT NULL REFERENCES variant (id),
  minimum_quantity INTEGER NOT NULL,
  price TEXT NOT NULL,
  UNIQUE (price_list_id, variant_id, minimum_quantity)
);
CREATE TRIGGER IF NOT EXISTS variant_without_prices AFTER DELETE ON variant BEGIN
  DELETE FROM fixed_price WHERE variant_id = OLD.id;
  DELETE FROM quantity_rule WHERE variant_id = OLD.id;
  DELETE FROM quantity_price_break WHERE variant_id = OLD.id;
END;
CREATE TABLE IF NOT EXISTS company (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  external_id TEXT UNIQUE,
  created_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS company_location (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  company_id INTEGER NOT NULL REFERENCES company (id),
  name TEXT NOT NULL,
  phone TEXT,
  external_id TEXT,
  created_at INTEGER NOT NULL
);
"""

_FIRST: Final = {
    "market": 98_000_000_001,
    "market_region": 4_060_000_000_001,
    "publication": 300_000_000_001,
    "price_list": 32_000_000_001,
    "catalog": 150_000_000_001,
    "quantity_price_break": 6_000_000_001,
    "company": 5_000_000_001,
    "company_location": 8_000_000_001,
}


def next_number(connection: sqlite3.Connection, table: str) -> int:
    """Return the id of the next row of a table. The number of a deleted row never comes again."""
    last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return int(last[0]) + 1 if last else _FIRST[table]
