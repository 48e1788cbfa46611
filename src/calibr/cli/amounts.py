"""Amounts, differences and shares as a person reads them. Amounts arrive as minor units and never become floats."""

from typing import Final

from calibr.core.currencies import MINOR_UNITS
from calibr.core.money import format_minor

NONE: Final = "—"
"""How a missing amount is shown: missing is not zero."""


def amount(minor: int | None, currency: str) -> str:
    """`1234567` USD is `12,345.67`. A currency without a known number of decimals shows its minor units as they are."""
    if minor is None:
        return NONE
    text = format_minor(minor, currency) if currency in MINOR_UNITS else str(minor)
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, point, fraction = digits.partition(".")
    return f"{sign}{int(whole):,}{point}{fraction}"


def signed_amount(minor: int | None, currency: str) -> str:
    """The same with a plus before a rise."""
    return f"+{amount(minor, currency)}" if minor is not None and minor > 0 else amount(minor, currency)


def percent_change(before: int | None, after: int | None) -> str:
    """`-10.2 %`; nothing where there is no share to speak of (a missing amount, or from zero)."""
    if before is None or after is None or before == 0:
        return ""
    tenths = _half_away(1000 * (after - before), before)
    return f"{'+' if tenths > 0 else ''}{_one_decimal(tenths)} %"


def share(part: int, whole: int) -> str:
    """`part` of `whole` as a whole percent; `<1 %` instead of a zero that is not one."""
    if whole <= 0:
        return ""
    percent = _half_away(100 * part, whole)
    return "<1 %" if percent == 0 and part > 0 else f"{percent} %"


def margin_percent(price: int | None, cost: int | None) -> str:
    """100 x (price - cost) / price with one decimal; nothing where it has no value."""
    if price is None or cost is None or price == 0:
        return ""
    return f"{_one_decimal(_half_away(1000 * (price - cost), price))} %"


def counted(number: int, noun: str) -> str:
    """`1 price`, `2 prices`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _one_decimal(tenths: int) -> str:
    return f"{'-' if tenths < 0 else ''}{abs(tenths) // 10}.{abs(tenths) % 10}"


def _half_away(numerator: int, denominator: int) -> int:
    rounded = (2 * abs(numerator) + denominator) // (2 * denominator)
    return rounded if numerator >= 0 else -rounded
