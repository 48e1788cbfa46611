"""Quantity rules and price breaks: written with fixed prices in one step, or not at all."""

from typing import Any

import pytest
from market_shop import BLUE, MISSING, RED, SCOPES, Markets, codes, paths, price

from calibr_sandbox.testing import StartedSandbox, Starter

UPDATE = """mutation($list: ID!, $input: QuantityPricingByVariantUpdateInput!) {
  quantityPricingByVariantUpdate(priceListId: $list, input: $input) {
    productVariants { id } userErrors { field message code } } }"""
RULES = """query($id: ID!, $origin: QuantityRuleOriginType) { priceList(id: $id) {
  quantityRules(first: 9, originType: $origin) {
    nodes { minimum maximum increment isDefault originType productVariant { id } } } } }"""
BREAKS = """query($id: ID!) { priceList(id: $id) { prices(first: 9, originType: FIXED) { nodes {
  quantityPriceBreaks(first: 9) { nodes { id minimumQuantity price { amount currencyCode } } } } } } }"""
EMPTY: dict[str, list[Any]] = {
    "pricesToAdd": [],
    "pricesToDeleteByVariantId": [],
    "quantityRulesToAdd": [],
    "quantityRulesToDeleteByVariantId": [],
    "quantityPriceBreaksToAdd": [],
    "quantityPriceBreaksToDelete": [],
}


@pytest.fixture
def sandbox(start: Starter) -> StartedSandbox:
    return start(scopes=SCOPES)


@pytest.fixture
def price_list(markets: Markets) -> str:
    return markets.price_list("List", "EUR")


def _rule(minimum: int, maximum: int | None, increment: int, variant: str = RED) -> dict[str, Any]:
    return {"variantId": variant, "minimum": minimum, "maximum": maximum, "increment": increment}


def _break(quantity: int, amount: str = "4", variant: str = RED, currency: str = "EUR") -> dict[str, Any]:
    return {
        "variantId": variant,
        "minimumQuantity": quantity,
        "price": {"amount": amount, "currencyCode": currency},
    }


def _update(markets: Markets, price_list: str, **parts: list[Any]) -> dict[str, Any]:
    return markets.call(UPDATE, list=price_list, input=EMPTY | parts)


def _breaks(markets: Markets, price_list: str) -> list[tuple[int, str]]:
    nodes = markets.call(BREAKS, id=price_list)["prices"]["nodes"]
    return [(b["minimumQuantity"], b["price"]["amount"]) for n in nodes for b in n["quantityPriceBreaks"]["nodes"]]


def test_a_price_a_rule_and_breaks_are_set_in_one_step(markets: Markets, price_list: str) -> None:
    payload = _update(
        markets,
        price_list,
        pricesToAdd=[price(RED, "5")],
        quantityRulesToAdd=[_rule(2, 20, 2)],
        quantityPriceBreaksToAdd=[_break(10), _break(4, "4.5")],
    )

    assert payload == {"productVariants": [{"id": RED}], "userErrors": []}
    assert _breaks(markets, price_list) == [(4, "4.5"), (10, "4.0")]
    fixed = markets.call(RULES, id=price_list, origin="FIXED")["quantityRules"]["nodes"]
    assert [(each["minimum"], each["maximum"], each["increment"], each["isDefault"]) for each in fixed] == [
        (2, 20, 2, False)
    ]
    others = markets.call(RULES, id=price_list, origin="RELATIVE")["quantityRules"]["nodes"]
    assert {(each["minimum"], each["maximum"], each["increment"], each["isDefault"]) for each in others} == {
        (1, None, 1, True)
    }


def test_one_refused_part_keeps_all_others_from_being_written(
    markets: Markets, price_list: str, sandbox: StartedSandbox
) -> None:
    payload = _update(markets, price_list, pricesToAdd=[price(RED, "5")], quantityRulesToDeleteByVariantId=[MISSING])

    assert codes(payload) == ["QUANTITY_RULE_DELETE_VARIANT_NOT_FOUND"]
    assert payload["productVariants"] is None
    assert sandbox.client.request("GET", "/sandbox/journal").body["writes"] == []


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ((0, 10, 1), ["MINIMUM_IS_LESS_THAN_ONE", "INCREMENT_IS_GREATER_THAN_MINIMUM"]),
        ((1, 10, 0), ["INCREMENT_IS_LESS_THAN_ONE"]),
        ((10, 5, 1), ["MINIMUM_GREATER_THAN_MAXIMUM"]),
        ((5, 12, 3), ["MINIMUM_NOT_A_MULTIPLE_OF_INCREMENT"]),
        ((6, 10, 3), ["MAXIMUM_NOT_A_MULTIPLE_OF_INCREMENT"]),
        ((6, None, 3), []),
    ],
)
def test_a_rule_must_make_sense(
    markets: Markets, price_list: str, rule: tuple[int, int | None, int], expected: list[str]
) -> None:
    payload = _update(markets, price_list, quantityRulesToAdd=[_rule(*rule)])

    assert codes(payload) == [f"QUANTITY_RULE_ADD_{code}" for code in expected]
    assert set(paths(payload)) <= {"input.quantityRulesToAdd.0"}


