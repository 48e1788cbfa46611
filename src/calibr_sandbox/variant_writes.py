"""The one place where a variant's values change: the row, its product's date, the journal."""

import sqlite3
import time
from typing import Literal

from calibr_sandbox.rows import VariantRow

Source = Literal["api", "hand"]
"""Who wrote: a remote call, or a merchant by hand."""


def write_variants(connection: sqlite3.Connection, rows: list[VariantRow], *, source: Source) -> list[VariantRow]:
    """Store the rows' values and return the rows as stored, in the order given. Inside a transaction.

    Each row becomes one entry of the journal, even if it changes nothing; the rows of one call share its number.
    """
    if not rows:
        return []
    now = int(time.time())
    connection.executemany(
        "UPDATE variant SET sku = ?, barcode = ?, price = ?, compare_at_price = ?, cost = ?, updated_at = ?"
        " WHERE id = ?",
        [(row.sku, row.barcode, row.price, row.compare_at_price, row.cost, now, row.id) for row in rows],
    )
    products = sorted({row.product_id for row in rows})
    connection.executemany("UPDATE product SET updated_at = ? WHERE id = ?", [(now, number) for number in products])
    last = connection.execute("SELECT call FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    call = last[0] + 1 if last else 1
    connection.executemany(
        "INSERT INTO journal (call, source, at, variant_id, price, compare_at_price, cost) VALUES (?,?,?,?,?,?,?)",
        [(call, source, now, row.id, row.price, row.compare_at_price, row.cost) for row in rows],
    )
    return [row._replace(updated_at=now) for row in rows]
