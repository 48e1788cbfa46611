"""Amounts as a person reads them, for currencies with 0, 2 and 3 decimals."""

import pytest

from calibr.cli.amounts import NONE, amount, margin_percent, percent_change, share, signed_amount


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (1999, "USD", "19.99"),
        (5, "USD", "0.05"),
        (0, "USD", "0.00"),
        (123456789, "USD", "1,234,567.89"),
        (-123456, "USD", "-1,234.56"),
        (-5, "USD", "-0.05"),
        (1980, "JPY", "1,980"),
        (0, "JPY", "0"),
        (12500, "KWD", "12.500"),
        (7, "KWD", "0.007"),
        (10**12, "KWD", "1,000,000,000.000"),
        (None, "USD", NONE),
        (None, "JPY", NONE),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(minor: int | None, currency: str, shown: str) -> None:
    assert amount(minor, currency) == shown


def test_missing_is_not_zero() -> None:
    assert amount(None, "USD") != amount(0, "USD")


def test_an_amount_of_an_unknown_currency_stays_in_minor_units() -> None:
    assert amount(1999, "ZZZ") == "1,999"


@pytest.mark.parametrize(("minor", "shown"), [(1000, "+10.00"), (-1000, "-10.00"), (0, "0.00"), (None, NONE)])
def test_a_difference_shows_its_sign(minor: int | None, shown: str) -> None:
    assert signed_amount(minor, "USD") == shown


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (10000, 8999, "-10.0 %"),
        (10000, 9996, "0.0 %"),
        (1000, 996, "-0.4 %"),
        (1000, 1004, "+0.4 %"),
        (1000, 2000, "+100.0 %"),
        (1000, 0, "-100.0 %"),
        (0, 100, ""),
        (None, 100, ""),
        (100, None, ""),
    ],
)
def test_a_move_in_percent(before: int | None, after: int | None, shown: str) -> None:
    assert percent_change(before, after) == shown


@pytest.mark.parametrize(
    ("part", "whole", "shown"), [(1, 1000, "<1 %"), (0, 1000, "0 %"), (500, 1000, "50 %"), (0, 0, "")]
)
def test_a_share(part: int, whole: int, shown: str) -> None:
    assert share(part, whole) == shown


@pytest.mark.parametrize(
    ("price", "cost", "shown"), [(10000, 7500, "25.0 %"), (100, 200, "-100.0 %"), (0, 5, ""), (100, None, "")]
)
def test_a_margin(price: int | None, cost: int | None, shown: str) -> None:
    assert margin_percent(price, cost) == shown
