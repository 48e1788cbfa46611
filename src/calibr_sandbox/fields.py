"""How each GraphQL field reads its value from a row.

One table serves both ways out of the shop: the GraphQL executor and the bulk query writer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import orjson

from calibr_sandbox.catalog import count_variants, find_product, stream_variants_of
from calibr_sandbox.config import SandboxConfig
from calibr_sandbox.ids import INVENTORY_ITEM_SHIFT, gid
from calibr_sandbox.money import money_v2_amount
from calibr_sandbox.rows import (
    BulkRow,
    InventoryItemRow,
    Money,
    OptionRow,
    OptionValue,
    ProductRow,
    SelectedOption,
    VariantRow,
)
from calibr_sandbox.search import Filter
from calibr_sandbox.store import Reader
from calibr_sandbox.unit_prices import measured_type, unit_price
from calibr_sandbox.variant_extras import ITEM_DEFAULTS, VARIANT_DEFAULTS, item_reader, measurement, variant_reader
from calibr_sandbox.variant_options import declared_values, value_ids

_TRACKED: Final = item_reader("tracked")
_QUANTITY: Final = variant_reader("inventoryQuantity")
SHOP_ID: Final = 90_000_000_001
SHOP_CREATED_AT: Final = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class ShopContext:
    """What a field may need besides its row. `base_url` is the address the caller used, `scopes` what it may do."""

    config: SandboxConfig
    store: Reader
    base_url: str
    scopes: tuple[str, ...] = ()


Getter = Callable[[Any, ShopContext], Any]
"""Reads one field: takes the row (the type depends on the GraphQL type) and the shop."""


@lru_cache(maxsize=4096)
def timestamp(seconds: int) -> str:
    """Write a time as Shopify does: UTC, whole seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_json_list = lru_cache(maxsize=4096)(orjson.loads)


def _product(row: VariantRow, shop: ShopContext) -> ProductRow:
    product = find_product(shop.store, row.product_id)
    if product is None:
        raise LookupError(f"variant {row.id} has no product {row.product_id}")
    return product


def product_options(row: ProductRow) -> list[OptionRow]:
    """List the options of a product; an option's id is derived from the product's."""
    return list(_options_of(row.id, row.options))


@lru_cache(maxsize=4096)
def _options_of(product_id: int, text: str) -> tuple[OptionRow, ...]:
    return tuple(
        OptionRow(product_id * 10 + position, option["name"], position, option["values"], declared_values(option))
        for position, option in enumerate(_json_list(text), start=1)
    )


def _selected_options(row: VariantRow, _shop: ShopContext) -> list[SelectedOption]:
    options = _options_of(row.product_id, row.product_options)
    pairs = zip(options, _json_list(row.option_values), strict=True)
    return [SelectedOption(option.name, value, option) for option, value in pairs]


def _value_of(row: SelectedOption, shop: ShopContext) -> OptionValue:
    return next(each for each in _option_values(row.option, shop) if each.name == row.value)


def _unit_cost(row: InventoryItemRow, shop: ShopContext) -> Money | None:
    cost = row.variant.cost
    return None if cost is None else Money(money_v2_amount(cost), shop.store.currency)


def _variants_count(row: ProductRow, shop: ShopContext) -> dict[str, object]:
    total = count_variants(shop.store, Filter("v.product_id = ?", (row.id,)))
    return {"count": total, "precision": "EXACT"}


def _same_sku_count(row: InventoryItemRow, shop: ShopContext) -> int:
    """How many other items have the SKU of this one."""
    sku = row.variant.sku
    return count_variants(shop.store, Filter("v.sku = ? AND v.id <> ?", (sku, row.variant.id))) if sku else 0


def _total_inventory(row: ProductRow, shop: ShopContext) -> int:
    """Add up what is there of the variants whose stock is counted."""
    variants = stream_variants_of(shop.store, row.id)
    return sum(_QUANTITY(each, shop) for each in variants if _TRACKED(InventoryItemRow(each), shop))


def _tracks_inventory(row: ProductRow, shop: ShopContext) -> bool:
    return any(_TRACKED(InventoryItemRow(each), shop) for each in stream_variants_of(shop.store, row.id))


def _option_values(row: OptionRow, _shop: ShopContext) -> list[OptionValue]:
    return [
        OptionValue(number, value, has_variants=value in row.values)
        for number, value in value_ids(row.id, row.declared)
    ]


def _bulk_url(row: BulkRow, shop: ShopContext) -> str | None:
    """A canceled operation may have a result too; one without objects has none."""
    return _result_url(row, shop) if row.status in {"COMPLETED", "CANCELED"} and row.object_count else None


def _partial_url(row: BulkRow, shop: ShopContext) -> str | None:
    return _result_url(row, shop) if row.status == "FAILED" else None


def _result_url(row: BulkRow, shop: ShopContext) -> str | None:
    return f"{shop.base_url}/sandbox/bulk-results/{row.result}" if row.result else None


