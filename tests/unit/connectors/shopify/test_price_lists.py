"""What pages and exports become: prices, quantity breaks and findings; held on disk, each listing once per list."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_store import ScriptedStore, SentCall, answers

from calibr.connectors.port.price_lists import Audience, ListedPrice, QuantityBreak, RemotePriceList
from calibr.connectors.port.staging_statements import FINDINGS_PER_RULE
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.contextual import (
    BuyerContext,
    ShownPrice,
    call_for,
    export_of,
    in_currency,
    read_shown,
)
from calibr.connectors.shopify.documents import FIXED_PRICES
from calibr.connectors.shopify.errors import CallError
from calibr.connectors.shopify.list_staging import BLOCK, Findings, ListStaging
from calibr.connectors.shopify.markets import StoreMarkets
from calibr.connectors.shopify.money import Unreadable
from calibr.connectors.shopify.pages import read_pages
from calibr.connectors.shopify.price_lists import PriceListReader, fixed_prices, quantity_breaks, relative_prices
from calibr.connectors.shopify.prices import ShopCurrency

EUR = RemotePriceList("7", "Euro", "EUR", Audience.MARKET, True, 0, True, 0)  # noqa: FBT003
JPY = RemotePriceList("8", "Yen", "JPY", Audience.MARKET, True, 0, True, 0)  # noqa: FBT003
LAST = {"hasNextPage": False, "endCursor": None}


def gid(number: object) -> str:
    return f"gid://shopify/ProductVariant/{number}"


def pricing(amount: str | None, currency: str = "EUR", compare_at: str | None = None) -> dict[str, Any]:
    def money(text: str | None) -> dict[str, Any]:
        return {"amount": text, "currencyCode": currency}

    return {"price": money(amount), "compareAtPrice": None if compare_at is None else money(compare_at)}


def node(number: int, *price: str | None, **more: object) -> dict[str, Any]:
    return pricing(*price) | {"variant": {"id": gid(number)}} | more  # type: ignore[arg-type]


def noted(findings: Findings) -> list[tuple[str, str]]:
    return [(each.external_id, each.field) for each in findings.all()]


def test_a_fixed_price_that_is_none_of_its_list_is_a_finding() -> None:
    findings = Findings(())
    nodes = [node(1, "9.99", "EUR", "19.9"), node(2, "9.999"), node(3, "9.99", "USD"), node(4, None), node(5, "0.0")]

    assert list(fixed_prices(EUR, nodes, findings)) == [
        ListedPrice("7", "1", 999, 1990, relative=False), ListedPrice("7", "5", 0, None, relative=False),
    ]  # fmt: skip
    assert noted(findings) == [("2", "price_list.7"), ("3", "price_list.7"), ("4", "price_list.7")]
    assert "USD" in findings.all()[1].rule


def test_a_compare_at_price_in_another_currency_is_never_taken_for_ours() -> None:
    shown = pricing("9.99") | {"compareAtPrice": {"amount": "19.99", "currencyCode": "USD"}}

    assert isinstance(read_shown(shown), Unreadable)


@pytest.mark.parametrize("currency", ["XYZ", "", None, 5])
def test_a_currency_that_nobody_knows_is_no_price(currency: Any) -> None:  # noqa: ANN401 - any JSON
    assert isinstance(read_shown(pricing("1.0", currency)), Unreadable)


def test_quantity_breaks_are_read_in_the_currency_of_the_list() -> None:
    def cheaper(quantity: int, amount: str, currency: str = "EUR") -> dict[str, Any]:
        return {"minimumQuantity": quantity, "price": {"amount": amount, "currencyCode": currency}}

    breaks = {"nodes": [cheaper(10, "8.5"), cheaper(50, "8.555"), cheaper(100, "7.0", "USD")]}
    findings = Findings(())

    found = list(quantity_breaks(EUR, [node(1, "9.99", quantityPriceBreaks=breaks)], findings))

    assert found == [QuantityBreak("7", "1", 10, 850)]
    assert noted(findings) == [("1", "price_list.7.quantity_break")] * 2


def test_a_relative_price_in_another_currency_is_absent_and_one_that_cannot_be_read_is_told() -> None:
    findings = Findings(())
    lines = [
        {"id": gid(1), "c0": pricing("10.5"), "c1": pricing("1200.0", "JPY", "1500.0")},
        {"id": gid(2), "c0": pricing("10.5", "USD"), "c1": pricing("1200.5", "JPY")},
    ]

    assert list(relative_prices([EUR, JPY], lines, findings)) == [
        ListedPrice("7", "1", 1050, None, relative=True), ListedPrice("8", "1", 1200, 1500, relative=True),
    ]  # fmt: skip
    assert noted(findings) == [("2", "price_list.8")]


def test_a_line_of_something_else_ends_the_reading() -> None:
    with pytest.raises(CallError):
        list(relative_prices([EUR], [{"id": "gid://shopify/Product/1", "c0": pricing("1.0")}], Findings(())))


def test_a_fixed_price_in_another_currency_is_a_fault_and_a_relative_one_is_only_unknown() -> None:
    shown = ShownPrice("USD", 5, None)

    fixed, relative = (in_currency("1", shown, "EUR", relative=each) for each in (False, True))

    assert (fixed.unit_amount, fixed.fault, fixed.relative) == (
        None,
        "the price is in USD, the price list in EUR",
        False,
    )
    assert (relative.unit_amount, relative.fault, relative.relative) == (None, None, True)


IDS = st.integers(1, 12).map(str)
PRICES = st.builds(
    ListedPrice, st.sampled_from("ab"), IDS, st.integers(0, 9), st.none() | st.integers(0, 9), st.booleans()
)


@given(st.lists(st.lists(PRICES, max_size=20), max_size=4))
def test_each_listing_is_told_once_per_list_and_fixed_before_relative(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[ListedPrice]]
) -> None:
    staging = ListStaging(tmp_path_factory.mktemp("staging") / "prices.db")
    for batch in batches:
        staging.add(batch)

    told = [price for block in staging.prices() for price in block]
    staging.close()

    given_ = [price for batch in batches for price in batch]
    keys = [(price.price_list, price.external_id) for price in told]
    assert sorted(keys) == sorted({(price.price_list, price.external_id) for price in given_})
    for price in told:
        same = [each for each in given_ if (each.price_list, each.external_id) == (price.price_list, price.external_id)]
        assert price in same
        assert price.relative == all(each.relative for each in same)


def test_the_file_is_gone_with_the_reading(tmp_path: Path) -> None:
    staging = ListStaging(tmp_path / "prices.db")
    staging.add(ListedPrice("7", str(n), n, None, relative=True) for n in range(BLOCK + 1))

    assert [len(block) for block in staging.prices()] == [BLOCK, 1]
    staging.close()
    staging.close()

    assert list(tmp_path.iterdir()) == []
    with pytest.raises(sqlite3.ProgrammingError):
        list(staging.prices())


def test_many_findings_are_counted() -> None:
    findings = Findings(())
    for number in range(FINDINGS_PER_RULE + 5):
        findings.add(str(number), "price_list.7", "it is odd")

    assert len(findings.all()) == FINDINGS_PER_RULE + 1
    assert findings.all()[-1].rule == "5 further values"


def test_contexts_are_written_as_the_store_reads_them() -> None:
    place = "gid://shopify/CompanyLocation/5"
    text = export_of([BuyerContext("DE"), BuyerContext(location=place)]).text

    assert "c0: contextualPricing(context: {country: DE})" in text
    assert f'c1: contextualPricing(context: {{companyLocationId: "{place}"}})' in text
    assert BuyerContext("DE").variable == {"country": "DE"}
    assert BuyerContext(location=place).variable == {"companyLocationId": place}
    assert "$c0: CountryCode!, $c1: CountryCode!)" in call_for(2).text


def test_pages_are_followed_to_the_end(store: ScriptedStore, client: ShopifyClient) -> None:
    def page(call: SentCall) -> httpx2.Response:
        number = int(call.variables["after"] or 0)
        info = {"hasNextPage": number < 2, "endCursor": str(number + 1)}
        return answers({"priceList": {"prices": {"nodes": [{"n": number}], "pageInfo": info}}})(call)

    store.on(FIXED_PRICES.name, page)

    found = read_pages(client, FIXED_PRICES, {"id": "x"}, lambda data: data["priceList"]["prices"], points=25)

    assert [each["n"] for nodes in found for each in nodes] == [0, 1, 2]
    assert [call.variables for call in store.sent(FIXED_PRICES.name)] == [
        {"id": "x", "after": after} for after in (None, "1", "2")
    ]


def test_a_store_that_shows_one_page_for_ever_is_not_followed(store: ScriptedStore, client: ShopifyClient) -> None:
    info = {"hasNextPage": True, "endCursor": "same"}
    store.on(FIXED_PRICES.name, {"priceList": {"prices": {"nodes": [], "pageInfo": info}}})

    with pytest.raises(CallError) as caught:
        list(read_pages(client, FIXED_PRICES, {}, lambda data: data["priceList"]["prices"], points=25))

    assert "same page" in caught.value.message


@pytest.mark.parametrize("answer", [{"priceList": None}, {"priceList": {"currency": "USD", "prices": {}}}])
def test_a_list_that_changes_while_it_is_read_is_read_again_later(
    store: ScriptedStore, client: ShopifyClient, tmp_path: Path, answer: dict[str, Any]
) -> None:
    shown = {"id": "gid://shopify/PriceList/7", "name": "Euro", "currency": "EUR", "fixedPricesCount": 3}
    store.on("CalibrPriceLists", {"priceLists": {"nodes": [shown], "pageInfo": LAST}})
    store.on("CalibrMarkets", {"markets": {"nodes": [], "pageInfo": LAST}})
    store.on(FIXED_PRICES.name, answer)
    reader = PriceListReader(client, StoreMarkets(client, ShopCurrency(client)))

    with pytest.raises(CallError) as caught:
        reader.read(tmp_path, lambda _stage, _done, _total: None)

    assert (caught.value.code, caught.value.retryable) == ("upstream.unavailable", True)
    assert list(tmp_path.iterdir()) == []


BOUGHT = json.dumps({"id": gid(1), "c0": pricing("10.5")})


@pytest.mark.parametrize("content", [f"{BOUGHT}\n{BOUGHT[:30]}", f"{BOUGHT}\n[]\n", f"{BOUGHT}\n"])
def test_a_file_that_is_not_whole_is_not_half_a_reading(
    store: ScriptedStore, client: ShopifyClient, tmp_path: Path, content: str
) -> None:
    """The last file is sound, but the store said that there are two objects."""
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
    region = {"code": "DE", "currency": {"currencyCode": "EUR"}}
    market = {
        "id": "gid://shopify/Market/5", "name": "Germany", "status": "ACTIVE",
        "currencySettings": {"baseCurrency": {"currencyCode": "EUR"}},
        "conditions": {"regionsCondition": {"regions": {"nodes": [region]}}},
    }  # fmt: skip
    operation = {"id": "gid://shopify/BulkOperation/9", "status": "COMPLETED", "objectCount": "2", "fileSize": None}
    store.on("CalibrPriceLists", {"priceLists": {"nodes": [shown], "pageInfo": LAST}})
    store.on("CalibrMarkets", {"markets": {"nodes": [market], "pageInfo": LAST}})
    store.on(FIXED_PRICES.name, {"priceList": {"currency": "EUR", "prices": {"nodes": [], "pageInfo": LAST}}})
    store.on("CalibrStartBulkQuery", {"bulkOperationRunQuery": {"bulkOperation": operation, "userErrors": []}})
    store.on("CalibrBulkOperation", {"bulkOperation": operation | {"url": "https://files.example/result"}})
    store.on("GET", lambda _call: httpx2.Response(200, content=content.encode()))
    reader = PriceListReader(client, StoreMarkets(client, ShopCurrency(client)))

    with pytest.raises(CallError):
        reader.read(tmp_path, lambda _stage, _done, _total: None)

    assert list(tmp_path.iterdir()) == []
