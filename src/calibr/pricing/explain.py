"""Explain traces: why an item has the price that it has, rendered from documents, trace and columns on read."""

from dataclasses import dataclass
from uuid import UUID

from calibr.pricing.evaluate import Evaluation, Outcome, price
from calibr.pricing.item import Inputs, Item
from calibr.pricing.judgement import GuardrailTrace, RoundedAgain
from calibr.pricing.rules import BoundRules
from calibr.pricing.trace import layout_of, trace_numbers

JsonObject = dict[str, object]


class TraceMismatch(Exception):
    """What is stored of an item is not what its documents and inputs give: it was changed, or the engine was."""


@dataclass(frozen=True, slots=True)
class PlanItem:
    """An item of a plan as it is stored and sealed; the trace is in the layout of `calibr.pricing.trace`."""

    product_id: UUID
    price_list_id: UUID
    currency: str
    before_amount: int | None
    before_compare_at: int | None
    after_amount: int | None
    after_compare_at: int | None
    verdict: str
    reason: str | None
    binding: str | None
    violated: str | None
    trace: tuple[int | None, ...]


def plan_item(
    rules: BoundRules, evaluation: Evaluation, item: Item, *, product_id: UUID, price_list_id: UUID
) -> PlanItem:
    """Return the row that a plan has for an evaluated item, which must have an outcome."""
    outcome, index = evaluation.outcome, evaluation.branch_index
    if outcome is None or index is None:
        raise ValueError("an item that is not selected, or is left alone, has no row")
    return PlanItem(
        product_id=product_id,
        price_list_id=price_list_id,
        currency=rules.currency,
        before_amount=item.inputs.unit_amount,
        before_compare_at=item.inputs.compare_at,
        after_amount=outcome.after_amount,
        after_compare_at=outcome.after_compare_at,
        verdict=outcome.verdict,
        reason=outcome.reason,
        binding=outcome.binding,
        violated=outcome.violated,
        trace=trace_numbers(rules, index, item.inputs, outcome),
    )


def explain_item(rules: BoundRules, item: PlanItem, engine: str) -> JsonObject:
    """Render the explain trace of a stored item (`explain-trace/1.0.0`), without looking at the catalogue.

    The branch is evaluated again from the stored inputs. Raises `TraceMismatch` where a stored number or word differs
    from what that gives; `engine` is the one that computed the plan.
    """
    index = _branch_index(rules, item)
    inputs = Inputs(item.before_amount, item.before_compare_at, item.trace[0])
    outcome = price(rules, index, inputs)
    _check("trace", list(item.trace), list(trace_numbers(rules, index, inputs, outcome)))
    _check("after_amount", item.after_amount, outcome.after_amount)
    _check("after_compare_at", item.after_compare_at, outcome.after_compare_at)
    for name in ("verdict", "reason", "binding", "violated"):
        _check(name, getattr(item, name), getattr(outcome, name))
    return {
        "product_id": str(item.product_id),
        "price_list_id": str(item.price_list_id),
        "currency": item.currency,
        "inputs": {
            "unit_amount": inputs.unit_amount,
            "compare_at": inputs.compare_at,
            "unit_cost": inputs.unit_cost,
        },
        "case": rules.transform.label(index),
        **_rendered(outcome),
        "rule_hash": rules.rule_hash,
        "engine": engine,
    }


def _branch_index(rules: BoundRules, item: PlanItem) -> int:
    layout = layout_of(rules)
    length = 1 + layout.has_branch + layout.steps + layout.has_clamped + layout.has_rounded
    if len(item.trace) != length:
        raise TraceMismatch(f"the trace has {len(item.trace)} numbers where its rules give {length}")
    if not layout.has_branch:
        return 0
    index = item.trace[1]
    if index is None or not 0 <= index < len(rules.transform.branches):
        raise TraceMismatch(f"the trace names a branch {index} that its rules do not have")
    return index


def _check(name: str, stored: object, computed: object) -> None:
    if stored != computed:
        raise TraceMismatch(f"{name}: {stored} is stored where its rules and inputs give {computed}")


def _rendered(outcome: Outcome) -> JsonObject:
    return {
        "steps": [
            {"op": step.op, "in": step.amount_in, "out": step.amount_out} | ({"skipped": True} if step.skipped else {})
            for step in outcome.steps
        ],
        "guardrails": [_guardrail(trace) for trace in outcome.guardrails],
        "rounded_again": _rounded_again(outcome.rounded_again),
        "compare_at": {
            "in": outcome.compare_at.amount_in,
            "out": outcome.compare_at.amount_out,
            "why": outcome.compare_at.why and outcome.compare_at.why.value,
        },
        "after": {"unit_amount": outcome.after_amount, "compare_at": outcome.after_compare_at},
        "verdict": outcome.verdict.value,
        "reason": outcome.reason and outcome.reason.value,
        "binding": outcome.binding,
        "violated": outcome.violated,
    }


def _guardrail(trace: GuardrailTrace) -> JsonObject:
    return {
        "id": trace.id,
        "rule": trace.rule,
        "bound": trace.bound,
        "in": trace.amount_in,
        "out": trace.amount_out,
        "result": trace.result.value,
    }


def _rounded_again(again: RoundedAgain | None) -> JsonObject | None:
    if again is None:
        return None
    return {"op": again.op, "mode": again.mode.value, "in": again.amount_in, "out": again.amount_out}
