"""`productCreate`, `productUpdate`, `productDelete`: products as apps make, change and delete them."""

import sqlite3
import time
from typing import Any, Final

from calibr_sandbox import facts
from calibr_sandbox.catalog import find_product, find_product_by_handle
from calibr_sandbox.context import Info
from calibr_sandbox.errors import BadRequestError, NoIdDefinitionError
from calibr_sandbox.ids import FIRST_PRODUCT_ID, FIRST_VARIANT_ID, gid
from calibr_sandbox.product_rules import (
    Input,
    UserError,
    changed_row,
    errors_of,
    first_choices,
    new_row,
    require_kept,
)
from calibr_sandbox.queries import number_of
from calibr_sandbox.rows import ProductRow
from calibr_sandbox.store import Store
from calibr_sandbox.variant_lifecycle import blank_variant, insert_variants
from calibr_sandbox.variant_writes import journal_new

_NO_PRODUCT: Final = {"field": ["id"], "message": "Product does not exist"}
_TEXT: Final = "single_line_text_field"


def resolve_create(
    _root: object,
    info: Info,
    product: Input | None = None,
    input: Input | None = None,  # noqa: A002
    media: list[Input] | None = None,
) -> dict[str, Any]:
    """`productCreate`: a product comes with one variant, at no price; the journal tells of it."""
    store, given = info.context.store, product or input or {}
    require_kept(given, media)
    with store.transaction() as connection:
        errors = [*errors_of(store, given, 0, is_new=True), *_collection_errors(store, given)]
        if errors:
            return {"product": None, "shop": "shop", "userErrors": errors}
        row = new_row(store, given, next_number(store, "product", FIRST_PRODUCT_ID), info.context.shop.config.shop_name)
        store_new(connection, row)
        variant = blank_variant(store, row, next_number(store, "variant", FIRST_VARIANT_ID), 1, first_choices(row))
        insert_variants(connection, [variant])
        journal_new(connection, [variant], info.context.writer)
        put_facts(store, row.id, given)
        stored = find_product(store, row.id)
    info.context.webhooks.products_created([row.id])
    return {"product": stored, "shop": "shop", "userErrors": []}


def resolve_update(
    _root: object,
    info: Info,
    product: Input | None = None,
    input: Input | None = None,  # noqa: A002
    identifier: Input | None = None,
    media: list[Input] | None = None,
) -> dict[str, Any]:
    """`productUpdate`: what is absent stays as it is."""
    store, given = info.context.store, product or input or {}
    require_kept(given, media)
    with store.transaction() as connection:
        row = _named(store, identifier or given)
        if row is None:
            return {"product": None, "userErrors": [_NO_PRODUCT]}
        errors = [*errors_of(store, given, row.id, is_new=False), *_collection_errors(store, given)]
        if errors:
            return {"product": row, "userErrors": errors}
        changed = changed_row(row, given, info.context.shop.config.shop_name)._replace(updated_at=int(time.time()))
        store_product(connection, changed)
        put_facts(store, row.id, given)
        stored = find_product(store, row.id)
    info.context.announce([row.id])
    return {"product": stored, "userErrors": []}


def resolve_delete(
    _root: object,
    info: Info,
    input: Input,  # noqa: A002
    synchronous: bool | None = True,  # noqa: FBT001, FBT002
) -> dict[str, Any]:
    """`productDelete`, with its variants and their prices in price lists."""
    if synchronous is False:
        raise BadRequestError("The sandbox deletes products at once: `synchronous` cannot be false")
    number = number_of(input["id"], "Product")
    try:
        facts.delete_product(info.context.store, number)
    except LookupError:
        return {"deletedProductId": None, "shop": "shop", "userErrors": [_NO_PRODUCT]}
    info.context.webhooks.products_deleted([number])
    return {"deletedProductId": gid("Product", number), "shop": "shop", "userErrors": []}


def _named(store: Store, identifier: Input) -> ProductRow | None:
    if identifier.get("id") is not None:
        return find_product(store, number_of(identifier["id"], "Product"))
    if identifier.get("customId") is not None:
        raise NoIdDefinitionError
    handle = identifier.get("handle")
    return None if handle is None else find_product_by_handle(store, handle)


def _collection_errors(store: Store, given: Input) -> list[UserError]:
    return [
        {"field": [field, str(place)], "message": "Collection does not exist"}
        for field in ("collectionsToJoin", "collectionsToLeave")
        for place, text in enumerate(given.get(field) or ())
        if facts.find_collection(store, number_of(text, "Collection")) is None
    ]


def put_facts(store: Store, product_id: int, given: Input) -> None:
    """Let a product join and leave collections, and set its metafields. Inside a transaction."""
    joins, leaves = (
        [number_of(text, "Collection") for text in given.get(field) or ()]
        for field in ("collectionsToJoin", "collectionsToLeave")
    )
    if given.get("collections") is not None:
        joins = [number_of(text, "Collection") for text in given["collections"]]
        leaves = [each.id for each in facts.collections_of(store, product_id)]
    facts.move_product(store, product_id, joins=joins, leaves=leaves)
    for field in given.get("metafields") or ():
        new = facts.NewMetafield(
            field.get("namespace") or "custom", field.get("key") or "", field.get("type") or _TEXT, field.get("value")
        )
        facts.put_metafields(store, {product_id: new})


def store_new(connection: sqlite3.Connection, row: ProductRow) -> None:
    """Store a new product. Inside a transaction."""
    marks = ",".join("?" * len(row))
    connection.execute(f"INSERT INTO product ({', '.join(row._fields)}) VALUES ({marks})", row)  # noqa: S608 - ours


def store_product(connection: sqlite3.Connection, row: ProductRow) -> None:
    """Store the values of a product. Inside a transaction."""
    columns = ", ".join(f"{name} = ?" for name in ProductRow._fields[1:])
    connection.execute(f"UPDATE product SET {columns} WHERE id = ?", (*row[1:], row.id))  # noqa: S608 - ours


def next_number(store: Store, table: str, first: int) -> int:
    """Number the next product or variant."""
    return int(str(store.fetch_value(f"SELECT coalesce(max(id) + 1, ?) FROM {table}", (first,))))  # noqa: S608 - ours
