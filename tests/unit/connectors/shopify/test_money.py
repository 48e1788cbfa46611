"""Shopify's decimal strings and minor units, without loss in either direction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibr.connectors.shopify.money import Unreadable, read_amount, read_optional_amount, write_amount
from calibr.core.money import MAX_MINOR

CURRENCIES = st.sampled_from(["USD", "EUR", "JPY", "KWD", "CLF"])


@given(st.integers(0, MAX_MINOR), CURRENCIES, st.integers(0, 6))
def test_writing_and_reading_gives_the_same_amount_whatever_zeros_follow(minor: int, currency: str, zeros: int) -> None:
    written = write_amount(minor, currency)
    padded = written + "0" * zeros if "." in written else written + ("." + "0" * zeros if zeros else "")

    assert read_amount(padded, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("19.99", "USD", 1999),
        ("19.9", "USD", 1990),
        ("19.990", "USD", 1999),
        ("19", "USD", 1900),
        ("0.00", "USD", 0),
        ("1200", "JPY", 1200),
        ("1200.0", "JPY", 1200),
        ("1200.00", "JPY", 1200),
        ("1.5", "KWD", 1500),
        ("1.2340", "KWD", 1234),
    ],
)
def test_reads_what_shopify_writes(text: str, currency: str, minor: int) -> None:
    assert read_amount(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("19.999", "USD"),
        ("1200.5", "JPY"),
        ("1.2345", "KWD"),
        ("-1.00", "USD"),
        ("1,00", "USD"),
        ("1e3", "USD"),
        ("NaN", "USD"),
        ("", "USD"),
        (" 1.00", "USD"),
        ("99999999999999999999.00", "USD"),
        ("1" * 60, "USD"),
        (19.99, "USD"),
        (None, "USD"),
        ({"amount": "1.00"}, "USD"),
    ],
)
def test_anything_else_is_refused_with_a_reason(text: object, currency: str) -> None:
    refused = read_amount(text, currency)

    assert isinstance(refused, Unreadable)
    assert refused.rule


def test_null_is_not_zero() -> None:
    assert read_optional_amount(None, "USD") is None
    assert read_optional_amount("0.00", "USD") == 0


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(1999, "USD", "19.99"), (5, "USD", "0.05"), (1200, "JPY", "1200"), (1500, "KWD", "1.500")],
)
def test_writes_all_decimals_of_the_currency(minor: int, currency: str, text: str) -> None:
    assert write_amount(minor, currency) == text
