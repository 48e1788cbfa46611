"""The tables of webhook subscriptions: those of the sandbox's own route, and those made over the API."""

from typing import Final

TABLES: Final = """
CREATE TABLE IF NOT EXISTS webhook (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL,
  url TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (topic, url)
);
CREATE TABLE IF NOT EXISTS webhook_subscription (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL,
  uri TEXT NOT NULL,
  format TEXT NOT NULL,
  filter TEXT,
  include_fields TEXT NOT NULL,
  metafield_namespaces TEXT NOT NULL,
  metafields TEXT NOT NULL,
  name TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
"""
