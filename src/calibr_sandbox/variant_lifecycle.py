"""`productVariantsBulkCreate` and `productVariantsBulkDelete`: all rows or none."""

import sqlite3
import time
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import orjson

from calibr_sandbox.catalog import find_product, stream_variants_of, variants_by_id
from calibr_sandbox.context import Info
from calibr_sandbox.facts import delete_variants
from calibr_sandbox.ids import FIRST_VARIANT_ID, parse_gid
from calibr_sandbox.money import to_shop_text
from calibr_sandbox.queries import number_of
from calibr_sandbox.rows import ProductRow, VariantRow
from calibr_sandbox.store import Store
from calibr_sandbox.variant_options import STANDALONE, OptionError, Options
from calibr_sandbox.variant_rules import Entry, RowError, apply_entry, value_errors
from calibr_sandbox.variant_writes import journal_new, settle_product

_NO_PRODUCT: Final = RowError(("productId",), "Product does not exist", "PRODUCT_DOES_NOT_EXIST")


def resolve_bulk_create(
    _root: object,
    info: Info,
    productId: str,  # noqa: N803 - the argument's name in the schema
    variants: list[Entry],
    strategy: str = "DEFAULT",
) -> dict[str, Any]:
    """Add variants to a product; commit before answering."""
    store, product_id = info.context.store, number_of(productId, "Product")
    with store.transaction() as connection:
        product = find_product(store, product_id)
        if product is None:
            return {"product": None, "productVariants": None, "userErrors": _told([_NO_PRODUCT])}
        before = list(stream_variants_of(store, product_id))
        rows, errors = _new_rows(store, product, before, variants)
        if not errors and rows:
            insert_variants(connection, rows)
            journal_new(connection, rows, info.context.writer)
            _remove_standalone(connection, before, strategy)
            settle_product(store, connection, product)
        stored = variants_by_id(store, [row.id for row in rows]) if not errors else {}
        product = find_product(store, product_id)
    if stored:
        info.context.announce([product_id])
    return {"product": product, "productVariants": list(stored.values()), "userErrors": _told(errors)}


def resolve_bulk_delete(
    _root: object,
    info: Info,
    productId: str,  # noqa: N803 - the argument's name in the schema
    variantsIds: list[str],  # noqa: N803
) -> dict[str, Any]:
    """Remove variants of a product; commit before answering."""
    store, product_id = info.context.store, number_of(productId, "Product")
    with store.transaction() as connection:
        product = find_product(store, product_id)
        if product is None:
            return {"product": None, "userErrors": _told([_NO_PRODUCT])}
        own = {row.id for row in stream_variants_of(store, product_id)}
        numbers = [parsed.number if (parsed := parse_gid(text)) else 0 for text in variantsIds]
        errors = _delete_errors(numbers, own)
        if not errors and numbers:
            delete_variants(connection, sorted(set(numbers)))
            settle_product(store, connection, product)
        product = find_product(store, product_id)
    if not errors and numbers:
        info.context.announce([product_id])
    return {"product": product, "userErrors": _told(errors)}


def _delete_errors(numbers: list[int], own: set[int]) -> list[RowError]:
    foreign = [place for place, number in enumerate(numbers) if number not in own]
    if foreign:
        code = "AT_LEAST_ONE_VARIANT_DOES_NOT_BELONG_TO_THE_PRODUCT"
        message = "At least one variant does not belong to the product"
        return [RowError(("variantsIds", str(place)), message, code) for place in foreign]
    if own and own <= set(numbers):
        return [RowError(("variantsIds",), "Cannot delete the last variant", "CANNOT_DELETE_LAST_VARIANT")]
    return []


def _new_rows(
    store: Store, product: ProductRow, before: list[VariantRow], entries: list[Entry]
) -> tuple[list[VariantRow], list[RowError]]:
    options = Options(product.id, product.options)
    taken = {tuple(orjson.loads(row.option_values)) for row in before}
    first = int(str(store.fetch_value("SELECT coalesce(max(id) + 1, ?) FROM variant", (FIRST_VARIANT_ID,))))
    rows: list[VariantRow] = []
    errors: list[RowError] = []
    for index, entry in enumerate(entries):
        path = ("variants", str(index))
        chosen = options.choose(path, entry.get("optionValues") or [], None)
        errors += [replace(e, code="INVALID") if e.code == "BLANK" else e for e in value_errors(path, entry)]
        if isinstance(chosen, OptionError):
            errors.append(RowError(chosen.field, chosen.message, chosen.code))
            continue
        if chosen in taken:
            message = f"The variant '{' / '.join(chosen)}' already exists."
            errors.append(RowError(path, message, "VARIANT_ALREADY_EXISTS"))
            continue
        taken.add(chosen)
        if not errors:
            blank = blank_variant(store, product, first + index, len(before) + index + 1, chosen)
            rows.append(apply_entry(blank, entry, store.currency))
    errors.sort(key=lambda error: (error.field, error.code or ""))
    return rows, errors


def blank_variant(store: Store, product: ProductRow, number: int, position: int, chosen: tuple[str, ...]) -> VariantRow:
    """Make the row of a new variant, at no price."""
    now = int(time.time())
    return VariantRow(
        id=number,
        product_id=product.id,
        position=position,
        title=" / ".join(chosen),
        sku=None,
        barcode=None,
        price=to_shop_text(Decimal(0), store.currency),
        compare_at_price=None,
        cost=None,
        option_values=orjson.dumps(chosen).decode(),
        created_at=now,
        updated_at=now,
        extra="{}",
        product_title=product.title,
        product_options=product.options,
    )


def insert_variants(connection: sqlite3.Connection, rows: list[VariantRow]) -> None:
    """Store new variants. Inside a transaction."""
    names = VariantRow._fields[:-2]
    sql = f"INSERT INTO variant ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - of our own
    connection.executemany(sql, [row[:-2] for row in rows])


def _remove_standalone(connection: sqlite3.Connection, before: list[VariantRow], strategy: str) -> None:
    """Remove the only variant there was: its default one, or under REMOVE any."""
    if len(before) != 1 or strategy == "PRESERVE_STANDALONE_VARIANT":
        return
    is_default = tuple(orjson.loads(before[0].option_values)) == STANDALONE
    if is_default or strategy == "REMOVE_STANDALONE_VARIANT":
        delete_variants(connection, [before[0].id])


def _told(errors: list[RowError]) -> list[dict[str, Any]]:
    return [{"field": list(error.field), "message": error.message, "code": error.code} for error in errors]
