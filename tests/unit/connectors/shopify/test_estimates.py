"""Expected costs and durations, before and after the store said what calls cost."""

import pytest

from calibr.connectors.port import WritePath
from calibr.connectors.shopify.bucket import BucketView
from calibr.connectors.shopify.costs import MAX_CALL_COST, CostBook
from calibr.connectors.shopify.documents import ALL, PRICES, UPDATE_PRICES
from calibr.connectors.shopify.estimates import Pace, estimate, estimate_list

CALLS, BULK = WritePath.CALLS, WritePath.BULK
UNKNOWN = BucketView(known=False, available=0, maximum=0, restore_rate=0, granted=0, refused=0)
PLUS = BucketView(known=True, available=20_000, maximum=20_000, restore_rate=1_000, granted=1, refused=0)


def learned() -> CostBook:
    book = CostBook()
    for rows in range(1, 251):
        book.learn(UPDATE_PRICES, rows, 10 + rows // 5)
        book.learn(PRICES, rows, 3)
    return book


def test_what_an_answer_said_holds_for_the_next_call_of_that_size() -> None:
    book = CostBook()

    book.learn(PRICES, 250, 3)
    book.learn(UPDATE_PRICES, 4, 11)

    assert book.expect(PRICES, 250) == 3
    assert book.expect(UPDATE_PRICES, 4) == 11


def test_a_size_never_sent_is_bounded_by_what_is_known() -> None:
    book = CostBook()
    assert book.expect(PRICES, 100) == 102

    book.learn(PRICES, 50, 3)
    assert book.expect(PRICES, 100) == 102

    book.learn(PRICES, 250, 5)
    assert book.expect(PRICES, 100) == 5


def test_what_the_store_adds_to_a_write_is_learned_from_any_size() -> None:
    book = CostBook()
    assert book.expect(UPDATE_PRICES, 250) == 62

    book.learn(UPDATE_PRICES, 5, 12)

    assert book.expect(UPDATE_PRICES, 250) == 61
    assert book.expect(UPDATE_PRICES, 1) == 11


@pytest.mark.parametrize("document", ALL)
def test_no_call_is_expected_above_the_cap(document: object) -> None:
    assert CostBook().expect(document, 250) <= MAX_CALL_COST  # type: ignore[arg-type]


def test_counts_calls_per_product_and_reads_twice() -> None:
    told = estimate([250, 251, 1], learned(), Pace(PLUS, 0.01, 32), CALLS)

    assert told.calls == 4 + 2 * 3
    assert told.points == (60 + 60 + 10 + 10) + 2 * 3 * 3


def test_before_the_first_answer_the_standard_plan_is_assumed() -> None:
    told = estimate([1] * 10_000, learned(), Pace(UNKNOWN, None, 32), CALLS)

    assert told.seconds == pytest.approx((100_000 + 240 - 2_000) / 100, abs=1)


def test_the_store_rate_decides_as_soon_as_it_is_known() -> None:
    told = estimate([1] * 10_000, learned(), Pace(PLUS, 0.05, 32), CALLS)

    assert told.seconds == pytest.approx((100_000 + 240 - 20_000) / 1_000, abs=1)


def test_a_slow_store_is_slower_than_its_points() -> None:
    told = estimate([1] * 1_000, learned(), Pace(PLUS, 1.6, 32))

    assert told.seconds == 50


def test_nothing_takes_nothing() -> None:
    told = estimate([], CostBook(), Pace(UNKNOWN, None, 32))

    assert (told.calls, told.points, told.seconds) == (0, 0, 0)


@pytest.mark.parametrize(
    ("rows_per_group", "path"),
    [([1] * 99, CALLS), ([250] * 4, CALLS), ([5] * 20_000, BULK), ([], CALLS)],
    ids=["few rows", "few products", "a sale of the whole store", "nothing"],
)
def test_files_are_for_many_products(rows_per_group: list[int], path: WritePath) -> None:
    assert estimate(rows_per_group, learned(), Pace(UNKNOWN, None, 32)).path is path


def test_a_forced_path_is_estimated_as_it_is() -> None:
    few, many = [1], [5] * 20_000

    assert estimate(few, learned(), Pace(UNKNOWN, None, 32), BULK).path is BULK
    assert estimate(many, learned(), Pace(UNKNOWN, None, 32), CALLS).path is CALLS


def test_a_file_costs_no_points_for_its_rows() -> None:
    told = estimate([5] * 20_000, learned(), Pace(UNKNOWN, None, 32), BULK)

    assert told.points < 10_000
    assert told.seconds == pytest.approx((20_000 / 20 + 40 * 6) / 4, abs=1)


def test_a_list_takes_calls_of_250_rows_one_after_another() -> None:
    slow = Pace(PLUS, write_latency_s=2.0, at_once=32)

    found = estimate_list(600, CostBook(), slow)

    writes, reads = 3, 2 * 2 * 3
    assert (found.calls, found.seconds, found.path) == (writes + reads, 2 * writes, CALLS)
    assert estimate_list(0, CostBook(), slow).calls == 0
