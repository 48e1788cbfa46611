"""Markets and catalogs: what they are read as, what they apply to, and what is refused."""

import pytest
from market_shop import SCOPES, Markets, codes, paths

from calibr_sandbox.testing import Starter

CATALOG = """query($id: ID!) { catalog(id: $id) { __typename id title status priceList { id } publication { id }
  ... on MarketCatalog { marketsCount { count } markets(first: 5) { nodes { name } } } } }"""
CREATE = """mutation($input: CatalogCreateInput!) { catalogCreate(input: $input) {
  catalog { id } userErrors { field message code } } }"""
UPDATE = """mutation($id: ID!, $input: CatalogUpdateInput!) { catalogUpdate(id: $id, input: $input) {
  catalog { id title priceList { id } } userErrors { field message code } } }"""
CONTEXT = """mutation($id: ID!, $add: CatalogContextInput, $remove: CatalogContextInput) {
  catalogContextUpdate(catalogId: $id, contextsToAdd: $add, contextsToRemove: $remove) {
    catalog { ... on MarketCatalog { markets(first: 5) { nodes { name } } } } userErrors { field message code } } }"""
DELETE = """mutation($id: ID!, $along: Boolean) { catalogDelete(id: $id, deleteDependentResources: $along) {
  deletedId userErrors { field code } } }"""
PUBLICATION = "mutation { publicationCreate(input: {}) { publication { id } userErrors { message } } }"
COMPANY = """mutation { companyCreate(input: {company: {name: "Hotel"}, companyLocation: {name: "Lobby"}}) {
  company { locations(first: 1) { nodes { id } } } userErrors { message } } }"""


@pytest.fixture
def markets(start: Starter) -> Markets:
    return Markets(start(scopes=SCOPES))


def test_a_market_shows_its_countries_currency_and_catalogs(markets: Markets) -> None:
    europe = markets.market("Europe", "EUR", ["DE", "FR"], baseCurrencyManualRate="0.9")
    catalog = markets.catalog("Europe", [europe])

    query = """query($id: ID!) { market(id: $id) { name handle status type conditions { regionsCondition {
      regions(first: 5) { nodes { ... on MarketRegionCountry { code name currency { currencyCode } } } } } }
      currencySettings { baseCurrency { currencyCode manualRate } } catalogs(first: 2) { nodes { id } } } }"""
    found = markets.call(query, id=europe)

    regions = found["conditions"]["regionsCondition"]["regions"]["nodes"]
    assert (found["handle"], found["status"], found["type"]) == ("europe", "ACTIVE", "REGION")
    assert [(each["code"], each["name"]) for each in regions] == [("DE", "Germany"), ("FR", "France")]
    assert regions[0]["currency"] == {"currencyCode": "EUR"}
    assert found["currencySettings"]["baseCurrency"] == {"currencyCode": "EUR", "manualRate": "0.9"}
    assert found["catalogs"]["nodes"] == [{"id": catalog}]


def test_markets_are_listed_by_name_page_by_page(markets: Markets) -> None:
    for name in ("Norway", "Alps", "Japan"):
        markets.market(name, "EUR", [])
    query = """query($after: String) {
      markets(first: 2, after: $after) { nodes { name } pageInfo { hasNextPage endCursor } } }"""

    first = markets.call(query)
    second = markets.call(query, after=first["pageInfo"]["endCursor"])

    assert [each["name"] for each in first["nodes"]] == ["Alps", "Japan"]
    assert [each["name"] for each in second["nodes"]] == ["Norway"]
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)


def test_the_page_after_a_row_that_is_gone_goes_on_where_it_stood(markets: Markets) -> None:
    numbers = {name: markets.market(name, "EUR", []) for name in ("Alps", "Japan", "Norway")}
    query = "query($after: String) { markets(first: 1, after: $after) { nodes { name } edges { cursor } } }"
    first = markets.call(query)
    second = markets.call(query, after=first["edges"][0]["cursor"])
    markets.call("mutation($id: ID!) { marketDelete(id: $id) { deletedId } }", id=numbers["Japan"])

    third = markets.call(query, after=second["edges"][0]["cursor"])

    assert [each["name"] for each in third["nodes"]] == ["Norway"]


