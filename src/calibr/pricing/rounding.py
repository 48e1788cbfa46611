"""The two grids that a price can be rounded to: multiples of an amount, and charm endings. Both forms of each.

The SQL forms take amounts from 0 to 10^12; their terms stay below 6 x 10^12.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from sqlalchemy import ARRAY, BigInteger, func, literal_column

from calibr.pricing.arithmetic import Span
from calibr.pricing.sql import Expr, if_else, plus, quotient, where_present, whole
from calibr.pricing.vocabulary import Mode


class Grid(Protocol):
    """A set of amounts that prices are rounded to. Rounding never decreases where the amount increases."""

    def round(self, amount: int, mode: Mode) -> int:
        """Round an amount that is not negative."""
        ...

    def compile(self, amount: Expr, mode: Mode) -> Expr:
        """SQL form of `round`; null for null."""
        ...


def reach(grid: Grid, amounts: Span, mode: Mode) -> Span:
    """The results that rounding can give."""
    return Span(grid.round(amounts.low, mode), grid.round(amounts.high, mode))


@dataclass(frozen=True, slots=True)
class Multiples:
    """All multiples of `unit` (above 0)."""

    unit: int

    def round(self, amount: int, mode: Mode) -> int:
        """Round to the nearest multiple (ties up), the next one up, or the next one down."""
        below = amount - amount % self.unit
        if below == amount or mode is Mode.DOWN:
            return below
        above = below + self.unit
        return above if mode is Mode.UP or above - amount <= amount - below else below

    def compile(self, amount: Expr, mode: Mode) -> Expr:
        """SQL form of `round`."""
        if self.unit == 1:
            return amount
        if mode is Mode.UP:
            return _multiple(amount + whole(self.unit - 1), self.unit)
        if mode is Mode.DOWN:
            return _multiple(amount, self.unit)
        if self.unit % 2 == 0:
            return _multiple(amount + whole(self.unit // 2), self.unit)
        doubled = amount * whole(2) + whole(self.unit)
        return quotient(doubled, 2 * self.unit) * whole(self.unit)


@dataclass(frozen=True, slots=True)
class Endings:
    """All amounts n x `per` + e, n whole and not negative, e one of `offsets` (sorted, from 0, below `per`)."""

    per: int
    offsets: tuple[int, ...]

    def round(self, amount: int, mode: Mode) -> int:
        """Round to the nearest (ties up), the lowest at or above, or the highest at or below (else it stays)."""
        above, below = self._at_or_above(amount), self._at_or_below(amount)
        if mode is Mode.UP:
            return above
        if mode is Mode.DOWN:
            return amount if below is None else below
        return above if below is None or above - amount <= amount - below else below

    def _at_or_above(self, amount: int) -> int:
        start = amount - amount % self.per
        position = bisect_left(self.offsets, amount - start)
        return start + (self.offsets[position] if position < len(self.offsets) else self.offsets[0] + self.per)

    def _at_or_below(self, amount: int) -> int | None:
        start = amount - amount % self.per
        position = bisect_right(self.offsets, amount - start)
        if position:
            return start + self.offsets[position - 1]
        return start - self.per + self.offsets[-1] if start else None

    def compile(self, amount: Expr, mode: Mode) -> Expr:
        """SQL form of `round`."""
        if len(self.offsets) == 1:
            return self._compile_single(amount, self.offsets[0], mode)
        return self._compile_many(amount, mode)

    def _compile_single(self, amount: Expr, offset: int, mode: Mode) -> Expr:
        # Every numerator is above -per, so a truncated quotient is never below 0: n = 0 where nothing lies below.
        if mode is Mode.UP:
            return self._from_lowest(quotient(plus(amount, self.per - 1 - offset), self.per), offset)
        if mode is Mode.DOWN:
            below = self._from_lowest(quotient(plus(amount, -offset), self.per), offset)
            return if_else(amount < whole(offset), amount, below)
        if self.per % 2 == 0:
            return self._from_lowest(quotient(plus(amount, self.per // 2 - offset), self.per), offset)
        doubled = plus(amount * whole(2), self.per - 2 * offset)
        return self._from_lowest(quotient(doubled, 2 * self.per), offset)

    def _from_lowest(self, count: Expr, offset: int) -> Expr:
        return plus(count * whole(self.per), offset)

    def _compile_many(self, amount: Expr, mode: Mode) -> Expr:
        """Look the ending up by the rest of the amount: thresholds split the rests, one target for each part."""
        below, above = self.offsets[-1] - self.per, self.offsets[0] + self.per
        if mode is Mode.UP:
            targets = (*self.offsets, above)
            thresholds = tuple(offset + 1 for offset in self.offsets)
        elif mode is Mode.DOWN:
            targets = (below, *self.offsets)
            thresholds = self.offsets
        else:
            targets = (below, *self.offsets, above)
            thresholds = tuple((low + high + 1) // 2 for low, high in pairwise(targets))
        rest = amount % whole(self.per)
        part = func.width_bucket(rest, _bigints(thresholds), type_=BigInteger)
        found = amount - rest + _bigints(targets)[part + whole(1)]
        if mode is Mode.DOWN:
            return if_else(amount < whole(self.offsets[0]), amount, found)
        # Below the first unit there is no ending of the unit before: the lowest ending takes its place.
        return where_present(amount, func.greatest(found, whole(self.offsets[0]), type_=BigInteger))


def _multiple(amount: Expr, unit: int) -> Expr:
    return quotient(amount, unit) * whole(unit)


def _bigints(numbers: Sequence[int]) -> Expr:
    """An array constant, in parentheses so that it can be subscripted."""
    return literal_column("(array[" + ", ".join(map(str, numbers)) + "]::bigint[])", ARRAY(BigInteger))
