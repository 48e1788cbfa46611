"""Lists and markets as answers show them, and where a list's relative prices are asked."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_store import ScriptedStore, refuses

from calibr.connectors.port.price_lists import Audience, RemoteMarket
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.contextual import BuyerContext
from calibr.connectors.shopify.errors import CallError
from calibr.connectors.shopify.markets import StoreLists, StoreMarkets, read_list
from calibr.connectors.shopify.prices import ShopCurrency

LAST = {"hasNextPage": False, "endCursor": None}


def a_list(number: int, currency: str = "EUR", *, kind: str | None = "MarketCatalog", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    catalog = {"__typename": kind, "id": f"gid://shopify/{kind}/{number}", "status": more.get("status", "ACTIVE")}
    if kind == "MarketCatalog":
        catalog["markets"] = {"nodes": [{"id": f"gid://shopify/Market/{each}"} for each in more.get("markets", [])]}
    return {
        "id": f"gid://shopify/PriceList/{number}", "name": f"List {number}", "currency": currency,
        "fixedPricesCount": 3, "parent": more.get("parent"), "catalog": catalog if kind else None,
    }  # fmt: skip


def a_market(number: int, currency: str | None, status: str = "ACTIVE", **countries: str) -> dict[str, Any]:
    regions = [{"code": code, "currency": {"currencyCode": seen}} for code, seen in countries.items()]
    return {
        "id": f"gid://shopify/Market/{number}", "name": f"Market {number}", "status": status,
        "currencySettings": currency and {"baseCurrency": {"currencyCode": currency}},
        "conditions": {"regionsCondition": {"regions": {"nodes": [*regions, {}]}}} if countries else None,
    }  # fmt: skip


def read(store: ScriptedStore, client: ShopifyClient, lists: list[Any], markets: list[Any]) -> StoreLists:
    store.on("CalibrPriceLists", {"priceLists": {"nodes": lists, "pageInfo": LAST}})
    store.on("CalibrMarkets", {"markets": {"nodes": markets, "pageInfo": LAST}})
    return StoreMarkets(client, ShopCurrency(client)).read()


def adjustment(kind: str, value: float, mode: str = "ADJUSTED") -> dict[str, Any]:
    return {"adjustment": {"type": kind, "value": value}, "settings": {"compareAtMode": mode}}


@pytest.mark.parametrize(
    ("kind", "audience"),
    [("MarketCatalog", Audience.MARKET), ("CompanyLocationCatalog", Audience.COMPANY), ("AppCatalog", Audience.APP),
     ("SomethingNew", Audience.NOBODY), (None, Audience.NOBODY)],
)  # fmt: skip
def test_the_catalog_says_for_whom_a_list_is(kind: str | None, audience: Audience) -> None:
    found = read_list(a_list(5, kind=kind)).shown

    assert (found.external_id, found.name, found.currency, found.fixed_prices) == ("5", "List 5", "EUR", 3)
    assert (found.audience, found.active) == (audience, kind is not None)


@pytest.mark.parametrize("status", ["DRAFT", "ARCHIVED"])
def test_a_list_is_in_force_with_its_catalog(status: str) -> None:
    assert not read_list(a_list(5, status=status)).shown.active


@pytest.mark.parametrize(
    ("parent", "expected"),
    [
        (None, (0, True)),
        (adjustment("PERCENTAGE_INCREASE", 10), (100_000, True)),
        (adjustment("PERCENTAGE_DECREASE", 5.5, "NULLIFY"), (-55_000, False)),
        (adjustment("PERCENTAGE_DECREASE", 100), (-1_000_000, True)),
        (adjustment("PERCENTAGE_INCREASE", 0.1), (1_000, True)),
    ],
)
def test_an_adjustment_is_told_in_millionths(parent: dict[str, Any] | None, expected: tuple[int, bool]) -> None:
    found = read_list(a_list(5, parent=parent)).shown

    assert (found.adjustment_ppm, found.adjusts_compare_at) == expected


@given(st.integers(0, 10_000_000))
def test_an_adjustment_is_exact(ppm: int) -> None:
    value = float(Decimal(ppm) / 10_000)

    assert read_list(a_list(5, parent=adjustment("PERCENTAGE_INCREASE", value))).shown.adjustment_ppm == ppm


def test_an_adjustment_that_is_no_number_is_not_guessed() -> None:
    with pytest.raises(CallError):
        read_list(a_list(5, parent=adjustment("PERCENTAGE_INCREASE", float("nan"))))


def test_markets_have_the_lists_of_active_catalogs(store: ScriptedStore, client: ShopifyClient) -> None:
    lists = [a_list(1, markets=[8]), a_list(2, markets=[8, 9]), a_list(3, markets=[8], status="DRAFT")]
    found = read(store, client, lists, [a_market(8, "EUR", DE="EUR", FR="EUR"), a_market(9, "EUR", "DRAFT")])

    assert found.markets == (
        RemoteMarket("8", "Market 8", True, "EUR", ("DE", "FR"), ("1", "2")),  # noqa: FBT003
        RemoteMarket("9", "Market 9", False, "EUR", (), ("2",)),  # noqa: FBT003
    )


def test_a_market_without_a_currency_of_its_own_has_the_stores(store: ScriptedStore, client: ShopifyClient) -> None:
    store.on("CalibrShop", {"shop": {"name": "Test", "currencyCode": "CHF"}})

    assert read(store, client, [], [a_market(8, None, CH="CHF")]).markets[0].currency == "CHF"


def test_a_list_is_asked_where_it_stands_alone_and_its_currency_is_seen(
    store: ScriptedStore, client: ShopifyClient
) -> None:
    """Where several lists are in force the lowest price holds, which may be another list's."""
    lists = [a_list(1, markets=[8]), a_list(2, markets=[9]), a_list(3, "USD", markets=[10])]
    markets = [
        a_market(8, "EUR", DE="EUR", FR="EUR", HU="HUF"),
        a_market(9, "EUR", DE="EUR"),
        a_market(10, "EUR", IT="EUR"),
    ]

    assert read(store, client, lists, markets).contexts == {"1": BuyerContext("FR")}


