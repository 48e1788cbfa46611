"""`productSet`: makes a product what the input says. Variants that the input does not name are gone."""

import sqlite3
import time
from dataclasses import dataclass
from typing import Any, Final

import orjson

from calibr_sandbox import facts
from calibr_sandbox.catalog import find_product, find_product_by_handle, stream_variants_of
from calibr_sandbox.context import Info
from calibr_sandbox.errors import BadRequestError, NoIdDefinitionError
from calibr_sandbox.ids import FIRST_PRODUCT_ID, FIRST_VARIANT_ID
from calibr_sandbox.product_rules import (
    Input,
    UserError,
    changed_row,
    declared_options,
    errors_of,
    first_choices,
    new_row,
    require_kept,
)
from calibr_sandbox.product_writes import next_number, put_facts, store_new, store_product
from calibr_sandbox.queries import number_of
from calibr_sandbox.rows import ProductRow, VariantRow
from calibr_sandbox.store import Store
from calibr_sandbox.variant_lifecycle import blank_variant, insert_variants
from calibr_sandbox.variant_options import OptionError, Options
from calibr_sandbox.variant_rules import Path, apply_entry, value_errors, variant_number
from calibr_sandbox.variant_writes import Writer, journal_new, settle_product, write_variants

_OPTIONS_MISSING: Final = "Must specify product options when updating variants."
_VARIANTS_MISSING: Final = "Must specify variants when updating options."
_QUANTITIES: Final = ("available", "on_hand")


def resolve_set(
    _root: object,
    info: Info,
    input: Input,  # noqa: A002
    identifier: Input | None = None,
    synchronous: bool | None = True,  # noqa: FBT001, FBT002
) -> dict[str, Any]:
    """Make or change one product with all of its variants, or nothing of it."""
    if synchronous is False:
        raise BadRequestError("The sandbox sets products at once: `synchronous` cannot be false")
    require_kept(input, None)
    store, shop_name = info.context.store, info.context.shop.config.shop_name
    with store.transaction() as connection:
        row, errors = _named(store, input, identifier)
        given = input if row or not identifier else {"handle": identifier.get("handle"), **input}
        errors = errors or _input_errors(store, given, row)
        if errors:
            return {"product": row, "userErrors": errors}
        number = row.id if row else next_number(store, "product", FIRST_PRODUCT_ID)
        wanted = changed_row(row, given, shop_name) if row else new_row(store, given, number, shop_name)
        planned = _plan(store, _with_options(wanted, given), given) if given.get("variants") else None
        if planned and planned.errors:
            return {"product": row, "userErrors": planned.errors}
        if row is None:
            store_new(connection, wanted)
        else:
            store_product(connection, wanted._replace(updated_at=int(time.time())))
        _write_variants(store, connection, wanted, planned, info.context.writer, is_new=row is None)
        put_facts(store, number, given)
        stored = find_product(store, number)
    tell = info.context.announce if row else info.context.webhooks.products_created
    tell([number])
    return {"product": stored, "userErrors": []}


@dataclass(frozen=True, slots=True)
class _Plan:
    """The variants of a product in their order, with the options that they choose from; what is wrong with them."""

    product: ProductRow
    rows: list[VariantRow]
    known: dict[int, VariantRow]
    errors: list[UserError]


def _named(store: Store, given: Input, identifier: Input | None) -> tuple[ProductRow | None, list[UserError]]:
    """Find the product that is meant; None without an error for one that is to be made."""
    if identifier and given.get("id") is not None:
        message = "The id field is not allowed if identifier is provided."
        return None, [_error(("input", "id"), message, "ID_NOT_ALLOWED")]
    named = identifier or given
    if identifier and identifier.get("customId") is not None:
        raise NoIdDefinitionError
    if named.get("id") is not None:
        row = find_product(store, number_of(named["id"], "Product"))
        path = ("identifier", "id") if identifier else ("input", "id")
        return row, [] if row else [_error(path, "Product does not exist", "PRODUCT_DOES_NOT_EXIST")]
    return (find_product_by_handle(store, str(identifier["handle"])) if identifier else None), []


def _input_errors(store: Store, given: Input, row: ProductRow | None) -> list[UserError]:
    errors = [
        _error(("input", *error["field"]), error["message"], error["code"])
        for error in errors_of(store, given, row.id if row else 0, is_new=row is None)
    ]
    if given.get("variants") and not given.get("productOptions"):
        errors.append(_error(("input", "variants"), _OPTIONS_MISSING, "PRODUCT_OPTIONS_INPUT_MISSING"))
    if given.get("productOptions") and not given.get("variants"):
        errors.append(_error(("input", "productOptions"), _VARIANTS_MISSING, "VARIANTS_INPUT_MISSING"))
    errors += [
        _error(("input", "collections", str(place)), "Collection does not exist", "NOT_FOUND")
        for place, text in enumerate(given.get("collections") or ())
        if facts.find_collection(store, number_of(text, "Collection")) is None
    ]
    return errors


