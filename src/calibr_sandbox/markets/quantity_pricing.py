"""`quantityPricingByVariantUpdate`: fixed prices, quantity rules and price breaks in one step.

Deletions come before additions. If anything is wrong, nothing is written.
"""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from calibr_sandbox.catalog import variants_by_id
from calibr_sandbox.context import Info
from calibr_sandbox.markets.fixed_prices import amount_refusals, read_prices
from calibr_sandbox.markets.fixed_writes import write_fixed
from calibr_sandbox.markets.price_lists import breaks_of, find_break, find_price_list, fixed_prices, rules_of
from calibr_sandbox.markets.quantity_rules import (
    DEFAULT_RULE,
    Rule,
    break_problems,
    rule_problems,
    rule_problems_with_breaks,
)
from calibr_sandbox.markets.refusals import Refusal, require_size, user_errors
from calibr_sandbox.markets.rows import FixedPrice, PriceListRow
from calibr_sandbox.markets.tables import next_number
from calibr_sandbox.money import to_shop_text
from calibr_sandbox.queries import number_of
from calibr_sandbox.store import Store

Input = dict[str, Any]
_LISTS: Final = (
    *("pricesToAdd", "pricesToDeleteByVariantId", "quantityRulesToAdd", "quantityRulesToDeleteByVariantId"),
    *("quantityPriceBreaksToAdd", "quantityPriceBreaksToDelete", "quantityPriceBreaksToDeleteByVariantId"),
)
_MAX_BREAKS: Final = 10
_NO_VARIANT: Final = "Variant not found."
_MISMATCH: Final = "Currency mismatch."


def resolve_quantity_pricing(
    _root: object,
    info: Info,
    priceListId: str,  # noqa: N803 - the argument's name in the schema
    input: Input,  # noqa: A002
) -> dict[str, Any]:
    """`quantityPricingByVariantUpdate`."""
    for name in _LISTS:
        require_size(input.get(name), info.field_name, "input", name)
    store = info.context.store
    with store.transaction() as connection:
        price_list = find_price_list(store, number_of(priceListId, "PriceList"))
        if price_list is None:
            missing = Refusal(("priceListId",), "Price list not found.", "PRICE_LIST_NOT_FOUND")
            return {"productVariants": None, "userErrors": user_errors([missing])}
        change = _Change(store, price_list, input)
        refusals = change.read()
        if refusals:
            return {"productVariants": None, "userErrors": user_errors(refusals)}
        write_fixed(store, connection, price_list, change.prices(), info.context.writer)
        _write_quantities(connection, price_list, change)
        touched = variants_by_id(store, change.touched())
    return {"productVariants": [touched[number] for number in change.touched()], "userErrors": []}