def test_a_list_out_of_force_is_not_asked(store: ScriptedStore, client: ShopifyClient) -> None:
    lists = [a_list(1, markets=[8], status="DRAFT"), a_list(2, markets=[9]), a_list(3, kind=None), a_list(4)]
    markets = [a_market(8, "EUR", DE="EUR"), a_market(9, "EUR", "DRAFT", FR="EUR")]

    assert read(store, client, lists, markets).contexts == {}


def test_a_list_of_companies_is_asked_at_one_of_their_locations(store: ScriptedStore, client: ShopifyClient) -> None:
    catalog, place = "gid://shopify/CompanyLocationCatalog/4", "gid://shopify/CompanyLocation/77"
    store.on(
        "CalibrCompanyLocations", {"nodes": [{"id": catalog, "companyLocations": {"nodes": [{"id": place}]}}, None]}
    )
    lists = [a_list(4, kind="CompanyLocationCatalog"), a_list(5, kind="CompanyLocationCatalog", status="DRAFT")]

    assert read(store, client, lists, []).contexts == {"4": BuyerContext(location=place)}
    assert store.sent("CalibrCompanyLocations")[0].variables == {"ids": [catalog]}


def test_without_the_scope_to_see_companies_their_lists_are_read_all_the_same(
    store: ScriptedStore, client: ShopifyClient
) -> None:
    store.on("CalibrCompanyLocations", refuses("ACCESS_DENIED"))

    found = read(store, client, [a_list(4, kind="CompanyLocationCatalog")], [])

    assert (len(found.price_lists), found.contexts) == (1, {})


def test_without_the_scope_to_see_markets_nothing_is_guessed(store: ScriptedStore, client: ShopifyClient) -> None:
    store.on("CalibrPriceLists", refuses("ACCESS_DENIED", "Access denied for markets field."))

    with pytest.raises(CallError) as caught:
        StoreMarkets(client, ShopCurrency(client)).read()

    assert (caught.value.code, caught.value.retryable) == ("upstream.unauthorized", False)
    assert "scope" in caught.value.message


def test_a_currency_that_nobody_knows_is_a_finding(store: ScriptedStore, client: ShopifyClient) -> None:
    found = read(store, client, [a_list(1, "XXX"), a_list(2)], [a_market(8, "ZZZ", DE="ZZZ")])

    assert [each.external_id for each in found.price_lists] == ["2"]
    assert found.markets == ()
    assert [(each.external_id, each.field, each.value) for each in found.findings] == [
        ("1", "price_list.currency", "XXX"), ("8", "market.currency", "ZZZ"),
    ]  # fmt: skip


def test_where_buyers_are_is_asked_once_in_a_while(store: ScriptedStore, client: ShopifyClient) -> None:
    store.on("CalibrPriceLists", {"priceLists": {"nodes": [a_list(1, markets=[8])], "pageInfo": LAST}})
    store.on("CalibrMarkets", {"markets": {"nodes": [a_market(8, "EUR", DE="EUR")], "pageInfo": LAST}})
    markets = StoreMarkets(client, ShopCurrency(client))
    until = client.throttle.clock() + 5

    assert [markets.context_of(each, until) for each in ("1", "1", "2")] == [BuyerContext("DE")] * 2 + [None]
    assert len(store.sent("CalibrMarkets")) == 1
    markets.forget()
    markets.context_of("1", until)
    assert len(store.sent("CalibrMarkets")) == 2
