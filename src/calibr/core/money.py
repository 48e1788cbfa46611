"""Money is an integer of minor units of an ISO 4217 currency; here decimal texts become such integers, exactly.

Nothing in this module rounds: an amount that does not fit its currency is refused, never adjusted.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from calibr.core.currencies import MINOR_UNITS

MAX_MINOR: Final = 10**12
"""The largest amount, in minor units; the smallest is its negative (where negative amounts are allowed at all)."""

PERCENT_SCALE: Final = 10_000
"""Percents are kept as integers of ten-thousandths of a percent."""

_MAX_PERCENT: Final = 1_000_000
_PERCENT_DECIMALS: Final = 4
_DECIMAL_TEXT: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")


class AmountFault(StrEnum):
    """Why a well-formed amount does not fit a currency. Precision is judged first."""

    PRECISION = "amount_precision"
    OUT_OF_RANGE = "amount_out_of_range"


@dataclass(frozen=True, slots=True)
class Written:
    """A decimal number as somebody wrote it: `"5.000"` has three decimals, `"-0"` is negative."""

    text: str

    @property
    def is_negative(self) -> bool:
        """Whether a minus sign stands before it, `-0` included."""
        return self.text.startswith("-")

    @property
    def decimals(self) -> int:
        """Number of digits after the point, as written."""
        return len(self.text.partition(".")[2])

    @property
    def value(self) -> Decimal:
        """The exact value; comparing two of them is exact whatever their length."""
        return Decimal(self.text)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of minor units together with its currency."""

    amount_minor: int
    currency: str

    def __str__(self) -> str:
        return f"{format_minor(self.amount_minor, self.currency)} {self.currency}"


def is_currency(code: str) -> bool:
    """Whether `code` is an active ISO 4217 code that has minor units."""
    return code in MINOR_UNITS


def read_written(text: str) -> Written | None:
    """Read a decimal text; None if it is not of the form `-?(0|[1-9][0-9]*)(.[0-9]+)?` as a whole."""
    return Written(text) if _DECIMAL_TEXT.fullmatch(text) else None


def to_minor(written: Written, currency: str) -> int | AmountFault:
    """Return the amount in minor units of `currency`, or why it does not fit.

    Raises KeyError for an unknown currency.
    """
    places = MINOR_UNITS[currency]
    if written.decimals > places:
        return AmountFault.PRECISION
    whole, _, fraction = written.text.removeprefix("-").partition(".")
    if len(whole) > len(str(MAX_MINOR)):
        return AmountFault.OUT_OF_RANGE
    minor = int(whole + fraction.ljust(places, "0"))
    if minor > MAX_MINOR:
        return AmountFault.OUT_OF_RANGE
    return -minor if written.is_negative else minor


def read_percent(text: str) -> int | None:
    """Read a percent into ten-thousandths of a percent; None if it is malformed, too precise or beyond a million."""
    written = read_written(text)
    if written is None or written.decimals > _PERCENT_DECIMALS:
        return None
    whole, _, fraction = text.removeprefix("-").partition(".")
    if len(whole) > len(str(_MAX_PERCENT)):
        return None
    scaled = int(whole + fraction.ljust(_PERCENT_DECIMALS, "0"))
    if scaled > _MAX_PERCENT * PERCENT_SCALE:
        return None
    return -scaled if written.is_negative else scaled


def format_minor(amount_minor: int, currency: str) -> str:
    """Return the amount in major units with all decimals of the currency: 1999 USD is `19.99`."""
    places = MINOR_UNITS[currency]
    digits = str(abs(amount_minor)).rjust(places + 1, "0")
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"
