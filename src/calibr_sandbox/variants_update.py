"""`productVariantsBulkUpdate`: what is checked, what is written, what the answer lists.

All rows or none are written, unless partial updates are allowed: then the good ones are. The answer lists
the rows that were sent, the failed ones too with their unchanged values; it lists none at all when a row
named no variant of the product and the update was atomic.
"""

import sqlite3
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from graphql import GraphQLResolveInfo

from calibr_sandbox.catalog import find_product, variants_by_id
from calibr_sandbox.context import RequestContext
from calibr_sandbox.errors import AccessDeniedError
from calibr_sandbox.ids import parse_gid
from calibr_sandbox.money import UPPER_BOUND, to_shop_text
from calibr_sandbox.queries import number_of
from calibr_sandbox.rows import VariantRow
from calibr_sandbox.store import Store

_TOO_LARGE: Final = f"must be less than {UPPER_BOUND}"
_NEGATIVE: Final = "must be greater than or equal to 0"
_MAX_TEXT: Final = 255


@dataclass(frozen=True, slots=True)
class RowError:
    """A refused row: the path of its field, the sentence, the code."""

    field: tuple[str, ...]
    message: str
    code: str | None


def resolve_bulk_update(
    _root: object,
    info: GraphQLResolveInfo,
    productId: str,  # noqa: N803 - the argument's name in the schema
    variants: list[dict[str, Any]],
    allowPartialUpdates: bool | None = False,  # noqa: FBT001, FBT002, N803
) -> dict[str, Any]:
    """`productVariantsBulkUpdate`: commit before answering."""
    context: RequestContext = info.context
    if "write_products" not in context.shop.config.scopes:
        raise AccessDeniedError("productVariantsBulkUpdate", "write_products")
    store, product_id = context.shop.store, number_of(productId, "Product")
    with store.transaction() as connection:
        if find_product(store, product_id) is None:
            missing = RowError(("productId",), "Product does not exist", "PRODUCT_DOES_NOT_EXIST")
            return _payload(None, None, [missing])
        known = variants_by_id(store, [number for entry in variants if (number := _number(entry)) is not None])
        known = {number: row for number, row in known.items() if row.product_id == product_id}
        updates, errors = _check(variants, known, store.currency)
        if errors and not allowPartialUpdates:
            updates = []
        write_variants(connection, updates, source="api")
        product = find_product(store, product_id)
    unnamed = any(error.field[2:] == ("id",) for error in errors)
    if unnamed and not allowPartialUpdates:
        return _payload(product, None, errors)
    stored = known | {row.id: row for row in updates}
    sent = dict.fromkeys(number for entry in variants if (number := _number(entry)) in stored)
    return _payload(product, [stored[number] for number in sent if number is not None], errors)


