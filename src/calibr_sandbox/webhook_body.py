"""The body of a `products/update` webhook, with the fields of Shopify's that the sandbox has values for."""

from typing import Any, Final

import orjson

from calibr_sandbox.catalog import Slice, find_product, list_variants
from calibr_sandbox.config import MAX_VARIANTS_PER_PRODUCT
from calibr_sandbox.fields import product_options, timestamp
from calibr_sandbox.ids import INVENTORY_ITEM_SHIFT, gid
from calibr_sandbox.rows import ProductRow, VariantRow
from calibr_sandbox.search import Filter
from calibr_sandbox.store import Reader

IN_FULL: Final = 100
"""How many variants come with their values; of the others only the ids do."""


def product_body(store: Reader, product_id: int) -> bytes:
    """Write the product as it is now. Raises LookupError when there is none."""
    product = find_product(store, product_id)
    if product is None:
        raise LookupError(f"there is no product {product_id}")
    all_of_it = Slice(MAX_VARIANTS_PER_PRODUCT)
    variants = list_variants(store, all_of_it, Filter("v.product_id = ?", (product_id,)), ("v.position", "v.id"))
    return orjson.dumps(_product(product, variants))


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
        "options": [{**option._asdict(), "product_id": row.id} for option in product_options(row)],
        "variants": [_variant(variant) for variant in variants[:IN_FULL]],
        "variant_gids": [
            {"admin_graphql_api_id": gid("ProductVariant", variant.id), "updated_at": timestamp(variant.updated_at)}
            for variant in newest_first
        ],
    }


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