_PRODUCT: Final[dict[str, Getter]] = {
    "id": lambda row, _: gid("Product", row.id),
    "legacyResourceId": lambda row, _: str(row.id),
    "title": lambda row, _: row.title,
    "handle": lambda row, _: row.handle,
    "vendor": lambda row, _: row.vendor,
    "productType": lambda row, _: row.product_type,
    "status": lambda row, _: row.status,
    "tags": lambda row, _: _json_list(row.tags),
    "createdAt": lambda row, _: timestamp(row.created_at),
    "updatedAt": lambda row, _: timestamp(row.updated_at),
    "options": lambda row, _: product_options(row),
    "variantsCount": _variants_count,
    "totalVariants": lambda row, shop: _variants_count(row, shop)["count"],
    "totalInventory": _total_inventory,
    "tracksInventory": _tracks_inventory,
}
_VARIANT: Final[dict[str, Getter]] = {
    "id": lambda row, _: gid("ProductVariant", row.id),
    "legacyResourceId": lambda row, _: str(row.id),
    "title": lambda row, _: row.title,
    "displayName": lambda row, _: f"{row.product_title} - {row.title}",
    "sku": lambda row, _: row.sku,
    "barcode": lambda row, _: row.barcode,
    "price": lambda row, _: row.price,
    "compareAtPrice": lambda row, _: row.compare_at_price,
    "position": lambda row, _: row.position,
    "unitPrice": lambda row, shop: unit_price(row, row.price, shop.store.currency),
    **{name: variant_reader(name) for name in VARIANT_DEFAULTS},
    "selectedOptions": _selected_options,
    "inventoryItem": lambda row, _: InventoryItemRow(row),
    "product": _product,
    "createdAt": lambda row, _: timestamp(row.created_at),
    "updatedAt": lambda row, _: timestamp(row.updated_at),
}
_INVENTORY_ITEM: Final[dict[str, Getter]] = {
    "id": lambda row, _: gid("InventoryItem", row.variant.id + INVENTORY_ITEM_SHIFT),
    "legacyResourceId": lambda row, _: str(row.variant.id + INVENTORY_ITEM_SHIFT),
    "sku": lambda row, _: row.variant.sku,
    "unitCost": _unit_cost,
    "variant": lambda row, _: row.variant,
    "duplicateSkuCount": _same_sku_count,
    **{name: item_reader(name) for name in ITEM_DEFAULTS},
    "measurement": measurement,
    "createdAt": lambda row, _: timestamp(row.variant.created_at),
    "updatedAt": lambda row, _: timestamp(row.variant.updated_at),
}
_BULK_OPERATION: Final[dict[str, Getter]] = {
    "id": lambda row, _: gid("BulkOperation", row.id),
    "status": lambda row, _: row.status,
    "type": lambda row, _: row.type,
    "query": lambda row, _: row.query,
    "errorCode": lambda row, _: row.error_code,
    "createdAt": lambda row, _: timestamp(row.created_at),
    "completedAt": lambda row, _: None if row.completed_at is None else timestamp(row.completed_at),
    "objectCount": lambda row, _: str(row.object_count),
    "rootObjectCount": lambda row, _: str(row.root_object_count),
    "fileSize": lambda row, _: None if row.file_size is None else str(row.file_size),
    "url": _bulk_url,
    "partialDataUrl": _partial_url,
}
_SHOP: Final[dict[str, Getter]] = {
    "id": lambda _row, _shop: gid("Shop", SHOP_ID),
    "name": lambda _, shop: shop.config.shop_name,
    "myshopifyDomain": lambda _, shop: shop.config.shop_domain,
    "currencyCode": lambda _, shop: shop.store.currency,
    "createdAt": lambda _row, _shop: SHOP_CREATED_AT,
    "ianaTimezone": lambda _row, _shop: "Etc/UTC",
    "url": lambda _, shop: f"https://{shop.config.shop_domain}",
    "plan": lambda _, shop: shop.config.plan,
}
_PLAN: Final[dict[str, Getter]] = {
    "displayName": lambda plan, _: plan.capitalize(),
    "publicDisplayName": lambda plan, _: plan.capitalize(),
    "partnerDevelopment": lambda _plan, _shop: False,
    "shopifyPlus": lambda plan, _: plan in {"plus", "enterprise"},
}

GETTERS: Final[dict[str, dict[str, Getter]]] = {
    "Product": _PRODUCT,
    "ProductVariant": _VARIANT,
    "InventoryItem": _INVENTORY_ITEM,
    "BulkOperation": _BULK_OPERATION,
    "Shop": _SHOP,
    "ShopPlan": _PLAN,
    "Collection": {
        "id": lambda row, _: gid("Collection", row.id),
        "legacyResourceId": lambda row, _: str(row.id),
        "handle": lambda row, _: row.handle,
        "title": lambda row, _: row.title,
        "updatedAt": lambda row, _: timestamp(row.updated_at),
    },
    "Metafield": {
        "id": lambda found, _: found["id"],
        "namespace": lambda found, _: found["namespace"],
        "key": lambda found, _: found["key"],
        "type": lambda found, _: found["type"],
        "value": lambda found, _: found["value"],
        "jsonValue": lambda found, _: found["jsonValue"],
    },
    "ProductOption": {
        "id": lambda row, _: gid("ProductOption", row.id),
        "name": lambda row, _: row.name,
        "position": lambda row, _: row.position,
        "values": lambda row, _: row.values,
        "optionValues": _option_values,
    },
    "ProductOptionValue": {
        "id": lambda row, _: gid("ProductOptionValue", row.id),
        "name": lambda row, _: row.name,
        "hasVariants": lambda row, _: row.has_variants,
    },
    "SelectedOption": {
        "name": lambda row, _: row.name,
        "value": lambda row, _: row.value,
        "optionValue": _value_of,
    },
    "UnitPriceMeasurement": {"measuredType": lambda found, _: measured_type(found)},
    "MoneyV2": {"amount": lambda row, _: row.amount, "currencyCode": lambda row, _: row.currency_code},
    "AppInstallation": {
        "id": lambda _row, _shop: gid("AppInstallation", 1),
        "accessScopes": lambda _, shop: list(shop.scopes),
    },
    "AccessScope": {"handle": lambda scope, _: scope, "description": lambda scope, _: scope.replace("_", " ")},
}
