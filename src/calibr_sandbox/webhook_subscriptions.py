"""The subscriptions that an app made over the API, as they are stored."""

import sqlite3
import time
from typing import Any, Final, NamedTuple

import orjson

from calibr_sandbox.search import EVERYTHING, Filter
from calibr_sandbox.store import Reader

_FIRST: Final = 1_900_000_000_001


class SubscriptionRow(NamedTuple):
    """A subscription. The topic is a value of `WebhookSubscriptionTopic`; lists are JSON text."""

    id: int
    topic: str
    uri: str
    format: str
    filter: str | None
    include_fields: str
    metafield_namespaces: str
    metafields: str
    name: str | None
    created_at: int
    updated_at: int

    def fields(self) -> list[str]:
        """List the fields of the payload that it wants; none stands for all."""
        found: list[str] = orjson.loads(self.include_fields)
        return found


_SELECT: Final = f"SELECT {', '.join(f'w.{name}' for name in SubscriptionRow._fields)} FROM webhook_subscription w"  # noqa: S608
_GIVEN: Final = {"format": "format", "filter": "filter", "name": "name"}
_LISTS: Final = {
    "includeFields": "include_fields",
    "metafieldNamespaces": "metafield_namespaces",
    "metafields": "metafields",
}


def list_subscriptions(store: Reader, where: Filter = EVERYTHING) -> list[SubscriptionRow]:
    """List the subscriptions that match, the oldest first."""
    rows = store.fetch_all(f"{_SELECT} WHERE {where.sql} ORDER BY w.id", where.parameters)
    return [SubscriptionRow._make(row) for row in rows]


def find_subscription(store: Reader, number: int) -> SubscriptionRow | None:
    """Return the subscription, or None."""
    row = store.fetch_one(f"{_SELECT} WHERE w.id = ?", (number,))
    return SubscriptionRow._make(row) if row else None


def is_taken(store: Reader, row: SubscriptionRow) -> bool:
    """Whether another subscription sends the topic to this address already, through the same filter."""
    sql = "SELECT 1 FROM webhook_subscription WHERE topic = ? AND uri = ? AND coalesce(filter, '') = ? AND id <> ?"
    return store.fetch_one(sql, (row.topic, row.uri, row.filter or "", row.id)) is not None


def is_name_taken(store: Reader, row: SubscriptionRow) -> bool:
    """Whether another subscription of the shop has this name."""
    sql = "SELECT 1 FROM webhook_subscription WHERE name = ? AND id <> ?"
    return row.name is not None and store.fetch_one(sql, (row.name, row.id)) is not None


def draft(topic: str, uri: str, given: dict[str, Any]) -> SubscriptionRow:
    """Put together a subscription that has no number yet."""
    now = int(time.time())
    return changed(SubscriptionRow(0, topic, uri, "JSON", None, "[]", "[]", "[]", None, now, now), given)


def insert_subscription(connection: sqlite3.Connection, row: SubscriptionRow) -> SubscriptionRow:
    """Store a subscription and return it with its number. Inside a transaction."""
    last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'webhook_subscription'").fetchone()
    stored = row._replace(id=last[0] + 1 if last else _FIRST)
    marks = ",".join("?" * len(stored))
    connection.execute(f"INSERT INTO webhook_subscription VALUES ({marks})", stored)  # noqa: S608 - marks of our own
    return stored


def update_subscription(connection: sqlite3.Connection, row: SubscriptionRow) -> None:
    """Store the values of a subscription. Inside a transaction."""
    columns = ", ".join(f"{name} = ?" for name in SubscriptionRow._fields[1:])
    connection.execute(f"UPDATE webhook_subscription SET {columns} WHERE id = ?", (*row[1:], row.id))  # noqa: S608


def delete_subscription(connection: sqlite3.Connection, number: int) -> None:
    """Delete a subscription. Inside a transaction."""
    connection.execute("DELETE FROM webhook_subscription WHERE id = ?", (number,))


def changed(row: SubscriptionRow, given: dict[str, Any]) -> SubscriptionRow:
    """Change what an input names, and leave the rest."""
    changes = {column: given[name] for name, column in _GIVEN.items() if name in given}
    if changes.get("format", "JSON") is None:
        changes.pop("format")
    changes |= {column: orjson.dumps(given[name] or []).decode() for name, column in _LISTS.items() if name in given}
    return row._replace(**changes)
