"""Promises about writing to a store that works."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from calibr.connectors.conformance.store import BookCheck, StoredPrice, StoreUnderTest, expect, neighbors, write_to
from calibr.connectors.port import WriteOutcome
from calibr.connectors.port.price_lists import PriceBook
from calibr.core.errors import Invalid

_ASKED: Final = 2468


def writes_are_absolute(book: PriceBook, store: StoreUnderTest) -> None:
    """The same write twice is the same price, and the answer shows it."""
    listing = store.listings()[0]
    for _ in range(2):
        (result,) = book.write_prices([write_to(store, listing, _ASKED)])
        expect(result.outcome is WriteOutcome.WRITTEN, f"a valid write ended as {result}")
        expect(
            result.observed is not None and result.observed.unit_amount == _ASKED, f"the answer shows {result.observed}"
        )
        expect(store.price_of(listing.external_id).unit_amount == _ASKED, "the store holds another price")


def only_what_was_asked_changes(book: PriceBook, store: StoreUnderTest) -> None:
    """Other listings, those of the same group too, stay as they are."""
    first, second = neighbors(store)
    store.edit(second.external_id, StoredPrice(777, 888))
    book.write_prices([write_to(store, first, 3579)])
    expect(store.price_of(second.external_id) == StoredPrice(777, 888), "a neighbor was changed")


def compare_at_is_set_left_alone_or_cleared(book: PriceBook, store: StoreUnderTest) -> None:
    """Three values: a number, null, and not touched. Null is never zero, and zero is never null."""
    listing = store.listings()[1]
    steps = ((5000, True, 5000), (None, False, 5000), (None, True, None), (0, True, 0), (None, True, None))
    for compare_at, touch, expected in steps:
        (result,) = book.write_prices([write_to(store, listing, 2500, compare_at=compare_at, touch=touch)])
        expect(result.outcome is WriteOutcome.WRITTEN, f"writing compare-at {compare_at} ended as {result}")
        held = store.price_of(listing.external_id)
        expect(held == StoredPrice(2500, expected), f"after {compare_at} (touched: {touch}) the store holds {held}")


def each_write_has_one_result_in_order(book: PriceBook, store: StoreUnderTest) -> None:
    """Whatever calls the writes become, results come back one for one."""
    writes = [write_to(store, listing, 1000 + n) for n, listing in enumerate(reversed(store.listings()[:40]))]
    results = book.write_prices(iter(writes))
    expect([r.external_id for r in results] == [w.external_id for w in writes], "results and writes do not correspond")
    expect({r.outcome for r in results} == {WriteOutcome.WRITTEN}, f"valid writes ended as {results}")
    expect(book.write_prices([]) == [], "no writes have results")


def a_refused_row_does_not_stop_its_neighbors(book: PriceBook, store: StoreUnderTest) -> None:
    """A row that the store does not take is rejected by code; the rest of its group is written."""
    first, second = neighbors(store)
    gone = replace(first, external_id=store.missing_listing)
    writes = [write_to(store, gone, 100), write_to(store, first, 1357), write_to(store, second, _ASKED)]
    refused, *written = book.write_prices(writes)
    expect(refused.outcome is WriteOutcome.REJECTED, f"a write to nothing ended as {refused}")
    expect(refused.code and refused.message, "a rejection says neither code nor reason")
    expect([r.outcome for r in written] == [WriteOutcome.WRITTEN] * 2, f"the neighbors ended as {written}")
    expect(store.price_of(second.external_id).unit_amount == _ASKED, "a neighbor was not written")


def a_listing_that_comes_twice_is_refused_whole(book: PriceBook, store: StoreUnderTest) -> None:
    """Which of two writes would win is undefined, so neither is sent."""
    first, second = neighbors(store)
    before = store.price_of(second.external_id)
    twice = [write_to(store, second, 9999), write_to(store, first, 1), write_to(store, first, 2)]
    try:
        book.write_prices(twice)
    except Invalid:
        expect(store.price_of(second.external_id) == before, "something was written all the same")
        return
    raise AssertionError("two writes to one listing were accepted")


def a_price_in_another_currency_is_rejected(book: PriceBook, store: StoreUnderTest) -> None:
    """A number of another currency never reaches the store."""
    listing = store.listings()[2]
    before = store.price_of(listing.external_id)
    (result,) = book.write_prices([replace(write_to(store, listing, 4444), currency=store.other_currency)])
    expect(result.outcome is WriteOutcome.REJECTED, f"it ended as {result}")
    expect(store.price_of(listing.external_id) == before, "it was written")


def a_negative_amount_is_rejected(book: PriceBook, store: StoreUnderTest) -> None:
    """A book does not rely on the store to refuse nonsense."""
    listing = store.listings()[2]
    (result,) = book.write_prices([write_to(store, listing, -1)])
    expect(result.outcome is WriteOutcome.REJECTED, f"it ended as {result}")


def calls_from_several_threads_do_not_mix(book: PriceBook, store: StoreUnderTest) -> None:
    """One instance serves all threads of a process."""
    listings = store.listings()[:8]
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(book.write_prices, [write_to(store, x, 600 + n)]) for n, x in enumerate(listings)]
        results = [job.result()[0] for job in jobs]
    expect({r.outcome for r in results} == {WriteOutcome.WRITTEN}, f"concurrent writes ended as {results}")
    held = [store.price_of(listing.external_id).unit_amount for listing in listings]
    expect(held == [600 + n for n in range(len(listings))], f"concurrent writes left {held}")


BASE_CHECKS: tuple[BookCheck, ...] = (compare_at_is_set_left_alone_or_cleared,)
"""Promises of base prices alone: a fixed price of a list is written whole."""

BOOK_CHECKS: tuple[BookCheck, ...] = (
    writes_are_absolute,
    only_what_was_asked_changes,
    each_write_has_one_result_in_order,
    a_refused_row_does_not_stop_its_neighbors,
    a_listing_that_comes_twice_is_refused_whole,
    a_price_in_another_currency_is_rejected,
    a_negative_amount_is_rejected,
    calls_from_several_threads_do_not_mix,
)
