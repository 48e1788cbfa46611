"""Puts whole products into the store, in batches and in bounded memory."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson

from calibr_sandbox.ids import FIRST_PRODUCT_ID, FIRST_VARIANT_ID
from calibr_sandbox.store import Store

_BATCH: Final = 2_000
DEFAULT_OPTION: Final = ("Title",)
DEFAULT_VALUE: Final = ("Default Title",)


@dataclass(frozen=True, slots=True)
class NewVariant:
    """A variant to be stored. Amounts are text with the decimals of the shop's currency."""

    options: tuple[str, ...]
    price: str
    compare_at_price: str | None = None
    cost: str | None = None
    sku: str | None = None
    barcode: str | None = None


@dataclass(frozen=True, slots=True)
class NewProduct:
    """A product to be stored, with its variants in their order. `created_at` is in seconds since the epoch."""

    title: str
    handle: str
    vendor: str
    product_type: str
    tags: tuple[str, ...]
    option_names: tuple[str, ...]
    variants: tuple[NewVariant, ...]
    created_at: int
    status: str = "ACTIVE"


@dataclass(frozen=True, slots=True)
class Stored:
    """How much was stored."""

    products: int
    variants: int


def create_shop(db: Path, products: Iterable[NewProduct], currency: str = "USD") -> Stored:
    """Open or create a shop's file, store the products, close it."""
    with closing(Store(db, currency)) as store:
        return store_products(store, products)


def store_products(store: Store, products: Iterable[NewProduct]) -> Stored:
    """Store products as they come, one transaction per batch. A handle that exists raises IntegrityError."""
    next_product = _next_id(store, "product", FIRST_PRODUCT_ID)
    next_variant = _next_id(store, "variant", FIRST_VARIANT_ID)
    first_product, first_variant = next_product, next_variant
    source = iter(products)
    while batch := list(islice(source, _BATCH)):
        numbered = list(_numbered(batch, next_product, next_variant))
        with store.transaction() as connection:
            _insert(connection, numbered)
        next_product += len(numbered)
        next_variant += sum(len(product.variants) for product in batch)
    return Stored(next_product - first_product, next_variant - first_variant)


def handle_exists(store: Store, handle: str) -> bool:
    """Whether a product of the shop has this handle."""
    return store.fetch_one("SELECT 1 FROM product WHERE handle = ?", (handle,)) is not None


@dataclass(frozen=True, slots=True)
class _Numbered:
    """A product with its id and the id of its first variant."""

    product: NewProduct
    id: int
    first_variant: int


def _numbered(batch: list[NewProduct], next_product: int, next_variant: int) -> Iterator[_Numbered]:
    for offset, product in enumerate(batch):
        yield _Numbered(product, next_product + offset, next_variant)
        next_variant += len(product.variants)


def _insert(connection: sqlite3.Connection, batch: list[_Numbered]) -> None:
    marks = ",".join("?" * 10)
    connection.executemany(f"INSERT INTO product VALUES ({marks})", map(_product_row, batch))  # noqa: S608
    rows = (row for numbered in batch for row in _variant_rows(numbered))
    connection.executemany(f"INSERT INTO variant VALUES ({marks},?,?)", rows)  # noqa: S608


def _product_row(numbered: _Numbered) -> tuple[Any, ...]:
    product = numbered.product
    options = [
        {"name": name, "values": list(dict.fromkeys(variant.options[place] for variant in product.variants))}
        for place, name in enumerate(product.option_names)
    ]
    texts = (product.title, product.handle, product.vendor, product.product_type, product.status)
    lists = (_json(list(product.tags)), _json(options))
    return (numbered.id, *texts, *lists, product.created_at, product.created_at)


def _variant_rows(numbered: _Numbered) -> Iterator[tuple[Any, ...]]:
    product = numbered.product
    for place, variant in enumerate(product.variants):
        yield (
            numbered.first_variant + place,
            numbered.id,
            place + 1,
            " / ".join(variant.options),
            variant.sku,
            variant.barcode,
            variant.price,
            variant.compare_at_price,
            variant.cost,
            _json(list(variant.options)),
            product.created_at,
            product.created_at,
        )


def _next_id(store: Store, table: str, first: int) -> int:
    return int(str(store.fetch_value(f"SELECT coalesce(max(id) + 1, ?) FROM {table}", (first,))))  # noqa: S608


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
