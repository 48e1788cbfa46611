"""Amounts are exact text in the shop's currency."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibr_sandbox.money import CURRENCIES, decimals_of, money_v2_amount, parse_decimal, to_shop_text


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("19.99", "USD", "19.99"),
        ("20", "USD", "20.00"),
        ("0", "USD", "0.00"),
        ("1200", "JPY", "1200"),
        ("1.5", "KWD", "1.500"),
        ("0.005", "USD", "0.01"),
        ("1199.5", "JPY", "1200"),
        ("999999999999999999.99", "USD", "999999999999999999.99"),
    ],
)
def test_a_price_has_the_decimals_of_the_currency(amount: str, currency: str, text: str) -> None:
    assert to_shop_text(Decimal(amount), currency) == text


@given(st.decimals(min_value=0, max_value=Decimal(10) ** 15, places=6), st.sampled_from(sorted(CURRENCIES)))
def test_a_stored_price_is_within_half_a_minor_unit_and_stable(amount: Decimal, currency: str) -> None:
    text = to_shop_text(amount, currency)

    assert abs(Decimal(text) - amount) * 2 <= Decimal(1).scaleb(-decimals_of(currency))
    assert to_shop_text(parse_decimal(text), currency) == text


@pytest.mark.parametrize("text", ["", "abc", "1e5", "1,000", "NaN", "Infinity", "--1", "1.", ".5", "9" * 61])
def test_what_is_no_decimal_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a decimal number"):
        parse_decimal(text)


@pytest.mark.parametrize("amount", ["-0.01", "1000000000000000000"])
def test_an_amount_outside_of_the_bounds_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="outside of 0 to 1000000000000000000"):
        to_shop_text(Decimal(amount), "USD")


@pytest.mark.parametrize(
    ("stored", "shown"), [("9.50", "9.5"), ("22.00", "22.0"), ("777.77", "777.77"), ("22", "22.0")]
)
def test_money_v2_drops_trailing_zeros_but_keeps_one_decimal(stored: str, shown: str) -> None:
    assert money_v2_amount(stored) == shown


def test_an_unknown_currency_is_named() -> None:
    with pytest.raises(ValueError, match="currency: 'XYZ' is unknown"):
        decimals_of("XYZ")
