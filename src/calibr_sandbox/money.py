"""Exact decimal amounts as text in the shop's currency. Nothing here ever becomes a float."""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

UPPER_BOUND: Final = Decimal(10) ** 18
"""Shopify refuses prices and costs from here upwards."""

_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_MAX_DIGITS: Final = 60
_NO_DECIMALS: Final = frozenset({"CLP", "ISK", "JPY", "KRW", "VND"})
_THREE_DECIMALS: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})


def decimals_of(currency: str) -> int:
    """Count the decimal places of a currency (ISO 4217): JPY 0, KWD 3, most 2."""
    if currency in _NO_DECIMALS:
        return 0
    return 3 if currency in _THREE_DECIMALS else 2


def parse_decimal(text: str) -> Decimal:
    """Read a plain decimal number; exponents, separators and anything else raise ValueError."""
    cleaned = text.strip()
    if len(cleaned) > _MAX_DIGITS or not _NUMBER.fullmatch(cleaned):
        message = f"{text!r} is not a decimal number"
        raise ValueError(message)
    return Decimal(cleaned)


def to_shop_text(amount: Decimal, currency: str) -> str:
    """Write an amount with exactly the decimals of the currency ("19.99", JPY "1200", KWD "1.500").

    Digits beyond the currency are rounded half up. Raises ValueError outside of what a price may be.
    """
    if not 0 <= amount < UPPER_BOUND:
        message = f"{amount} is not between 0 and {UPPER_BOUND}"
        raise ValueError(message)
    step = Decimal(1).scaleb(-decimals_of(currency))
    return f"{amount.quantize(step, rounding=ROUND_HALF_UP):f}"


def money_v2_amount(shop_text: str) -> str:
    """Write an amount as `MoneyV2.amount` does: no trailing zeros, at least one decimal ("9.5", "22.0")."""
    whole, _, fraction = shop_text.partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}"
