"""Reads a plan as its canonical rows, in order: for the seal, for `plan.txt`, and to check what was sealed."""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.dialects import postgresql

from calibr.changes.tables import price_change_item
from calibr.core.ids import PriceChangeId
from calibr.db import Session
from calibr.pricing import canonical_row_sql, leaf_hash_sql
from calibr.pricing.sql import Expr

_ITEM = price_change_item.c

# The head of PostgreSQL's binary COPY format; then, for each row, 2 bytes for the number of fields and 4 for a length.
_HEAD = len(b"PGCOPY\n\xff\r\n\x00") + 8
_FIELD = 6
LEAF = 32
_RECORD = _FIELD + LEAF


def item_leaves(session: Session, change_id: PriceChangeId) -> Iterator[bytes]:
    """The leaf hashes of the items of a plan, in order, computed in the database: 32 bytes each."""
    blocks = session.copy_out(_copy(leaf_hash_sql(_ITEM), change_id, "(format binary)"))
    pending = b""
    while len(pending) < _HEAD:
        pending += next(blocks)
    pending = pending[_HEAD:]
    for block in blocks:
        pending += block
        whole = len(pending) // _RECORD * _RECORD
        for start in range(_FIELD, whole, _RECORD):
            yield pending[start : start + LEAF]
        pending = pending[whole:]


def item_lines(session: Session, change_id: PriceChangeId) -> Iterator[bytes]:
    """The canonical rows of the items of a plan, in order, in blocks; each row ends with one line feed."""
    return session.copy_out(_copy(canonical_row_sql(_ITEM), change_id))


def _copy(column: Expr, change_id: PriceChangeId, options: str = "") -> str:
    rows = select(column).where(_ITEM.change_id == change_id).order_by(_ITEM.price_list_id, _ITEM.product_id)
    dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
    return f"copy ({rows.compile(dialect=dialect, compile_kwargs={'literal_binds': True})}) to stdout {options}"
