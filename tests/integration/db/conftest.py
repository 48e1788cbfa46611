"""Two tenants with the same ids in every table, made from the catalogue, so that a new table is covered by itself."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from graphlib import TopologicalSorter
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from calibr.core.ids import TenantId, new_uuid
from calibr.db import ServerUrl

# What no rule about types can know. A new table with checks of its own needs its values here.
VALUES = {
    ("*", "currency"): "EUR",
    ("price_change_item", "verdict"): "changed",
    ("price_change_item", "state"): "pending",
    ("price_version", "relative"): True,
}
BY_TYPE: dict[str, Any] = {
    "text": "x",
    "boolean": True,
    "bytea": b"x",
    "date": date(2026, 1, 1),
    "jsonb": Jsonb({}),
    "timestamp with time zone": datetime(2026, 1, 1, tzinfo=UTC),
    **dict.fromkeys(("smallint", "integer", "bigint"), 1),
}

_COLUMNS = """
  select c.relname, a.attname, format_type(a.atttypid, null), a.attnotnull, a.atthasdef, a.attgenerated <> '',
         (select string_agg(pg_get_constraintdef(k.oid), ' ') from pg_constraint k
          where k.conrelid = c.oid and k.contype = 'c' and k.conkey = array[a.attnum])
  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  where c.relnamespace = 'calibr'::regnamespace and c.relkind in ('r', 'p') and c.relforcerowsecurity
  order by c.relname, a.attnum
"""
_REFERENCES = """
  select k.conrelid::regclass::text, a.attname, k.confrelid::regclass::text, b.attname
  from pg_constraint k
  cross join unnest(k.conkey, k.confkey) pair(here, there)
  join pg_attribute a on a.attrelid = k.conrelid and a.attnum = pair.here
  join pg_attribute b on b.attrelid = k.confrelid and b.attnum = pair.there
  where k.contype = 'f' and k.connamespace = 'calibr'::regnamespace
"""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    not_null: bool
    has_default: bool
    generated: bool
    check: str | None


@dataclass(frozen=True, slots=True)
class Tables:
    """The walled tables, those that others refer to first."""

    columns: dict[str, list[Column]]
    references: dict[tuple[str, str], tuple[str, str]]

    def row(self, table: str, tenant_id: UUID) -> dict[str, Any]:
        """Return a row with a value in each column that must have one, the same for every tenant but for its id."""
        return {
            column.name: self._value(table, column, tenant_id)
            for column in self.columns[table]
            if not column.generated
            and column.not_null
            and (not column.has_default or column.type == "uuid" or (table, column.name) in VALUES)
        }

    def insert(self, table: str, tenant_id: UUID) -> tuple[sql.Composed, list[Any]]:
        """Return the statement that inserts this row, and its parameters."""
        row = self.row(table, tenant_id)
        statement = sql.SQL("insert into calibr.{} ({}) values ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
        )
        return statement, list(row.values())

    def _value(self, table: str, column: Column, tenant_id: UUID) -> object:
        if column.name == "tenant_id":
            return tenant_id
        if (table, column.name) in self.references:
            other, name = self.references[table, column.name]
            return self._value(other, next(each for each in self.columns[other] if each.name == name), tenant_id)
        for key in ((table, column.name), ("*", column.name)):
            if key in VALUES:
                return VALUES[key]
        if column.type == "uuid":
            return uuid5(NAMESPACE_OID, f"{table}.{column.name}")
        allowed = re.search(r"'([^']+)'::text", column.check or "")
        if column.type == "text" and allowed:
            return allowed[1]
        return [] if column.type.endswith("[]") else BY_TYPE[column.type]


@dataclass(frozen=True, slots=True)
class Twins:
    """A database with two tenants whose rows have equal ids."""

    admin: ServerUrl
    tables: Tables
    one: TenantId
    other: TenantId


@pytest.fixture
def superuser(admin_url: ServerUrl) -> Iterator[psycopg.Connection]:
    """A connection above the walls, whose transaction is rolled back."""
    with psycopg.connect(admin_url.conninfo()) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def twins(make_database: Callable[[], ServerUrl]) -> Twins:
    admin = make_database()
    one, other = TenantId(new_uuid()), TenantId(new_uuid())
    with psycopg.connect(admin.conninfo()) as connection:
        tables = _read_tables(connection)
        for tenant_id in (one, other):
            for table in tables.columns:
                connection.execute(*tables.insert(table, tenant_id))
    return Twins(admin, tables, one, other)


def _read_tables(connection: psycopg.Connection) -> Tables:
    columns: dict[str, list[Column]] = {}
    for table, *column in connection.execute(_COLUMNS):
        columns.setdefault(table, []).append(Column(*column))
    references = {
        (table.removeprefix("calibr."), name): (other.removeprefix("calibr."), target)
        for table, name, other, target in connection.execute(_REFERENCES)
        if name != "tenant_id" and table != other
    }
    order: TopologicalSorter[str] = TopologicalSorter({table: set() for table in columns})
    for (table, _), (other, _) in references.items():
        order.add(table, other)
    for table in columns:
        if table != "tenant":
            order.add(table, "tenant")
    return Tables({table: columns[table] for table in order.static_order()}, references)
