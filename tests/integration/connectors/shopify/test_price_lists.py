"""Price lists and markets of a sandbox store: read whole, changed row by row, and what goes wrong."""

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from list_shop import SCOPES, ListShop
from sandbox_process import Sandbox, sandbox

from calibr.connectors.port import PriceWrite, RemotePrice, WriteOutcome, WriteResult
from calibr.connectors.port.price_lists import (
    Audience,
    HasPriceLists,
    ListedPrice,
    PriceListReading,
    QuantityBreak,
    RemotePriceList,
)
from calibr.connectors.shopify import ShopifyConnector
from calibr.connectors.shopify.config import parse_config
from calibr.connectors.shopify.list_breaks import QUANTITY_BREAKS
from calibr.core.errors import Invalid, Upstream

PRODUCTS = 60
MARKETS = "EU:EUR:10,UK:GBP,JP:JPY:-5"
WRITTEN, REJECTED, RETRY, UNKNOWN = (
    WriteOutcome.WRITTEN,
    WriteOutcome.REJECTED,
    WriteOutcome.RETRY,
    WriteOutcome.UNKNOWN,
)
UPDATE = "CalibrUpdateFixedPrices"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    scopes = [word for scope in SCOPES for word in ("--scope", scope)]
    options = ("--products", str(PRODUCTS), "--bulk-delay", "0.02", "--markets", MARKETS)
    with sandbox(tmp_path_factory.mktemp("shop"), *options, *scopes) as running:
        yield running


@pytest.fixture
def store(shop: Sandbox) -> Iterator[Sandbox]:
    yield shop
    shop.heal()


@pytest.fixture
def merchant(store: Sandbox) -> ListShop:
    return ListShop(store)


@pytest.fixture
def connector(store: Sandbox) -> Iterator[ShopifyConnector]:
    config = parse_config({"shop_url": store.url}, {"access_token": "shpat_test"})
    made = ShopifyConnector(config, call_s=8.0)
    yield made
    made.close()


def ignore(_stage: str, _done: int, _total: int | None) -> None:
    """Progress that nobody follows."""


def read(connector: ShopifyConnector, work_dir: Path) -> tuple[PriceListReading, list[ListedPrice]]:
    reading = connector.read_price_lists(work_dir, ignore)
    return reading, [price for block in reading.prices() for price in block]


def named(reading: PriceListReading, name: str) -> RemotePriceList:
    return next(each for each in reading.price_lists if each.name == name)


def write(
    external_id: str, unit_amount: int | None, compare_at: int | None = None, currency: str = "EUR"
) -> PriceWrite:
    return PriceWrite(external_id, "1", currency, unit_amount, compare_at, write_compare_at=True)


def outcomes(results: list[WriteResult]) -> list[tuple[WriteOutcome, str | None]]:
    return [(result.outcome, result.code) for result in results]


def scaled(text: str | None, factor: str, decimals: int) -> int | None:
    if text is None:
        return None
    amount = Decimal(text) * Decimal(factor) * 10**decimals
    return int(amount.to_integral_value(ROUND_HALF_UP))


@pytest.fixture
def eu(connector: ShopifyConnector, tmp_path: Path) -> tuple[str, list[str], list[str]]:
    """The list of the euro market, listings with a fixed price in it, and others."""
    reading, prices = read(connector, tmp_path)
    price_list = named(reading, "EU").external_id
    reading.close()
    own = [price for price in prices if price.price_list == price_list]
    return (
        price_list,
        [price.external_id for price in own if not price.relative],
        [price.external_id for price in own if price.relative],
    )


def test_the_connector_has_price_lists(connector: ShopifyConnector) -> None:
    assert isinstance(connector, HasPriceLists)


def test_lists_and_markets_are_told(connector: ShopifyConnector, tmp_path: Path) -> None:
    reading, _ = read(connector, tmp_path)
    uk = named(reading, "UK")
    market = next(each for each in reading.markets if each.name == "UK")

    assert (uk.currency, uk.audience, uk.active) == ("GBP", Audience.MARKET, True)
    assert (named(reading, "EU").adjustment_ppm, named(reading, "JP").adjustment_ppm) == (100_000, -50_000)
    assert (market.currency, market.countries, market.price_lists) == ("GBP", ("GB",), (uk.external_id,))
    assert len(next(each for each in reading.markets if each.name == "EU").countries) == 18
    assert reading.findings() == []
    reading.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "factor", "decimals"), [("UK", "1", 2), ("JP", "0.95", 0)])
