"""The bodies of webhooks, with the fields of Shopify's that the sandbox has values for."""

import time
from typing import Any, Final

import orjson

from calibr_sandbox.catalog import Slice, find_product, list_variants
from calibr_sandbox.config import MAX_VARIANTS_PER_PRODUCT, SandboxConfig
from calibr_sandbox.fields import product_options, timestamp
from calibr_sandbox.ids import INVENTORY_ITEM_SHIFT, gid
from calibr_sandbox.rows import BulkRow, OptionRow, ProductRow, VariantRow
from calibr_sandbox.search import Filter
from calibr_sandbox.store import Reader

IN_FULL: Final = 100
"""How many variants come with their values; of the others only the ids do."""


SHOP_NUMBER: Final = 90_000_000_001


def product_body(store: Reader, product_id: int) -> dict[str, Any]:
    """Write the product as it is now. Raises LookupError when there is none."""
    product = find_product(store, product_id)
    if product is None:
        raise LookupError(f"there is no product {product_id}")
    all_of_it = Slice(MAX_VARIANTS_PER_PRODUCT)
    variants = list_variants(store, all_of_it, Filter("v.product_id = ?", (product_id,)), ("v.position", "v.id"))
    return _product(product, variants)


def bulk_body(row: BulkRow) -> dict[str, Any]:
    """Write a bulk operation that has ended: its status and type are in small letters here."""
    completed = row.completed_at if row.completed_at is not None else row.created_at
    return {
        "admin_graphql_api_id": gid("BulkOperation", row.id),
        "completed_at": timestamp(completed),
        "created_at": timestamp(row.created_at),
        "error_code": None if row.error_code is None else row.error_code.lower(),
        "status": row.status.lower(),
        "type": row.type.lower(),
    }


def shop_body(config: SandboxConfig, currency: str) -> dict[str, Any]:
    """Write the shop, as `app/uninstalled` carries it."""
    return {
        "id": SHOP_NUMBER,
        "name": config.shop_name,
        "domain": config.shop_domain,
        "myshopify_domain": config.shop_domain,
        "currency": currency,
        "plan_name": config.plan,
        "iana_timezone": "Etc/UTC",
    }


def scopes_body(previous: list[str], current: list[str]) -> dict[str, Any]:
    """Write a change of what the app may do."""
    now = timestamp(int(time.time()))
    shop = gid("Shop", SHOP_NUMBER)
    return {"id": 1, "previous": previous, "current": current, "shop_id": shop, "updated_at": now}


def compliance_body(config: SandboxConfig, topic: str) -> dict[str, Any]:
    """Write one of the three requests about the data of a customer, or of the whole shop."""
    shop: dict[str, Any] = {"shop_id": SHOP_NUMBER, "shop_domain": config.shop_domain}
    customer = {"id": 191_167, "email": "customer@example.com", "phone": "+15555550100"}
    if topic == "customers/data_request":
        return shop | {"customer": customer, "orders_requested": [299_938], "data_request": {"id": 9_999}}
    return shop | {"customer": customer, "orders_to_redact": [299_938]} if topic == "customers/redact" else shop


def only(body: dict[str, Any], fields: list[str]) -> dict[str, Any]:
    """Keep the fields that a subscription wants: `variants.id` keeps that part of each element. None wanted: all."""
    if not fields:
        return body
    inner: dict[str, list[str]] = {}
    for field in fields:
        head, _, rest = field.partition(".")
        inner.setdefault(head, []).extend([rest] if rest else [])
    return {name: _only_inside(body[name], inner[name]) for name in body if name in inner}


def _only_inside(value: object, fields: list[str]) -> object:
    if isinstance(value, list):
        return [_only_inside(item, fields) for item in value]
    return only(value, fields) if isinstance(value, dict) else value


def _product(row: ProductRow, variants: list[VariantRow]) -> dict[str, Any]:
    newest_first = sorted(variants, key=lambda variant: -variant.updated_at)
    return {
        "id": row.id,
        "admin_graphql_api_id": gid("Product", row.id),
        "title": row.title,
        "handle": row.handle,
        "vendor": row.vendor,
        "product_type": row.product_type,
        "status": row.status.lower(),
        "tags": ", ".join(orjson.loads(row.tags)),
        "created_at": timestamp(row.created_at),
        "updated_at": timestamp(row.updated_at),
        "options": [_option(option, row.id) for option in product_options(row)],
        "variants": [_variant(variant) for variant in variants[:IN_FULL]],
        "variant_gids": [
            {"admin_graphql_api_id": gid("ProductVariant", variant.id), "updated_at": timestamp(variant.updated_at)}
            for variant in newest_first
        ],
    }


def _option(row: OptionRow, product_id: int) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "position": row.position, "values": row.values, "product_id": product_id}


def _variant(row: VariantRow) -> dict[str, Any]:
    options = [*orjson.loads(row.option_values), None, None, None]
    return {
        "id": row.id,
        "admin_graphql_api_id": gid("ProductVariant", row.id),
        "product_id": row.product_id,
        "position": row.position,
        "title": row.title,
        "sku": row.sku,
        "barcode": row.barcode,
        "price": row.price,
        "compare_at_price": row.compare_at_price,
        "option1": options[0],
        "option2": options[1],
        "option3": options[2],
        "inventory_item_id": row.id + INVENTORY_ITEM_SHIFT,
        "created_at": timestamp(row.created_at),
        "updated_at": timestamp(row.updated_at),
    }