def write_variants(connection: sqlite3.Connection, rows: list[VariantRow], *, source: str) -> None:
    """Store the rows' values, enter each into the journal and date the products. Inside a transaction.

    `source` says who wrote: "api" for a remote call, "hand" for a merchant's edit.
    """
    if not rows:
        return
    now = int(time.time())
    connection.executemany(
        "UPDATE variant SET sku = ?, barcode = ?, price = ?, compare_at_price = ?, cost = ?, updated_at = ? WHERE id = ?",
        [(r.sku, r.barcode, r.price, r.compare_at_price, r.cost, now, r.id) for r in rows],
    )
    products = {(now, row.product_id) for row in rows}
    connection.executemany("UPDATE product SET updated_at = ? WHERE id = ?", sorted(products))
    last = connection.execute("SELECT call FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    call = last[0] + 1 if last else 1
    connection.executemany(
        "INSERT INTO journal (call, source, at, variant_id, price, compare_at_price, cost) VALUES (?,?,?,?,?,?,?)",
        [(call, source, now, r.id, r.price, r.compare_at_price, r.cost) for r in rows],
    )


def _check(
    entries: list[dict[str, Any]], known: dict[int, VariantRow], currency: str
) -> tuple[list[VariantRow], list[RowError]]:
    """Separate the good rows from the errors, which come sorted by [field, code].

    A variant that is sent twice is written twice, in the order of the rows: the last one stays.
    """
    updates: list[VariantRow] = []
    errors: list[RowError] = []
    current = dict(known)
    for index, entry in enumerate(entries):
        found = _row_errors(("variants", str(index)), entry, current)
        errors.extend(found)
        if not found:
            row = _changed(current[_number(entry) or 0], entry, currency)
            current[row.id] = row
            updates.append(row)
    errors.sort(key=lambda error: (error.field, error.code or ""))
    return updates, errors


def _row_errors(path: tuple[str, ...], entry: dict[str, Any], known: dict[int, VariantRow]) -> list[RowError]:
    if not entry.get("id"):
        message = "Product variant is missing ID attribute"
        return [RowError((*path, "id"), message, "PRODUCT_VARIANT_ID_MISSING")]
    if _number(entry) not in known:
        message = "Product variant does not exist"
        return [RowError((*path, "id"), message, "PRODUCT_VARIANT_DOES_NOT_EXIST")]
    item = entry.get("inventoryItem") or {}
    return [
        *_price_errors((*path, "price"), entry),
        *_amount_errors((*path, "compareAtPrice"), entry.get("compareAtPrice"), ""),
        *_cost_errors(path, item.get("cost")),
        *_text_errors((*path, "barcode"), entry.get("barcode"), "Barcode"),
        *_text_errors(path, item.get("sku"), "SKU"),
    ]


def _price_errors(path: tuple[str, ...], entry: dict[str, Any]) -> list[RowError]:
    if "price" in entry and entry["price"] is None:
        return [RowError(path, "Price can't be blank", "BLANK")]
    return _amount_errors(path, entry.get("price"), "Price ")


def _amount_errors(path: tuple[str, ...], amount: Decimal | None, name: str) -> list[RowError]:
    if amount is None:
        return []
    if amount < 0:
        return [RowError(path, name + _NEGATIVE, "GREATER_THAN_OR_EQUAL_TO")]
    return [RowError(path, name + _TOO_LARGE, "INVALID_INPUT")] if amount >= UPPER_BOUND else []


def _cost_errors(path: tuple[str, ...], cost: Decimal | None) -> list[RowError]:
    """A bad cost is reported twice, once for the row and once for its field."""
    found = _amount_errors((*path, "inventoryItem", "cost"), cost, "Cost per item ")
    return [e for error in found for e in (RowError(path, error.message.removeprefix("Cost per item "), None), error)]


def _text_errors(path: tuple[str, ...], text: str | None, name: str) -> list[RowError]:
    if text is None or len(text) <= _MAX_TEXT:
        return []
    return [RowError(path, f"{name} is too long (maximum is {_MAX_TEXT} characters)", "INVALID_INPUT")]


def _changed(row: VariantRow, entry: dict[str, Any], currency: str) -> VariantRow:
    """Apply a row: a field that is absent stays, a null clears."""
    item = entry.get("inventoryItem") or {}
    values: dict[str, Any] = {
        "price": entry.get("price", ...),
        "compare_at_price": entry.get("compareAtPrice", ...),
        "cost": item.get("cost", ...),
    }
    texts: dict[str, Any] = {"barcode": entry.get("barcode", ...), "sku": item.get("sku", ...)}
    amounts = {name: _amount_text(value, currency) for name, value in values.items() if value is not ...}
    return row._replace(**amounts, **{name: value or None for name, value in texts.items() if value is not ...})


def _amount_text(amount: Decimal | None, currency: str) -> str | None:
    return None if amount is None else to_shop_text(amount, currency)


def _number(entry: dict[str, Any]) -> int | None:
    parsed = parse_gid(entry.get("id") or "")
    return parsed.number if parsed and parsed.type_name == "ProductVariant" else None


def _payload(product: object, variants: list[VariantRow] | None, errors: list[RowError]) -> dict[str, Any]:
    return {"product": product, "productVariants": variants, "userErrors": [_error_body(error) for error in errors]}


def _error_body(error: RowError) -> dict[str, Any]:
    return {"field": list(error.field), "message": error.message, "code": error.code}


