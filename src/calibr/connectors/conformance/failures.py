"""Promises about a store that fails: certainly not written, maybe written and worth another try are told apart."""

from typing import Final

from calibr.connectors.conformance.store import BookCheck, Check, Damage, StoredPrice, StoreUnderTest, expect, write_to
from calibr.connectors.port import Connector, WriteOutcome
from calibr.connectors.port.price_lists import PriceBook
from calibr.core.errors import Upstream

_OLD: Final = 1111
_ASKED: Final = 8642
_UNCERTAIN: Final = frozenset({WriteOutcome.UNKNOWN, WriteOutcome.RETRY})


def a_lost_answer_is_unknown(book: PriceBook, store: StoreUnderTest) -> None:
    """Written, but nobody said so: never WRITTEN, never RETRY (that would claim that nothing was written)."""
    listing = store.listings()[3]
    book.read_prices([listing.external_id], store.currency)
    store.damage(Damage.LOST_ANSWER, times=1)
    (result,) = book.write_prices([write_to(store, listing, _ASKED)])
    expect(store.price_of(listing.external_id).unit_amount == _ASKED, "the store under test did not write")
    expect(result.outcome is WriteOutcome.UNKNOWN, f"a write without an answer ended as {result}")
    expect((result.code or "").startswith("upstream."), f"its code is {result.code}")


def a_lost_call_is_not_repeated_blindly(book: PriceBook, store: StoreUnderTest) -> None:
    """A book cannot tell a lost call from a lost answer, so it does not send the write again by itself."""
    listing = store.listings()[3]
    store.edit(listing.external_id, StoredPrice(_OLD, None))
    book.read_prices([listing.external_id], store.currency)
    store.damage(Damage.LOST_CALL, times=1)
    (result,) = book.write_prices([write_to(store, listing, _ASKED)])
    expect(result.outcome in _UNCERTAIN, f"a write without an answer ended as {result}")
    expect(store.price_of(listing.external_id).unit_amount == _OLD, "the write was sent again")


def slowing_down_loses_no_row(book: PriceBook, store: StoreUnderTest) -> None:
    """A store that asks for less gets it; rows are written late or come back to be tried again, nothing else."""
    listings = store.listings()[:8]
    store.damage(Damage.SLOW_DOWN, times=3)
    results = book.write_prices([write_to(store, x, 1500 + n) for n, x in enumerate(listings)])
    for n, (listing, result) in enumerate(zip(listings, results, strict=True)):
        is_written = store.price_of(listing.external_id).unit_amount == 1500 + n
        expected = WriteOutcome.WRITTEN if is_written else WriteOutcome.RETRY
        expect(result.outcome is expected, f"written: {is_written}, but it ended as {result}")
    expect(any(r.outcome is WriteOutcome.WRITTEN for r in results), "three refusals stopped everything")


def a_lasting_slow_down_is_told_as_throttling(book: PriceBook, store: StoreUnderTest) -> None:
    """Waiting has an end: rows come back unsent, with the reason."""
    listing = store.listings()[4]
    book.read_prices([listing.external_id], store.currency)
    store.damage(Damage.SLOW_DOWN)
    (result,) = book.write_prices([write_to(store, listing, 1212)])
    expect(result.outcome is WriteOutcome.RETRY, f"it ended as {result}")
    expect(result.code == "upstream.throttled", f"its code is {result.code}")


def an_outage_is_never_written(book: PriceBook, store: StoreUnderTest) -> None:
    """A failing store leaves rows uncertain or unsent, and works again as soon as it is back."""
    listings = store.listings()[:8]
    book.read_prices([listings[0].external_id], store.currency)
    store.damage(Damage.OUTAGE)
    results = book.write_prices([write_to(store, listing, 1900) for listing in listings])
    expect({r.outcome for r in results} <= _UNCERTAIN, f"writes to a failing store ended as {results}")
    store.heal()
    (again,) = book.write_prices([write_to(store, listings[0], 1901)])
    expect(again.outcome is WriteOutcome.WRITTEN, f"after the outage a write ended as {again}")


def an_outage_while_reading_is_a_retryable_error(book: PriceBook, store: StoreUnderTest) -> None:
    """Missing prices are never an empty answer: that would look as if the listings were gone."""
    store.damage(Damage.OUTAGE)
    try:
        book.read_prices([store.listings()[0].external_id], store.currency)
    except Upstream as err:
        expect(err.retryable, "an outage may pass")
        expect(err.code.startswith("upstream."), f"its code is {err.code}")
        return
    raise AssertionError("prices were read from a store that is down")


def check_of_a_failing_store_tells_the_problem(connector: Connector, store: StoreUnderTest) -> None:
    """A health check answers, whatever the store does."""
    store.damage(Damage.OUTAGE)
    health = connector.check()
    expect(not health.ok and health.problems, f"a failing store is called healthy: {health}")


CHECKS: tuple[Check, ...] = (check_of_a_failing_store_tells_the_problem,)

BOOK_CHECKS: tuple[BookCheck, ...] = (
    a_lost_answer_is_unknown,
    a_lost_call_is_not_repeated_blindly,
    slowing_down_loses_no_row,
    a_lasting_slow_down_is_told_as_throttling,
    an_outage_is_never_written,
    an_outage_while_reading_is_a_retryable_error,
)