def test_every_listing_has_its_fixed_price_or_what_buyers_pay_instead(
    store: Sandbox, connector: ShopifyConnector, tmp_path: Path, name: str, factor: str, decimals: int
) -> None:
    reading, prices = read(connector, tmp_path)
    price_list = named(reading, name)
    own = {price.external_id: price for price in prices if price.price_list == price_list.external_id}

    assert len(own) == len([price for price in prices if price.price_list == price_list.external_id]) == PRODUCTS
    assert sum(not price.relative for price in own.values()) == price_list.fixed_prices == PRODUCTS // 10
    for external_id, price in own.items():
        base = store.variant(external_id)
        kept = factor if price.relative else "1.1"
        assert price.unit_amount == scaled(base["price"], kept, decimals)
        assert price.compare_at == scaled(base["compare_at_price"], kept, decimals)


def test_the_book_of_a_list_says_what_the_reading_said(connector: ShopifyConnector, tmp_path: Path) -> None:
    reading, prices = read(connector, tmp_path)
    for price_list in reading.price_lists[:3]:
        own = {each.external_id: each for each in prices if each.price_list == price_list.external_id}

        told = connector.price_book(price_list.external_id).read_prices([*own, "999"], price_list.currency)

        assert told == {
            who: RemotePrice(who, price_list.currency, each.unit_amount, each.compare_at, None, each.relative)
            for who, each in own.items()
        }


def test_a_list_of_a_company_has_its_own_prices_and_quantity_breaks(
    store: Sandbox, merchant: ListShop, connector: ShopifyConnector, tmp_path: Path
) -> None:
    hotel = merchant.price_list("Hotel", "USD", compare_at_mode="NULLIFY")
    merchant.for_company(hotel)
    fixed, other = [str(45100000000001 + n) for n in range(2)]
    merchant.fix(hotel, fixed, "5.00", "7.50")
    merchant.breaks(hotel, fixed, q10="4.00", q100="3.5")

    reading, prices = read(connector, tmp_path)
    found, own = named(reading, "Hotel"), {p.external_id: p for p in prices if p.price_list == hotel}

    assert (found.audience, found.active, found.adjusts_compare_at, found.adjustment_ppm) == (
        Audience.COMPANY, True, False, -200_000,
    )  # fmt: skip
    assert own[fixed] == ListedPrice(hotel, fixed, 500, 750, relative=False)
    assert own[other] == ListedPrice(
        hotel, other, scaled(store.variant(other)["price"], "0.8", 2) or 0, None, relative=True
    )
    assert [each for block in reading.quantity_breaks() for each in block] == [
        QuantityBreak(hotel, fixed, 10, 400), QuantityBreak(hotel, fixed, 100, 350),
    ]  # fmt: skip
    assert connector.price_book(hotel).read_prices([fixed], "USD") == {fixed: RemotePrice(fixed, "USD", 500, 750)}


def test_a_fixed_price_with_quantity_breaks_is_not_taken_away(merchant: ListShop, connector: ShopifyConnector) -> None:
    """They would go with it, and it does not matter when they came: the store is asked right before."""
    guests = merchant.price_list("Guests", "USD")
    merchant.for_company(guests)
    broken, plain = [str(45100000000001 + n) for n in range(2)]
    for variant in (broken, plain):
        merchant.fix(guests, variant, "5.00")
    book = connector.price_book(guests)
    book.read_prices([broken, plain], "USD")
    merchant.breaks(guests, broken, q10="4.00")

    def take_away(*variants: str) -> list[tuple[WriteOutcome, str | None]]:
        return outcomes(book.write_prices([write(each, None, currency="USD") for each in variants]))

    assert take_away(broken, plain) == [(REJECTED, QUANTITY_BREAKS), (WRITTEN, None)]
    told = book.read_prices([broken, plain], "USD")
    assert (told[broken].relative, told[plain].relative) == (False, True)
    merchant.delete(guests)
    assert take_away(broken) == [(REJECTED, "PRICE_LIST_NOT_FOUND")]


def test_a_list_that_nobody_is_sold_by_has_its_fixed_prices_only(
    merchant: ListShop, connector: ShopifyConnector, tmp_path: Path
) -> None:
    alone = merchant.price_list("Alone", "EUR")
    fixed, other = [str(45100000000001 + n) for n in range(2)]
    merchant.fix(alone, fixed, "5.00")

    reading, prices = read(connector, tmp_path)
    told = connector.price_book(alone).read_prices([fixed, other, "999"], "EUR")

    assert (named(reading, "Alone").audience, named(reading, "Alone").active) == (Audience.NOBODY, False)
    assert [p for p in prices if p.price_list == alone] == [ListedPrice(alone, fixed, 500, None, relative=False)]
    assert told == {
        fixed: RemotePrice(fixed, "EUR", 500, None), other: RemotePrice(other, "EUR", None, None, relative=True),
    }  # fmt: skip


