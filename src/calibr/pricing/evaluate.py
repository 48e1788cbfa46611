"""The first back end: one item in Python, exactly, with everything that an explain trace needs."""

from dataclasses import dataclass

from calibr.pricing.guardrails import Guardrail
from calibr.pricing.item import Inputs, Item
from calibr.pricing.judgement import GuardrailRun, GuardrailTrace, Judgement, RoundedAgain
from calibr.pricing.rules import BoundRules
from calibr.pricing.selector import Logic, first_index, selects
from calibr.pricing.steps import range_fault
from calibr.pricing.transform import Branch
from calibr.pricing.vocabulary import Action, Direction, GuardrailResult, Reason, Verdict, Why


@dataclass(frozen=True, slots=True)
class StepTrace:
    """One step: what went in, what it gave (null if none)."""

    op: str
    amount_in: int
    amount_out: int | None
    skipped: bool


@dataclass(frozen=True, slots=True)
class CompareAtTrace:
    """What became of the compare-at; `why` is null where the item was blocked before."""

    amount_in: int | None
    amount_out: int | None
    why: Why | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a branch and the guardrails make of an item. A blocked item keeps what it had in both fields.

    `stepped` is the amount after the steps, null where one of them blocked or there is no price in force.
    """

    steps: tuple[StepTrace, ...]
    stepped: int | None
    guardrails: tuple[GuardrailTrace, ...]
    rounded_again: RoundedAgain | None
    compare_at: CompareAtTrace
    after_amount: int | None
    after_compare_at: int | None
    verdict: Verdict
    direction: Direction
    reason: Reason | None
    binding: str | None
    violated: str | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The answer for one item: not selected, left alone, or decided by the branch at `branch_index`."""

    selected: bool
    selected_as_missing: bool = False
    branch_index: int | None = None
    outcome: Outcome | None = None

    @property
    def left(self) -> bool:
        """Whether the item was selected and no case took it."""
        return self.selected and self.outcome is None


def evaluate(rules: BoundRules, item: Item) -> Evaluation:
    """Evaluate the rules for one item."""
    if not selects(rules.selector, item):
        return Evaluation(selected=False)
    as_missing = rules.selector.holds(item, Logic.THREE_VALUED) is not True
    index = branch_of(rules, item)
    if index is None:
        return Evaluation(selected=True, selected_as_missing=as_missing)
    return Evaluation(True, as_missing, index, price(rules, index, item.inputs))  # noqa: FBT003


def branch_of(rules: BoundRules, item: Item) -> int | None:
    """Index of the branch that decides a selected item; None where it is left alone."""
    transform = rules.transform
    index = first_index(transform.whens, item)
    if index is not None:
        return index
    return None if transform.leaves_the_rest else len(transform.whens)


def price(rules: BoundRules, branch_index: int, inputs: Inputs) -> Outcome:
    """Compute what a branch makes of an item; needs nothing but the inputs, so that any past price can be replayed."""
    return _BranchRun(rules.transform.branches[branch_index], rules.guardrails, inputs).outcome()


class _BranchRun:
    """One item on its way through a branch."""

    def __init__(self, branch: Branch, guardrails: tuple[Guardrail, ...], inputs: Inputs) -> None:
        self._branch = branch
        self._inputs = inputs
        self._guardrails = GuardrailRun(guardrails, inputs)
        self._steps: list[StepTrace] = []
        self._stepped: int | None = None
        self._again: RoundedAgain | None = None
        self._compare_at = CompareAtTrace(inputs.compare_at, inputs.compare_at, None)

    def outcome(self) -> Outcome:
        before = self._inputs.unit_amount
        if before is None:
            return self._blocked(Reason.MISSING_PRICE)
        amount, reason = self._run_steps(before)
        if amount is None:
            return self._blocked(reason)
        self._stepped = amount
        judged = self._guardrails.judge(amount, self._branch.rounding, allow_zero=self._branch.allow_zero)
        self._again = judged.rounded_again
        if judged.reason is not None:
            return self._blocked(judged.reason, judged.binding, judged.violated)
        return self._decide_compare_at(before, judged)

    def _run_steps(self, before: int) -> tuple[int | None, Reason | None]:
        """Return the amount after the steps, or null and the reason."""
        amount = before
        for step in self._branch.steps:
            result = step.evaluate(amount, self._inputs)
            self._steps.append(StepTrace(step.op, amount, result.amount, result.skipped))
            if result.amount is None:
                return None, result.reason
            fault = range_fault(result.amount)
            if fault is not None:
                return None, fault
            amount = result.amount
        return amount, None

    def _decide_compare_at(self, before: int, judged: Judgement) -> Outcome:
        in_force = self._inputs.compare_at
        decided = self._branch.compare_at.evaluate(judged.amount, before, in_force)
        self._compare_at = CompareAtTrace(in_force, decided.amount, decided.why)
        if decided.reason is not None:
            return self._blocked(decided.reason)
        check = self._guardrails.check
        if check is None:
            return self._proposed(judged.amount, decided.amount, judged.binding)
        if decided.amount is None or decided.amount > judged.amount:
            self._guardrails.note(check, GuardrailResult.PASS)
            return self._proposed(judged.amount, decided.amount, judged.binding)
        if check.action is Action.BLOCK:
            self._guardrails.note(check, GuardrailResult.BLOCKED)
            return self._blocked(Reason.GUARDRAIL, check)
        self._guardrails.note(check, GuardrailResult.CLAMPED)
        self._compare_at = CompareAtTrace(in_force, None, Why.CLEARED_BY_GUARDRAIL)
        return self._proposed(judged.amount, None, judged.binding or check)

    def _proposed(self, after: int, compare_at: int | None, binding: Guardrail | None) -> Outcome:
        before = self._inputs.unit_amount or 0
        if after == before and compare_at == self._inputs.compare_at:
            verdict = Verdict.UNCHANGED
        else:
            verdict = Verdict.CHANGED if binding is None else Verdict.CLAMPED
        return Outcome(
            steps=tuple(self._steps),
            stepped=self._stepped,
            guardrails=self._guardrails.traces(),
            rounded_again=self._again,
            compare_at=self._compare_at,
            after_amount=after,
            after_compare_at=compare_at,
            verdict=verdict,
            direction=_direction(before, after),
            reason=None,
            binding=binding.id if binding else None,
            violated=None,
        )

    def _blocked(
        self, reason: Reason | None, binding: Guardrail | None = None, violated: Guardrail | None = None
    ) -> Outcome:
        return Outcome(
            steps=tuple(self._steps),
            stepped=self._stepped,
            guardrails=self._guardrails.traces(),
            rounded_again=self._again,
            compare_at=self._compare_at,
            after_amount=self._inputs.unit_amount,
            after_compare_at=self._inputs.compare_at,
            verdict=Verdict.BLOCKED,
            direction=Direction.NONE,
            reason=reason,
            binding=binding.id if binding else None,
            violated=violated.id if violated else None,
        )


def _direction(before: int, after: int) -> Direction:
    if after == before:
        return Direction.NONE
    return Direction.UP if after > before else Direction.DOWN
