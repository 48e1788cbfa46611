"""Puts whole products into the store, in batches and in bounded memory."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson

from calibr_sandbox.ids import FIRST_PRODUCT_ID, FIRST_VARIANT_ID
from calibr_sandbox.markets.seeds import MarketSpec, store_markets
from calibr_sandbox.rows import ProductRow
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
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What is no price: fields by their name in the API, as JSON values."""


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
    updated_at: int | None = None
    """When it last changed; None stands for its creation."""


@dataclass(frozen=True, slots=True)
class Stored:
    """How much was stored."""

    products: int
    variants: int


def create_shop(
    db: Path, products: Iterable[NewProduct], currency: str = "USD", markets: Sequence[MarketSpec] = ()
) -> Stored:
    """Open or create a shop's file, store the products, then the markets, close it."""
    with closing(Store(db, currency)) as store:
        stored = store_products(store, products)
        store_markets(store, markets)
        return stored


def store_products(store: Store, products: Iterable[NewProduct]) -> Stored:
    """Store products as they come, one transaction per batch. A handle that exists raises IntegrityError."""
    next_product = _next_id(store, "product", FIRST_PRODUCT_ID)
    next_variant = _next_id(store, "variant", FIRST_VARIANT_ID)
    return store_numbered(store, _numbered(products, next_product, next_variant))


@dataclass(frozen=True, slots=True)
class NumberedProduct:
    """A product with its id and the ids of its variants."""

    id: int
    product: NewProduct
    variant_ids: tuple[int, ...]


def store_numbered(store: Store, products: Iterable[NumberedProduct]) -> Stored:
    """Store products under ids of the caller's choice. An id or handle that exists raises IntegrityError."""
    stored_products = stored_variants = 0
    source = iter(products)
    while batch := list(islice(source, _BATCH)):
        with store.transaction() as connection:
            _insert(connection, batch)
        stored_products += len(batch)
        stored_variants += sum(len(numbered.variant_ids) for numbered in batch)
    return Stored(stored_products, stored_variants)


def handle_exists(store: Store, handle: str) -> bool:
    """Whether a product of the shop has this handle."""
    return store.fetch_one("SELECT 1 FROM product WHERE handle = ?", (handle,)) is not None


def _numbered(products: Iterable[NewProduct], next_product: int, next_variant: int) -> Iterator[NumberedProduct]:
    for offset, product in enumerate(products):
        end = next_variant + len(product.variants)
        yield NumberedProduct(next_product + offset, product, tuple(range(next_variant, end)))
        next_variant = end


def _insert(connection: sqlite3.Connection, batch: list[NumberedProduct]) -> None:
    marks = ",".join("?" * 10)
    columns = ", ".join(ProductRow._fields[:-1])
    connection.executemany(f"INSERT INTO product ({columns}) VALUES ({marks})", map(_product_row, batch))  # noqa: S608
    rows = (row for numbered in batch for row in _variant_rows(numbered))
    connection.executemany(f"INSERT INTO variant VALUES ({marks},?,?,?)", rows)  # noqa: S608


def _product_row(numbered: NumberedProduct) -> tuple[Any, ...]:
    product = numbered.product
    options = [
        {"name": name, "values": list(dict.fromkeys(variant.options[place] for variant in product.variants))}
        for place, name in enumerate(product.option_names)
    ]
    texts = (product.title, product.handle, product.vendor, product.product_type, product.status)
    lists = (_json(list(product.tags)), _json(options))
    return (numbered.id, *texts, *lists, product.created_at, product.updated_at or product.created_at)


def _variant_rows(numbered: NumberedProduct) -> Iterator[tuple[Any, ...]]:
    product = numbered.product
    for place, (number, variant) in enumerate(zip(numbered.variant_ids, product.variants, strict=True)):
        yield (
            number,
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
            product.updated_at or product.created_at,
            _json(dict(variant.extra)),
        )


def _next_id(store: Store, table: str, first: int) -> int:
    return int(str(store.fetch_value(f"SELECT coalesce(max(id) + 1, ?) FROM {table}", (first,))))  # noqa: S608


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
