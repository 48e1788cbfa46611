"""Leaves on amounts, on the age of a price and on the margin: whole numbers, compared exactly."""

import operator as operators
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, TypeVar

from sqlalchemy import DateTime, Numeric, and_, cast, func, literal, or_

from calibr.core.money import PERCENT_SCALE
from calibr.pricing.item import Item
from calibr.pricing.selector.nodes import Leaf, Logic
from calibr.pricing.source import PlanSource
from calibr.pricing.sql import Expr, null_truth, whole

Value = TypeVar("Value", int, Expr)

_ONE: Final = 100 * PERCENT_SCALE
BIGINT_SAFE_PERCENT: Final = 9_000_000
"""price <= 10^12 times at most this many ten-thousandths of a percent stays below 2^63."""


@dataclass(frozen=True, slots=True)
class AmountField:
    """A field of type amount: how to read it from an item, and from a source."""

    of_item: Callable[[Item], int | None]
    of_source: Callable[[PlanSource], Expr]


AMOUNT_FIELDS: Final[Mapping[str, AmountField]] = MappingProxyType({
    "price.unit_amount": AmountField(lambda item: item.inputs.unit_amount, lambda source: source.unit_amount),
    "price.compare_at": AmountField(lambda item: item.inputs.compare_at, lambda source: source.compare_at),
    "cost.unit_cost": AmountField(lambda item: item.inputs.unit_cost, lambda source: source.unit_cost),
})  # fmt: skip
AMOUNT_OPERATORS: Final = ("eq", "ne", "lt", "lte", "gt", "gte", "between")
ORDER_OPERATORS: Final = ("lt", "lte", "gt", "gte", "between")


_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = MappingProxyType({
    "eq": operators.eq, "ne": operators.ne, "lt": operators.lt, "lte": operators.le, "gt": operators.gt,
    "gte": operators.ge,
})  # fmt: skip


def compare_whole(operator: str, value: Value, literals: tuple[Value, ...]) -> Value:
    """Compare whole numbers. One text for both forms: Python's operators also build SQL expressions."""
    if operator == "between":
        return (value >= literals[0]) & (value <= literals[1])
    result: Value = _COMPARISONS[operator](value, literals[0])
    return result


@dataclass(frozen=True, slots=True)
class AmountLeaf(Leaf):
    """An amount compared with amounts in minor units of the price list's currency."""

    field: AmountField
    operator: str
    literals: tuple[int, ...]

    def holds(self, item: Item, logic: Logic) -> bool | None:  # noqa: ARG002 - a leaf knows no `not`
        """Whether the operator holds; of null, unknown."""
        value = self.field.of_item(item)
        return None if value is None else bool(compare_whole(self.operator, value, self.literals))

    def compile(self, source: PlanSource, logic: Logic) -> Expr:  # noqa: ARG002 - a leaf knows no `not`
        """SQL form of `holds`."""
        return compare_whole(self.operator, self.field.of_source(source), tuple(map(whole, self.literals)))


@dataclass(frozen=True, slots=True)
class AmountNull(Leaf):
    """Whether an amount is null (or is not)."""

    field: AmountField
    wanted: bool

    def holds(self, item: Item, logic: Logic) -> bool | None:  # noqa: ARG002 - a leaf knows no `not`
        """Whether null is what is wanted."""
        return (self.field.of_item(item) is None) is self.wanted

    def compile(self, source: PlanSource, logic: Logic) -> Expr:  # noqa: ARG002 - a leaf knows no `not`
        """SQL form of `holds`."""
        value = self.field.of_source(source)
        return value.is_(None) if self.wanted else value.is_not(None)


