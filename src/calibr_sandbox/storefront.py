"""What clients of others ask for beside prices, see `schema_storefront.graphql`. What the shop lacks is not made up."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import orjson

from calibr_sandbox import catalog
from calibr_sandbox.connections import Page, by_id, fetch_page, page_arguments, window
from calibr_sandbox.context import Info
from calibr_sandbox.fields import Getter, ShopContext, timestamp
from calibr_sandbox.ids import parse_gid
from calibr_sandbox.markets.rows import ContextPrice
from calibr_sandbox.money import money_v2_amount
from calibr_sandbox.product_extras import DEFAULTS as PRODUCT_DEFAULTS
from calibr_sandbox.product_extras import description_of, product_reader
from calibr_sandbox.queries import search_filter
from calibr_sandbox.rows import InventoryItemRow, Money, ProductRow, VariantRow
from calibr_sandbox.search import INVENTORY_FIELDS
from calibr_sandbox.variant_extras import item_reader, list_metafields, variant_reader

_ONLY_VARIANT: Final = ["Default Title"]
_TRACKED: Final = item_reader("tracked")
_QUANTITY: Final = variant_reader("inventoryQuantity")
_POLICY: Final = variant_reader("inventoryPolicy")
_COMPONENTS: Final = variant_reader("requiresComponents")


def resolve_inventory_items(_root: object, info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    """`inventoryItems`: one for each variant, in the order of their ids."""
    where, store = search_filter(arguments, INVENTORY_FIELDS), info.context.store

    def fetch(part: catalog.Slice) -> Sequence[InventoryItemRow]:
        return [InventoryItemRow(row) for row in catalog.list_variants(store, part, where, ("v.id",))]

    return fetch_page(page_arguments(arguments), lambda item: by_id(item.variant), fetch)


def resolve_metafields(
    variant: VariantRow,
    _info: Info,
    namespace: str | None = None,
    keys: list[str] | None = None,
    **arguments: Any,  # noqa: ANN401
) -> Page:
    """`ProductVariant.metafields`: of one namespace, or with one of these keys (`namespace.key`)."""
    found = [
        field
        for field in list_metafields(variant)
        if namespace in {None, field["namespace"]}
        and (keys is None or f"{field['namespace']}.{field['key']}" in keys or field["key"] in keys)
    ]
    return window(found, page_arguments(arguments), _place_of_metafield)


def resolve_nothing(_row: object, _info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    """A connection to what the shop does not have."""
    for name in ("namespace", "keys"):
        arguments.pop(name, None)
    return window([], page_arguments(arguments), by_id)


def resolve_description(product: ProductRow, _info: Info, truncateAt: int | None = None) -> str:  # noqa: N803
    """`Product.description`: its HTML without the tags."""
    return description_of(product, truncateAt)


def _place_of_metafield(field: dict[str, Any]) -> tuple[str, int]:
    parsed = parse_gid(field["id"])
    return field["key"], 0 if parsed is None else parsed.number


def _variants(row: ProductRow, shop: ShopContext) -> list[VariantRow]:
    return list(catalog.stream_variants_of(shop.store, row.id))


def _has_only_default(row: ProductRow, shop: ShopContext) -> bool:
    variants = _variants(row, shop)
    return len(variants) == 1 and orjson.loads(variants[0].option_values) == _ONLY_VARIANT


def _is_for_sale(row: VariantRow, shop: ShopContext) -> bool:
    is_counted = _TRACKED(InventoryItemRow(row), shop)
    return not is_counted or _POLICY(row, shop) == "CONTINUE" or _QUANTITY(row, shop) > 0


def _price_range(row: ProductRow, shop: ShopContext) -> tuple[ContextPrice | None, ContextPrice | None]:
    variants = sorted(_variants(row, shop), key=lambda variant: Decimal(variant.price))
    if not variants:
        return None, None
    least, most = (ContextPrice(v, shop.store.currency, v.price, None, None) for v in (variants[0], variants[-1]))
    return least, most


def _compare_at_range(row: ProductRow, shop: ShopContext) -> dict[str, Money] | None:
    given = (variant.compare_at_price for variant in _variants(row, shop))
    amounts = sorted((amount for amount in given if amount is not None), key=Decimal)
    if not amounts:
        return None
    least, most = (Money(money_v2_amount(amount), shop.store.currency) for amount in (amounts[0], amounts[-1]))
    return {"minVariantCompareAtPrice": least, "maxVariantCompareAtPrice": most}


def _published_at(row: ProductRow, _shop: ShopContext) -> str | None:
    return timestamp(row.created_at) if row.status == "ACTIVE" else None


def _store_url(row: ProductRow, shop: ShopContext) -> str | None:
    return f"https://{shop.config.shop_domain}/products/{row.handle}" if row.status == "ACTIVE" else None


def _constant(value: object) -> Getter:
    return lambda _row, _shop: value


_NO: Final = _constant(None)
GETTERS: Final[dict[str, dict[str, Getter]]] = {
    "Product": {
        **dict.fromkeys(("category", "featuredImage", "featuredMedia"), _NO),
        **{name: product_reader(name) for name in PRODUCT_DEFAULTS},
        "isGiftCard": _constant(value=False),
        "compareAtPriceRange": _compare_at_range,
        "hasOnlyDefaultVariant": _has_only_default,
        "hasOutOfStockVariants": lambda row, shop: not all(_is_for_sale(each, shop) for each in _variants(row, shop)),
        "hasVariantsThatRequiresComponents": lambda row, shop: any(_COMPONENTS(v, shop) for v in _variants(row, shop)),
        "onlineStorePreviewUrl": _store_url,
        "onlineStoreUrl": _store_url,
        "priceRangeV2": _price_range,
        "publishedAt": _published_at,
    },
    "ProductVariant": {
        "availableForSale": _is_for_sale,
        "image": _NO,
        "sellableOnlineQuantity": lambda row, shop: max(0, _QUANTITY(row, shop)),
    },
    "Metafield": {
        "createdAt": lambda field, _: timestamp(field["created_at"]),
        "updatedAt": lambda field, _: timestamp(field["updated_at"]),
    },
}
RESOLVERS: Final[dict[str, dict[str, Any]]] = {
    "QueryRoot": {"inventoryItems": resolve_inventory_items},
    "Product": {
        **dict.fromkeys(("images", "media", "metafields"), resolve_nothing),
        "description": resolve_description,
    },
    "ProductVariant": {"metafields": resolve_metafields},
    "InventoryItem": {"countryHarmonizedSystemCodes": resolve_nothing},
}