def test_markets_need_their_scope(start: Starter) -> None:
    sandbox = start(scopes=("read_products",))

    answer = sandbox.client.graphql("{ markets(first: 1) { nodes { id } } }")

    assert answer.body["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert "read_markets" in answer.body["errors"][0]["message"]


def test_a_catalog_applies_to_markets_that_come_and_go(markets: Markets) -> None:
    one, two = markets.market("One", "EUR", []), markets.market("Two", "EUR", [])
    catalog = markets.catalog("Both", [one])

    added = markets.call(CONTEXT, id=catalog, add={"marketIds": [two, one]})
    removed = markets.call(CONTEXT, id=catalog, remove={"marketIds": [one]})

    assert [each["name"] for each in added["catalog"]["markets"]["nodes"]] == ["One", "Two"]
    assert [each["name"] for each in removed["catalog"]["markets"]["nodes"]] == ["Two"]
    assert markets.call(CATALOG, id=catalog)["marketsCount"] == {"count": 1}


def test_contexts_of_another_kind_or_none_are_refused(markets: Markets) -> None:
    location = markets.call(COMPANY)["company"]["locations"]["nodes"][0]["id"]
    catalog = markets.catalog("One", [markets.market("One", "EUR", [])])

    neither = markets.call(CONTEXT, id=catalog)
    mismatch = markets.call(CONTEXT, id=catalog, add={"companyLocationIds": [location]})
    unknown = markets.call(CONTEXT, id="gid://shopify/MarketCatalog/1", add={"marketIds": ["gid://shopify/Market/1"]})

    assert codes(neither) == ["REQUIRES_CONTEXTS_TO_ADD_OR_REMOVE"]
    assert (codes(mismatch), paths(mismatch)) == (["CONTEXT_DRIVER_MISMATCH"], ["contextsToAdd.companyLocationIds"])
    assert (codes(unknown), paths(unknown)) == (["CATALOG_NOT_FOUND"], ["catalogId"])
    assert markets.call(CATALOG, id=catalog)["marketsCount"] == {"count": 1}


def test_every_unknown_context_is_named_and_nothing_is_written(markets: Markets) -> None:
    known = markets.market("One", "EUR", [])
    context = {"marketIds": [known, "gid://shopify/Market/1", "gid://shopify/Market/2"]}

    payload = markets.call(CREATE, input={"title": "X", "status": "ACTIVE", "context": context})

    assert codes(payload) == ["MARKET_NOT_FOUND"] * 2
    assert paths(payload) == ["input.context.marketIds.1", "input.context.marketIds.2"]
    assert markets.call("{ catalogsCount { count precision } }") == {"count": 0, "precision": "EXACT"}


@pytest.mark.parametrize(("title", "code"), [("", "BLANK"), ("  ", "BLANK"), ("x" * 256, "TOO_LONG")])
def test_a_title_must_be_there_and_not_be_too_long(markets: Markets, title: str, code: str) -> None:
    context = {"marketIds": [markets.market("One", "EUR", [])]}

    payload = markets.call(CREATE, input={"title": title, "status": "ACTIVE", "context": context})

    assert (codes(payload), paths(payload)) == ([code], ["input.title"])


@pytest.mark.parametrize(
    "context", [{}, {"marketIds": [], "companyLocationIds": []}, {"marketIds": None, "companyLocationIds": None}]
)
def test_a_catalog_has_exactly_one_kind_of_context(markets: Markets, context: dict[str, object]) -> None:
    payload = markets.call(CREATE, input={"title": "X", "status": "ACTIVE", "context": context})

    assert codes(payload) == ["MUST_PROVIDE_EXACTLY_ONE_CONTEXT_TYPE"]


def test_price_list_and_publication_belong_to_one_catalog(markets: Markets) -> None:
    market, price_list = markets.market("One", "EUR", []), markets.price_list("EUR", "EUR")
    publication = markets.call(PUBLICATION)["publication"]["id"]
    holder = markets.catalog("Holder", [market], priceListId=price_list, publicationId=publication)
    other = markets.catalog("Other", [market])

    taken = markets.call(UPDATE, id=other, input={"priceListId": price_list, "publicationId": publication})
    absent = markets.call(UPDATE, id=other, input={"priceListId": "gid://shopify/PriceList/1"})
    markets.call(UPDATE, id=holder, input={"priceListId": None})
    moved = markets.call(UPDATE, id=other, input={"priceListId": price_list, "title": "New"})

    assert codes(taken) == ["TAKEN", "TAKEN"]
    assert codes(absent) == ["PRICE_LIST_NOT_FOUND"]
    assert moved["catalog"] == {"id": other, "title": "New", "priceList": {"id": price_list}}
    assert markets.call(CATALOG, id=holder)["publication"] == {"id": publication}


@pytest.mark.parametrize("is_along", [True, False])
def test_a_deleted_catalog_takes_its_price_list_along_when_asked(markets: Markets, is_along: bool) -> None:  # noqa: FBT001
    price_list = markets.price_list("EUR", "EUR")
    catalog = markets.catalog("One", [markets.market("One", "EUR", [])], priceListId=price_list)

    deleted = markets.call(DELETE, id=catalog, along=is_along)

    assert deleted == {"deletedId": catalog, "userErrors": []}
    assert codes(markets.call(DELETE, id=catalog)) == ["CATALOG_NOT_FOUND"]
    listed = markets.call("{ priceLists(first: 5) { nodes { id catalog { id } } } }")["nodes"]
    assert listed == ([] if is_along else [{"id": price_list, "catalog": None}])


def test_catalogs_are_found_by_title_kind_and_type_of_id(markets: Markets) -> None:
    market = markets.market("One", "EUR", [])
    summer, winter = markets.catalog("Summer sale", [market]), markets.catalog("Winter sale", [market])
    query = """query($query: String, $type: CatalogType) {
      catalogs(first: 9, query: $query, type: $type, sortKey: TITLE, reverse: true) { nodes { id } } }"""

    assert markets.call(query)["nodes"] == [{"id": winter}, {"id": summer}]
    assert markets.call(query, query="title:summer")["nodes"] == [{"id": summer}]
    assert markets.call(query, type="COMPANY_LOCATION")["nodes"] == []
    same_number = summer.replace("MarketCatalog", "CompanyLocationCatalog")
    answer = markets.answer(CATALOG, id=same_number)
    assert answer["data"] == {"catalog": None}


def test_the_id_of_something_else_is_no_catalog(markets: Markets) -> None:
    answer = markets.answer(CATALOG, id="gid://shopify/Market/1")

    assert answer["errors"][0]["extensions"]["code"] == "RESOURCE_NOT_FOUND"
