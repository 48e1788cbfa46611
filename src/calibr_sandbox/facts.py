"""What a merchant says of products besides their fields: collections and metafields. Reads and writes."""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import orjson

from calibr_sandbox.ids import gid
from calibr_sandbox.search import EVERYTHING, Filter
from calibr_sandbox.store import Reader, Store

FIRST_COLLECTION_ID: Final = 310_100_000_001
_OWN_NAMESPACE: Final = "custom"
_COLLECTIONS: Final = "SELECT k.id, k.handle, k.title, k.updated_at FROM collection k"


class CollectionRow(NamedTuple):
    """A collection of products."""

    id: int
    handle: str
    title: str
    updated_at: int


class NewMetafield(NamedTuple):
    """A metafield of a product; its value is text, whatever its type, and None removes it."""

    namespace: str
    key: str
    type: str
    value: str | None


def collections_of(store: Reader, product_id: int) -> list[CollectionRow]:
    """The collections that a product is in, in the order of their ids."""
    sql = """SELECT c.id, c.handle, c.title, c.updated_at FROM collection_member m
      JOIN collection c ON c.id = m.collection_id WHERE m.product_id = ? ORDER BY c.id"""
    return [CollectionRow._make(row) for row in store.fetch_all(sql, (product_id,))]


def list_collections(store: Reader, where: Filter = EVERYTHING) -> list[CollectionRow]:
    """List the collections that match, in the order of their ids."""
    rows = store.fetch_all(f"{_COLLECTIONS} WHERE {where.sql} ORDER BY k.id", where.parameters)
    return [CollectionRow._make(row) for row in rows]


def find_collection(store: Reader, number: int) -> CollectionRow | None:
    """Return the collection, or None."""
    return next(iter(list_collections(store, Filter("k.id = ?", (number,)))), None)


def find_collection_by_handle(store: Reader, handle: str) -> CollectionRow | None:
    """Return the collection with this handle, or None."""
    return next(iter(list_collections(store, Filter("k.handle = ?", (handle,)))), None)


def count_members(store: Reader, collection_id: int) -> int:
    """Count the products of a collection."""
    sql = "SELECT count(*) FROM collection_member WHERE collection_id = ?"
    return int(str(store.fetch_value(sql, (collection_id,))))


def is_member(store: Reader, collection_id: int, product_id: int) -> bool:
    """Whether a product is in a collection."""
    sql = "SELECT 1 FROM collection_member WHERE collection_id = ? AND product_id = ?"
    return store.fetch_one(sql, (collection_id, product_id)) is not None


def product_metafield(store: Reader, product_id: int, namespace: str | None, key: str) -> dict[str, object] | None:
    """A metafield of a product by namespace and key, as the API shows it, or None."""
    sql = "SELECT id, namespace, key, type, value FROM metafield WHERE product_id = ? AND namespace = ? AND key = ?"
    row = store.fetch_one(sql, (product_id, namespace or _OWN_NAMESPACE, key))
    if row is None:
        return None
    number, *texts = row
    shown = dict(zip(("namespace", "key", "type", "value"), texts, strict=True))
    return {"id": gid("Metafield", number), **shown, "jsonValue": _json_value(shown["value"])}


def put_collection(
    store: Store, handle: str, title: str, *, products: Sequence[int] = (), tag: str | None = None
) -> int:
    """Make or replace a collection of these products, and of all with this tag; returns how many it holds.

    A product that joins or leaves a collection is not updated by that. Raises LookupError for one that does not exist.
    """
    with store.transaction() as connection:
        connection.execute(
            """INSERT INTO collection SELECT coalesce(max(id) + 1, ?), ?, ?, ? FROM collection WHERE true
            ON CONFLICT (handle) DO UPDATE SET title = excluded.title, updated_at = excluded.updated_at""",
            (FIRST_COLLECTION_ID, handle, title, int(time.time())),
        )
        (number,) = connection.execute("SELECT id FROM collection WHERE handle = ?", (handle,)).fetchone()
        connection.execute("DELETE FROM collection_member WHERE collection_id = ?", (number,))
        for product_id in products:
            _require_product(connection, product_id)
            connection.execute("INSERT OR IGNORE INTO collection_member VALUES (?, ?)", (product_id, number))
        connection.execute(
            """INSERT OR IGNORE INTO collection_member SELECT p.id, ? FROM product p
            WHERE EXISTS (SELECT 1 FROM json_each(p.tags) t WHERE t.value = ? COLLATE NOCASE)""",
            (number, tag),
        )
        sql = "SELECT count(*) FROM collection_member WHERE collection_id = ?"
        return int(connection.execute(sql, (number,)).fetchone()[0])


def put_metafields(store: Store, fields: Mapping[int, NewMetafield]) -> None:
    """Set or remove a metafield of each of these products, which are updated by that. Raises LookupError."""
    with store.transaction() as connection:
        for product_id, new in fields.items():
            _require_product(connection, product_id)
            name = (product_id, new.namespace, new.key)
            connection.execute("DELETE FROM metafield WHERE product_id = ? AND namespace = ? AND key = ?", name)
            if new.value is not None:
                sql = "INSERT INTO metafield (product_id, namespace, key, type, value) VALUES (?, ?, ?, ?, ?)"
                connection.execute(sql, (*name, new.type, new.value))
            connection.execute("UPDATE product SET updated_at = ? WHERE id = ?", (int(time.time()), product_id))


def move_product(store: Store, product_id: int, *, joins: Sequence[int], leaves: Sequence[int]) -> None:
    """Let a product leave collections and join others; it is not updated by that."""
    with store.transaction() as connection:
        gone, new = ([(product_id, number) for number in numbers] for numbers in (leaves, joins))
        connection.executemany("DELETE FROM collection_member WHERE product_id = ? AND collection_id = ?", gone)
        connection.executemany("INSERT OR IGNORE INTO collection_member VALUES (?, ?)", new)


def delete_product(store: Store, product_id: int) -> int:
    """Delete a product with its variants; returns how many these were. Raises LookupError if there is none."""
    with store.transaction() as connection:
        _require_product(connection, product_id)
        for table in ("metafield", "collection_member"):
            connection.execute(f"DELETE FROM {table} WHERE product_id = ?", (product_id,))  # noqa: S608 - ours
        rows = connection.execute("SELECT id FROM variant WHERE product_id = ?", (product_id,)).fetchall()
        delete_variants(connection, [number for (number,) in rows])
        connection.execute("DELETE FROM product WHERE id = ?", (product_id,))
        return len(rows)


def delete_variants(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Delete variants with their prices and rules in price lists. Inside a transaction."""
    gone = [(number,) for number in numbers]
    for table in ("fixed_price", "quantity_rule", "quantity_price_break"):
        connection.executemany(f"DELETE FROM {table} WHERE variant_id = ?", gone)  # noqa: S608 - ours
    connection.executemany("DELETE FROM variant WHERE id = ?", gone)


def _require_product(connection: sqlite3.Connection, number: int) -> None:
    if connection.execute("SELECT 1 FROM product WHERE id = ?", (number,)).fetchone() is None:
        raise LookupError(f"there is no product {number}")


def _json_value(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
