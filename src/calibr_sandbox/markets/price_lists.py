"""Reads of price lists: the lists, their fixed and relative prices, their quantity rules and price breaks."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from calibr_sandbox.catalog import Slice, list_variants
from calibr_sandbox.markets.rows import FixedPrice, PriceBreakRow, PriceListRow, PriceRow, QuantityRuleRow
from calibr_sandbox.money import to_shop_text
from calibr_sandbox.rows import VariantRow
from calibr_sandbox.search import Filter
from calibr_sandbox.store import Reader

_LISTS: Final = f"SELECT {', '.join(PriceListRow._fields)} FROM price_list"  # noqa: S608 - columns of our own
_BREAKS: Final = f"SELECT {', '.join(PriceBreakRow._fields)} FROM quantity_price_break"  # noqa: S608
_FIXED: Final = "SELECT variant_id, price, compare_at_price FROM fixed_price"
_RULES: Final = "SELECT variant_id, minimum, maximum, increment FROM quantity_rule"
_MANY: Final = 5_000
"""More variants than that are not named one by one in a statement."""
_HAS_FIXED: Final = "EXISTS (SELECT 1 FROM fixed_price f WHERE f.price_list_id = ? AND f.variant_id = v.id)"
_HAS_RULE: Final = "EXISTS (SELECT 1 FROM quantity_rule q WHERE q.price_list_id = ? AND q.variant_id = v.id)"


def list_price_lists(store: Reader) -> list[PriceListRow]:
    """List all price lists."""
    return [PriceListRow._make(row) for row in store.fetch_all(_LISTS)]


def find_price_list(store: Reader, number: int) -> PriceListRow | None:
    """Return the price list, or None."""
    row = store.fetch_one(f"{_LISTS} WHERE id = ?", (number,))
    return PriceListRow._make(row) if row else None


def count_fixed(store: Reader, price_list: PriceListRow) -> int:
    """Count the fixed prices of a list."""
    sql = "SELECT count(*) FROM fixed_price WHERE price_list_id = ?"
    return int(str(store.fetch_value(sql, (price_list.id,))))


def fixed_prices(store: Reader, list_id: int, variant_ids: Iterable[int]) -> dict[int, FixedPrice]:
    """Return those fixed prices of a list that exist for these variants."""
    wanted = sorted(set(variant_ids))
    if len(wanted) > _MANY:
        chosen = set(wanted)
        return {number: price for number, price in all_fixed(store, list_id).items() if number in chosen}
    marks = ",".join("?" * len(wanted))
    sql = f"{_FIXED} WHERE price_list_id = ? AND variant_id IN ({marks})"
    return {row[0]: FixedPrice(*row[1:]) for row in store.fetch_all(sql, (list_id, *wanted))}


def all_fixed(store: Reader, list_id: int) -> dict[int, FixedPrice]:
    """Return every fixed price of a list, by variant."""
    rows = store.fetch_all(f"{_FIXED} WHERE price_list_id = ? ORDER BY variant_id", (list_id,))
    return {row[0]: FixedPrice(*row[1:]) for row in rows}


def adjusted(price_list: PriceListRow, amount: str | None) -> Decimal | None:
    """Compute a relative price from the shop's, unrounded."""
    return None if amount is None else Decimal(amount) * price_list.factor()


def adjusted_compare_at(price_list: PriceListRow, amount: str | None) -> Decimal | None:
    """Compute a relative compare-at price: the list says whether it is adjusted or dropped."""
    return adjusted(price_list, amount) if price_list.compare_at_mode == "ADJUSTED" else None


def price_row(store: Reader, price_list: PriceListRow, variant: VariantRow, fixed: FixedPrice | None) -> PriceRow:
    """Put together what a list says of a variant. Relative prices stay in the shop's currency."""
    if fixed is not None:
        return PriceRow(price_list.id, variant, price_list.currency, fixed.price, fixed.compare_at_price, is_fixed=True)
    price, compare_at = (
        None if amount is None else to_shop_text(amount, store.currency)
        for amount in (
            adjusted(price_list, variant.price),
            adjusted_compare_at(price_list, variant.compare_at_price),
        )
    )
    return PriceRow(price_list.id, variant, store.currency, price or "0", compare_at, is_fixed=False)


def rows_of(store: Reader, price_list: PriceListRow, variants: Sequence[VariantRow]) -> list[PriceRow]:
    """Put together what a list says of these variants, in their order."""
    fixed = fixed_prices(store, price_list.id, [row.id for row in variants])
    return [price_row(store, price_list, variant, fixed.get(variant.id)) for variant in variants]


def list_prices(
    store: Reader, price_list: PriceListRow, part: Slice, where: Filter, origin: str | None
) -> list[PriceRow]:
    """Return a slice of a list's prices, in the order of the variants; all, or those of one origin."""
    chosen = where.and_also(_of_origin(_HAS_FIXED, price_list, origin))
    return rows_of(store, price_list, list_variants(store, part, chosen))


def list_rules(store: Reader, price_list: PriceListRow, part: Slice, origin: str | None) -> list[QuantityRuleRow]:
    """Return a slice of a list's quantity rules: one for each variant, the default where none was set."""
    variants = list_variants(store, part, _of_origin(_HAS_RULE, price_list, origin))
    rules = rules_of(store, price_list.id, [row.id for row in variants])
    return [rule_row(variant, rules) for variant in variants]


def rule_row(variant: VariantRow, rules: dict[int, tuple[int, int | None, int]]) -> QuantityRuleRow:
    """Return the rule that was set for a variant, or the default."""
    found = rules.get(variant.id)
    return QuantityRuleRow(variant, *found, is_fixed=True) if found else QuantityRuleRow(variant)


def rules_of(store: Reader, list_id: int, variant_ids: Iterable[int]) -> dict[int, tuple[int, int | None, int]]:
    """Return minimum, maximum and increment of the rules that were set for these variants."""
    wanted = sorted(set(variant_ids))
    marks = ",".join("?" * len(wanted))
    sql = f"{_RULES} WHERE price_list_id = ? AND variant_id IN ({marks})"
    return {row[0]: row[1:] for row in store.fetch_all(sql, (list_id, *wanted))}


def breaks_of(store: Reader, list_id: int, variant_id: int) -> list[PriceBreakRow]:
    """List the price breaks of a variant in a price list."""
    sql = f"{_BREAKS} WHERE price_list_id = ? AND variant_id = ? ORDER BY minimum_quantity"
    return [PriceBreakRow._make(row) for row in store.fetch_all(sql, (list_id, variant_id))]


def find_break(store: Reader, number: int) -> PriceBreakRow | None:
    """Return the price break, or None."""
    row = store.fetch_one(f"{_BREAKS} WHERE id = ?", (number,))
    return PriceBreakRow._make(row) if row else None


def count_rules_of_product(store: Reader, list_id: int, product_id: int) -> int:
    """Count the quantity rules that were set for variants of a product."""
    sql = (
        "SELECT count(*) FROM quantity_rule q JOIN variant v ON v.id = q.variant_id"
        " WHERE q.price_list_id = ? AND v.product_id = ?"
    )
    return int(str(store.fetch_value(sql, (list_id, product_id))))


def _of_origin(condition: str, price_list: PriceListRow, origin: str | None) -> Filter:
    if origin is None:
        return Filter()
    return Filter(condition if origin == "FIXED" else f"NOT {condition}", (price_list.id,))
