"""Price lists: their adjustment, their relative prices, what a change of currency does, what is refused."""

from typing import Any

import pytest
from market_shop import BLUE, CUP, RED, SCOPES, Markets, codes, paths, price

from calibr_sandbox.testing import Starter

PRICES = """query($id: ID!, $origin: PriceListPriceOriginType, $query: String, $after: String, $first: Int = 9) {
  priceList(id: $id) { fixedPricesCount prices(first: $first, originType: $origin, query: $query, after: $after) {
    nodes { price { amount currencyCode } compareAtPrice { amount } originType variant { id } }
    pageInfo { hasNextPage endCursor } } } }"""
CREATE = """mutation($input: PriceListCreateInput!) { priceListCreate(input: $input) {
  priceList { id } userErrors { field message code } } }"""
UPDATE = """mutation($id: ID!, $input: PriceListUpdateInput!) { priceListUpdate(id: $id, input: $input) {
  priceList { name currency fixedPricesCount catalog { id } parent { adjustment { type value }
    settings { compareAtMode } } } userErrors { field message code } } }"""
DELETE = "mutation($id: ID!) { priceListDelete(id: $id) { deletedId userErrors { field message code } } }"


@pytest.fixture
def markets(start: Starter) -> Markets:
    return Markets(start(scopes=SCOPES))


def _amounts(markets: Markets, price_list: str, **more: Any) -> list[tuple[str, str, str | None]]:  # noqa: ANN401
    nodes = markets.call(PRICES, id=price_list, **more)["prices"]["nodes"]
    return [
        (each["originType"], each["price"]["amount"], (each["compareAtPrice"] or {}).get("amount")) for each in nodes
    ]


@pytest.mark.parametrize(
    ("percent", "mode", "expected"),
    [
        (-5, "ADJUSTED", [("9.5", None), ("10.45", "14.25"), ("7.13", None)]),
        (-5, "NULLIFY", [("9.5", None), ("10.45", None), ("7.13", None)]),
        (12.5, "ADJUSTED", [("11.25", None), ("12.38", "16.88"), ("8.44", None)]),
        (0, "ADJUSTED", [("10.0", None), ("11.0", "15.0"), ("7.5", None)]),
        (-100, "ADJUSTED", [("0.0", None), ("0.0", "0.0"), ("0.0", None)]),
    ],
)
def test_relative_prices_follow_the_shop_in_its_own_currency(
    markets: Markets, percent: float, mode: str, expected: list[tuple[str, str | None]]
) -> None:
    price_list = markets.price_list("List", "EUR", percent, compare_at_mode=mode)

    assert _amounts(markets, price_list) == [("RELATIVE", *each) for each in expected]
    nodes = markets.call(PRICES, id=price_list)["prices"]["nodes"]
    assert {each["price"]["currencyCode"] for each in nodes} == {"USD"}


def test_prices_are_filtered_by_origin_product_and_variant(markets: Markets) -> None:
    price_list = markets.price_list("List", "EUR", -10)
    markets.fix(price_list, price(BLUE, "8.80", compare_at="9.90"))

    assert _amounts(markets, price_list, origin="FIXED") == [("FIXED", "8.8", "9.9")]
    assert _amounts(markets, price_list, origin="RELATIVE") == [("RELATIVE", "9.0", None), ("RELATIVE", "6.75", None)]
    assert _amounts(markets, price_list, query="product_id:8100000000002") == [("RELATIVE", "6.75", None)]
    assert _amounts(markets, price_list, query=f"variant_id:{BLUE[-14:]}", origin="FIXED") == [("FIXED", "8.8", "9.9")]
    assert markets.call(PRICES, id=price_list)["fixedPricesCount"] == 1


