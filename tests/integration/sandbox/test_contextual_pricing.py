"""What buyers see: fixed prices over adjustments, the lowest of several, currencies, catalogs out of force."""

from typing import Any

import pytest
from market_shop import BLUE, CUP, RED, SCOPES, SHIRT, Markets, price

from calibr_sandbox.testing import StartedSandbox, Starter

COMPANY = """mutation { companyCreate(input: {company: {name: "Hotel"}, companyLocation: {name: "Lobby"}}) {
  company { locations(first: 1) { nodes { id } } } userErrors { message } } }"""
CATALOG = """mutation($input: CatalogCreateInput!) { catalogCreate(input: $input) {
  catalog { id } userErrors { message } } }"""
PRODUCT = """query($id: ID!) { product(id: $id) { contextualPricing(context: {country: DE}) {
  fixedQuantityRulesCount priceRange { minVariantPrice { amount } maxVariantPrice { amount currencyCode } }
  minVariantPricing { price { amount } } maxVariantPricing { price { amount } compareAtPrice { amount } } } } }"""


@pytest.fixture
def sandbox(start: Starter) -> StartedSandbox:
    return start(scopes=SCOPES)


def _sold(markets: Markets, name: str, country: str, currency: str = "EUR", percent: float = 0) -> str:
    """Make a market with a catalog and a price list, and return the list."""
    price_list = markets.price_list(name, currency, percent)
    markets.catalog(name, [markets.market(name, currency, [country])], priceListId=price_list)
    return price_list


def _amount(found: dict[str, Any]) -> tuple[str, str, str | None]:
    money, compare_at = found["price"], found["compareAtPrice"]
    return money["amount"], money["currencyCode"], compare_at and compare_at["amount"]


def test_nobodys_country_sees_the_shops_prices(markets: Markets) -> None:
    _sold(markets, "Germany", "DE", percent=-50)

    assert _amount(markets.seen_by(BLUE, country="JP")) == ("11.0", "USD", "15.0")


def test_an_adjustment_follows_the_shop_and_a_fixed_price_does_not(markets: Markets, sandbox: StartedSandbox) -> None:
    price_list = _sold(markets, "Germany", "DE", percent=-10)
    markets.fix(price_list, price(RED, "9.99", compare_at="19.99"))
    before = [_amount(markets.seen_by(each, country="DE")) for each in (RED, BLUE)]
    for each in (RED, BLUE):
        sandbox.client.request("POST", f"/sandbox/variants/{each[-14:]}", {"price": "100"})
    after = [_amount(markets.seen_by(each, country="DE")) for each in (RED, BLUE)]

    assert before == [("9.99", "EUR", "19.99"), ("9.9", "EUR", "13.5")]
    assert after == [("9.99", "EUR", "19.99"), ("90.0", "EUR", "13.5")]


def test_the_lowest_of_several_fixed_prices_wins_even_over_a_lower_adjustment(markets: Markets) -> None:
    dear, cheap = _sold(markets, "One", "DE"), _sold(markets, "Two", "DE")
    _sold(markets, "Three", "DE", percent=-90)
    markets.fix(dear, price(RED, "9"))
    markets.fix(cheap, price(RED, "8"))

    assert _amount(markets.seen_by(RED, country="DE"))[0] == "8.0"
    assert _amount(markets.seen_by(CUP, country="DE"))[0] == "0.75"


def test_a_fixed_price_of_zero_is_a_price(markets: Markets) -> None:
    markets.fix(_sold(markets, "Germany", "DE"), price(RED, "0"))

    assert _amount(markets.seen_by(RED, country="DE")) == ("0.0", "EUR", None)


def test_a_rate_converts_what_is_not_fixed_to_the_decimals_of_the_currency(markets: Markets) -> None:
    price_list = markets.price_list("Japan", "JPY", -10)
    market = markets.market("Japan", "JPY", ["JP"], baseCurrencyManualRate="151.37")
    markets.catalog("Japan", [market], priceListId=price_list)
    markets.fix(price_list, price(RED, "1200", "JPY"))

    assert _amount(markets.seen_by(RED, country="JP")) == ("1200.0", "JPY", None)
    assert _amount(markets.seen_by(BLUE, country="JP")) == ("1499.0", "JPY", "2043.0")


@pytest.mark.parametrize("status", ["DRAFT", "ARCHIVED"])
def test_a_catalog_out_of_force_changes_nothing(markets: Markets, status: str) -> None:
    price_list = markets.price_list("Germany", "EUR", -50)
    market = markets.market("Germany", "EUR", ["DE"])
    given = {"title": "G", "status": status, "priceListId": price_list, "context": {"marketIds": [market]}}
    markets.call(CATALOG, input=given)

    assert _amount(markets.seen_by(RED, country="DE")) == ("10.0", "EUR", None)


def test_a_location_sees_its_own_catalog_before_that_of_its_country(markets: Markets) -> None:
    markets.fix(_sold(markets, "Germany", "DE"), price(RED, "2"))
    location = markets.call(COMPANY)["company"]["locations"]["nodes"][0]["id"]
    own = markets.price_list("Hotel", "USD", -20)
    context = {"companyLocationIds": [location]}
    markets.call(CATALOG, input={"title": "H", "status": "ACTIVE", "priceListId": own, "context": context})

    assert _amount(markets.seen_by(RED, country="DE", companyLocationId=location)) == ("8.0", "USD", None)
    assert _amount(markets.seen_by(RED, companyLocationId=location)) == ("8.0", "USD", None)


def test_a_context_that_names_nothing_is_refused(markets: Markets) -> None:
    query = "query($id: ID!) { productVariant(id: $id) { contextualPricing(context: {}) { price { amount } } } }"

    assert markets.answer(query, id=RED)["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


def test_a_product_shows_the_range_of_its_variants(markets: Markets) -> None:
    markets.fix(_sold(markets, "Germany", "DE", percent=-10), price(BLUE, "7", compare_at="8"))

    found = markets.call(PRODUCT, id=SHIRT)["contextualPricing"]

    assert found["priceRange"]["minVariantPrice"] == {"amount": "7.0"}
    assert found["priceRange"]["maxVariantPrice"] == {"amount": "9.0", "currencyCode": "EUR"}
    assert found["minVariantPricing"] == {"price": {"amount": "7.0"}}
    assert found["maxVariantPricing"] == {"price": {"amount": "9.0"}, "compareAtPrice": None}
    assert found["fixedQuantityRulesCount"] == 0