@dataclass
class _Change:
    """One input on its way: what it names, and what is wrong with it."""

    store: Store
    price_list: PriceListRow
    input: Input
    prices_added: dict[int, FixedPrice] = field(default_factory=dict)
    prices_deleted: list[int] = field(default_factory=list)
    rules_added: dict[int, Rule] = field(default_factory=dict)
    rules_deleted: list[int] = field(default_factory=list)
    breaks_added: dict[tuple[int, int], str] = field(default_factory=dict)
    breaks_deleted: dict[int, int] = field(default_factory=dict)
    """The variant of each price break that goes."""
    breaks_deleted_of: list[int] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def read(self) -> list[Refusal]:
        """Read all parts in the order in which they take effect and return what is wrong."""
        self.prices_deleted = self._named("pricesToDeleteByVariantId", "PRICE_DELETE_VARIANT_NOT_FOUND")
        self.rules_deleted = self._named("quantityRulesToDeleteByVariantId", "QUANTITY_RULE_DELETE_VARIANT_NOT_FOUND")
        self.breaks_deleted_of = self._named(
            "quantityPriceBreaksToDeleteByVariantId",
            "QUANTITY_PRICE_BREAK_DELETE_BY_VARIANT_ID_VARIANT_NOT_FOUND",
            "Variant to delete by is not found.",
        )
        self._read_deleted_breaks()
        self._read_prices()
        self._read_rules()
        self._read_breaks()
        return self.refusals

    def prices(self) -> dict[int, FixedPrice | None]:
        """The fixed prices that change."""
        return dict.fromkeys(self.prices_deleted) | self.prices_added

    def touched(self) -> list[int]:
        """The variants that the input names, each once."""
        by_break = [number for number, _ in self.breaks_added]
        gone = list(self.breaks_deleted.values())
        groups: Sequence[Sequence[int]] = (
            *(self.prices_deleted, self.rules_deleted, self.breaks_deleted_of, gone),
            *(list(self.prices_added), list(self.rules_added), by_break),
        )
        return list(dict.fromkeys(number for group in groups for number in group))

    def _refuse(self, name: str, index: int, message: str, code: str) -> None:
        self.refusals.append(Refusal(("input", name, str(index)), message, code))

    def _known(self, numbers: list[int]) -> set[int]:
        return set(variants_by_id(self.store, sorted(set(numbers))))

    def _named(self, name: str, code: str, message: str = _NO_VARIANT) -> list[int]:
        numbers = [number_of(text, "ProductVariant") for text in self.input.get(name) or ()]
        known = self._known(numbers)
        for index, number in enumerate(numbers):
            if number not in known:
                self._refuse(name, index, message, code)
        return list(dict.fromkeys(numbers))

    def _read_deleted_breaks(self) -> None:
        name = "quantityPriceBreaksToDelete"
        for index, text in enumerate(self.input[name]):
            number = number_of(text, "QuantityPriceBreak")
            found = find_break(self.store, number)
            if found is None or found.price_list_id != self.price_list.id:
                self._refuse(name, index, "Quantity price break not found.", "QUANTITY_PRICE_BREAK_DELETE_NOT_FOUND")
            else:
                self.breaks_deleted[number] = found.variant_id

    def _read_prices(self) -> None:
        name = "pricesToAdd"
        entries, numbers, known = self._entries(name)
        twice = _twice(numbers)
        for index, (number, entry) in enumerate(zip(numbers, entries, strict=True)):
            moneys = [entry[key] for key in ("price", "compareAtPrice") if entry.get(key) is not None]
            if number in twice:
                message = "Prices to add inputs must be unique by variant id."
                self._refuse(name, index, message, "PRICE_ADD_DUPLICATE_INPUT_FOR_VARIANT")
            elif number not in known:
                self._refuse(name, index, _NO_VARIANT, "PRICE_ADD_VARIANT_NOT_FOUND")
            elif any(money["currencyCode"] != self.price_list.currency for money in moneys):
                self._refuse(name, index, _MISMATCH, "PRICE_ADD_CURRENCY_MISMATCH")
            else:
                self._read_amounts(name, index, number, entry)

    def _read_amounts(self, name: str, index: int, number: int, entry: Input) -> None:
        path = ("input", name, str(index))
        wrong = amount_refusals(entry["price"]["amount"], path, "Price")
        if entry.get("compareAtPrice") is not None:
            wrong += amount_refusals(entry["compareAtPrice"]["amount"], path, "Compare at price")
        self.refusals += wrong
        if not wrong:
            self.prices_added[number] = read_prices(entry, self.price_list)

    def _read_rules(self) -> None:
        name = "quantityRulesToAdd"
        entries, numbers, known = self._entries(name)
        twice = _twice(numbers)
        for index, (number, entry) in enumerate(zip(numbers, entries, strict=True)):
            if number in twice:
                message = "Quantity rules to add inputs must be unique by variant id."
                self._refuse(name, index, message, "QUANTITY_RULE_ADD_DUPLICATE_INPUT_FOR_VARIANT")
                continue
            if number not in known:
                self._refuse(name, index, _NO_VARIANT, "QUANTITY_RULE_ADD_VARIANT_NOT_FOUND")
                continue
            rule = Rule(entry["minimum"], entry.get("maximum"), entry["increment"])
            problems = list(rule_problems(rule))
            problems = problems or list(rule_problems_with_breaks(rule, self._breaks_left(number)))
            for message, code in problems:
                self._refuse(name, index, message, f"QUANTITY_RULE_ADD_{code}")
            self.rules_added[number] = rule

    def _read_breaks(self) -> None:
        name = "quantityPriceBreaksToAdd"
        entries, numbers, known = self._entries(name)
        keys = [(number, entry["minimumQuantity"]) for number, entry in zip(numbers, entries, strict=True)]
        twice = _twice(keys)
        for index, (key, entry) in enumerate(zip(keys, entries, strict=True)):
            if key in twice:
                message = "Quantity price breaks to add inputs must be unique by variant id and minimum quantity."
                self._refuse(name, index, message, "QUANTITY_PRICE_BREAK_ADD_DUPLICATE_INPUT_FOR_VARIANT_AND_MIN")
            elif key[0] not in known:
                self._refuse(name, index, _NO_VARIANT, "QUANTITY_PRICE_BREAK_ADD_VARIANT_NOT_FOUND")
            elif entry["price"]["currencyCode"] != self.price_list.currency:
                self._refuse(name, index, _MISMATCH, "QUANTITY_PRICE_BREAK_ADD_CURRENCY_MISMATCH")
            else:
                self._read_break(name, index, key, entry)

    def _read_break(self, name: str, index: int, key: tuple[int, int], entry: Input) -> None:
        number, quantity = key
        problems = list(break_problems(quantity, self._rule_of(number)))
        if not self._has_fixed(number):
            problems.append(("Quantity price break's fixed price not found.", "PRICE_LIST_PRICE_NOT_FOUND"))
        if not quantity >= 1:
            problems.append(("Invalid quantity price break.", "INVALID"))
        for message, code in problems:
            self._refuse(name, index, message, f"QUANTITY_PRICE_BREAK_ADD_{code}")
        wrong = amount_refusals(entry["price"]["amount"], ("input", name, str(index)), "Price")
        self.refusals += wrong
        if problems or wrong:
            return
        self.breaks_added[key] = to_shop_text(entry["price"]["amount"], self.price_list.currency)
        mine = {each for each in self.breaks_added if each[0] == number}
        left = {(number, minimum) for minimum in self._breaks_left(number)}
        if len(mine | left) > _MAX_BREAKS:
            message = "Exceeded the allowed number of quantity price breaks per variant."
            self._refuse(name, index, message, "QUANTITY_PRICE_BREAK_ADD_LIMIT_EXCEEDED")

    def _entries(self, name: str) -> tuple[list[Input], list[int], set[int]]:
        entries = self.input[name]
        numbers = [number_of(entry["variantId"], "ProductVariant") for entry in entries]
        return entries, numbers, self._known(numbers)

    def _breaks_left(self, number: int) -> list[int]:
        """The minimum quantities of the price breaks that the deletions leave."""
        if number in self.breaks_deleted_of or number in self.prices_deleted:
            return []
        rows = breaks_of(self.store, self.price_list.id, number)
        return [row.minimum_quantity for row in rows if row.id not in self.breaks_deleted]

    def _rule_of(self, number: int) -> Rule:
        if number in self.rules_added:
            return self.rules_added[number]
        stored = rules_of(self.store, self.price_list.id, [number]).get(number)
        return DEFAULT_RULE if stored is None or number in self.rules_deleted else Rule(*stored)

    def _has_fixed(self, number: int) -> bool:
        if number in self.prices_added:
            return True
        return number not in self.prices_deleted and bool(fixed_prices(self.store, self.price_list.id, [number]))


def _twice(values: list[Any]) -> set[Any]:
    return {value for value, count in Counter(values).items() if count > 1}


def _write_quantities(connection: sqlite3.Connection, price_list: PriceListRow, change: _Change) -> None:
    own = price_list.id
    connection.executemany(
        "DELETE FROM quantity_rule WHERE price_list_id = ? AND variant_id = ?",
        [(own, number) for number in change.rules_deleted],
    )
    connection.executemany("DELETE FROM quantity_price_break WHERE id = ?", [(n,) for n in change.breaks_deleted])
    connection.executemany(
        "DELETE FROM quantity_price_break WHERE price_list_id = ? AND variant_id = ?",
        [(own, number) for number in change.breaks_deleted_of],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO quantity_rule VALUES (?, ?, ?, ?, ?)",
        [(own, number, *rule) for number, rule in change.rules_added.items()],
    )
    for (number, quantity), price in change.breaks_added.items():
        connection.execute(
            "INSERT INTO quantity_price_break VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (price_list_id, variant_id, minimum_quantity) DO UPDATE SET price = excluded.price",
            (next_number(connection, "quantity_price_break"), own, number, quantity, price),
        )
