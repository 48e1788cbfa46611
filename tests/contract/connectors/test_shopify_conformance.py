"""The Shopify connector passes the suite of the port, against the sandbox store."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from calibr.connectors.conformance import (
    BOOK_CHECKS,
    CHECKS,
    BookCheck,
    Check,
    Damage,
    Listing,
    StoredPrice,
    failures,
    reading,
    writing,
)
from calibr.connectors.port import Connector, PriceWrite, RemotePrice, WriteOutcome, WriteResult
from calibr.connectors.shopify import ShopifyConnector
from calibr.connectors.shopify.config import parse_config
from calibr.connectors.shopify.money import read_amount, write_amount
from calibr.core.errors import Upstream

sys.path.insert(0, str(Path(__file__).parents[2] / "integration" / "connectors" / "shopify"))
from sandbox_process import TOKEN, Sandbox, sandbox

FAULTS = {
    Damage.LOST_CALL: "drop_before_commit",
    Damage.LOST_ANSWER: "drop_after_commit",
    Damage.SLOW_DOWN: "throttle",
    Damage.OUTAGE: "server_error",
}


class SandboxUnderTest:
    """The sandbox store's back door, in the words of the suite."""

    currency = "USD"
    other_currency = "JPY"
    missing_listing = "999"

    def __init__(self, store: Sandbox, listings: Sequence[Listing]) -> None:
        self._store = store
        self._listings = listings

    def listings(self) -> Sequence[Listing]:
        return self._listings

    def price_of(self, external_id: str) -> StoredPrice:
        held = self._store.variant(external_id)
        compare_at = held["compare_at_price"]
        return StoredPrice(_minor(held["price"]), None if compare_at is None else _minor(compare_at))

    def edit(self, external_id: str, price: StoredPrice) -> None:
        compare_at = None if price.compare_at is None else write_amount(price.compare_at, self.currency)
        self._store.edit(external_id, price=write_amount(price.unit_amount, self.currency), compareAtPrice=compare_at)

    def damage(self, kind: Damage, *, times: int | None = None) -> None:
        self._store.fault(FAULTS[kind], count=times)

    def heal(self) -> None:
        self._store.heal()


def _minor(text: str) -> int:
    amount = read_amount(text, "USD")
    assert isinstance(amount, int)
    return amount


def call(store: Sandbox, query: str, variables: dict[str, str]) -> dict[str, Any]:
    """Ask the store past the connector."""
    body, headers = {"query": query, "variables": variables}, {"X-Shopify-Access-Token": TOKEN}
    found: dict[str, Any] = store.http.post("/admin/api/2026-10/graphql.json", json=body, headers=headers).json()[
        "data"
    ]
    return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(
        tmp_path_factory.mktemp("shop"), "--products", "60", "--bulk-delay", "0.05", "--markets", "EU:EUR"
    ) as store:
        yield store


@pytest.fixture(scope="module")
def listings(running: Sandbox) -> list[Listing]:
    query = "{ products(first: 50) { nodes { id variants(first: 100) { nodes { id } } } } }"
    return [
        Listing(variant["id"].rpartition("/")[2], product["id"].rpartition("/")[2])
        for product in call(running, query, {})["products"]["nodes"]
        for variant in product["variants"]["nodes"]
    ]


@pytest.fixture
def connector(running: Sandbox) -> Iterator[ShopifyConnector]:
    config = parse_config({"shop_url": running.url}, {"access_token": TOKEN})
    made = ShopifyConnector(config, call_s=8.0)
    yield made
    made.close()


@pytest.fixture
def store(running: Sandbox, listings: list[Listing]) -> Iterator[SandboxUnderTest]:
    under_test = SandboxUnderTest(running, listings)
    yield under_test
    under_test.heal()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(check: Check, connector: ShopifyConnector, store: SandboxUnderTest) -> None:
    check(connector, store)


