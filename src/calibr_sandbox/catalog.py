"""Reads of products and variants: by id, by page, by count."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from calibr_sandbox.rows import PRODUCT_COLUMNS, VARIANT_COLUMNS, ProductRow, VariantRow
from calibr_sandbox.search import Filter
from calibr_sandbox.store import Reader

_PRODUCTS: Final = f"SELECT {PRODUCT_COLUMNS} FROM product p"  # noqa: S608 - columns of our own
_VARIANTS: Final = f"SELECT {VARIANT_COLUMNS} FROM variant v JOIN product p ON p.id = v.product_id"  # noqa: S608

Key = tuple[int | str, int]
"""A place in an ordered list: the value it is sorted by, then the id."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of an ordered list: up to `limit` rows after or before a key, from the front or from the back."""

    limit: int
    after: Key | None = None
    before: Key | None = None
    reverse: bool = False
    from_end: bool = False


def find_product(store: Reader, product_id: int) -> ProductRow | None:
    """Return the product, or None."""
    row = store.fetch_one(f"{_PRODUCTS} WHERE p.id = ?", (product_id,))
    return ProductRow._make(row) if row else None


def find_product_by_handle(store: Reader, handle: str) -> ProductRow | None:
    """Return the product with this handle, or None."""
    row = store.fetch_one(f"{_PRODUCTS} WHERE p.handle = ?", (handle,))
    return ProductRow._make(row) if row else None


def find_variant(store: Reader, variant_id: int) -> VariantRow | None:
    """Return the variant, or None."""
    row = store.fetch_one(f"{_VARIANTS} WHERE v.id = ?", (variant_id,))
    return VariantRow._make(row) if row else None


def variants_by_id(store: Reader, ids: list[int]) -> dict[int, VariantRow]:
    """Return those of the variants that exist, by id."""
    marks = ",".join("?" * len(ids))
    rows = store.fetch_all(f"{_VARIANTS} WHERE v.id IN ({marks})", tuple(ids))
    return {row[0]: VariantRow._make(row) for row in rows}


def list_products(store: Reader, part: Slice, where: Filter, order: tuple[str, ...] = ("p.id",)) -> list[ProductRow]:
    """Return a slice of the products in the given order (columns, ending in the id)."""
    rows = _slice(store, _PRODUCTS, order, part, where)
    return [ProductRow._make(row) for row in rows]


def list_variants(store: Reader, part: Slice, where: Filter, order: tuple[str, ...] = ("v.id",)) -> list[VariantRow]:
    """Return a slice of the variants in the given order (columns, ending in the id)."""
    rows = _slice(store, _VARIANTS, order, part, where)
    return [VariantRow._make(row) for row in rows]


def stream_products(store: Reader, where: Filter) -> Iterator[ProductRow]:
    """Yield every product that matches, in the order of their ids."""
    return map(ProductRow._make, store.stream(f"{_PRODUCTS} WHERE {where.sql} ORDER BY p.id", where.parameters))


def stream_variants(store: Reader, where: Filter) -> Iterator[VariantRow]:
    """Yield every variant that matches, in the order of their ids."""
    return map(VariantRow._make, store.stream(f"{_VARIANTS} WHERE {where.sql} ORDER BY v.id", where.parameters))


def stream_variants_of(store: Reader, product_id: int) -> Iterator[VariantRow]:
    """Yield the variants of one product, in their order."""
    sql = f"{_VARIANTS} WHERE v.product_id = ? ORDER BY v.position, v.id"
    return map(VariantRow._make, store.stream(sql, (product_id,)))


def count_products(store: Reader, where: Filter) -> int:
    """Count the products that match."""
    return int(str(store.fetch_value(f"SELECT count(*) FROM product p WHERE {where.sql}", where.parameters)))  # noqa: S608


def count_variants(store: Reader, where: Filter) -> int:
    """Count the variants that match."""
    sql = f"SELECT count(*) FROM variant v JOIN product p ON p.id = v.product_id WHERE {where.sql}"  # noqa: S608
    return int(str(store.fetch_value(sql, where.parameters)))


def _slice(store: Reader, select: str, order: tuple[str, ...], part: Slice, where: Filter) -> list[tuple[Any, ...]]:
    columns = f"({', '.join(order)})"
    marks = f"({', '.join('?' * len(order))})"
    conditions, parameters = [where.sql], list(where.parameters)
    for key, direct, reversed_sign in ((part.after, ">", "<"), (part.before, "<", ">")):
        if key is not None:
            conditions.append(f"{columns} {reversed_sign if part.reverse else direct} {marks}")
            parameters.extend(key[-len(order) :])
    direction = "DESC" if part.reverse != part.from_end else "ASC"
    ordering = ", ".join(f"{column} {direction}" for column in order)
    sql = f"{select} WHERE {' AND '.join(conditions)} ORDER BY {ordering} LIMIT ?"
    rows = store.fetch_all(sql, (*parameters, part.limit))
    return rows[::-1] if part.from_end else rows
