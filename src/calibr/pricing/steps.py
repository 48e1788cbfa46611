"""The steps of a price: what each document step becomes for a currency, with both forms of it side by side.

Between steps the amount is from 0 to 10^12; whoever runs the steps blocks an item whose amount leaves that range.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from calibr.core.money import MAX_MINOR
from calibr.pricing.amounts import Amount, Misfit, fit
from calibr.pricing.arithmetic import ANY_AMOUNT, Ratio, Span
from calibr.pricing.item import Inputs
from calibr.pricing.rounding import Endings, Grid, Multiples, reach
from calibr.pricing.sql import Expr, first_that_holds, if_else, null_amount, plus, where_present, whole
from calibr.pricing.vocabulary import IfMissing, Mode, Reason


class StepOutcome(NamedTuple):
    """What a step gives: an amount, or null and the reason."""

    amount: int | None
    reason: Reason | None = None
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class InputColumns:
    """The inputs of `Inputs`, as columns of the statement."""

    unit_amount: Expr
    compare_at: Expr
    unit_cost: Expr


class Step(Protocol):
    """A step, bound to a currency."""

    @property
    def op(self) -> str:
        """Name of the step in documents and traces."""
        ...

    @property
    def refusal(self) -> Reason | None:
        """Why the step may give no amount; None if it always gives one."""
        ...

    def evaluate(self, amount: int, inputs: Inputs) -> StepOutcome:
        """Apply the step to an amount from 0 to 10^12."""
        ...

    def compile(self, amount: Expr, columns: InputColumns) -> Expr:
        """SQL form of `evaluate`: null where `amount` is, and where the step gives none."""
        ...

    def reach(self, amounts: Span) -> Span:
        """The amounts that the step can give for these."""
        ...


class Base(StrEnum):
    """What a percentage is taken of."""

    PRICE = "price"
    COST = "cost"
    COMPARE_AT = "compare_at"

    def of_inputs(self, amount: int, inputs: Inputs) -> int | None:
        """The value of the base; `amount` is the price so far."""
        return {Base.PRICE: amount, Base.COST: inputs.unit_cost, Base.COMPARE_AT: inputs.compare_at}[self]

    def of_columns(self, amount: Expr, columns: InputColumns) -> Expr:
        """SQL form of `of_inputs`."""
        return {Base.PRICE: amount, Base.COST: columns.unit_cost, Base.COMPARE_AT: columns.compare_at}[self]

    @property
    def missing(self) -> Reason | None:
        """Reason of a block where the base is null."""
        reasons = {Base.COST: Reason.MISSING_COST, Base.COMPARE_AT: Reason.MISSING_COMPARE_AT}
        return reasons.get(self)


@dataclass(frozen=True, slots=True)
class Scale:
    """`percent`, `from_cost`, `from_compare_at`: a base times a ratio."""

    op: str
    base: Base
    ratio: Ratio
    if_missing: IfMissing = IfMissing.BLOCK

    @property
    def refusal(self) -> Reason | None:
        """Why the step may give no amount."""
        return self.base.missing if self.if_missing is IfMissing.BLOCK else None

    def evaluate(self, amount: int, inputs: Inputs) -> StepOutcome:
        """The product, rounded half away from zero; where the base is null, a block or the amount as it was."""
        base = self.base.of_inputs(amount, inputs)
        if base is not None:
            return StepOutcome(self.ratio.nearest(base))
        if self.if_missing is IfMissing.SKIP:
            return StepOutcome(amount, skipped=True)
        return StepOutcome(None, self.refusal)

    def compile(self, amount: Expr, columns: InputColumns) -> Expr:
        """SQL form of `evaluate`."""
        base = self.base.of_columns(amount, columns)
        product = self.ratio.compile_nearest(base)
        if self.base is Base.PRICE:
            return product
        if self.if_missing is IfMissing.SKIP:
            product = if_else(base.is_(None), amount, product)
        return where_present(amount, product)

    def reach(self, amounts: Span) -> Span:
        """The products at both ends of the base."""
        base = amounts if self.base is Base.PRICE else ANY_AMOUNT
        products = Span(self.ratio.nearest(base.low), self.ratio.nearest(base.high))
        return products.join(amounts) if self.if_missing is IfMissing.SKIP else products


@dataclass(frozen=True, slots=True)
class Add:
    """`amount`: the price plus an amount, which may be negative."""

    by: int
    op: str = "amount"
    refusal: None = None

    def evaluate(self, amount: int, inputs: Inputs) -> StepOutcome:  # noqa: ARG002 - needs the price only
        """The sum."""
        return StepOutcome(amount + self.by)

    def compile(self, amount: Expr, columns: InputColumns) -> Expr:  # noqa: ARG002 - needs the price only
        """SQL form of `evaluate`."""
        return plus(amount, self.by)

    def reach(self, amounts: Span) -> Span:
        """The sums at both ends."""
        return Span(amounts.low + self.by, amounts.high + self.by)


@dataclass(frozen=True, slots=True)
class SetTo:
    """`set`: an amount whatever the price."""

    to: int
    op: str = "set"
    refusal: None = None

    def evaluate(self, amount: int, inputs: Inputs) -> StepOutcome:  # noqa: ARG002 - needs neither
        """The amount."""
        return StepOutcome(self.to)

    def compile(self, amount: Expr, columns: InputColumns) -> Expr:  # noqa: ARG002 - needs the price only
        """SQL form of `evaluate`."""
        return where_present(amount, whole(self.to))

    def reach(self, amounts: Span) -> Span:  # noqa: ARG002 - whatever it was
        """The amount."""
        return Span(self.to, self.to)


@dataclass(frozen=True, slots=True)
class Clamp:
    """`clamp`: the price, kept within a minimum and a maximum, of which one may be left out."""

    low: int | None
    high: int | None
    op: str = "clamp"
    refusal: None = None

    def evaluate(self, amount: int, inputs: Inputs) -> StepOutcome:  # noqa: ARG002 - needs the price only
        """max(low, min(high, amount))."""
        return StepOutcome(self._clamped(amount))

    def _clamped(self, amount: int) -> int:
        capped = amount if self.high is None else min(self.high, amount)
        return capped if self.low is None else max(self.low, capped)

    def compile(self, amount: Expr, columns: InputColumns) -> Expr:  # noqa: ARG002 - needs the price only
        """SQL form of `evaluate`; a CASE, because GREATEST would make an amount out of null."""
        branches: list[tuple[Expr, Expr]] = []
        if self.low is not None:
            branches.append((amount < whole(self.low), whole(self.low)))
        if self.high is not None:
            branches.append((amount > whole(self.high), whole(self.high)))
        return first_that_holds(branches, amount)

    def reach(self, amounts: Span) -> Span:
        """The clamped ends."""
        return Span(self._clamped(amounts.low), self._clamped(amounts.high))


@dataclass(frozen=True, slots=True)
class RoundTo:
    """`round` and `ending`: the last step, which guardrails may apply again in another mode."""

    op: str
    grid: Grid
    mode: Mode
    refusal: None = None

    def evaluate(self, amount: int, inputs: Inputs) -> StepOutcome:  # noqa: ARG002 - needs the price only
        """The rounded amount."""
        return StepOutcome(self.grid.round(amount, self.mode))

    def compile(self, amount: Expr, columns: InputColumns) -> Expr:  # noqa: ARG002 - needs the price only
        """SQL form of `evaluate`."""
        return self.grid.compile(amount, self.mode)

    def reach(self, amounts: Span) -> Span:
        """The rounded ends."""
        return reach(self.grid, amounts, self.mode)


@dataclass(frozen=True, slots=True)
class Refuse:
    """A step whose amounts do not fit the price list: every item that reaches it is blocked."""

    op: str
    refusal: Reason

    def evaluate(self, amount: int, inputs: Inputs) -> StepOutcome:  # noqa: ARG002 - needs neither
        """No amount, and the reason."""
        return StepOutcome(None, self.refusal)

    def compile(self, amount: Expr, columns: InputColumns) -> Expr:  # noqa: ARG002 - needs neither
        """SQL form of `evaluate`."""
        return null_amount()

    def reach(self, amounts: Span) -> Span:  # noqa: ARG002 - none
        """Nothing; any span will do."""
        return ANY_AMOUNT


def range_fault(amount: int) -> Reason | None:
    """Why an amount is no price: below 0, or above 10^12."""
    if amount < 0:
        return Reason.NEGATIVE_PRICE
    return Reason.AMOUNT_OUT_OF_RANGE if amount > MAX_MINOR else None


@dataclass(frozen=True, slots=True)
class StepDocument:
    """A step as read. `build` makes the step from its amounts in minor units."""

    op: str
    amounts: tuple[Amount, ...]
    build: Callable[[tuple[int, ...]], Step]

    def bind(self, currency: str) -> Step:
        """Return the step for price lists of the currency; one that refuses where its amounts do not fit."""
        minor = fit(self.amounts, currency)
        return Refuse(self.op, minor.reason) if isinstance(minor, Misfit) else self.build(minor)


def multiples_step(op: str, mode: Mode, minor: tuple[int, ...]) -> Step:
    """Build `round` from its unit."""
    return RoundTo(op, Multiples(minor[0]), mode)


def endings_step(op: str, mode: Mode, minor: tuple[int, ...]) -> Step:
    """Build `ending` from its endings and, last, the amount that they repeat by."""
    return RoundTo(op, Endings(minor[-1], tuple(sorted(set(minor[:-1])))), mode)