def test_a_price_is_fixed_and_follows_the_base_price_again(
    store: Sandbox, connector: ShopifyConnector, eu: tuple[str, list[str], list[str]]
) -> None:
    price_list, fixed, relative = eu
    book, one = connector.price_book(price_list), relative[0]
    before = book.read_prices([one], "EUR")[one]

    assert outcomes(book.write_prices([write(one, 1234, 2345)])) == [(WRITTEN, None)]
    assert book.read_prices([one], "EUR")[one] == RemotePrice(one, "EUR", 1234, 2345)
    assert outcomes(book.write_prices([write(one, 0)])) == [(WRITTEN, None)]
    assert book.read_prices([one], "EUR")[one] == RemotePrice(one, "EUR", 0, None)
    (gone,) = book.write_prices([write(one, None)])
    assert gone.observed == RemotePrice(one, "EUR", None, None, relative=True)
    assert book.read_prices([one], "EUR")[one] == before
    assert before.relative
    assert before.unit_amount == scaled(store.variant(one)["price"], "1.1", 2)
    assert not book.read_prices(fixed[:1], "EUR")[fixed[0]].relative


def test_what_is_not_fixed_any_more_was_taken_away_by_somebody_else(
    connector: ShopifyConnector, eu: tuple[str, list[str], list[str]]
) -> None:
    price_list, fixed, relative = eu
    book = connector.price_book(price_list)

    results = book.write_prices([write(relative[1], None), write(fixed[1], None), write(relative[2], 500)])

    assert outcomes(results) == [(RETRY, "PRICE_NOT_FIXED"), (WRITTEN, None), (WRITTEN, None)]
    told = book.read_prices([relative[1], fixed[1], relative[2]], "EUR")
    assert [told[each].relative for each in (relative[1], fixed[1], relative[2])] == [True, True, False]


def test_refused_rows_do_not_stop_their_neighbors(
    connector: ShopifyConnector, eu: tuple[str, list[str], list[str]]
) -> None:
    price_list, _, relative = eu
    book = connector.price_book(price_list)
    too_much = 10**19

    results = book.write_prices([
        write(relative[3], 111), write("999", 5), write(relative[4], 5, currency="USD"), write("998", None),
        write(relative[5], 222, 333), write(relative[6], too_much * 100),
    ])  # fmt: skip

    assert outcomes(results)[:5] == [
        (WRITTEN, None), (REJECTED, "VARIANT_NOT_FOUND"), (REJECTED, "currency_mismatch"),
        (REJECTED, "VARIANT_NOT_FOUND"), (WRITTEN, None),
    ]  # fmt: skip
    assert results[5].outcome is REJECTED
    told = book.read_prices(relative[3:7], "EUR")
    assert [(told[each].unit_amount, told[each].relative) for each in (relative[3], relative[5])] == [
        (111, False), (222, False),
    ]  # fmt: skip
    assert [told[each].relative for each in (relative[4], relative[6])] == [True, True]


def test_a_lost_answer_is_unknown_and_a_lost_call_too(
    store: Sandbox, connector: ShopifyConnector, eu: tuple[str, list[str], list[str]]
) -> None:
    price_list, _, relative = eu
    book, lost_call, lost_answer = connector.price_book(price_list), relative[7], relative[8]
    store.fault("drop_before_commit", operations=[UPDATE], count=1)
    assert outcomes(book.write_prices([write(lost_call, 777)])) == [(UNKNOWN, "upstream.unreachable")]
    store.heal()
    store.fault("drop_after_commit", operations=[UPDATE], count=1)
    assert outcomes(book.write_prices([write(lost_answer, 888)])) == [(UNKNOWN, "upstream.unreachable")]
    store.heal()

    told = book.read_prices([lost_call, lost_answer], "EUR")

    assert (told[lost_call].relative, told[lost_answer]) == (True, RemotePrice(lost_answer, "EUR", 888, None))


def test_a_store_that_slows_down_is_waited_for_or_gives_the_rows_back(
    store: Sandbox, connector: ShopifyConnector, eu: tuple[str, list[str], list[str]]
) -> None:
    price_list, _, relative = eu
    book = connector.price_book(price_list)
    store.fault("throttle", operations=[UPDATE], count=1)
    assert outcomes(book.write_prices([write(relative[9], 999)])) == [(WRITTEN, None)]
    store.heal()
    store.fault("too_many_requests", retry_after_s=60)

    assert outcomes(book.write_prices([write(relative[9], 1)])) == [(RETRY, "upstream.throttled")]


