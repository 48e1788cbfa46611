"""Root fields of `QueryRoot`, and the connections of products and variants."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from calibr_sandbox import catalog
from calibr_sandbox.connections import Page, by_id, fetch_page, page_arguments, parse_place, window
from calibr_sandbox.context import Info
from calibr_sandbox.errors import BadRequestError, InvalidGlobalIdError, ResourceNotFoundError
from calibr_sandbox.facts import collections_of, product_metafield
from calibr_sandbox.fields import product_options
from calibr_sandbox.ids import INVENTORY_ITEM_SHIFT, GlobalId, parse_gid
from calibr_sandbox.rows import BulkRow, InventoryItemRow, ProductRow, VariantRow
from calibr_sandbox.search import (
    BULK_FIELDS,
    PRODUCT_FIELDS,
    VARIANT_FIELDS,
    Filter,
    SearchError,
    parse_search,
)
from calibr_sandbox.store import Reader
from calibr_sandbox.variant_extras import find_metafield
from calibr_sandbox.variant_orders import BY_ID, VARIANT_ORDERS

_OF_VARIANTS: Final = ("ProductVariant", "InventoryItem")


_PRODUCT_ORDERS: Final = {
    "CREATED_AT": "created_at",
    "PRODUCT_TYPE": "product_type",
    "TITLE": "title",
    "UPDATED_AT": "updated_at",
    "VENDOR": "vendor",
}
_DEFAULT_LIMIT: Final = 10_000
_TEXT_COLUMNS: Final = frozenset({"product_type", "title", "vendor"})


def _created(row: BulkRow) -> tuple[int, int]:
    return (row.created_at, row.id)


def _completed(row: BulkRow) -> tuple[int, int]:
    """Those that never completed come before all others."""
    return (row.completed_at or 0, row.id)


def number_of(text: str, type_name: str) -> int:
    """Read a global id that must be of one type. Raises Shopify's error for any other id."""
    parsed = parse_gid(text)
    if parsed is None:
        raise InvalidGlobalIdError(text)
    if parsed.type_name != type_name:
        raise ResourceNotFoundError(text)
    return parsed.number


def resolve_shop(_root: object, _info: Info) -> str:
    """`shop`: its fields need no row."""
    return "shop"


def resolve_app_installation(_root: object, _info: Info) -> str:
    """`currentAppInstallation`: its fields need no row."""
    return "app"


def resolve_product(_root: object, info: Info, id: str) -> ProductRow | None:  # noqa: A002
    """`product(id:)`."""
    return catalog.find_product(info.context.store, number_of(id, "Product"))


def resolve_variant(_root: object, info: Info, id: str) -> VariantRow | None:  # noqa: A002
    """`productVariant(id:)`."""
    return catalog.find_variant(info.context.store, number_of(id, "ProductVariant"))


def resolve_inventory_item(_root: object, info: Info, id: str) -> InventoryItemRow | None:  # noqa: A002
    """`inventoryItem(id:)`."""
    found = catalog.find_variant(info.context.store, number_of(id, "InventoryItem") - INVENTORY_ITEM_SHIFT)
    return None if found is None else InventoryItemRow(found)


def resolve_metafield(
    variant: VariantRow, _info: Info, key: str, namespace: str | None = None
) -> dict[str, object] | None:
    """`ProductVariant.metafield`."""
    return find_metafield(variant, namespace, key)


FindNode = Callable[[Info, str, int], object | None]
"""Finds an object of another subject by the type and number of its global id."""


def resolve_nodes(_root: object, info: Info, ids: list[str], find_other: FindNode) -> list[object | None]:
    """`nodes(ids:)`: one entry per id in the same order, None for what does not exist."""
    store, parsed = info.context.store, [_require_gid(text) for text in ids]
    wanted = {number for gid in parsed if (number := _variant_number(gid)) is not None}
    variants = catalog.variants_by_id(store, sorted(wanted)) if wanted else {}

    def find(gid: GlobalId) -> object | None:
        if gid.type_name == "Product":
            return catalog.find_product(store, gid.number)
        if gid.type_name == "BulkOperation":
            return info.context.bulk.find(gid.number)
        if gid.type_name not in _OF_VARIANTS:
            return find_other(info, gid.type_name, gid.number)
        variant = variants.get(_variant_number(gid) or 0)
        return InventoryItemRow(variant) if variant and gid.type_name == "InventoryItem" else variant

    return [find(gid) for gid in parsed]


