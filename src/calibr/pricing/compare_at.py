"""What becomes of the compare-at price: each decision with both forms side by side.

A decision looks at the final price `after`. None and SQL null mean that there is no compare-at price.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from calibr.core.money import MAX_MINOR
from calibr.pricing.amounts import Amount, Misfit, fit
from calibr.pricing.arithmetic import Ratio
from calibr.pricing.sql import Expr, first_that_holds, greatest, if_else, null_amount, whole
from calibr.pricing.vocabulary import Reason, Why


class CompareAtOutcome(NamedTuple):
    """The compare-at price, where it comes from, and why the item is blocked if it is."""

    amount: int | None
    why: Why
    reason: Reason | None = None


class CompareAt(Protocol):
    """A decision about the compare-at price, bound to a currency."""

    @property
    def refusal(self) -> Reason | None:
        """Why every item that reaches the decision is blocked; None if it is not."""
        ...

    @property
    def can_be_too_large(self) -> bool:
        """Whether the result can be above 10^12."""
        ...

    def evaluate(self, after: int, before: int, in_force: int | None) -> CompareAtOutcome:
        """Decide for one item."""
        ...

    def compile(self, after: Expr, before: Expr, in_force: Expr) -> Expr:
        """SQL form of `evaluate`."""
        ...


@dataclass(frozen=True, slots=True)
class Keep:
    """Unchanged."""

    refusal: None = None
    can_be_too_large: bool = False

    def evaluate(self, after: int, before: int, in_force: int | None) -> CompareAtOutcome:  # noqa: ARG002
        """The compare-at in force."""
        return CompareAtOutcome(in_force, Why.KEEP)

    def compile(self, after: Expr, before: Expr, in_force: Expr) -> Expr:  # noqa: ARG002 - one of three
        """SQL form of `evaluate`."""
        return in_force


@dataclass(frozen=True, slots=True)
class Clear:
    """Null."""

    refusal: None = None
    can_be_too_large: bool = False

    def evaluate(self, after: int, before: int, in_force: int | None) -> CompareAtOutcome:  # noqa: ARG002
        """Null."""
        return CompareAtOutcome(None, Why.CLEAR)

    def compile(self, after: Expr, before: Expr, in_force: Expr) -> Expr:  # noqa: ARG002 - none of three
        """SQL form of `evaluate`."""
        return null_amount()


@dataclass(frozen=True, slots=True)
class SetCompareAt:
    """An amount."""

    to: int
    refusal: None = None
    can_be_too_large: bool = False

    def evaluate(self, after: int, before: int, in_force: int | None) -> CompareAtOutcome:  # noqa: ARG002
        """The amount."""
        return CompareAtOutcome(self.to, Why.SET)

    def compile(self, after: Expr, before: Expr, in_force: Expr) -> Expr:  # noqa: ARG002 - none of three
        """SQL form of `evaluate`."""
        return whole(self.to)


@dataclass(frozen=True, slots=True)
class RefuseCompareAt:
    """An amount that does not fit the price list: every item that reaches it is blocked."""

    refusal: Reason
    can_be_too_large: bool = False

    def evaluate(self, after: int, before: int, in_force: int | None) -> CompareAtOutcome:  # noqa: ARG002
        """No amount, and the reason."""
        return CompareAtOutcome(None, Why.SET, self.refusal)

    def compile(self, after: Expr, before: Expr, in_force: Expr) -> Expr:  # noqa: ARG002 - none of three
        """SQL form of `evaluate`."""
        return null_amount()


class Otherwise(StrEnum):
    """What happens to the compare-at where the price did not go down."""

    KEEP = "keep"
    CLEAR = "clear"
    CLEAR_IF_NOT_ABOVE = "clear_if_not_above"

    def evaluate(self, after: int, in_force: int | None) -> CompareAtOutcome:
        """Decide for one item."""
        is_above = in_force is not None and in_force > after
        if self is Otherwise.KEEP or (self is Otherwise.CLEAR_IF_NOT_ABOVE and is_above):
            return CompareAtOutcome(in_force, Why.OTHERWISE_KEEP)
        return CompareAtOutcome(None, Why.OTHERWISE_CLEAR)

    def compile(self, after: Expr, in_force: Expr) -> Expr:
        """SQL form of `evaluate`."""
        if self is Otherwise.KEEP:
            return in_force
        return null_amount() if self is Otherwise.CLEAR else first_that_holds([(in_force > after, in_force)], None)


@dataclass(frozen=True, slots=True)
class FromPrice:
    """The price before a decrease, or the larger of it and the compare-at in force (`highest`)."""

    highest: bool
    otherwise: Otherwise
    refusal: None = None
    can_be_too_large: bool = False

    def evaluate(self, after: int, before: int, in_force: int | None) -> CompareAtOutcome:
        """Decide for one item."""
        if after >= before:
            return self.otherwise.evaluate(after, in_force)
        if not self.highest:
            return CompareAtOutcome(before, Why.FROM_PRICE)
        return CompareAtOutcome(before if in_force is None else max(before, in_force), Why.HIGHEST)

    def compile(self, after: Expr, before: Expr, in_force: Expr) -> Expr:
        """SQL form of `evaluate`."""
        reference = greatest([before, in_force]) if self.highest else before
        return if_else(after < before, reference, self.otherwise.compile(after, in_force))


@dataclass(frozen=True, slots=True)
class PercentAbove:
    """The price after the change plus a percentage."""

    ratio: Ratio
    refusal: None = None

    @property
    def can_be_too_large(self) -> bool:
        """Whether the result can be above 10^12: it is above the price."""
        return True

    def evaluate(self, after: int, before: int, in_force: int | None) -> CompareAtOutcome:  # noqa: ARG002
        """Decide for one item."""
        amount = self.ratio.nearest(after)
        reason = Reason.AMOUNT_OUT_OF_RANGE if amount > MAX_MINOR else None
        return CompareAtOutcome(amount, Why.PERCENT_ABOVE, reason)

    def compile(self, after: Expr, before: Expr, in_force: Expr) -> Expr:  # noqa: ARG002 - one of three
        """SQL form of `evaluate`."""
        return self.ratio.compile_nearest(after)


@dataclass(frozen=True, slots=True)
class CompareAtDocument:
    """A decision as read. `build` makes it from its amounts in minor units."""

    amounts: tuple[Amount, ...]
    build: Callable[[tuple[int, ...]], CompareAt]

    def bind(self, currency: str) -> CompareAt:
        """Return the decision for price lists of the currency; one that refuses where its amount does not fit."""
        minor = fit(self.amounts, currency)
        return RefuseCompareAt(minor.reason) if isinstance(minor, Misfit) else self.build(minor)
