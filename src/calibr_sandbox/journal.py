"""Reads of the journal: every accepted write of a price, in its order, with who made it and over which values.

An entry with a `price_list_id` is the write of a fixed price, in `currency`; its `price` is None when the fixed price
was taken away. All other entries are writes of a variant, in the shop's currency.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from calibr_sandbox.store import Reader

COLUMNS: Final = (
    *("seq", "call", "source", "who", "request_id", "writer", "at", "at_ms", "variant_id"),
    *("price_before", "compare_at_price_before", "price", "compare_at_price", "cost", "effective"),
    *("price_list_id", "currency"),
)
_PAGE: Final = 1_000


def read_entries(store: Reader, after: int, limit: int) -> list[dict[str, Any]]:
    """Return up to `limit` entries after a sequence number."""
    sql = f"SELECT {', '.join(COLUMNS)} FROM journal WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - columns of our own
    return [dict(zip(COLUMNS, row, strict=True)) for row in store.fetch_all(sql, (after, limit))]


def stream_file(path: Path, after: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the entries of a shop's file, also of one that a server is writing. The file is only read.

    Columns that an older file lacks come as None. Raises ValueError for a file that is absent or holds no journal.
    """
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        stored = {row[1] for row in connection.execute("PRAGMA table_info(journal)")}
        if not stored:
            raise ValueError(f"{path}: holds no journal")
        selected = ", ".join(name if name in stored else f"NULL AS {name}" for name in COLUMNS)
        cursor = connection.execute(f"SELECT {selected} FROM journal WHERE seq > ? ORDER BY seq", (after,))  # noqa: S608
        while rows := cursor.fetchmany(_PAGE):
            for row in rows:
                yield dict(zip(COLUMNS, row, strict=True))