def resolve_products(_root: object, info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    """`products`, by default in the order of their ids."""
    where, store = search_filter(arguments, PRODUCT_FIELDS), info.context.store
    column = _PRODUCT_ORDERS.get(arguments.get("sortKey") or "ID", "id")
    order = ("p.id",) if column == "id" else (f"p.{column}", "p.id")

    def key(row: ProductRow) -> catalog.Key:
        return (getattr(row, column), row.id)

    def fetch(part: catalog.Slice) -> Sequence[ProductRow]:
        return catalog.list_products(store, part, where, order)

    return fetch_page(page_arguments(arguments), key, fetch, parse_place if column in _TEXT_COLUMNS else None)


def resolve_variants(_root: object, info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    """`productVariants`, over all products."""
    where, store = search_filter(arguments, VARIANT_FIELDS), info.context.store
    return _variants_page(store, where, arguments)


def resolve_product_variants(product: ProductRow, info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    """`Product.variants`."""
    where, store = Filter("v.product_id = ?", (product.id,)), info.context.store
    return _variants_page(store, where, arguments)


def resolve_collections(product: ProductRow, info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    """`Product.collections`."""
    return window(collections_of(info.context.store, product.id), page_arguments(arguments), by_id)


def resolve_product_metafield(
    product: ProductRow, info: Info, key: str, namespace: str | None = None
) -> dict[str, object] | None:
    """`Product.metafield`."""
    return product_metafield(info.context.store, product.id, namespace, key)


def resolve_options(product: ProductRow, _info: Info, first: int | None = None) -> Sequence[Any]:
    """`Product.options`."""
    return product_options(product)[:first]


def resolve_products_count(_root: object, info: Info, **arguments: Any) -> dict[str, object]:  # noqa: ANN401
    """`productsCount`."""
    total = catalog.count_products(info.context.store, search_filter(arguments, PRODUCT_FIELDS))
    return count_up_to(total, arguments)


def resolve_variants_count(_root: object, info: Info, **arguments: Any) -> dict[str, object]:  # noqa: ANN401
    """`productVariantsCount`."""
    total = catalog.count_variants(info.context.store, search_filter(arguments, VARIANT_FIELDS))
    return count_up_to(total, arguments)


def resolve_bulk_operation(_root: object, info: Info, id: str) -> BulkRow | None:  # noqa: A002
    """`bulkOperation(id:)`."""
    return info.context.bulk.find(number_of(id, "BulkOperation"))


def resolve_current_bulk_operation(
    _root: object,
    info: Info,
    type: str = "QUERY",  # noqa: A002
) -> BulkRow | None:
    """`currentBulkOperation`: the latest one of a type."""
    found = info.context.bulk.list_all(Filter("type = ?", (type,)))
    return found[0] if found else None


def resolve_bulk_operations(_root: object, info: Info, **arguments: Any) -> Page:  # noqa: ANN401
    """`bulkOperations`, the newest first (oldest first when reversed)."""
    rows = info.context.bulk.list_all(search_filter(arguments, BULK_FIELDS))
    rows.sort(key=_completed if arguments.get("sortKey") == "COMPLETED_AT" else _created, reverse=True)
    if arguments.get("reverse"):
        rows.reverse()

    def cut(part: catalog.Slice) -> Sequence[BulkRow]:
        ids = [row.id for row in rows]
        start = ids.index(part.after[-1]) + 1 if part.after and part.after[-1] in ids else 0
        stop = ids.index(part.before[-1]) if part.before and part.before[-1] in ids else len(rows)
        window = rows[start:stop]
        return window[-part.limit :] if part.from_end else window[: part.limit]

    return fetch_page(page_arguments(arguments), by_id, cut)


def _require_gid(text: str) -> GlobalId:
    parsed = parse_gid(text)
    if parsed is None:
        raise InvalidGlobalIdError(text)
    return parsed


def _variant_number(gid: GlobalId) -> int | None:
    if gid.type_name == "InventoryItem":
        return gid.number - INVENTORY_ITEM_SHIFT
    return gid.number if gid.type_name == "ProductVariant" else None


def _variants_page(store: Reader, where: Filter, arguments: dict[str, Any]) -> Page:
    order = VARIANT_ORDERS.get(arguments.get("sortKey") or "ID", BY_ID)

    def fetch(part: catalog.Slice) -> Sequence[VariantRow]:
        return catalog.list_variants(store, part, where, order.columns)

    return fetch_page(page_arguments(arguments), order.key, fetch, parse_place if order.is_text else None)


def search_filter(arguments: dict[str, Any], fields: dict[str, Callable[[str, str], Filter]]) -> Filter:
    """Compile the `query` argument of a field. Raises Shopify's error for one that cannot be understood."""
    try:
        return parse_search(arguments.get("query"), fields)
    except SearchError as error:
        raise BadRequestError(str(error)) from error


def count_up_to(total: int, arguments: dict[str, Any]) -> dict[str, object]:
    """Count up to the limit. A recorded count of everything is exact beyond the default one: that does not cap it."""
    limit = arguments.get("limit")
    is_default = limit == _DEFAULT_LIMIT and not arguments.get("query")
    if limit is not None and not is_default and total > limit:
        return {"count": limit, "precision": "AT_LEAST"}
    return {"count": total, "precision": "EXACT"}
