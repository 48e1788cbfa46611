"""The one place where fixed prices change: the rows, their price breaks, the journal."""

import sqlite3
import time
from collections.abc import Mapping

from calibr_sandbox.markets.price_lists import fixed_prices
from calibr_sandbox.markets.rows import FixedPrice, PriceListRow
from calibr_sandbox.store import Store
from calibr_sandbox.variant_writes import Writer, journal_head

_ENTRY = (
    "INSERT INTO journal (call, source, who, request_id, writer, at, at_ms, price_list_id, currency, variant_id,"
    " price_before, compare_at_price_before, price, compare_at_price, effective) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)


def write_fixed(
    store: Store,
    connection: sqlite3.Connection,
    price_list: PriceListRow,
    changes: Mapping[int, FixedPrice | None],
    writer: Writer,
) -> None:
    """Set the fixed prices of these variants; None takes one away, with its price breaks. Inside a transaction.

    Each variant becomes one entry of the journal, with what the list said before and after (nothing: the price is
    relative), even if nothing changes.
    """
    if not changes:
        return
    before = fixed_prices(store, price_list.id, changes)
    gone = [(price_list.id, number) for number, price in changes.items() if price is None]
    connection.executemany("DELETE FROM fixed_price WHERE price_list_id = ? AND variant_id = ?", gone)
    connection.executemany("DELETE FROM quantity_price_break WHERE price_list_id = ? AND variant_id = ?", gone)
    connection.executemany(
        "INSERT INTO fixed_price VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
        " SET price = excluded.price, compare_at_price = excluded.compare_at_price",
        [(price_list.id, number, *price) for number, price in changes.items() if price is not None],
    )
    head = (*journal_head(connection, writer, int(time.time() * 1000)), price_list.id, price_list.currency)
    nothing = (None, None)
    entries = [
        (*head, number, *(before.get(number) or nothing), *(price or nothing), int(before.get(number) != price))
        for number, price in changes.items()
    ]
    connection.executemany(_ENTRY, entries)