class ListUnderTest(SandboxUnderTest):
    """One price list of the store, in which every listing has a fixed price."""

    currency = "EUR"

    def __init__(self, store: Sandbox, listings: Sequence[Listing], price_list: str) -> None:
        super().__init__(store, listings)
        self.external_id = price_list
        for listing in listings:
            self.edit(listing.external_id, StoredPrice(1000, None))

    def price_of(self, external_id: str) -> StoredPrice:
        query = """query($id: ID!, $which: String) { priceList(id: $id) { prices(first: 1, query: $which) {
          nodes { price { amount } compareAtPrice { amount } } } } }"""
        variables = {"id": f"gid://shopify/PriceList/{self.external_id}", "which": f"variant_id:{external_id}"}
        (node,) = call(self._store, query, variables)["priceList"]["prices"]["nodes"]
        compare_at = node["compareAtPrice"]
        return StoredPrice(
            _minor(node["price"]["amount"]), None if compare_at is None else _minor(compare_at["amount"])
        )

    def edit(self, external_id: str, price: StoredPrice) -> None:
        compare_at = None if price.compare_at is None else write_amount(price.compare_at, self.currency)
        amount = write_amount(price.unit_amount, self.currency)
        edit = {"variant": external_id, "price": amount, "compareAtPrice": compare_at}
        self._store.control("POST", f"price-lists/{self.external_id}/prices", {"prices": [edit]})

    def damage(self, kind: Damage, *, times: int | None = None) -> None:
        self._store.fault(FAULTS[kind], count=times, operations=PRICE_CALLS)


PRICE_CALLS = ["CalibrFixedPrices", "CalibrUpdateFixedPrices"]


@pytest.fixture
def price_list(running: Sandbox, listings: list[Listing]) -> Iterator[ListUnderTest]:
    nodes = call(running, "{ priceLists(first: 1) { nodes { id } } }", {})["priceLists"]["nodes"]
    under_test = ListUnderTest(running, listings, nodes[0]["id"].rpartition("/")[2])
    yield under_test
    under_test.heal()


@pytest.mark.parametrize("check", BOOK_CHECKS, ids=lambda check: check.__name__)
def test_conformance_of_a_price_list(check: BookCheck, connector: ShopifyConnector, price_list: ListUnderTest) -> None:
    check(connector.price_book(price_list.external_id), price_list)


class Optimist:
    """A connector that takes silence for success, reads nothing as no price, and repeats lost writes."""

    def __init__(self, honest: ShopifyConnector) -> None:
        self._honest = honest

    def __getattr__(self, name: str) -> object:
        return getattr(self._honest, name)

    def write_prices(self, writes: Iterable[PriceWrite]) -> list[WriteResult]:
        listed = list({write.external_id: write for write in writes}.values())
        results = self._honest.write_prices(listed)
        lost = {result.external_id for result in results if result.outcome is WriteOutcome.UNKNOWN}
        self._honest.write_prices([write for write in listed if write.external_id in lost])
        return [replace(result, outcome=WriteOutcome.WRITTEN) for result in results]

    def read_prices(self, external_ids: Sequence[str], currency: str) -> dict[str, RemotePrice]:
        try:
            return self._honest.read_prices(external_ids, currency)
        except Upstream:
            return {}


@pytest.mark.parametrize(
    "check",
    [
        failures.a_lost_answer_is_unknown,
        failures.a_lost_call_is_not_repeated_blindly,
        failures.an_outage_is_never_written,
        failures.an_outage_while_reading_is_a_retryable_error,
        reading.another_currency_is_refused,
        writing.a_refused_row_does_not_stop_its_neighbors,
        writing.a_listing_that_comes_twice_is_refused_whole,
        writing.a_price_in_another_currency_is_rejected,
    ],
    ids=lambda check: check.__name__,
)
def test_a_connector_that_breaks_a_promise_does_not_pass(
    check: Check, connector: ShopifyConnector, store: SandboxUnderTest
) -> None:
    with pytest.raises(AssertionError):
        check(cast("Connector", Optimist(connector)), store)