@pytest.mark.parametrize(
    ("quantity", "code"),
    [
        (3, "MIN_NOT_A_MULTIPLE_OF_QUANTITY_RULES_INCREMENT"),
        (2, "MIN_LOWER_THAN_QUANTITY_RULES_MIN"),
        (22, "MIN_HIGHER_THAN_QUANTITY_RULES_MAX"),
    ],
)
def test_a_break_must_fit_its_rule(markets: Markets, price_list: str, quantity: int, code: str) -> None:
    rule = _rule(2, 20, 2) if quantity == 3 else _rule(4, 20, 2)
    _update(markets, price_list, pricesToAdd=[price(RED, "5")], quantityRulesToAdd=[rule])

    payload = _update(markets, price_list, quantityPriceBreaksToAdd=[_break(quantity)])

    assert codes(payload) == [f"QUANTITY_PRICE_BREAK_ADD_{code}"]


def test_a_rule_must_fit_the_breaks_that_stay(markets: Markets, price_list: str) -> None:
    _update(markets, price_list, pricesToAdd=[price(RED, "5")], quantityPriceBreaksToAdd=[_break(3), _break(10)])

    refused = _update(markets, price_list, quantityRulesToAdd=[_rule(4, 8, 2)])
    done = _update(
        markets, price_list, quantityRulesToAdd=[_rule(4, 8, 2)], quantityPriceBreaksToDeleteByVariantId=[RED]
    )

    assert codes(refused) == [
        "QUANTITY_RULE_ADD_MIN_HIGHER_THAN_QUANTITY_PRICE_BREAK_MIN",
        "QUANTITY_RULE_ADD_MAX_LOWER_THAN_QUANTITY_PRICE_BREAK_MIN",
        "QUANTITY_RULE_ADD_INCREMENT_NOT_A_MULTIPLE_OF_QUANTITY_PRICE_BREAK_MIN",
    ]
    assert (codes(done), _breaks(markets, price_list)) == ([], [])


def test_a_break_needs_a_fixed_price_and_goes_with_it(markets: Markets, price_list: str) -> None:
    without = _update(markets, price_list, quantityPriceBreaksToAdd=[_break(2)])
    _update(markets, price_list, pricesToAdd=[price(RED, "5")], quantityPriceBreaksToAdd=[_break(2)])
    markets.loosen(price_list, RED)
    markets.fix(price_list, price(RED, "6"))

    assert codes(without) == ["QUANTITY_PRICE_BREAK_ADD_PRICE_LIST_PRICE_NOT_FOUND"]
    assert _breaks(markets, price_list) == []


def test_a_break_is_replaced_by_quantity_and_deleted_by_id(markets: Markets, price_list: str) -> None:
    _update(markets, price_list, pricesToAdd=[price(RED, "5")], quantityPriceBreaksToAdd=[_break(2), _break(3)])
    _update(markets, price_list, quantityPriceBreaksToAdd=[_break(2, "3.5")])
    (node,) = markets.call(BREAKS, id=price_list)["prices"]["nodes"]
    number = node["quantityPriceBreaks"]["nodes"][1]["id"]

    deleted = _update(markets, price_list, quantityPriceBreaksToDelete=[number])
    again = _update(markets, price_list, quantityPriceBreaksToDelete=[number])

    assert (codes(deleted), deleted["productVariants"]) == ([], [{"id": RED}])
    assert codes(again) == ["QUANTITY_PRICE_BREAK_DELETE_NOT_FOUND"]
    assert _breaks(markets, price_list) == [(2, "3.5")]


def test_a_variant_has_at_most_ten_breaks(markets: Markets, price_list: str) -> None:
    breaks = [_break(quantity) for quantity in range(2, 13)]

    payload = _update(markets, price_list, pricesToAdd=[price(RED, "5")], quantityPriceBreaksToAdd=breaks)

    assert codes(payload) == ["QUANTITY_PRICE_BREAK_ADD_LIMIT_EXCEEDED"]
    assert paths(payload) == ["input.quantityPriceBreaksToAdd.10"]


