"""Fills an empty sandbox with what a recording presupposes, under the recorded ids where the sandbox lets us choose."""

import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from names import Names
from presupposed import Presupposed, rows_of
from recording import Json

from calibr_sandbox.catalog_writer import NewProduct, NewVariant, NumberedProduct, store_numbered
from calibr_sandbox.ids import INVENTORY_ITEM_SHIFT, gid
from calibr_sandbox.store import Store

_LONG_AGO = 1_500_000_000
_FILLER_ID = 1_000_000
_SHOWN_OF_VARIANT = frozenset(
    {
        "id",
        "title",
        "sku",
        "barcode",
        "price",
        "compareAtPrice",
        "position",
        "selectedOptions",
        "product",
        "displayName",
    }
    | {"createdAt", "updatedAt", "legacyResourceId", "__typename", "media", "contextualPricing"}
)


def seed(store: Store, presupposed: Presupposed, names: Names) -> None:
    """Store products with their variants, and bulk operations."""
    products = list(_products(presupposed))
    store_numbered(store, products)
    for variant in presupposed.of_type("ProductVariant"):
        item = variant.get("inventoryItem") or {}
        if "id" in item:
            names.learn(item["id"], gid("InventoryItem", _number(variant["id"]) + INVENTORY_ITEM_SHIFT))
    store_numbered(store, _fillers(presupposed.products - len(products)))
    _seed_bulk_operations(store, presupposed.of_type("BulkOperation"))


def _products(presupposed: Presupposed) -> Iterator[NumberedProduct]:
    for gid_, variants in _families(presupposed).items():
        product = presupposed.objects.get(gid_, {})
        rows = tuple(_new_variant(variant, place) for place, variant in enumerate(variants))
        number = _number(gid_)
        new = NewProduct(
            title=product.get("title") or "Product",
            handle=product.get("handle") or f"product-{number}",
            vendor=product.get("vendor") or "Vendor",
            product_type=product.get("productType") or "",
            tags=tuple(product.get("tags") or ()),
            option_names=_option_names(product, variants),
            variants=rows,
            created_at=_seconds(product.get("createdAt")),
            updated_at=_seconds(product.get("updatedAt"), product.get("createdAt")),
            status=product.get("status") or "ACTIVE",
        )
        yield NumberedProduct(number, new, tuple(_number(variant["id"]) for variant in variants))


def _families(presupposed: Presupposed) -> dict[str, list[Json]]:
    """The variants of each product, in its order: those that it shows, that name it, or that were named with it.

    A variant of which no product is told belongs to the only one, or to one of its own.
    """
    products = {product["id"]: product for product in presupposed.of_type("Product")}
    family_of: dict[str, str] = {}
    for number, product in products.items():
        family_of |= {row["id"]: number for row in rows_of(product.get("variants")) if "id" in row}
    for variant in presupposed.of_type("ProductVariant"):
        named = (variant.get("product") or {}).get("id") or variant.get("__parentId")
        named = named or presupposed.parents.get(variant["id"])
        only = next(iter(products)) if len(products) == 1 else gid("Product", _number(variant["id"]))
        family_of.setdefault(variant["id"], named or only)
    families: dict[str, list[Json]] = {number: [] for number in products}
    for number, product in family_of.items():
        if number in presupposed.objects:
            families.setdefault(product, []).append(presupposed.objects[number])
    return families


def _option_names(product: Json, variants: list[Json]) -> tuple[str, ...]:
    named = [option["name"] for option in product.get("options") or [] if "name" in option]
    chosen = [option["name"] for variant in variants[:1] for option in variant.get("selectedOptions") or []]
    return tuple(chosen or named or ("Title",))


def _new_variant(variant: Json, place: int) -> NewVariant:
    chosen = [option["value"] for option in variant.get("selectedOptions") or [] if "value" in option]
    title = variant.get("title") or ("Default Title" if place == 0 else f"Variant {place + 1}")
    cost = ((variant.get("inventoryItem") or {}).get("unitCost") or {}).get("amount")
    item = variant.get("inventoryItem") or {}
    return NewVariant(
        options=tuple(chosen or (title,)),
        price=str(variant.get("price") or "10.00"),
        compare_at_price=variant.get("compareAtPrice"),
        cost=cost,
        sku=variant.get("sku", item.get("sku")),
        barcode=variant.get("barcode"),
        extra={key: value for key, value in variant.items() if key not in _SHOWN_OF_VARIANT},
    )


def _fillers(count: int) -> Iterator[NumberedProduct]:
    """Products that a recording only counts: older than all others."""
    for place in range(count):
        variant = NewVariant(("Default Title",), "10.00")
        new = NewProduct(f"Filler {place}", f"filler-{place}", "", "", (), ("Title",), (variant,), _LONG_AGO)
        yield NumberedProduct(_FILLER_ID + place, new, (_FILLER_ID + place,))


def _seed_bulk_operations(store: Store, operations: list[Json]) -> None:
    moments = [_seconds(found[key]) for found in operations for key in ("createdAt", "completedAt") if found.get(key)]
    # Moved to today: results are kept for seven days.
    shift = int(time.time()) - max(moments, default=0)
    columns = "id, status, query, group_objects, error_code, created_at, completed_at, object_count, root_object_count"
    with store.transaction() as connection:
        for operation in operations:
            result = f"{_number(operation['id'])}.jsonl" if operation.get("url") else None
            if result is not None:
                _write_result(store.path.with_name(store.path.name + ".bulk") / result)
            completed = operation.get("completedAt")
            connection.execute(
                f"INSERT INTO bulk_operation ({columns}, file_size, result, type) VALUES (?,?,?,0,?,?,?,?,?,?,?,?)",
                (
                    _number(operation["id"]),
                    operation.get("status") or "COMPLETED",
                    operation.get("query") or "{ products { edges { node { id } } } }",
                    operation.get("errorCode"),
                    _seconds(operation.get("createdAt")) + shift,
                    None if completed is None else _seconds(completed) + shift,
                    int(operation.get("objectCount") or 0),
                    int(operation.get("rootObjectCount") or 0),
                    None if operation.get("fileSize") is None else int(operation["fileSize"]),
                    result,
                    operation.get("type") or "QUERY",
                ),
            )


def _write_result(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(orjson.dumps({}) + b"\n")


def _number(text: str) -> int:
    match = re.search(r"/(\d+)", text)
    if match is None:
        raise ValueError(f"{text!r} has no number")
    return int(match[1])


def _seconds(*texts: Any) -> int:  # noqa: ANN401 - any JSON
    for text in texts:
        if isinstance(text, str):
            return int(datetime.fromisoformat(text).timestamp())
    return _LONG_AGO
