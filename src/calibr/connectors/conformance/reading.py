"""Promises about reading: health, prices, the catalog, estimates."""

import csv
import io
import tempfile
from pathlib import Path

from calibr.connectors.conformance.store import BookCheck, Check, StoredPrice, StoreUnderTest, expect
from calibr.connectors.port import STAGE_COLUMNS, Connector
from calibr.connectors.port.price_lists import PriceBook
from calibr.core.errors import Upstream


def check_describes_a_healthy_store(connector: Connector, store: StoreUnderTest) -> None:
    """A healthy store has no problems and names its currency."""
    health = connector.check()
    expect(health.ok and not health.problems, f"a healthy store has problems: {health.problems}")
    expect(health.currency == store.currency, f"the currency is {store.currency}, not {health.currency}")
    expect(health.latency_ms is not None, "the latency of a healthy store is not told")


def prices_are_read_as_the_store_has_them(book: PriceBook, store: StoreUnderTest) -> None:
    """Each listing comes with exactly the amounts that the store holds, null as null."""
    ids = [listing.external_id for listing in store.listings()]
    prices = book.read_prices(ids, store.currency)
    expect(set(prices) == set(ids), "the answer does not name exactly the listings that were asked for")
    for external_id, price in prices.items():
        held = store.price_of(external_id)
        shown = (price.unit_amount, price.compare_at)
        expect(shown == (held.unit_amount, held.compare_at), f"{external_id} is {held}, but {price} was read")
        expect(price.currency == store.currency, f"{external_id} came in {price.currency}")


def an_edit_by_hand_is_seen_at_once(book: PriceBook, store: StoreUnderTest) -> None:
    """No read is served from memory."""
    external_id = store.listings()[0].external_id
    for edited in (StoredPrice(4321, 5432), StoredPrice(1234, None), StoredPrice(1234, 0)):
        store.edit(external_id, edited)
        price = book.read_prices([external_id], store.currency)[external_id]
        expect(
            (price.unit_amount, price.compare_at) == (edited.unit_amount, edited.compare_at), f"{price}, not {edited}"
        )


def a_listing_that_is_gone_is_absent(book: PriceBook, store: StoreUnderTest) -> None:
    """What the store does not have is left out and is no error."""
    known = store.listings()[0].external_id
    prices = book.read_prices([store.missing_listing, known], store.currency)
    expect(set(prices) == {known}, f"expected {known} alone, got {sorted(prices)}")


def another_currency_is_refused(book: PriceBook, store: StoreUnderTest) -> None:
    """Amounts are never taken for amounts of another currency."""
    try:
        book.read_prices([store.listings()[0].external_id], store.other_currency)
    except Upstream as err:
        expect(not err.retryable, "asking again will not change the currency")
        return
    raise AssertionError(f"prices of a store in {store.currency} were read as {store.other_currency}")


def the_catalog_has_each_listing_once(connector: Connector, store: StoreUnderTest) -> None:
    """A catalog stream holds every listing once, with its price, in the base currency."""
    with tempfile.TemporaryDirectory() as folder:
        stream = connector.read_catalog(Path(folder), lambda _stage, _done, _total: None)
        try:
            text = b"".join(stream.chunks()).decode()
        finally:
            stream.close()
    rows = list(csv.DictReader(io.StringIO(text), STAGE_COLUMNS))
    ids = [row["external_id"] for row in rows]
    expect(len(ids) == len(set(ids)), "a listing comes twice")
    expect({listing.external_id for listing in store.listings()} <= set(ids), "a listing is missing")
    expect(stream.base_price_list.currency == store.currency, f"the base currency is {stream.base_price_list.currency}")
    for row in rows[:50]:
        held = store.price_of(row["external_id"])
        expect(row["unit_amount"] == str(held.unit_amount), f"{row['external_id']} is {held}, not {row['unit_amount']}")


def an_estimate_grows_with_the_work(book: PriceBook, store: StoreUnderTest) -> None:
    """Nothing costs nothing, and more rows never cost less."""
    expect(store.listings(), "the store under test is empty")
    nothing, few, many = (book.estimate([1] * count) for count in (0, 10, 10_000))
    expect((nothing.calls, nothing.points, nothing.seconds) == (0, 0, 0), f"nothing was estimated as {nothing}")
    expect(0 < few.calls < many.calls, f"10 rows take {few.calls} calls and 10,000 rows {many.calls}")
    expect(few.seconds <= many.seconds, f"10 rows take {few.seconds} s and 10,000 rows {many.seconds} s")


CHECKS: tuple[Check, ...] = (
    check_describes_a_healthy_store,
    the_catalog_has_each_listing_once,
)

BOOK_CHECKS: tuple[BookCheck, ...] = (
    prices_are_read_as_the_store_has_them,
    an_edit_by_hand_is_seen_at_once,
    a_listing_that_is_gone_is_absent,
    another_currency_is_refused,
    an_estimate_grows_with_the_work,
)
