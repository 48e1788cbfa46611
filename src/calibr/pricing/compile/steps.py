"""The lower levels of a statement: which items, which branch, and the amounts that the steps give."""

from dataclasses import dataclass

from sqlalchemy import and_, case

from calibr.core.money import MAX_MINOR
from calibr.pricing.arithmetic import ANY_AMOUNT, Span
from calibr.pricing.compile.codes import code
from calibr.pricing.compile.scope import Fence, Scope, by_branch
from calibr.pricing.guardrails import Of
from calibr.pricing.rules import BoundRules
from calibr.pricing.selector import Logic
from calibr.pricing.source import PlanSource
from calibr.pricing.sql import Expr, first_that_holds, null_amount, whole
from calibr.pricing.steps import InputColumns, Step
from calibr.pricing.transform import Branch
from calibr.pricing.vocabulary import Reason


@dataclass(frozen=True, slots=True)
class Stepped:
    """The level after the steps. `amounts` are the legal amounts that there can be after each branch."""

    scope: Scope
    amounts: tuple[Span, ...]


def picked(rules: BoundRules, source: PlanSource, *, keep_left: bool, fence: Fence) -> Scope:
    """The level of the selected items: identity, inputs, and the branch that decides where there are cases.

    `keep_left` keeps the items that no case takes; their branch is null.
    """
    scope = Scope(source.rows, [*source.where, rules.selector.compile(source, Logic.TWO_VALUED)], fence=fence)
    scope.add("product_id", source.product_id)
    scope.add("before", source.unit_amount)
    scope.add("in_force", source.compare_at)
    scope.add("cost", source.unit_cost)
    if keep_left and rules.selector.has_not:
        scope.add("is_certain", rules.selector.compile(source, Logic.THREE_VALUED))
    if rules.transform.is_single:
        return scope
    scope.add("branch", _branch_index(rules, source))
    scope = scope.fenced()
    if rules.transform.leaves_the_rest and not keep_left:
        scope.keep_only(scope["branch"].is_not(None))
    return scope


def _branch_index(rules: BoundRules, source: PlanSource) -> Expr:
    whens = [when.compile(source, Logic.TWO_VALUED) for when in rules.transform.whens]
    otherwise = null_amount() if rules.transform.leaves_the_rest else whole(len(whens))
    return first_that_holds([(when, whole(index)) for index, when in enumerate(whens)], otherwise)


def branch_column(scope: Scope) -> Expr:
    """The index of the branch; a constant where there is one branch."""
    return scope["branch"] if "branch" in scope else whole(0)


def input_columns(scope: Scope) -> InputColumns:
    """The inputs of steps and guardrails."""
    return InputColumns(scope["before"], scope["in_force"], scope["cost"])


def stepped(rules: BoundRules, scope: Scope) -> Stepped:
    """Add a level for each step, the bounds of the guardrails beside the first, and the amount after the last."""
    branches = rules.transform.branches
    spans = [ANY_AMOUNT] * len(branches)
    for position in range(max(len(branch.steps) for branch in branches)):
        scope.add(f"step{position}", _step(scope, branches, spans, position))
        spans = [_reach(branch, span, position) for branch, span in zip(branches, spans, strict=True)]
        if position == 0:
            _add_bounds(rules, scope)
        scope = scope.fenced()
    if "step0" not in scope:
        _add_bounds(rules, scope)
        scope = scope.fenced()
    scope.add("amount", _last_amount(scope, branches, spans))
    return Stepped(scope, tuple(span.clipped() for span in spans))


def _reach(branch: Branch, span: Span, position: int) -> Span:
    """What a step gives; a branch that has ended keeps what it has."""
    return branch.steps[position].reach(span.clipped()) if position < len(branch.steps) else span


def _step(scope: Scope, branches: tuple[Branch, ...], spans: list[Span], position: int) -> Expr:
    """The amount that the steps at a position give, by branch."""
    columns = input_columns(scope)
    amount = scope["before"] if position == 0 else scope[f"step{position - 1}"]

    def build(key: tuple[Step, Span] | None) -> Expr:
        if key is None:
            return null_amount()
        step, span = key
        return _where_legal(amount, span, step.compile(amount, columns))

    keys = [
        (branch.steps[position], span) if position < len(branch.steps) else None
        for branch, span in zip(branches, spans, strict=True)
    ]
    return by_branch(branch_column(scope), keys, build)


def _where_legal(amount: Expr, span: Span, then: Expr) -> Expr:
    """`then` where the amount is a legal price, which is left unsaid where the span proves it."""
    conditions = []
    if span.low < 0:
        conditions.append(amount >= whole(0))
    if span.high > MAX_MINOR:
        conditions.append(amount <= whole(MAX_MINOR))
    return case((and_(*conditions), then)) if conditions else then


def _last_amount(scope: Scope, branches: tuple[Branch, ...], spans: list[Span]) -> Expr:
    """The amount after the last step of the branch; null where a step blocked."""

    def build(key: tuple[int, Span]) -> Expr:
        count, span = key
        amount = scope[f"step{count - 1}"] if count else scope["before"]
        return _where_legal(amount, span, amount)

    return by_branch(
        branch_column(scope), [(len(b.steps), span) for b, span in zip(branches, spans, strict=True)], build
    )


def _add_bounds(rules: BoundRules, scope: Scope) -> None:
    columns = input_columns(scope)
    for rule in rules.guardrails:
        if rule.limit is not None and rule.limit.of is not Of.AMOUNT:
            scope.add(f"bound{rule.position}", rule.limit.compile_bound(columns))


def step_block(rules: BoundRules, scope: Scope) -> Expr:
    """The code of an item that has no amount after the steps: no price in force, or the step that blocked."""
    branches = rules.transform.branches
    first = (scope["before"].is_(None), whole(code(Reason.MISSING_PRICE)))

    def build(steps: tuple[Step, ...]) -> Expr:
        blocks = [block for position, step in enumerate(steps) for block in _blocks(scope, step, position)]
        return first_that_holds([first, *blocks], whole(0))

    return by_branch(branch_column(scope), [branch.steps for branch in branches], build)


def _blocks(scope: Scope, step: Step, position: int) -> list[tuple[Expr, Expr]]:
    """How a step can block. A condition holds only where no step before it blocked, because null goes on as null."""
    amount = scope[f"step{position}"]
    blocks: list[tuple[Expr, Expr]] = []
    if step.refusal is not None:
        blocks.append((amount.is_(None), whole(code(step.refusal))))
    blocks.append((amount < whole(0), whole(code(Reason.NEGATIVE_PRICE))))
    blocks.append((amount > whole(MAX_MINOR), whole(code(Reason.AMOUNT_OUT_OF_RANGE))))
    return blocks


def step_reasons(rules: BoundRules) -> set[Reason]:
    """The reasons that steps can block with."""
    steps = [step for branch in rules.transform.branches for step in branch.steps]
    refusals = {step.refusal for step in steps if step.refusal is not None}
    ranges = {Reason.NEGATIVE_PRICE, Reason.AMOUNT_OUT_OF_RANGE} if steps else set()
    return {Reason.MISSING_PRICE, *refusals, *ranges}