def test_prices_come_page_by_page_in_the_order_of_the_variants(markets: Markets) -> None:
    price_list, seen, after = markets.price_list("List", "EUR"), [], None
    for _ in range(3):
        page = markets.call(PRICES, id=price_list, first=1, after=after)["prices"]
        seen += [each["variant"]["id"] for each in page["nodes"]]
        after = page["pageInfo"]["endCursor"]

    assert seen == [RED, BLUE, CUP]
    assert page["pageInfo"]["hasNextPage"] is False


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("PERCENTAGE_DECREASE", -10),
        ("PERCENTAGE_DECREASE", 100.5),
        ("PERCENTAGE_INCREASE", -0.1),
        ("PERCENTAGE_INCREASE", 1000.01),
    ],
)
def test_an_adjustment_has_its_limits(markets: Markets, kind: str, value: float) -> None:
    parent = {"adjustment": {"type": kind, "value": value}}
    refused = markets.call(CREATE, input={"name": "List", "currency": "EUR", "parent": parent})
    price_list = markets.price_list("Kept", "EUR", -5)
    unchanged = markets.call(UPDATE, id=price_list, input={"parent": parent, "name": "New"})

    assert (codes(refused), refused["priceList"]) == (["INVALID_ADJUSTMENT_VALUE"], None)
    assert paths(unchanged) == ["input.parent.adjustment.value"]
    assert unchanged["priceList"]["name"] == "Kept"
    assert unchanged["priceList"]["parent"]["adjustment"] == {"type": "PERCENTAGE_DECREASE", "value": 5}


def test_an_update_changes_what_it_names_and_keeps_the_rest(markets: Markets) -> None:
    price_list = markets.price_list("List", "EUR", -5, compare_at_mode="NULLIFY")

    adjusted = {"adjustment": {"type": "PERCENTAGE_INCREASE", "value": 7.5}}
    changed = markets.call(UPDATE, id=price_list, input={"parent": adjusted})["priceList"]

    assert (changed["name"], changed["currency"]) == ("List", "EUR")
    assert changed["parent"] == {**adjusted, "settings": {"compareAtMode": "NULLIFY"}}


def test_a_name_is_taken_once_and_not_blank(markets: Markets) -> None:
    first, second = markets.price_list("List", "EUR"), markets.price_list("Other", "EUR")

    assert codes(markets.call(UPDATE, id=second, input={"name": "List"})) == ["TAKEN"]
    assert codes(markets.call(UPDATE, id=second, input={"name": " "})) == ["BLANK"]
    assert codes(markets.call(UPDATE, id=first, input={"name": "List"})) == []


def test_another_currency_wipes_the_fixed_prices(markets: Markets) -> None:
    price_list = markets.price_list("List", "EUR", -10)
    markets.fix(price_list, price(RED, "5"), price(CUP, "6"))

    same = markets.call(UPDATE, id=price_list, input={"currency": "EUR"})["priceList"]
    other = markets.call(UPDATE, id=price_list, input={"currency": "GBP"})["priceList"]

    assert (same["fixedPricesCount"], other["fixedPricesCount"], other["currency"]) == (2, 0, "GBP")
    assert [origin for origin, *_ in _amounts(markets, price_list)] == ["RELATIVE"] * 3


def test_a_catalog_is_taken_given_back_and_taken_again(markets: Markets) -> None:
    catalog = markets.catalog("One", [markets.market("One", "EUR", [])])
    first = markets.price_list("First", "EUR", catalogId=catalog)
    second = markets.price_list("Second", "EUR")

    taken = markets.call(UPDATE, id=second, input={"catalogId": catalog})
    again = markets.call(UPDATE, id=first, input={"catalogId": catalog})
    absent = markets.call(UPDATE, id=second, input={"catalogId": "gid://shopify/MarketCatalog/1"})
    given_back = markets.call(UPDATE, id=first, input={"catalogId": None})
    moved = markets.call(UPDATE, id=second, input={"catalogId": catalog})

    assert (codes(taken), taken["priceList"]) == (["CATALOG_TAKEN"], None)
    assert (codes(again), codes(absent)) == ([], ["CATALOG_DOES_NOT_EXIST"])
    assert given_back["priceList"]["catalog"] is None
    assert moved["priceList"]["catalog"] == {"id": catalog}


def test_a_deleted_list_leaves_its_catalog_and_never_lends_its_number(markets: Markets) -> None:
    catalog = markets.catalog("One", [markets.market("One", "EUR", [])])
    price_list = markets.price_list("List", "EUR", catalogId=catalog)
    markets.fix(price_list, price(RED, "5"))

    assert markets.call(DELETE, id=price_list)["deletedId"] == price_list
    assert codes(markets.call(DELETE, id=price_list)) == ["PRICE_LIST_NOT_FOUND"]
    assert markets.answer(PRICES, id=price_list)["data"] == {"priceList": None}
    assert markets.price_list("List", "EUR", catalogId=catalog) != price_list


def test_writes_need_their_scope(start: Starter) -> None:
    answer = start(scopes=("read_products",)).client.graphql(DELETE, {"id": "gid://shopify/PriceList/1"})

    assert answer.body["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
