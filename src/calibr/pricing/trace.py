"""The compact trace of an item: a short `bigint[]`, one layout for all items of a change.

`[unit_cost, branch?, step 1, ..., step n, clamped?, rounded?]`

- `unit_cost`: the cost that was used, null where there was none.
- `branch`: index of the branch that decided; only where the transform has cases.
- `step i`: the amount that the step gave; null where it gave none, was not reached, or where the branch is shorter.
- `clamped`: what the clamp rules make of the amount after the steps, whatever the other rules say, null where there is
  no such amount; only where there is a guardrail that clamps the amount.
- `rounded`: what rounding again makes of `clamped` (the same where no rule moved it); only where `clamped` is there and
  a branch ends in `round` or `ending`.

Together with the documents and the columns of the item that is everything that an explain trace shows: the rest follows
by evaluating the branch again, and each stored number is checked against it.
"""

from dataclasses import dataclass

from calibr.pricing.evaluate import Outcome
from calibr.pricing.guardrails import Kind
from calibr.pricing.item import Inputs
from calibr.pricing.judgement import GuardrailRun
from calibr.pricing.rules import BoundRules
from calibr.pricing.vocabulary import Action


@dataclass(frozen=True, slots=True)
class TraceLayout:
    """Which numbers the traces of a change have."""

    has_branch: bool
    steps: int
    has_clamped: bool
    has_rounded: bool


def layout_of(rules: BoundRules) -> TraceLayout:
    """Return the layout for the rules; the same for every currency they are bound to."""
    branches = rules.transform.branches
    clamps = any(rule.kind is not Kind.CHECK and rule.action is Action.CLAMP for rule in rules.guardrails)
    return TraceLayout(
        has_branch=not rules.transform.is_single,
        steps=max(len(branch.steps) for branch in branches),
        has_clamped=clamps,
        has_rounded=clamps and any(branch.ends_in_rounding for branch in branches),
    )


def trace_numbers(rules: BoundRules, branch_index: int, inputs: Inputs, outcome: Outcome) -> tuple[int | None, ...]:
    """Return the trace of an evaluated item, in the layout of the rules."""
    layout = layout_of(rules)
    numbers: list[int | None] = [inputs.unit_cost]
    if layout.has_branch:
        numbers.append(branch_index)
    amounts = [step.amount_out for step in outcome.steps]
    numbers.extend(amounts + [None] * (layout.steps - len(amounts)))
    if layout.has_clamped:
        numbers.extend(_guarded(rules, branch_index, inputs, outcome.stepped)[: 1 + layout.has_rounded])
    return tuple(numbers)


def _guarded(
    rules: BoundRules, branch_index: int, inputs: Inputs, stepped: int | None
) -> tuple[int | None, int | None]:
    """What the clamp rules make of the amount after the steps, and what rounding again makes of that."""
    if stepped is None:
        return None, None
    clamped = GuardrailRun(rules.guardrails, inputs).clamp(stepped)
    rounding = rules.transform.branches[branch_index].rounding
    if clamped.binding is None or rounding is None:
        return clamped.amount, clamped.amount
    return clamped.amount, rounding.grid.round(clamped.amount, clamped.mode)
