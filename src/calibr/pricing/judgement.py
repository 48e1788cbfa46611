"""What guardrails make of the price that the steps gave, in the order of the rules page, and what happened to each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from calibr.core.money import MAX_MINOR
from calibr.pricing.guardrails import Guardrail, Kind
from calibr.pricing.item import Inputs
from calibr.pricing.steps import RoundTo
from calibr.pricing.vocabulary import Action, GuardrailResult, IfMissing, Mode, Reason

_RESULT_ORDER: Final = {result: position for position, result in enumerate(GuardrailResult)}


@dataclass(frozen=True, slots=True)
class GuardrailTrace:
    """What happened to one guardrail. The amounts are null where it was not reached."""

    id: str
    rule: str
    bound: int | None
    amount_in: int | None
    amount_out: int | None
    result: GuardrailResult


@dataclass(frozen=True, slots=True)
class RoundedAgain:
    """The rounding that followed a clamp."""

    op: str
    mode: Mode
    amount_in: int
    amount_out: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """The price that the guardrails let through, or why they do not."""

    amount: int
    reason: Reason | None
    binding: Guardrail | None
    violated: Guardrail | None
    rounded_again: RoundedAgain | None


@dataclass(frozen=True, slots=True)
class Clamped:
    """What the clamp rules make of an amount: after the upper bounds, after the lower ones, and what moved it."""

    capped: int
    amount: int
    upper: Guardrail | None
    lower: Guardrail | None

    @property
    def binding(self) -> Guardrail | None:
        """The rule that moved the amount last."""
        return self.lower or self.upper

    @property
    def mode(self) -> Mode:
        """Which way a rounding must go that follows."""
        return Mode.UP if self.lower else Mode.DOWN


class GuardrailRun:
    """One pass of an item through the guardrails."""

    def __init__(self, guardrails: Sequence[Guardrail], inputs: Inputs) -> None:
        self._guardrails = guardrails
        self._inputs = inputs
        self._bounds = [rule.limit.bound(inputs) if rule.limit else None for rule in guardrails]
        self._results = [GuardrailResult.NOT_REACHED] * len(guardrails)
        self._moves: dict[int, tuple[int, int]] = {}
        self._entered: int | None = None

    def judge(self, amount: int, rounding: RoundTo | None, *, allow_zero: bool) -> Judgement:
        """Return what the guardrails make of the amount that the steps gave."""
        self._entered = amount
        stopped = self._stop_where_cost_is_missing(amount) or self._stop_what_is_refused(amount)
        if stopped is not None:
            return stopped
        clamped = self.clamp(amount)
        self._note_clamps(amount, clamped)
        if clamped.amount > MAX_MINOR:
            return self._stop(clamped.amount, Reason.AMOUNT_OUT_OF_RANGE, clamped.binding)
        return self._finish(clamped, rounding, allow_zero=allow_zero)

    def clamp(self, amount: int) -> Clamped:
        """Apply the clamp rules: the smallest upper bound, then the largest lower one; of equal ones the first."""
        upper = self._tightest(Kind.UPPER)
        capped, upper_binds = amount, None
        if upper is not None and amount > upper[0]:
            capped, upper_binds = upper
        lower = self._tightest(Kind.LOWER)
        if lower is not None and capped < lower[0]:
            return Clamped(capped, lower[0], upper_binds, lower[1])
        return Clamped(capped, capped, upper_binds, None)

    @property
    def check(self) -> Guardrail | None:
        """The check on the compare-at, if there is one."""
        return next((rule for rule in self._guardrails if rule.kind is Kind.CHECK), None)

    def note(self, rule: Guardrail, result: GuardrailResult) -> None:
        """Note what happened to a rule; a later result in the order of `GuardrailResult` replaces an earlier one."""
        self._results[rule.position] = max(self._results[rule.position], result, key=_RESULT_ORDER.__getitem__)

    def traces(self) -> tuple[GuardrailTrace, ...]:
        """What happened to each guardrail, in document order.

        A rule that does not clamp shows the amount that the steps gave as both `in` and `out`.
        """
        return tuple(self._trace(rule) for rule in self._guardrails)

    def _trace(self, rule: Guardrail) -> GuardrailTrace:
        result = self._results[rule.position]
        if result is GuardrailResult.NOT_REACHED:
            return GuardrailTrace(rule.id, rule.rule, None, None, None, result)
        amount_in, amount_out = self._moves.get(rule.position, (self._entered, self._entered))
        return GuardrailTrace(rule.id, rule.rule, self._bounds[rule.position], amount_in, amount_out, result)

    def _stop_where_cost_is_missing(self, amount: int) -> Judgement | None:
        for rule in self._guardrails:
            missing = rule.needs_cost and self._inputs.unit_cost is None
            if missing and rule.if_missing is IfMissing.BLOCK:
                return self._stop(amount, Reason.MISSING_COST, rule)
            if rule.kind is not Kind.CHECK and self._bounds[rule.position] is None:
                self.note(rule, GuardrailResult.SKIPPED)
        return None

    def _stop_what_is_refused(self, amount: int) -> Judgement | None:
        for rule in self._guardrails:
            if rule.kind is Kind.CHECK or rule.action is not Action.BLOCK:
                continue
            if self._is_broken(rule, amount):
                return self._stop(amount, Reason.GUARDRAIL, rule)
            self.note(rule, GuardrailResult.PASS)
        return None

    def _finish(self, clamped: Clamped, rounding: RoundTo | None, *, allow_zero: bool) -> Judgement:
        amount, again = clamped.amount, None
        if clamped.binding and rounding:
            amount = rounding.grid.round(amount, clamped.mode)
            again = RoundedAgain(rounding.op, clamped.mode, clamped.amount, amount)
        if amount > MAX_MINOR:
            return self._stop(amount, Reason.AMOUNT_OUT_OF_RANGE, clamped.binding, again=again)
        violated = self._first_violated(amount)
        if violated is not None:
            self.note(violated, GuardrailResult.BLOCKED)
            return Judgement(amount, Reason.INFEASIBLE, clamped.binding, violated, again)
        is_new_zero = amount == 0 and bool(self._inputs.unit_amount) and not allow_zero
        return Judgement(amount, Reason.ZERO_PRICE if is_new_zero else None, clamped.binding, None, again)

    def _first_violated(self, amount: int) -> Guardrail | None:
        return next((rule for rule in self._guardrails if self._is_broken(rule, amount)), None)

    def _is_broken(self, rule: Guardrail, amount: int) -> bool:
        return rule.limit is not None and rule.limit.is_broken_by(amount, self._bounds[rule.position])

    def _tightest(self, kind: Kind) -> tuple[int, Guardrail] | None:
        """The clamp rule of a kind that allows least, with its bound; of equal ones the first."""
        bounds = [(bound, rule) for rule, bound in self._clamps(kind) if bound is not None]
        choose = min if kind is Kind.UPPER else max
        return choose(bounds, key=lambda found: found[0]) if bounds else None

    def _clamps(self, kind: Kind) -> Iterator[tuple[Guardrail, int | None]]:
        for rule in self._guardrails:
            if rule.kind is kind and rule.action is Action.CLAMP:
                yield rule, self._bounds[rule.position]

    def _note_clamps(self, amount: int, clamped: Clamped) -> None:
        for kind, start, end, binding in (
            (Kind.UPPER, amount, clamped.capped, clamped.upper),
            (Kind.LOWER, clamped.capped, clamped.amount, clamped.lower),
        ):
            for rule, bound in self._clamps(kind):
                moved = rule is binding
                self._moves[rule.position] = (start, end if moved else start)
                if bound is not None:
                    self.note(rule, GuardrailResult.CLAMPED if moved else GuardrailResult.PASS)

    def _stop(
        self, amount: int, reason: Reason, rule: Guardrail | None, *, again: RoundedAgain | None = None
    ) -> Judgement:
        if rule is not None:
            self.note(rule, GuardrailResult.BLOCKED)
        return Judgement(amount, reason, rule, None, again)
