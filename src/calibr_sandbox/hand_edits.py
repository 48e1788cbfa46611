"""A merchant's edits by hand: what may be sent, and all of it or nothing written."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from calibr_sandbox.catalog import find_variant
from calibr_sandbox.ids import parse_gid
from calibr_sandbox.money import parse_decimal, to_shop_text
from calibr_sandbox.rows import VariantRow
from calibr_sandbox.store import Store
from calibr_sandbox.variant_writes import Writer, write_variants

MAX_DIGITS: Final = 18
_AMOUNTS: Final = {"price": "price", "compareAtPrice": "compare_at_price", "cost": "cost"}
_MAX_NAME: Final = 120


class Edit(NamedTuple):
    """One edit: the variant's number or global id, and the amounts by the names that Shopify gives them."""

    variant: str
    amounts: Mapping[str, Any]


def apply_edits(store: Store, edits: Sequence[Edit], who: str) -> list[VariantRow]:
    """Write all edits in one transaction, in their order, and return the rows as written.

    Raises:
        LookupError: a variant does not exist. Nothing was written then.
        ValueError: an amount, a name or an edit is not what it should be. Nothing was written then.
    """
    with store.transaction() as connection:
        known: dict[int, VariantRow] = {}
        current: dict[int, VariantRow] = {}
        rows = []
        for index, edit in enumerate(edits):
            try:
                stored = find_named(store, edit.variant)
                row = current.get(stored.id, stored)._replace(**_values(store.currency, edit.amounts))
            except (LookupError, ValueError) as error:
                raise type(error)(f"edit {index}: {error}" if len(edits) > 1 else str(error)) from error
            known[row.id] = stored
            current[row.id] = row
            rows.append(row)
        return write_variants(connection, rows, known, Writer("hand", who[:_MAX_NAME]))


def find_named(store: Store, text: str) -> VariantRow:
    """Return the variant with this number or global id. Raises LookupError."""
    parsed = parse_gid(text)
    number = whole_number(text) if parsed is None else parsed.number
    row = None if number is None else find_variant(store, number)
    if row is None:
        raise LookupError(f"there is no variant {text!r}")
    return row


def whole_number(text: str) -> int | None:
    """Read a number that SQLite can hold; None for any other text."""
    return int(text) if text.isdecimal() and len(text) <= MAX_DIGITS else None


def _values(currency: str, amounts: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(amounts) - set(_AMOUNTS))
    if unknown or not amounts:
        sent = ", ".join(unknown) or "an empty object"
        raise ValueError(f"send one or more of {', '.join(_AMOUNTS)}; not {sent}")
    return {_AMOUNTS[name]: _amount_text(currency, name, value) for name, value in amounts.items()}


def _amount_text(currency: str, name: str, value: object) -> str | None:
    if value is None and name != "price":
        return None
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError(f'{name}: {value!r} is not an amount; write it as text, as in "19.99"')  # noqa: TRY004 - input
    return to_shop_text(parse_decimal(str(value)), currency)
