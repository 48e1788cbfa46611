"""What `productVariantsBulkUpdate` checks in each of its rows, and what a good row changes."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import orjson

from calibr_sandbox.ids import parse_gid
from calibr_sandbox.money import UPPER_BOUND, to_shop_text
from calibr_sandbox.rows import VariantRow
from calibr_sandbox.variant_extras import changed_extra
from calibr_sandbox.variant_options import Choices, OptionError, Siblings

Entry = dict[str, Any]
"""One element of `variants`, as the executor coerced it: amounts are decimals, an omitted field is absent."""

Path = tuple[str, ...]

_TOO_LARGE: Final = f"must be less than {UPPER_BOUND}"
_NEGATIVE: Final = "must be greater than or equal to 0"
_MAX_TEXT: Final = 255
_STOCK_OF_OLD: Final = (
    "Inventory quantities can only be provided during create. To update inventory for existing variants, use"
    " inventoryAdjustQuantities."
)


@dataclass(frozen=True, slots=True)
class RowError:
    """A refused row: the path of its field (indexes are text), the sentence, the code."""

    field: Path
    message: str
    code: str | None

    @property
    def is_unknown_variant(self) -> bool:
        """Whether the row names no variant of the product at all."""
        return self.field[2:] == ("id",)


@dataclass(frozen=True, slots=True)
class Checked:
    """The rows to be stored in the order they were sent, and the errors sorted by [field, code]."""

    updates: list[VariantRow]
    errors: list[RowError]


def check_rows(
    entries: list[Entry], known: dict[int, VariantRow], currency: str, siblings: Siblings | None = None
) -> Checked:
    """Separate good rows from bad. A variant that is sent twice changes twice: the last row stays.

    `siblings` lists all variants of the product; it is asked only when a row chooses other options.
    """
    updates: list[VariantRow] = []
    errors: list[RowError] = []
    current = dict(known)
    choices = Choices(siblings)
    for index, entry in enumerate(entries):
        path = ("variants", str(index))
        found = _errors_of(path, entry, current)
        chosen = None if found else choices.of(path, current[variant_number(entry)], entry)
        if isinstance(chosen, OptionError):
            found = [RowError(chosen.field, chosen.message, chosen.code)]
        errors.extend(found)
        if not found and chosen is not None and not isinstance(chosen, OptionError):
            row = apply_entry(current[variant_number(entry)], entry, currency)
            row = row._replace(title=" / ".join(chosen), option_values=orjson.dumps(chosen).decode())
            current[row.id] = row
            updates.append(row)
    errors.sort(key=lambda error: (error.field, error.code or ""))
    return Checked(updates, errors)


def variant_number(entry: Entry) -> int:
    """Read which variant a row names; 0, which no variant has, when it names none."""
    parsed = parse_gid(entry.get("id") or "")
    return parsed.number if parsed and parsed.type_name == "ProductVariant" else 0


def _errors_of(path: Path, entry: Entry, known: dict[int, VariantRow]) -> list[RowError]:
    if not entry.get("id"):
        return [RowError((*path, "id"), "Product variant is missing ID attribute", "PRODUCT_VARIANT_ID_MISSING")]
    if variant_number(entry) not in known:
        return [RowError((*path, "id"), "Product variant does not exist", "PRODUCT_VARIANT_DOES_NOT_EXIST")]
    if entry.get("inventoryQuantities"):
        code = "NO_INVENTORY_QUANTITIES_ON_VARIANTS_UPDATE"
        return [RowError((*path, "inventoryQuantities"), _STOCK_OF_OLD, code), *value_errors(path, entry)]
    return value_errors(path, entry)


def value_errors(path: Path, entry: Entry) -> list[RowError]:
    """Check the values of a row, whatever variant it is about."""
    item = entry.get("inventoryItem") or {}
    return [
        *_price_errors((*path, "price"), entry),
        *_amount_errors((*path, "compareAtPrice"), entry.get("compareAtPrice")),
        *_cost_errors(path, item.get("cost")),
        *_text_errors((*path, "barcode"), entry.get("barcode"), "Barcode"),
        *_text_errors(path, item.get("sku"), "SKU"),
    ]


def _price_errors(path: Path, entry: Entry) -> list[RowError]:
    if "price" in entry and entry["price"] is None:
        return [RowError(path, "Price can't be blank", "BLANK")]
    return _amount_errors(path, entry.get("price"), "Price ")


def _cost_errors(path: Path, cost: Decimal | None) -> list[RowError]:
    """A bad cost is reported twice: for the row without a code, and for its field."""
    of_field = _amount_errors((*path, "inventoryItem", "cost"), cost, "Cost per item ")
    of_row = [RowError(path, error.message, None) for error in _amount_errors(path, cost)]
    return of_row + of_field


def _amount_errors(path: Path, amount: Decimal | None, name: str = "") -> list[RowError]:
    if amount is None:
        return []
    if amount < 0:
        return [RowError(path, name + _NEGATIVE, "GREATER_THAN_OR_EQUAL_TO")]
    return [RowError(path, name + _TOO_LARGE, "INVALID_INPUT")] if amount >= UPPER_BOUND else []


def _text_errors(path: Path, text: str | None, name: str) -> list[RowError]:
    if text is None or len(text) <= _MAX_TEXT:
        return []
    return [RowError(path, f"{name} is too long (maximum is {_MAX_TEXT} characters)", "INVALID_INPUT")]


def apply_entry(row: VariantRow, entry: Entry, currency: str) -> VariantRow:
    """Change what the row carries: an absent field stays as it is, a null clears it."""
    item = entry.get("inventoryItem") or {}
    changes: Entry = {"extra": changed_extra(row.extra, entry)}
    for name, source, key in (
        ("price", entry, "price"),
        ("compare_at_price", entry, "compareAtPrice"),
        ("cost", item, "cost"),
    ):
        if key in source:
            amount = source[key]
            changes[name] = None if amount is None else to_shop_text(amount, currency)
    for name, source in (("barcode", entry), ("sku", item)):
        if name in source:
            changes[name] = source[name] or None
    return row._replace(**changes)
