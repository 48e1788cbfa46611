"""Countries and catalogs come to a market and leave it; what buyers there pay follows."""

from typing import Any

import pytest
from market_shop import RED, SCOPES, Markets

from calibr_sandbox.testing import Starter

UPDATE = """mutation($id: ID!, $input: MarketUpdateInput!) { marketUpdate(id: $id, input: $input) {
  market { name
    conditions { regionsCondition { regions(first: 9) { nodes { id ... on MarketRegionCountry { code } } } } }
    catalogs(first: 5) { nodes { id } } } userErrors { field message code } } }"""
CREATE = """mutation($input: MarketCreateInput!) { marketCreate(input: $input) {
  market { id catalogs(first: 5) { nodes { id } } } userErrors { field message code } } }"""
COMPANY = """mutation { companyCreate(input: {company: {name: "Hotel"}, companyLocation: {name: "Lobby"}}) {
  company { id locations(first: 1) { nodes { id } } } } }"""
OF_LOCATION = """mutation($input: CatalogCreateInput!) { catalogCreate(input: $input) {
  catalog { id } userErrors { message } } }"""
UNKNOWN = "gid://shopify/MarketCatalog/99"


@pytest.fixture
def markets(start: Starter) -> Markets:
    return Markets(start(scopes=SCOPES))


def _countries(*codes: str) -> dict[str, Any]:
    return {"regionsCondition": {"regions": [{"countryCode": code} for code in codes]}}


def _regions(payload: dict[str, Any]) -> dict[str, str]:
    nodes = payload["market"]["conditions"]["regionsCondition"]["regions"]["nodes"]
    return {each["code"]: each["id"] for each in nodes}


def _location(markets: Markets) -> tuple[str, str]:
    company = markets.call(COMPANY)["company"]
    return company["id"], company["locations"]["nodes"][0]["id"]


def test_countries_come_and_go_and_with_them_the_price(markets: Markets) -> None:
    europe = markets.market("Europe", "EUR", ["DE", "FR"])
    markets.catalog("Europe", [europe], priceListId=markets.price_list("Half", "EUR", -50))
    both = {"conditionsToAdd": _countries("ES", "DE"), "conditionsToDelete": _countries("FR")}

    changed = markets.call(UPDATE, id=europe, input={"conditions": both})
    assert (sorted(_regions(changed)), changed["userErrors"]) == (["DE", "ES"], [])
    assert markets.seen_by(RED, country="ES")["price"]["amount"] == "5.0"
    assert markets.seen_by(RED, country="FR")["price"]["amount"] == "10.0"

    gone = {"conditionsToDelete": {"regionsCondition": {"regionIds": [_regions(changed)["ES"]]}}}
    assert list(_regions(markets.call(UPDATE, id=europe, input={"conditions": gone}))) == ["DE"]
    again = markets.call(UPDATE, id=europe, input={"name": "EU", "conditions": gone})
    field = ["input", "conditions", "conditionsToDelete", "regionsCondition", "regionIds", "0"]
    assert again["market"] is None
    assert [(error["field"], error["code"]) for error in again["userErrors"]] == [(field, "CONDITIONS_NOT_FOUND")]
    assert markets.call("query($id: ID!) { market(id: $id) { name } }", id=europe) == {"name": "Europe"}


def test_catalogs_come_and_go_and_with_them_the_price(markets: Markets) -> None:
    first = markets.market("Europe", "EUR", ["DE"])
    catalog = markets.catalog("Half", [first], priceListId=markets.price_list("Half", "EUR", -50))
    given = {"name": "Iberia", "status": "ACTIVE", "conditions": _countries("ES"), "catalogs": [catalog]}
    made = markets.call(CREATE, input=given | {"currencySettings": {"baseCurrency": "EUR"}})

    assert made["market"]["catalogs"]["nodes"] == [{"id": catalog}]
    assert markets.seen_by(RED, country="ES")["price"]["amount"] == "5.0"
    left = markets.call(UPDATE, id=made["market"]["id"], input={"catalogsToDelete": [catalog]})
    assert left["market"]["catalogs"]["nodes"] == []
    assert markets.seen_by(RED, country="ES")["price"]["amount"] == "10.0"
    assert markets.seen_by(RED, country="DE")["price"]["amount"] == "5.0"
    back = markets.call(UPDATE, id=made["market"]["id"], input={"catalogsToAdd": [catalog, catalog]})
    assert back["market"]["catalogs"]["nodes"] == [{"id": catalog}]


def test_a_market_takes_market_catalogs_that_exist(markets: Markets) -> None:
    _, location = _location(markets)
    context = {"companyLocationIds": [location]}
    other = markets.call(OF_LOCATION, input={"title": "Hotel", "status": "ACTIVE", "context": context})["catalog"]["id"]
    refused = markets.call(CREATE, input={"name": "Iberia", "catalogs": [UNKNOWN, other]})

    assert refused["market"] is None
    assert [(error["field"], error["code"]) for error in refused["userErrors"]] == [
        (["input", "catalogs", "0"], "CUSTOMIZATIONS_NOT_FOUND"),
        (["input", "catalogs", "1"], "CATALOG_TYPE_NOT_SUPPORTED"),
    ]
    assert markets.call("{ markets(first: 5) { nodes { id } } }") == {"nodes": []}


def test_a_company_location_tells_which_catalogs_apply_to_it(markets: Markets) -> None:
    company, location = _location(markets)
    given = {"title": "Hotel", "status": "ACTIVE", "context": {"companyLocationIds": [location]}}
    catalog = markets.call(OF_LOCATION, input=given)["catalog"]["id"]
    query = """query($id: ID!, $own: ID!, $other: ID!) { companyLocation(id: $id) { company { id }
      catalogs(first: 5) { nodes { id title } } catalogsCount { count }
      own: inCatalog(catalogId: $own) other: inCatalog(catalogId: $other) } }"""

    assert markets.call(query, id=location, own=catalog, other=UNKNOWN) == {
        "company": {"id": company},
        "catalogs": {"nodes": [{"id": catalog, "title": "Hotel"}]},
        "catalogsCount": {"count": 1},
        "own": True,
        "other": False,
    }
    of_company = "query($id: ID!) { company(id: $id) { name locationsCount { count } } }"
    assert markets.call(of_company, id=company) == {"name": "Hotel", "locationsCount": {"count": 1}}


def test_catalogs_are_found_by_what_they_apply_to(markets: Markets) -> None:
    europe, asia = markets.market("Europe", "EUR", ["DE"]), markets.market("Asia", "JPY", ["JP"])
    titled = {"Both": markets.catalog("Both", [europe, asia]), "Asia": markets.catalog("Asia", [asia])}
    company, location = _location(markets)
    given = {"title": "Hotel", "status": "ACTIVE", "context": {"companyLocationIds": [location]}}
    titled["Hotel"] = markets.call(OF_LOCATION, input=given)["catalog"]["id"]

    def found(field: str, number: str) -> list[str]:
        query = "query($search: String) { catalogs(first: 9, query: $search) { nodes { title } } }"
        nodes = markets.call(query, search=f"{field}:{number.rpartition('/')[2]}")["nodes"]
        return [each["title"] for each in nodes]

    assert found("market_id", europe) == ["Both"]
    assert found("market_id", asia) == ["Both", "Asia"]
    assert found("company_location_id", location) == ["Hotel"]
    assert found("company_id", company) == ["Hotel"]
    count = "query($search: String) { catalogsCount(query: $search) { count } }"
    assert markets.call(count, search=f"market_id:{asia.rpartition('/')[2]}") == {"count": 2}