def test_prices_of_one_input_are_unique_and_in_the_lists_currency(markets: Markets, price_list: str) -> None:
    twice = _update(markets, price_list, pricesToAdd=[price(RED, "5"), price(BLUE, "5"), price(RED, "6")])
    foreign = _update(markets, price_list, pricesToAdd=[price(RED, "5", "USD")])
    deleted_twice = _update(markets, price_list, pricesToDeleteByVariantId=[RED, RED])

    assert codes(twice) == ["PRICE_ADD_DUPLICATE_INPUT_FOR_VARIANT"] * 2
    assert paths(twice) == ["input.pricesToAdd.0", "input.pricesToAdd.2"]
    assert codes(foreign) == ["PRICE_ADD_CURRENCY_MISMATCH"]
    assert deleted_twice == {"productVariants": [{"id": RED}], "userErrors": []}


def test_a_list_inside_of_the_input_has_its_limit_too(markets: Markets, price_list: str) -> None:
    body = markets.answer(UPDATE, list=price_list, input=EMPTY | {"pricesToDeleteByVariantId": [RED] * 251})

    assert "data" not in body
    assert body["errors"][0]["extensions"]["code"] == "MAX_INPUT_SIZE_EXCEEDED"


ADD_RULES = """mutation($list: ID!, $rules: [QuantityRuleInput!]!) {
  quantityRulesAdd(priceListId: $list, quantityRules: $rules) {
    quantityRules { minimum maximum increment originType productVariant { id } }
    userErrors { field message code } } }"""
DELETE_RULES = """mutation($list: ID!, $ids: [ID!]!) { quantityRulesDelete(priceListId: $list, variantIds: $ids) {
  deletedQuantityRulesVariantIds userErrors { field message code } } }"""


def test_rules_are_set_over_those_that_are_there_and_taken_back(markets: Markets, price_list: str) -> None:
    markets.call(ADD_RULES, list=price_list, rules=[_rule(2, None, 2), _rule(1, 5, 1, BLUE)])
    again = markets.call(ADD_RULES, list=price_list, rules=[_rule(3, 9, 3)])
    taken = markets.call(DELETE_RULES, list=price_list, ids=[RED, BLUE])

    assert again["quantityRules"] == [
        {"minimum": 3, "maximum": 9, "increment": 3, "originType": "FIXED", "productVariant": {"id": RED}}
    ]
    assert taken == {"deletedQuantityRulesVariantIds": [RED, BLUE], "userErrors": []}
    assert markets.call(RULES, id=price_list, origin="FIXED")["quantityRules"]["nodes"] == []


def test_one_bad_rule_keeps_all_others_from_being_set(markets: Markets, price_list: str) -> None:
    _update(markets, price_list, pricesToAdd=[price(BLUE, "5")], quantityPriceBreaksToAdd=[_break(3, variant=BLUE)])
    rules = [_rule(1, None, 1), _rule(0, 4, 1, MISSING), _rule(4, 8, 2, BLUE)]

    refused = markets.call(ADD_RULES, list=price_list, rules=rules)
    twice = markets.call(ADD_RULES, list=price_list, rules=[_rule(1, None, 1), _rule(2, None, 2)])

    assert codes(refused) == [
        "PRODUCT_VARIANT_DOES_NOT_EXIST",
        "MINIMUM_IS_HIGHER_THAN_QUANTITY_PRICE_BREAK_MINIMUM",
        "INCREMENT_NOT_A_MULTIPLE_OF_QUANTITY_PRICE_BREAK_MINIMUM",
    ]
    assert paths(refused) == [
        "quantityRules.1.variantId",
        "quantityRules.2.minimum",
        "quantityRules.2.increment",
    ]
    assert codes(twice) == ["DUPLICATE_INPUT_FOR_VARIANT"] * 2
    assert markets.call(RULES, id=price_list, origin="FIXED")["quantityRules"]["nodes"] == []


def test_a_rule_that_is_not_there_cannot_be_taken_back(markets: Markets, price_list: str) -> None:
    markets.call(ADD_RULES, list=price_list, rules=[_rule(2, None, 2)])

    refused = markets.call(DELETE_RULES, list=price_list, ids=[RED, BLUE, MISSING])
    nowhere = markets.call(DELETE_RULES, list="gid://shopify/PriceList/1", ids=[RED])

    assert codes(refused) == ["VARIANT_QUANTITY_RULE_DOES_NOT_EXIST", "PRODUCT_VARIANT_DOES_NOT_EXIST"]
    assert refused["deletedQuantityRulesVariantIds"] == []
    assert codes(nowhere) == ["PRICE_LIST_DOES_NOT_EXIST"]
    assert len(markets.call(RULES, id=price_list, origin="FIXED")["quantityRules"]["nodes"]) == 1
