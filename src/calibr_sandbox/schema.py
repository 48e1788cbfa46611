"""The executable schema: the packaged SDL with a resolver on every field."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, Final

from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    default_field_resolver,
    get_named_type,
)

from calibr_sandbox import identifiers, product_writes, queries, scalars, storefront, webhook_resolvers
from calibr_sandbox.bulk_mutations import resolve_cancel, resolve_run_mutation, resolve_run_query
from calibr_sandbox.context import Info
from calibr_sandbox.errors import AccessDeniedError
from calibr_sandbox.facts import CollectionRow
from calibr_sandbox.fields import GETTERS, Getter
from calibr_sandbox.inventory_update import resolve_inventory_item_update
from calibr_sandbox.markets import fields as market_fields
from calibr_sandbox.markets import resolvers as market_resolvers
from calibr_sandbox.markets import rows as market_rows
from calibr_sandbox.product_set import resolve_set
from calibr_sandbox.rows import BulkRow, InventoryItemRow, OptionRow, ProductRow, VariantRow
from calibr_sandbox.scopes import Requirement, requirement, requirement_of_type, with_implied
from calibr_sandbox.staged_targets import resolve_staged_uploads_create
from calibr_sandbox.variant_lifecycle import resolve_bulk_create, resolve_bulk_delete
from calibr_sandbox.variants_update import resolve_bulk_update

Resolver = Callable[..., Any]


def _find_node(info: Info, type_name: str, number: int) -> object | None:
    finders = (market_resolvers.find_node, webhook_resolvers.find_node, identifiers.find_node)
    found = (find(info, type_name, number) for find in finders)
    return next((row for row in found if row is not None), None)


_ROOTS: Final[dict[str, dict[str, Resolver]]] = {
    "QueryRoot": {
        "shop": queries.resolve_shop,
        "currentAppInstallation": queries.resolve_app_installation,
        "inventoryItem": queries.resolve_inventory_item,
        "node": lambda root, info, id: queries.resolve_nodes(root, info, [id], _find_node)[0],  # noqa: A006
        "nodes": lambda root, info, ids: queries.resolve_nodes(root, info, ids, _find_node),
        "product": queries.resolve_product,
        "products": queries.resolve_products,
        "productsCount": queries.resolve_products_count,
        "productVariant": queries.resolve_variant,
        "productVariants": queries.resolve_variants,
        "productVariantsCount": queries.resolve_variants_count,
        "bulkOperation": queries.resolve_bulk_operation,
        "bulkOperations": queries.resolve_bulk_operations,
        "currentBulkOperation": queries.resolve_current_bulk_operation,
    },
    "Mutation": {
        "inventoryItemUpdate": resolve_inventory_item_update,
        "productVariantsBulkCreate": resolve_bulk_create,
        "productVariantsBulkDelete": resolve_bulk_delete,
        "productVariantsBulkUpdate": resolve_bulk_update,
        "productCreate": product_writes.resolve_create,
        "productUpdate": product_writes.resolve_update,
        "productDelete": product_writes.resolve_delete,
        "productSet": resolve_set,
        "bulkOperationRunMutation": resolve_run_mutation,
        "bulkOperationRunQuery": resolve_run_query,
        "stagedUploadsCreate": resolve_staged_uploads_create,
        "bulkOperationCancel": resolve_cancel,
    },
    "Product": {
        "variants": queries.resolve_product_variants,
        "options": queries.resolve_options,
        "collections": queries.resolve_collections,
        "metafield": queries.resolve_product_metafield,
    },
    "ProductVariant": {"metafield": queries.resolve_metafield},
    "PageInfo": {
        "hasNextPage": lambda info, _: info.has_next_page,
        "hasPreviousPage": lambda info, _: info.has_previous_page,
        "startCursor": lambda info, _: info.start_cursor,
        "endCursor": lambda info, _: info.end_cursor,
    },
}
_CONNECTION: Final[dict[str, Resolver]] = {
    "nodes": lambda page, _: page.rows,
    "edges": lambda page, _: page.edges(),
    "pageInfo": lambda page, _: page.info(),
}
_EDGE: Final[dict[str, Resolver]] = {"cursor": lambda edge, _: edge[0], "node": lambda edge, _: edge[1]}
_PARTS: Final[tuple[dict[str, dict[str, Resolver]], ...]] = (
    _ROOTS,
    market_resolvers.RESOLVERS,
    webhook_resolvers.RESOLVERS,
    identifiers.RESOLVERS,
    storefront.RESOLVERS,
)
_READERS: Final[tuple[dict[str, dict[str, Getter]], ...]] = (
    GETTERS,
    market_fields.GETTERS,
    webhook_resolvers.GETTERS,
    storefront.GETTERS,
)
_TYPE_OF_ROW: Final[dict[type, str]] = {
    **webhook_resolvers.TYPE_OF_ROW,
    market_rows.MarketRow: "Market",
    market_rows.RegionRow: "MarketRegionCountry",
    market_rows.PublicationRow: "Publication",
    market_rows.PriceListRow: "PriceList",
    market_rows.PriceBreakRow: "QuantityPriceBreak",
    market_rows.CompanyRow: "Company",
    market_rows.CompanyLocationRow: "CompanyLocation",
    ProductRow: "Product",
    VariantRow: "ProductVariant",
    InventoryItemRow: "InventoryItem",
    BulkRow: "BulkOperation",
    OptionRow: "ProductOption",
    CollectionRow: "Collection",
}


def sources() -> list[str]:
    """Return the parts of the SDL: the main one, and those that extend it, each about a subject."""
    found = sorted(part.name for part in files("calibr_sandbox").iterdir() if part.name.endswith(".graphql"))
    return [files("calibr_sandbox").joinpath(name).read_text(encoding="utf-8") for name in found]


@cache
def build() -> GraphQLSchema:
    """Build the schema, once per process. Fields without a resolver of their own read a key of a payload."""
    schema = build_schema("\n".join(sources()))
    for named in schema.type_map.values():
        if isinstance(named, GraphQLObjectType) and not named.name.startswith("__"):
            _attach(named)
        elif isinstance(named, GraphQLInterfaceType | GraphQLUnionType):
            named.resolve_type = _permitted_type
        elif isinstance(named, GraphQLScalarType):
            _fit_scalar(named)
    return schema


def _type_of(row: object) -> str | None:
    if isinstance(row, market_rows.CatalogRow):
        return market_resolvers.type_of_catalog(row)
    return _TYPE_OF_ROW.get(type(row))


def _attach(named: GraphQLObjectType) -> None:
    resolvers: dict[str, Resolver] = {}
    for getters in _READERS:
        resolvers |= {name: _reading(get) for name, get in getters.get(named.name, {}).items()}
    for part in _PARTS:
        resolvers |= part.get(named.name, {})
    if named.name.endswith("Connection"):
        resolvers |= _CONNECTION
    elif named.name.endswith("Edge"):
        resolvers |= _EDGE
    for name, resolve in resolvers.items():
        named.fields[name].resolve = resolve
    for name, field in named.fields.items():
        needed = requirement(named.name, name, get_named_type(field.type).name)
        if needed is not None:
            field.resolve = _guarding(needed, field.resolve or default_field_resolver)


def _guarding(needed: Requirement, resolve: Resolver) -> Resolver:
    """Refuse a field to callers that lack its scopes."""

    def guarded(row: Any, info: Info, **arguments: Any) -> Any:  # noqa: ANN401 - rows and values of any field
        if not needed.is_met_by(with_implied(info.context.shop.scopes)):
            raise AccessDeniedError(info.field_name, needed.text)
        return resolve(row, info, **arguments)

    return guarded


def _permitted_type(row: object, info: Info, _type: object) -> str | None:
    """The type of a row that a field returns as a node; its scopes are not known before."""
    name = _type_of(row)
    needed = None if name is None else requirement_of_type(name)
    if needed is not None and not needed.is_met_by(with_implied(info.context.shop.scopes)):
        raise AccessDeniedError(info.field_name, needed.text)
    return name


def _reading(get: Getter) -> Resolver:
    def resolve(row: Any, info: Info) -> Any:  # noqa: ANN401 - rows and values of any field
        return get(row, info.context.shop)

    return resolve


def _fit_scalar(scalar: GraphQLScalarType) -> None:
    if scalar.name in scalars.TEXTS:
        scalar.coerce_output_value = str
    if scalar.name in scalars.AMOUNTS:
        scalar.coerce_input_value = scalars.parse_amount
        scalar.coerce_input_literal = scalars.parse_amount_literal
