"""Exact decimal amounts as text in the shop's currency. Nothing here ever becomes a float."""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

UPPER_BOUND: Final = Decimal(10) ** 18
"""Shopify refuses prices and costs from here upwards."""

_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_MAX_DIGITS: Final = 60
_NO_DECIMALS: Final = (
    "BIF", "BYR", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF",
    "XPF",
)  # fmt: skip
_TWO_DECIMALS: Final = (
    "AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN", "BMD", "BND",
    "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CNY", "COP", "CRC", "CVE", "CZK", "DKK",
    "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GHS", "GIP", "GMD", "GTQ", "GYD", "HKD",
    "HNL", "HRK", "HTG", "HUF", "IDR", "ILS", "INR", "IRR", "JEP", "JMD", "KES", "KGS", "KHR", "KID", "KYD", "KZT",
    "LAK", "LBP", "LKR", "LRD", "LSL", "LTL", "LVL", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR",
    "MVR", "MWK", "MXN", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "PAB", "PEN", "PGK", "PHP", "PKR",
    "PLN", "QAR", "RON", "RSD", "RUB", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLL", "SOS", "SRD", "SSP",
    "STD", "STN", "SYP", "SZL", "THB", "TJS", "TMT", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "USD", "USDC", "UYU",
    "UZS", "VED", "VEF", "VES", "WST", "XCD", "XXX", "YER", "ZAR", "ZMW",
)  # fmt: skip
_THREE_DECIMALS: Final = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
CURRENCIES: Final = dict.fromkeys(_NO_DECIMALS, 0) | dict.fromkeys(_TWO_DECIMALS, 2) | dict.fromkeys(_THREE_DECIMALS, 3)
"""The currencies of the Admin API, with their decimal places (ISO 4217)."""


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
