"""Exact arithmetic: fractions of whole numbers, rounded once. Each function has its SQL form beside it.

The SQL forms take amounts from 0 to 10^12 and stay within bigint, because the whole part of the fraction is split off:
n x (q + r/d) with r < d. The largest term is then 2 x 10^12 x r + d, where r < d <= 10^6 (percents), or r = 10^6 (a
margin far below zero, d up to about 10^10): at most 2 x 10^18 + 10^10, below 9.2 x 10^18.
"""

from dataclasses import dataclass
from math import gcd
from typing import Final

from calibr.core.money import MAX_MINOR, PERCENT_SCALE
from calibr.pricing.sql import Expr, plus, quotient, whole

_ONE: Final = 100 * PERCENT_SCALE


@dataclass(frozen=True, slots=True)
class Span:
    """The amounts that a value can take, both ends included; proves which checks a statement can leave out."""

    low: int
    high: int

    def join(self, other: "Span") -> "Span":
        """The smallest span that holds both."""
        return Span(min(self.low, other.low), max(self.high, other.high))

    def clipped(self) -> "Span":
        """The legal amounts among them."""
        return Span(min(max(self.low, 0), MAX_MINOR), max(min(self.high, MAX_MINOR), 0))


ANY_AMOUNT: Final = Span(0, MAX_MINOR)


@dataclass(frozen=True, slots=True)
class Ratio:
    """A factor that is not negative, in lowest terms."""

    numerator: int
    denominator: int

    def nearest(self, amount: int) -> int:
        """The product, rounded half away from zero."""
        product = amount * self.numerator
        rounded = (2 * abs(product) + self.denominator) // (2 * self.denominator)
        return rounded if product >= 0 else -rounded

    def floor(self, amount: int) -> int:
        """The product, rounded down."""
        return amount * self.numerator // self.denominator

    def ceil(self, amount: int) -> int:
        """The product, rounded up."""
        return -(-amount * self.numerator // self.denominator)

    def compile_nearest(self, amount: Expr) -> Expr:
        """SQL form of `nearest` for amounts that are not negative."""
        if self.denominator % 2 == 0:
            return self._compile(amount, self.denominator // 2)
        return self._compile(amount, self.denominator, doubled=True)

    def compile_floor(self, amount: Expr) -> Expr:
        """SQL form of `floor` for amounts that are not negative."""
        return self._compile(amount, 0)

    def compile_ceil(self, amount: Expr) -> Expr:
        """SQL form of `ceil` for amounts that are not negative."""
        return self._compile(amount, self.denominator - 1)

    def _compile(self, amount: Expr, add: int, *, doubled: bool = False) -> Expr:
        times, rest = divmod(self.numerator, self.denominator)
        terms: list[Expr] = []
        if times:
            terms.append(amount if times == 1 else amount * whole(times))
        if rest:
            factor, divisor = (2 * rest, 2 * self.denominator) if doubled else (rest, self.denominator)
            product = amount if factor == 1 else amount * whole(factor)
            terms.append(quotient(plus(product, add), divisor))
        if not terms:
            return amount * whole(0)
        return terms[0] if len(terms) == 1 else terms[0] + terms[1]


def plus_percent(percent: int) -> Ratio:
    """The factor of plus `percent` (ten-thousandths of a percent, at least -100 %)."""
    return _ratio(_ONE + percent, _ONE)


def minus_percent(percent: int) -> Ratio:
    """The factor of minus `percent` (at most 100 %)."""
    return _ratio(_ONE - percent, _ONE)


def at_margin(percent: int) -> Ratio:
    """The factor from a cost to the price that has a margin of `percent` (below 100 %)."""
    return _ratio(_ONE, _ONE - percent)


def _ratio(numerator: int, denominator: int) -> Ratio:
    divisor = gcd(numerator, denominator)
    return Ratio(numerator // divisor, denominator // divisor)
