"""`quantityRulesAdd` and `quantityRulesDelete`: quantity rules without prices. All rows take effect, or none."""

from collections import Counter
from typing import Any, Final

from calibr_sandbox.catalog import variants_by_id
from calibr_sandbox.context import Info
from calibr_sandbox.ids import gid
from calibr_sandbox.markets.price_lists import breaks_of, find_price_list, rule_row, rules_of
from calibr_sandbox.markets.quantity_rules import Rule, rule_problems, rule_problems_with_breaks
from calibr_sandbox.markets.refusals import Refusal, user_errors
from calibr_sandbox.queries import number_of
from calibr_sandbox.store import Store

Input = dict[str, Any]
_NO_LIST: Final = Refusal(("priceListId",), "Price list does not exist.", "PRICE_LIST_DOES_NOT_EXIST")
_NO_VARIANT: Final = ("Product variant ID does not exist.", "PRODUCT_VARIANT_DOES_NOT_EXIST")
_TWICE: Final = ("Quantity rule inputs must be unique by variant id.", "DUPLICATE_INPUT_FOR_VARIANT")
_NO_RULE: Final = (
    "Quantity rule for variant associated with the price list provided does not exist.",
    "VARIANT_QUANTITY_RULE_DOES_NOT_EXIST",
)
_BELOW_ONE: Final = "must be greater than or equal to 1"
_ALL_BREAKS: Final = "all quantity price break minimums associated with this variant in the specified price list."
_TOLD: Final = {
    "MINIMUM_IS_LESS_THAN_ONE": ("minimum", f"Minimum {_BELOW_ONE}", "GREATER_THAN_OR_EQUAL_TO"),
    "INCREMENT_IS_LESS_THAN_ONE": ("increment", f"Increment {_BELOW_ONE}", "GREATER_THAN_OR_EQUAL_TO"),
    "MAXIMUM_IS_LESS_THAN_ONE": ("maximum", f"Maximum {_BELOW_ONE}", "GREATER_THAN_OR_EQUAL_TO"),
    "INCREMENT_IS_GREATER_THAN_MINIMUM": (
        "increment",
        "Increment must be lower than or equal to the minimum.",
        "INCREMENT_IS_GREATER_THAN_MINIMUM",
    ),
    "MINIMUM_GREATER_THAN_MAXIMUM": (
        "minimum",
        "Minimum must be lower than or equal to the maximum.",
        "MINIMUM_IS_GREATER_THAN_MAXIMUM",
    ),
    "MINIMUM_NOT_A_MULTIPLE_OF_INCREMENT": (
        "minimum",
        "The minimum must be a multiple of the increment.",
        "MINIMUM_NOT_MULTIPLE_OF_INCREMENT",
    ),
    "MAXIMUM_NOT_A_MULTIPLE_OF_INCREMENT": (
        "maximum",
        "The maximum must be a multiple of the increment.",
        "MAXIMUM_NOT_MULTIPLE_OF_INCREMENT",
    ),
    "MIN_HIGHER_THAN_QUANTITY_PRICE_BREAK_MIN": (
        "minimum",
        f"Minimum must be less than or equal to {_ALL_BREAKS}",
        "MINIMUM_IS_HIGHER_THAN_QUANTITY_PRICE_BREAK_MINIMUM",
    ),
    "MAX_LOWER_THAN_QUANTITY_PRICE_BREAK_MIN": (
        "maximum",
        f"Maximum must be greater than or equal to {_ALL_BREAKS}",
        "MAXIMUM_IS_LOWER_THAN_QUANTITY_PRICE_BREAK_MINIMUM",
    ),
    "INCREMENT_NOT_A_MULTIPLE_OF_QUANTITY_PRICE_BREAK_MIN": (
        "increment",
        f"Increment must be a multiple of {_ALL_BREAKS}",
        "INCREMENT_NOT_A_MULTIPLE_OF_QUANTITY_PRICE_BREAK_MINIMUM",
    ),
}
"""Field, sentence and code of this mutation for what can be wrong with a rule: the schema's descriptions."""


def resolve_add(_root: object, info: Info, priceListId: str, quantityRules: list[Input]) -> dict[str, Any]:  # noqa: N803
    """`quantityRulesAdd`: sets rules, over those that are there."""
    store = info.context.store
    with store.transaction() as connection:
        price_list = find_price_list(store, number_of(priceListId, "PriceList"))
        if price_list is None:
            return {"quantityRules": None, "userErrors": user_errors([_NO_LIST])}
        numbers = [number_of(entry["variantId"], "ProductVariant") for entry in quantityRules]
        rules = [Rule(entry["minimum"], entry.get("maximum"), entry["increment"]) for entry in quantityRules]
        known, counts = variants_by_id(store, sorted(set(numbers))), Counter(numbers)
        refusals: list[Refusal] = []
        for index, (number, rule) in enumerate(zip(numbers, rules, strict=True)):
            path = ("quantityRules", str(index))
            if number not in known:
                refusals.append(Refusal((*path, "variantId"), *_NO_VARIANT))
            elif counts[number] > 1:
                refusals.append(Refusal((*path, "variantId"), *_TWICE))
            else:
                breaks = [row.minimum_quantity for row in breaks_of(store, price_list.id, number)]
                refusals += _rule_refusals(rule, breaks, path)
        if refusals:
            return {"quantityRules": [], "userErrors": user_errors(refusals)}
        rows = [(price_list.id, number, *rule) for number, rule in zip(numbers, rules, strict=True)]
        connection.executemany("INSERT OR REPLACE INTO quantity_rule VALUES (?, ?, ?, ?, ?)", rows)
        stored = rules_of(store, price_list.id, numbers)
    return {"quantityRules": [rule_row(known[number], stored) for number in numbers], "userErrors": []}


def resolve_delete(_root: object, info: Info, priceListId: str, variantIds: list[str]) -> dict[str, Any]:  # noqa: N803
    """`quantityRulesDelete`: the variants are back at the default rule."""
    store = info.context.store
    with store.transaction() as connection:
        price_list = find_price_list(store, number_of(priceListId, "PriceList"))
        if price_list is None:
            return {"deletedQuantityRulesVariantIds": None, "userErrors": user_errors([_NO_LIST])}
        numbers = [number_of(text, "ProductVariant") for text in variantIds]
        refusals = _missing(store, price_list.id, numbers)
        if refusals:
            return {"deletedQuantityRulesVariantIds": [], "userErrors": user_errors(refusals)}
        gone = [(price_list.id, number) for number in numbers]
        connection.executemany("DELETE FROM quantity_rule WHERE price_list_id = ? AND variant_id = ?", gone)
    deleted = [gid("ProductVariant", number) for number in dict.fromkeys(numbers)]
    return {"deletedQuantityRulesVariantIds": deleted, "userErrors": []}


def _rule_refusals(rule: Rule, breaks: list[int], path: tuple[str, ...]) -> list[Refusal]:
    problems = list(rule_problems(rule)) or list(rule_problems_with_breaks(rule, breaks))
    told = [_TOLD[code] for _, code in problems]
    return [Refusal((*path, field), message, code) for field, message, code in told]


def _missing(store: Store, price_list_id: int, numbers: list[int]) -> list[Refusal]:
    known, rules = variants_by_id(store, sorted(set(numbers))), rules_of(store, price_list_id, numbers)
    refusals = []
    for index, number in enumerate(numbers):
        path = ("variantIds", str(index))
        if number not in known:
            refusals.append(Refusal(path, *_NO_VARIANT))
        elif number not in rules:
            refusals.append(Refusal(path, *_NO_RULE))
    return refusals
