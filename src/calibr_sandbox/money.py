"""Exact decimal amounts as text in the shop's currency. Nothing here ever becomes a float."""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

UPPER_BOUND: Final = Decimal(10) ** 18
"""Shopify refuses prices and costs from here upwards."""

_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_MAX_DIGITS: Final = 60
_NO_DECIMALS: Final = ("CLP", "ISK", "JPY", "KRW", "VND")
_TWO_DECIMALS: Final = (
    "AED", "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "IDR", "ILS", "INR", "MXN",
    "MYR", "NOK", "NZD", "PHP", "PLN", "RON", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "USD", "ZAR",
)  # fmt: skip
_THREE_DECIMALS: Final = ("BHD", "JOD", "KWD", "OMR", "TND")
CURRENCIES: Final = dict.fromkeys(_NO_DECIMALS, 0) | dict.fromkeys(_TWO_DECIMALS, 2) | dict.fromkeys(_THREE_DECIMALS, 3)
"""The currencies a shop may have, with their decimal places (ISO 4217)."""


def decimals_of(currency: str) -> int:
    """Count the decimal places of a currency. Raises ValueError for one that the sandbox does not know."""
    if currency not in CURRENCIES:
        raise ValueError(f"currency: {currency!r} is unknown; the sandbox knows {', '.join(sorted(CURRENCIES))}")
    return CURRENCIES[currency]


def parse_decimal(text: str) -> Decimal:
    """Read a plain decimal number; exponents, separators and anything else raise ValueError."""
    cleaned = text.strip()
    if len(cleaned) > _MAX_DIGITS or not _NUMBER.fullmatch(cleaned):
        raise ValueError(f"{text!r} is not a decimal number")
    return Decimal(cleaned)


def to_shop_text(amount: Decimal, currency: str) -> str:
    """Write an amount with exactly the decimals of the currency ("19.99", JPY "1200", KWD "1.500").

    Digits beyond the currency are rounded half up. Raises ValueError outside of what a price may be.
    """
    if not 0 <= amount < UPPER_BOUND:
        raise ValueError(f"{amount} is outside of 0 to {UPPER_BOUND}")
    step = Decimal(1).scaleb(-decimals_of(currency))
    return f"{amount.quantize(step, rounding=ROUND_HALF_UP):f}"


def money_v2_amount(shop_text: str) -> str:
    """Write an amount as `MoneyV2.amount` does: no trailing zeros, at least one decimal ("9.5", "22.0")."""
    whole, _, fraction = shop_text.partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}"