@dataclass(frozen=True, slots=True)
class AgeLeaf(Leaf):
    """The age of the price in force in whole 24-hour periods."""

    operator: str
    literals: tuple[int, ...]

    def holds(self, item: Item, logic: Logic) -> bool | None:  # noqa: ARG002 - a leaf knows no `not`
        """Whether the operator holds; without a price in force, unknown."""
        if item.age_days is None:
            return None
        return bool(compare_whole(self.operator, item.age_days, self.literals))

    def compile(self, source: PlanSource, logic: Logic) -> Expr:  # noqa: ARG002 - a leaf knows no `not`
        """SQL form of `holds`: n days old or older means valid since n days before the plan, or earlier."""
        days = self.literals
        match self.operator:
            case "lt":
                return _is_younger(source, days[0])
            case "lte":
                return _is_younger(source, days[0] + 1)
            case "gt":
                return _is_as_old_as(source, days[0] + 1)
            case "gte":
                return _is_as_old_as(source, days[0])
            case _:
                return and_(_is_as_old_as(source, days[0]), _is_younger(source, days[1] + 1))


def _is_as_old_as(source: PlanSource, days: int) -> Expr:
    since = _days_before(source.computed_at, days)
    if since is None:  # older than the calendar: false, and unknown without a price
        return source.valid_from.is_(None) & null_truth()
    return source.valid_from <= since


def _is_younger(source: PlanSource, days: int) -> Expr:
    since = _days_before(source.computed_at, days)
    if since is None:  # true of every price, and unknown without one
        return or_(source.valid_from.is_not(None), null_truth())
    return source.valid_from > since


def _days_before(moment: datetime, days: int) -> Expr | None:
    """The moment so many 24-hour periods earlier; None where the calendar has no such moment."""
    try:
        earlier = moment.astimezone(UTC) - timedelta(days=days)
    except OverflowError:
        return None
    return literal(earlier, DateTime(timezone=True))


@dataclass(frozen=True, slots=True)
class MarginLeaf(Leaf):
    """The margin, 100 x (price - cost) / price, compared with percents in ten-thousandths, exactly."""

    operator: str
    literals: tuple[int, ...]

    def holds(self, item: Item, logic: Logic) -> bool | None:  # noqa: ARG002 - a leaf knows no `not`
        """Whether the operator holds; without cost or with no price or a price of 0, unknown."""
        price, cost = item.inputs.unit_amount, item.inputs.unit_cost
        if not price or cost is None:
            return None
        scaled = tuple(percent * price for percent in self.literals)
        return bool(compare_whole(self.operator, _ONE * (price - cost), scaled))

    def compile(self, source: PlanSource, logic: Logic) -> Expr:  # noqa: ARG002 - a leaf knows no `not`
        """SQL form of `holds`: both sides times the price, which is above 0, so that nothing is divided.

        10^6 x 10^12 and 9 x 10^6 x 10^12 are within bigint; larger percents are multiplied as numeric.
        """
        price: Expr = func.nullif(source.unit_amount, whole(0), type_=source.unit_amount.type)
        wide = any(abs(percent) > BIGINT_SAFE_PERCENT for percent in self.literals)
        factor = cast(price, Numeric) if wide else price
        scaled: tuple[Expr, ...] = tuple(factor * whole(percent) for percent in self.literals)
        return compare_whole(self.operator, (source.unit_amount - source.unit_cost) * whole(_ONE), scaled)


@dataclass(frozen=True, slots=True)
class MarginNull(Leaf):
    """Whether there is no margin (or is one)."""

    wanted: bool

    def holds(self, item: Item, logic: Logic) -> bool | None:  # noqa: ARG002 - a leaf knows no `not`
        """Whether null is what is wanted."""
        return (not item.inputs.unit_amount or item.inputs.unit_cost is None) is self.wanted

    def compile(self, source: PlanSource, logic: Logic) -> Expr:  # noqa: ARG002 - a leaf knows no `not`
        """SQL form of `holds`."""
        price: Expr = func.nullif(source.unit_amount, whole(0), type_=source.unit_amount.type)
        if self.wanted:
            return or_(price.is_(None), source.unit_cost.is_(None))
        return and_(price.is_not(None), source.unit_cost.is_not(None))
