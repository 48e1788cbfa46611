"""How the prices of a list are asked for, and what an answer that cannot be right becomes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from scripted_store import ScriptedStore, SentCall, answers, refuses

from calibr.connectors.port import RemotePrice
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.contextual import COUNTRIES_AT_ONCE
from calibr.connectors.shopify.costs import MAX_CALL_COST
from calibr.connectors.shopify.errors import CallError
from calibr.connectors.shopify.list_prices import ListPriceReader, MarketPriceReader
from calibr.connectors.shopify.markets import StoreMarkets
from calibr.connectors.shopify.prices import ShopCurrency
from calibr.core.errors import Invalid

LAST = {"hasNextPage": False, "endCursor": None}
Read = Callable[[list[str]], dict[str, RemotePrice]]


def gid(number: object) -> str:
    return f"gid://shopify/ProductVariant/{number}"


def pricing(amount: str, currency: str = "EUR") -> dict[str, Any]:
    return {"price": {"amount": amount, "currencyCode": currency}, "compareAtPrice": None}


def has_fixed(**amounts: str) -> Callable[[SentCall], httpx2.Response]:
    """Answer as a list with fixed prices for these variants (`v1="9.99"`), searched as it was asked."""

    def reply(call: SentCall) -> httpx2.Response:
        asked = {"v" + term.removeprefix("variant_id:") for term in call.variables["query"].split(" OR ")}
        nodes = [pricing(text) | {"variant": {"id": gid(key[1:])}} for key, text in amounts.items() if key in asked]
        return answers({"priceList": {"currency": "EUR", "prices": {"nodes": nodes, "pageInfo": LAST}}})(call)

    return reply


def asks_everywhere(amount: str, currency: str = "EUR") -> Callable[[SentCall], httpx2.Response]:
    """Answer with one price for every variant, except for those that are gone."""

    def reply(call: SentCall) -> httpx2.Response:
        shown = [
            None if each.endswith("/999") else {"id": each, "contextualPricing": pricing(amount, currency)}
            for each in call.variables["ids"]
        ]
        return answers({"nodes": shown})(call)

    return reply


@pytest.fixture
def reader(store: ScriptedStore, client: ShopifyClient, pool: ThreadPoolExecutor) -> ListPriceReader:
    catalog = {
        "__typename": "MarketCatalog", "id": "gid://shopify/MarketCatalog/1", "status": "ACTIVE",
        "markets": {"nodes": [{"id": "gid://shopify/Market/5"}]},
    }  # fmt: skip
    shown = {
        "id": "gid://shopify/PriceList/7",
        "name": "E",
        "currency": "EUR",
        "fixedPricesCount": 0,
        "catalog": catalog,
    }
    market = {
        "id": "gid://shopify/Market/5", "name": "Germany", "status": "ACTIVE",
        "currencySettings": {"baseCurrency": {"currencyCode": "EUR"}},
        "conditions": {
            "regionsCondition": {"regions": {"nodes": [{"code": "DE", "currency": {"currencyCode": "EUR"}}]}}
        },
    }  # fmt: skip
    store.on("CalibrPriceLists", {"priceLists": {"nodes": [shown], "pageInfo": LAST}})
    store.on("CalibrMarkets", {"markets": {"nodes": [market], "pageInfo": LAST}})
    return ListPriceReader(client, StoreMarkets(client, ShopCurrency(client)), pool, "7")


@pytest.fixture
def read(client: ShopifyClient, reader: ListPriceReader) -> Read:
    return lambda ids: reader.read(ids, "EUR", client.throttle.clock() + 5)


def test_only_what_is_not_fixed_is_asked_for_in_a_context(store: ScriptedStore, read: Read) -> None:
    store.on("CalibrFixedPrices", has_fixed(v1="9.99", v3="0.0"))
    store.on("CalibrPricesInContext", asks_everywhere("11.5"))

    assert read(["1", "2", "3", "999"]) == {
        "1": RemotePrice("1", "EUR", 999, None),
        "2": RemotePrice("2", "EUR", 1150, None, relative=True),
        "3": RemotePrice("3", "EUR", 0, None),
    }
    (call,) = store.sent("CalibrPricesInContext")
    assert call.variables == {"ids": [gid(2), gid(999)], "context": {"country": "DE"}}


def test_a_list_with_fixed_prices_only_takes_one_call(store: ScriptedStore, read: Read) -> None:
    store.on("CalibrFixedPrices", has_fixed(v1="9.99"))

    assert not read(["1"])["1"].relative
    assert [call.operation for call in store.calls] == ["CalibrFixedPrices"]


def test_many_listings_take_calls_of_250(store: ScriptedStore, read: Read) -> None:
    store.on("CalibrFixedPrices", has_fixed())
    store.on("CalibrPricesInContext", asks_everywhere("11.5"))

    assert len(read([str(n) for n in range(1, 602)] + ["1"])) == 601
    assert sorted(len(call.variables["ids"]) for call in store.sent("CalibrPricesInContext")) == [101, 250, 250]


def test_a_relative_price_in_another_currency_is_not_told_in_ours(store: ScriptedStore, read: Read) -> None:
    store.on("CalibrFixedPrices", has_fixed())
    store.on("CalibrPricesInContext", asks_everywhere("11.5", "USD"))

    assert read(["1"]) == {"1": RemotePrice("1", "EUR", None, None, relative=True)}


def test_an_amount_that_cannot_be_read_is_a_fault(store: ScriptedStore, read: Read) -> None:
    store.on("CalibrFixedPrices", has_fixed(v1="9.999"))
    store.on("CalibrPricesInContext", asks_everywhere("1.0001"))

    fixed, relative = read(["1", "2"]).values()

    assert (fixed.fault is not None, fixed.unit_amount, fixed.relative) == (True, None, False)
    assert (relative.fault is not None, relative.unit_amount, relative.relative) == (True, None, True)


def test_a_store_that_does_not_search_is_not_believed(store: ScriptedStore, read: Read) -> None:
    nodes = [pricing("9.99") | {"variant": {"id": gid(77)}}]
    store.on("CalibrFixedPrices", {"priceList": {"currency": "EUR", "prices": {"nodes": nodes, "pageInfo": LAST}}})

    with pytest.raises(CallError) as caught:
        read(["1"])

    assert (caught.value.code, caught.value.retryable) == ("upstream.protocol", False)


def test_a_place_that_is_gone_is_looked_for_again(store: ScriptedStore, read: Read) -> None:
    store.on("CalibrFixedPrices", has_fixed())
    store.on("CalibrPricesInContext", refuses("BAD_REQUEST"), asks_everywhere("11.5"))

    with pytest.raises(CallError):
        read(["1"])

    assert read(["1"])["1"].unit_amount == 1150
    assert len(store.sent("CalibrMarkets")) == 2


def test_what_is_no_variant_is_not_asked(store: ScriptedStore, read: Read) -> None:
    with pytest.raises(Invalid):
        read(["1 OR variant_id:2"])

    assert store.calls == []


def test_a_call_for_countries_keeps_within_what_a_call_may_cost(
    store: ScriptedStore, client: ShopifyClient, pool: ThreadPoolExecutor
) -> None:
    """Were each price a point: nobody promises that it is less."""

    def reply(call: SentCall) -> httpx2.Response:
        places = sorted(name for name in call.variables if name != "ids")
        assert len(call.variables["ids"]) * (1 + len(places)) <= MAX_CALL_COST
        shown = [{"id": each} | {place: pricing("1.0") for place in places} for each in call.variables["ids"]]
        return answers({"nodes": shown})(call)

    countries = [f"A{letter}" for letter in "ABCDEFGHIJK"]
    for number in (COUNTRIES_AT_ONCE, len(countries) - COUNTRIES_AT_ONCE):
        store.on(f"CalibrMarketPrices{number}", reply)

    told = MarketPriceReader(client, pool).read([str(n) for n in range(1, 400)], countries, client.throttle.clock() + 5)

    assert {country: len(prices) for country, prices in told.items()} == dict.fromkeys(countries, 399)
    assert told["AK"]["7"] == RemotePrice("7", "EUR", 100, None)