def _with_options(row: ProductRow, given: Input) -> ProductRow:
    options = [
        {**option, "declared": option["values"]} for option in declared_options(given.get("productOptions") or [])
    ]
    return row._replace(options=orjson.dumps(options).decode())


def _plan(store: Store, product: ProductRow, given: Input) -> _Plan:
    """Work out each variant: the one that is named, or that chooses the same already, or a new one."""
    known = {each.id: each for each in stream_variants_of(store, product.id)}
    by_choices = {tuple(orjson.loads(each.option_values)): each for each in known.values()}
    options, first = Options(product.id, product.options), next_number(store, "variant", FIRST_VARIANT_ID)
    rows: dict[tuple[str, ...], VariantRow] = {}
    errors: list[UserError] = []
    for place, entry in enumerate(given.get("variants") or ()):
        path = ("input", "variants", str(place))
        chosen = options.choose(path, entry["optionValues"], None)
        found = _entry_errors(path, entry, product, known, chosen)
        errors += found
        if found or isinstance(chosen, OptionError):
            continue
        title = " / ".join(chosen)
        if chosen in rows:
            errors.append(_error(path, f"The variant '{title}' is named twice", "DUPLICATED_VALUE"))
            continue
        own = known.get(variant_number(entry)) or by_choices.get(chosen)
        base = own or blank_variant(store, product, first + place, place + 1, chosen)
        base = base._replace(title=title, option_values=orjson.dumps(chosen).decode(), position=place + 1)
        rows[chosen] = apply_entry(base, _as_row(entry), store.currency)
    return _Plan(product, list(rows.values()), known, errors)


def _entry_errors(
    path: Path, entry: Input, product: ProductRow, known: dict[int, VariantRow], chosen: tuple[str, ...] | OptionError
) -> list[UserError]:
    if entry.get("id") is not None and variant_number(entry) not in known:
        return [_error((*path, "id"), "Product variant does not exist", "PRODUCT_VARIANT_DOES_NOT_EXIST")]
    if isinstance(chosen, OptionError):
        return [_error(chosen.field, chosen.message, "INVALID_VARIANT")]
    declared = [option["declared"] for option in orjson.loads(product.options)]
    if any(value not in values for value, values in zip(chosen, declared, strict=True)):
        return [_error((*path, "optionValues"), "Option value does not exist", "OPTION_VALUE_DOES_NOT_EXIST")]
    return [_error(error.field, error.message, "INVALID_VARIANT") for error in value_errors(path, _as_row(entry))]


def _as_row(entry: Input) -> Input:
    """Write an entry as the bulk mutations of variants have it."""
    row = {name: value for name, value in entry.items() if name not in {"sku", "inventoryQuantities"}}
    if "sku" in entry:
        row["inventoryItem"] = {**(entry.get("inventoryItem") or {}), "sku": entry["sku"]}
    levels = [level for level in entry.get("inventoryQuantities") or () if level["name"] in _QUANTITIES]
    if levels:
        row["inventoryQuantities"] = [{"availableQuantity": level["quantity"]} for level in levels]
    return row


def _write_variants(
    store: Store,
    connection: sqlite3.Connection,
    product: ProductRow,
    plan: _Plan | None,
    writer: Writer,
    *,
    is_new: bool,
) -> None:
    """Write what was planned; a new product without variants of its own gets one. Inside a transaction."""
    if plan is None:
        if is_new:
            number = next_number(store, "variant", FIRST_VARIANT_ID)
            rows = [blank_variant(store, product, number, 1, first_choices(product))]
            insert_variants(connection, rows)
            journal_new(connection, rows, writer)
        return
    kept = {row.id for row in plan.rows}
    facts.delete_variants(connection, [number for number in plan.known if number not in kept])
    fresh = [row for row in plan.rows if row.id not in plan.known]
    insert_variants(connection, fresh)
    journal_new(connection, fresh, writer)
    old = [row for row in plan.rows if row.id in plan.known]
    write_variants(connection, old, plan.known, writer)
    connection.executemany(
        "UPDATE variant SET position = ? WHERE id = ?", [(row.position, row.id) for row in plan.rows]
    )
    settle_product(store, connection, plan.product)


def _error(field: Path, message: str, code: str) -> UserError:
    return {"field": list(field), "message": message, "code": code}
