"""Shopify's decimal strings and our minor units. The one serializer of amounts, for single and bulk calls alike."""

from dataclasses import dataclass
from typing import Final

from calibr.core.currencies import MINOR_UNITS
from calibr.core.money import AmountFault, Written, format_minor, read_written, to_minor

MAX_WRITTEN_LENGTH: Final = 40


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An amount that is not one of this currency, with the sentence that says why."""

    rule: str


def read_amount(text: object, currency: str) -> int | Unreadable:
    """Read a price in minor units. Zeros beyond the currency's decimals are fine (JPY "1200.0"), others are not."""
    written = read_written(text) if isinstance(text, str) and len(text) <= MAX_WRITTEN_LENGTH else None
    if written is None or written.is_negative:
        return Unreadable(f"{str(text)[:MAX_WRITTEN_LENGTH]!r} is not an amount")
    whole, _, fraction = written.text.partition(".")
    places = MINOR_UNITS[currency]
    kept = fraction[:places] + fraction[places:].rstrip("0")
    minor = to_minor(Written(f"{whole}.{kept}" if kept else whole), currency)
    if isinstance(minor, AmountFault):
        reason = "has too many decimals" if minor is AmountFault.PRECISION else "is out of range"
        return Unreadable(f"{written.text} {reason} for {currency}")
    return minor


def read_optional_amount(text: object, currency: str) -> int | Unreadable | None:
    """Read an amount that may be null; null stays null and never becomes zero."""
    return None if text is None else read_amount(text, currency)


def write_amount(amount_minor: int, currency: str) -> str:
    """Write an amount as Shopify takes it: "19.99", JPY "1200"."""
    return format_minor(amount_minor, currency)
