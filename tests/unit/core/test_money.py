"""Money: what is an amount, what fits a currency, what is a percent."""

from decimal import Decimal

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibr.core.currencies import MINOR_UNITS
from calibr.core.money import (
    MAX_MINOR,
    AmountFault,
    Money,
    format_minor,
    is_currency,
    read_percent,
    read_written,
    to_minor,
)


def minor(text: str, currency: str) -> int | AmountFault:
    written = read_written(text)
    assert written is not None
    return to_minor(written, currency)


def test_the_currency_table_is_list_one_of_2026() -> None:
    published = {entry.code: entry.exponent for entry in iso4217.Currency if entry.exponent is not None}

    assert dict(MINOR_UNITS) == published


@pytest.mark.parametrize("code", ["XAU", "XXX", "XDR", "DEM", "BGN", "HRK", "usd", "US", "", "USDX"])
def test_codes_without_minor_units_and_old_ones_are_no_currencies(code: str) -> None:
    assert not is_currency(code)


@pytest.mark.parametrize(
    "text",
    [
        "05",
        "-05.00",
        "5.",
        ".5",
        "",
        "-",
        "+5",
        "1e3",
        "1_000",
        " 5",
        "5\n",
        "\uff15",
        "\u0661",
        "\u22125",
        "NaN",
        "0x1",
        "1,5",
    ],
)
def test_other_forms_are_no_decimal_texts(text: str) -> None:
    assert read_written(text) is None
    assert read_percent(text) is None


@pytest.mark.parametrize(
    ("text", "currency", "expected"),
    [
        ("5", "USD", 500),
        ("5.00", "USD", 500),
        ("-0.01", "USD", -1),
        ("500", "JPY", 500),
        ("1.234", "KWD", 1234),
        ("0.0001", "CLF", 1),
        ("10000000000.00", "USD", MAX_MINOR),
        ("-10000000000.00", "USD", -MAX_MINOR),
        ("5.000", "USD", AmountFault.PRECISION),
        ("500.0", "JPY", AmountFault.PRECISION),
        ("10000000000.01", "USD", AmountFault.OUT_OF_RANGE),
        ("-10000000000.01", "USD", AmountFault.OUT_OF_RANGE),
        ("99999999999.999", "USD", AmountFault.PRECISION),
        ("9" * 100_000, "USD", AmountFault.OUT_OF_RANGE),
        ("0." + "0" * 100_000, "USD", AmountFault.PRECISION),
    ],
)
def test_amounts_fit_a_currency_or_say_why_not(text: str, currency: str, expected: int | AmountFault) -> None:
    assert minor(text, currency) == expected


def test_minus_zero_counts_as_negative() -> None:
    written = read_written("-0")

    assert written is not None
    assert written.is_negative


@given(st.integers(-MAX_MINOR, MAX_MINOR), st.sampled_from(["JPY", "USD", "KWD", "CLF"]))
def test_formatting_an_amount_and_reading_it_gives_it_back(amount: int, currency: str) -> None:
    assert minor(format_minor(amount, currency), currency) == amount


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12.5", 125_000),
        ("-0", 0),
        ("0.0001", 1),
        ("1000000", 10**10),
        ("-1000000.0000", -(10**10)),
        ("1000000.0001", None),
        ("-1000000.5", None),
        ("1.00000", None),
        ("9" * 100_000, None),
    ],
)
def test_percents_have_four_decimals_and_a_range(text: str, expected: int | None) -> None:
    assert read_percent(text) == expected


def test_money_is_shown_with_all_decimals_of_its_currency() -> None:
    assert [str(Money(5, "USD")), str(Money(-1234, "KWD")), str(Money(50, "JPY"))] == [
        "0.05 USD",
        "-1.234 KWD",
        "50 JPY",
    ]


def test_written_numbers_compare_exactly_whatever_their_length() -> None:
    long, longer = read_written("1." + "0" * 60 + "1"), read_written("1." + "0" * 60 + "2")

    assert long is not None
    assert longer is not None
    assert long.value < longer.value
    assert long.value != Decimal(1)
