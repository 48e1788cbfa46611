"""`...ByIdentifier` and `...ByHandle`: an object by what its shop calls it; and the collections of a shop.

A custom id is the value of a metafield that has a definition of type `id`. A sandbox shop has no definitions, so that
asking for one is refused as a shop without that definition does.
"""

from collections.abc import Callable
from typing import Any, Final

from calibr_sandbox import catalog, facts
from calibr_sandbox.connections import Page, by_id, page_arguments, window
from calibr_sandbox.context import Info
from calibr_sandbox.errors import NoIdDefinitionError
from calibr_sandbox.facts import CollectionRow
from calibr_sandbox.queries import count_up_to, number_of, search_filter
from calibr_sandbox.rows import ProductRow, VariantRow
from calibr_sandbox.search import COLLECTION_FIELDS

Identifier = dict[str, Any]
Key = tuple[int | str, int]
_KEYS: Final[dict[str, Callable[[CollectionRow], Key]]] = {
    "TITLE": lambda row: (row.title, row.id),
    "UPDATED_AT": lambda row: (row.updated_at, row.id),
}


def _product_by_handle(_root: object, info: Info, handle: str) -> ProductRow | None:
    return catalog.find_product_by_handle(info.context.store, handle)


def _product(_root: object, info: Info, identifier: Identifier) -> ProductRow | None:
    if "handle" in identifier:
        return catalog.find_product_by_handle(info.context.store, identifier["handle"])
    return catalog.find_product(info.context.store, _number(identifier, "Product"))


def _variant(_root: object, info: Info, identifier: Identifier) -> VariantRow | None:
    return catalog.find_variant(info.context.store, _number(identifier, "ProductVariant"))


def _collection(_root: object, info: Info, id: str) -> CollectionRow | None:  # noqa: A002
    return facts.find_collection(info.context.store, number_of(id, "Collection"))


def _collection_by_handle(_root: object, info: Info, handle: str) -> CollectionRow | None:
    return facts.find_collection_by_handle(info.context.store, handle)


def _collection_by_identifier(_root: object, info: Info, identifier: Identifier) -> CollectionRow | None:
    if "handle" in identifier:
        return facts.find_collection_by_handle(info.context.store, identifier["handle"])
    return facts.find_collection(info.context.store, _number(identifier, "Collection"))


def _collections(_root: object, info: Info, **arguments: Any) -> Page:  # noqa: ANN401 - a field's arguments
    rows = facts.list_collections(info.context.store, search_filter(arguments, COLLECTION_FIELDS))
    return window(rows, page_arguments(arguments), _KEYS.get(arguments.get("sortKey") or "ID", by_id))


def _collections_count(_root: object, info: Info, **arguments: Any) -> dict[str, object]:  # noqa: ANN401
    rows = facts.list_collections(info.context.store, search_filter(arguments, COLLECTION_FIELDS))
    return count_up_to(len(rows), arguments)


def _products_count(row: CollectionRow, info: Info) -> dict[str, object]:
    return count_up_to(facts.count_members(info.context.store, row.id), {})


def _has_product(row: CollectionRow, info: Info, id: str) -> bool:  # noqa: A002
    return facts.is_member(info.context.store, row.id, number_of(id, "Product"))


def _in_collection(row: ProductRow, info: Info, id: str) -> bool:  # noqa: A002
    return facts.is_member(info.context.store, number_of(id, "Collection"), row.id)


def _number(identifier: Identifier, type_name: str) -> int:
    if "id" in identifier:
        return number_of(identifier["id"], type_name)
    raise NoIdDefinitionError


def find_node(info: Info, type_name: str, number: int) -> object | None:
    """Return the collection that a global id names, or None."""
    return facts.find_collection(info.context.store, number) if type_name == "Collection" else None


RESOLVERS: Final[dict[str, dict[str, Callable[..., Any]]]] = {
    "QueryRoot": {
        "productByHandle": _product_by_handle,
        "productByIdentifier": _product,
        "productVariantByIdentifier": _variant,
        "collection": _collection,
        "collectionByHandle": _collection_by_handle,
        "collectionByIdentifier": _collection_by_identifier,
        "collections": _collections,
        "collectionsCount": _collections_count,
    },
    "Product": {"inCollection": _in_collection},
    "Collection": {"productsCount": _products_count, "hasProduct": _has_product},
}
