"""The one place where a variant's values change: the row, its product's date, the journal."""

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import orjson

from calibr_sandbox.catalog import stream_variants_of
from calibr_sandbox.rows import ProductRow, VariantRow
from calibr_sandbox.store import Store
from calibr_sandbox.variant_options import Options, option_column

_ENTRY: Final = (
    "INSERT INTO journal (call, source, who, request_id, writer, at, at_ms, variant_id, price, compare_at_price,"
    " cost, price_before, compare_at_price_before, effective) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)
Source = Literal["api", "hand"]
"""How it was written: by a remote call, or by a merchant by hand."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, and what the client calls its request and itself (headers `X-Request-Id`, `Calibr-Writer`)."""

    source: Source
    who: str
    request_id: str | None = None
    writer: str | None = None


def write_variants(
    connection: sqlite3.Connection, rows: list[VariantRow], known: Mapping[int, VariantRow], writer: Writer
) -> list[VariantRow]:
    """Store the rows' values and return the rows as stored, in the order given. Inside a transaction.

    `known` holds the rows as they are. Each row becomes one entry of the journal with the values before and after, even
    if it changes nothing; the rows of one call share its number.
    """
    if not rows:
        return []
    wall = time.time()
    now, at_ms = int(wall), int(wall * 1000)
    connection.executemany(
        "UPDATE variant SET sku = ?, barcode = ?, price = ?, compare_at_price = ?, cost = ?, extra = ?, title = ?,"
        " option_values = ?, updated_at = ? WHERE id = ?",
        [(*_stored(row), now, row.id) for row in rows],
    )
    products = sorted({row.product_id for row in rows})
    connection.executemany("UPDATE product SET updated_at = ? WHERE id = ?", [(now, number) for number in products])
    connection.executemany(_ENTRY, _entries(rows, known, journal_head(connection, writer, at_ms)))
    return [row._replace(updated_at=now) for row in rows]


def _stored(row: VariantRow) -> tuple[object, ...]:
    prices = (row.price, row.compare_at_price, row.cost)
    return (row.sku, row.barcode, *prices, row.extra, row.title, row.option_values)


def journal_new(connection: sqlite3.Connection, rows: list[VariantRow], writer: Writer) -> None:
    """Write down the first prices of new variants: over no values. Inside a transaction."""
    head = journal_head(connection, writer, int(time.time() * 1000))
    values = ((row.id, row.price, row.compare_at_price, row.cost, None, None, 1) for row in rows)
    connection.executemany(_ENTRY, [(*head, *each) for each in values])


def settle_product(store: Store, connection: sqlite3.Connection, product: ProductRow) -> None:
    """Number the variants of a product without gaps, and let its options show what they use. Inside a transaction."""
    rows = list(stream_variants_of(store, product.id))
    connection.executemany(
        "UPDATE variant SET position = ? WHERE id = ?", [(place, row.id) for place, row in enumerate(rows, start=1)]
    )
    names = Options(product.id, product.options).names
    options = option_column(names, product.options, [tuple(orjson.loads(row.option_values)) for row in rows])
    connection.execute(
        "UPDATE product SET options = ?, updated_at = ? WHERE id = ?", (options, int(time.time()), product.id)
    )


def journal_head(connection: sqlite3.Connection, writer: Writer, at_ms: int) -> tuple[object, ...]:
    """What the entries of one call share: its number, who made it, when. Inside a transaction."""
    last = connection.execute("SELECT call FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    number = last[0] + 1 if last else 1
    return (number, writer.source, writer.who, writer.request_id, writer.writer, at_ms // 1000, at_ms)


def _entries(
    rows: list[VariantRow], known: Mapping[int, VariantRow], head: tuple[object, ...]
) -> list[tuple[object, ...]]:
    """Journal entries. A variant that comes twice has its first values before the second."""
    current = dict(known)
    entries: list[tuple[object, ...]] = []
    for row in rows:
        before = current[row.id]
        current[row.id] = row
        values = (row.id, row.price, row.compare_at_price, row.cost, before.price, before.compare_at_price)
        entries.append((*head, *values, int(row != before)))
    return entries
