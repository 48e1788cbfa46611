"""What nobody can beat in this language on this server: rows like those of the event log, written and read by hand.

One connection, a table with the columns and indexes of the log, and nothing else: no row-level security, no counter, no
schema to judge by, bodies made beforehand. The server waits for the disk at each commit, as everywhere.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson
import psycopg

from calibr.core.ids import new_uuid
from calibr.db import Context, ServerUrl
from calibr.events import Event
from calibr.events.model import canonical_bytes, envelope, shared_fields

PAGE: Final = 200
Row = tuple[Any, ...]

_SCHEMA: Final = """
  create schema limits;
  create table limits.event(like calibr.event including defaults including generated including indexes);
  create table limits.cursor(tenant_id uuid primary key, seq bigint not null);
"""
_COLUMNS: Final = (
    "tenant_id, seq, event_id, aggregate_type, aggregate_id, type, schema_version, correlation_id, causation_id, "
    "actor, at, body"
)
_TYPES: Final = (
    "uuid", "int8", "uuid", "text", "text", "text", "text", "uuid", "uuid", "text", "timestamptz", "bytea",
)  # fmt: skip
# As text the driver would quote the body, in more time than all else takes.
_INSERT: Final = f"insert into limits.event({_COLUMNS}) values ({', '.join(['%s'] * 11)}, %b)"
_COPY: Final = f"copy limits.event({_COLUMNS}) from stdin"
_FILL: Final = f"""
  insert into limits.event({_COLUMNS}) select {_COLUMNS} from calibr.event where tenant_id = %s
"""
_READ: Final = """
  select seq, event_id, type, aggregate_type, aggregate_id, at, body from limits.event
  where tenant_id = %s and seq > %s order by seq limit %s
"""


class Limits:
    """The limits of appending and of reading, on a connection of the administrator."""

    def __init__(self, server: ServerUrl, context: Context) -> None:
        self._context = context
        self._connection = psycopg.connect(server.conninfo())
        self._connection.execute(_SCHEMA)
        self._connection.commit()
        self._seq = 0

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def rows(self, events: Sequence[Event]) -> list[Row]:
        """Rows of events, as the log would hold them."""
        context, at = self._context, datetime.now(UTC)
        shared = shared_fields(context, at)
        return [self._row(event, canonical_bytes(envelope(event, shared)), at) for event in events]

    def _row(self, event: Event, body: bytes, at: datetime) -> Row:
        context = self._context
        self._seq += 1
        return (
            context.tenant_id, self._seq, event.event_id, event.aggregate_type, event.aggregate_id, event.type,
            event.schema_version, context.correlation_id, context.causation_id, context.actor, at, body,
        )  # fmt: skip

    def insert(self, rows: Sequence[Row]) -> None:
        """INSERT and commit each row."""
        for row in rows:
            self._connection.execute(_INSERT, row)
            self._connection.commit()

    def copy(self, rows: Sequence[Row], *, binary: bool) -> None:
        """COPY all rows, then commit. Binary leaves the escaping out and says the types instead."""
        statement = f"{_COPY} (format binary)" if binary else _COPY
        with self._connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            if binary:
                copy.set_types(_TYPES)
            for row in rows:
                copy.write_row(row)
        self._connection.commit()

    def fill(self) -> int:
        """Empty the table, and put what the log holds there; returns the number of rows."""
        self._connection.execute("truncate limits.event")
        number = self._connection.execute(_FILL, [self._context.tenant_id]).rowcount
        self._connection.commit()
        return number

    def read(self) -> int:
        """Read from the beginning in pages, parse every body, commit the position after each page; returns a count."""
        tenant, seen, seq = self._context.tenant_id, 0, 0
        self._connection.execute("delete from limits.cursor")
        self._connection.execute("insert into limits.cursor values (%s, 0)", [tenant])
        self._connection.commit()
        while page := self._connection.execute(_READ, [tenant, seq, PAGE], binary=True).fetchall():
            for row in page:
                orjson.loads(row[-1])
            seen, seq = seen + len(page), page[-1][0]
            self._connection.execute("update limits.cursor set seq = %s where tenant_id = %s", [seq, tenant])
            self._connection.commit()
        return seen


def price_changed(product_id: UUID) -> Event:
    """An event of the most frequent type, of about a kilobyte: a price was written to a store."""
    price, change_id = {"unit_amount": 1999, "compare_at": None}, str(new_uuid())
    return Event(
        "price.changed", "product", str(product_id),
        {
            "change_id": change_id, "revision": 1, "product_id": str(product_id), "price_list_id": change_id,
            "currency": "USD", "before": {**price}, "after": {**price, "unit_amount": 1799}, "observed": {**price},
            "rollback_of": None, "rule_hash": "0" * 64, "plan_root": "0" * 64, "trace_hash": "0" * 64,
        },
    )  # fmt: skip