def test_an_outage_while_reading_is_an_error_that_may_pass(
    store: Sandbox, connector: ShopifyConnector, eu: tuple[str, list[str], list[str]], tmp_path: Path
) -> None:
    store.fault("server_error")

    with pytest.raises(Upstream) as caught:
        connector.price_book(eu[0]).read_prices(eu[1], "EUR")
    assert caught.value.retryable
    with pytest.raises(Upstream) as caught:
        connector.read_price_lists(tmp_path / "other", ignore)
    assert caught.value.retryable


def test_a_list_that_is_gone_says_so(merchant: ListShop, connector: ShopifyConnector) -> None:
    short = merchant.price_list("Short", "EUR")
    book = connector.price_book(short)
    assert len(book.read_prices(["45100000000001"], "EUR")) == 1
    merchant.delete(short)

    with pytest.raises(Upstream) as caught:
        book.read_prices(["45100000000001"], "EUR")
    assert (caught.value.code, caught.value.retryable) == ("upstream.price_list_gone", False)
    assert outcomes(book.write_prices([write("45100000000001", 5), write("45100000000002", None)])) == [
        (REJECTED, "PRICE_LIST_NOT_FOUND")
    ] * 2  # fmt: skip


def test_a_list_that_changed_its_currency_is_not_misread(merchant: ListShop, connector: ShopifyConnector) -> None:
    moved = merchant.price_list("Moved", "EUR")
    book = connector.price_book(moved)
    assert outcomes(book.write_prices([write("45100000000001", 500)])) == [(WRITTEN, None)]
    merchant.change_currency(moved, "GBP")

    with pytest.raises(Upstream) as caught:
        book.read_prices(["45100000000001"], "EUR")
    assert (caught.value.code, caught.value.retryable) == ("upstream.protocol", False)
    assert "GBP" in caught.value.message
    assert outcomes(book.write_prices([write("45100000000001", 500)])) == [(REJECTED, "currency_mismatch")]


def test_what_buyers_pay_is_told_by_country(store: Sandbox, connector: ShopifyConnector) -> None:
    one = "45100000000017"  # no list has a fixed price for it
    base = store.variant(one)

    told = connector.read_market_prices([one, "999"], ["DE", "GB", "JP", "US"])

    assert [list(prices) for prices in told.values()] == [[one]] * 4
    assert {country: (prices[one].currency, prices[one].unit_amount) for country, prices in told.items()} == {
        "DE": ("EUR", scaled(base["price"], "1.1", 2)), "GB": ("GBP", scaled(base["price"], "1", 2)),
        "JP": ("JPY", scaled(base["price"], "0.95", 0)), "US": ("USD", scaled(base["price"], "1", 2)),
    }  # fmt: skip


def test_many_countries_take_several_calls(connector: ShopifyConnector, eu: tuple[str, list[str], list[str]]) -> None:
    countries = ["AT", "BE", "DE", "EE", "ES", "FI", "FR", "GR", "IE", "IT"]

    told = connector.read_market_prices(eu[2], countries)

    assert list(told) == countries
    assert {len(prices) for prices in told.values()} == {len(eu[2])}


@pytest.mark.parametrize("country", ["de", "DEU", "D1", ""])
def test_what_is_no_country_is_not_asked(connector: ShopifyConnector, country: str) -> None:
    with pytest.raises(Invalid) as caught:
        connector.read_market_prices(["1"], ["DE", country])

    assert caught.value.code == "connector.country"


def test_what_is_no_list_is_not_asked(connector: ShopifyConnector) -> None:
    with pytest.raises(Invalid):
        connector.price_book("gid://shopify/PriceList/1")


def test_without_the_scope_lists_cannot_be_read(tmp_path: Path) -> None:
    with sandbox(tmp_path, "--products", "3", "--markets", MARKETS, "--scope", "write_products") as store:
        connector = store.connect()
        try:
            with pytest.raises(Upstream) as caught:
                connector.read_price_lists(tmp_path, ignore)
            problems = connector.check().problems
        finally:
            connector.close()

    assert (caught.value.code, caught.value.retryable) == ("upstream.unauthorized", False)
    assert "scope" in caught.value.message
    assert any("read_markets" in problem for problem in problems)


def test_an_estimate_counts_rows_and_not_products(connector: ShopifyConnector) -> None:
    book = connector.price_book("1")

    assert book.estimate([1] * 500) == book.estimate([500])
    assert book.estimate([500]).calls == 2 + 4 * 2
    assert book.bulk is None
    assert book.request_timeout_s == connector.request_timeout_s
