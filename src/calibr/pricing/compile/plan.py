"""A compiled plan: the statement that gives every item of a price list, and the same under aggregates."""

from functools import cached_property

from sqlalchemy import BigInteger, Select, and_, case, func
from sqlalchemy.dialects.postgresql import array

from calibr.pricing.compare_at import Keep
from calibr.pricing.compile.codes import SHIFT, guardrail_word, has_reason, is_blocked, reason_word
from calibr.pricing.compile.guards import Guards, Judged
from calibr.pricing.compile.scope import Fence, Scope
from calibr.pricing.compile.steps import branch_column, picked, stepped
from calibr.pricing.guardrails import Guardrail, Kind
from calibr.pricing.rules import BoundRules
from calibr.pricing.source import PlanSource
from calibr.pricing.sql import FALSE, TRUE, Expr, if_else, is_not_true, null_amount, null_word, whole, word
from calibr.pricing.trace import layout_of
from calibr.pricing.vocabulary import Action, Direction, Reason, Verdict

Statement = Select[tuple[object, ...]]


class CompiledPlan:
    """Statements for one price list, each built when it is first asked for.

    None of them is ordered, and each reads the source once.
    """

    def __init__(self, rules: BoundRules, source: PlanSource) -> None:
        self._rules = rules
        self._source = source

    @cached_property
    def items(self) -> Statement:
        """One row for each selected item that is not left alone: the columns of a plan item, and `direction`."""
        return _items(self._rules, self._source)

    @cached_property
    def summary(self) -> Statement:
        """One row of counts and sums over what `items` would give; allows a parallel plan."""
        return _summary(self._rules, self._source)

    @cached_property
    def counts(self) -> Statement:
        """One row: `selected`, `left` and `selected_as_missing`, without computing prices."""
        return _counts(self._rules, self._source)

    @cached_property
    def selection(self) -> Statement:
        """`product_id` and `branch` of each selected item; the branch is null for one that is left alone."""
        return _selection(self._rules, self._source)


def compile_plan(rules: BoundRules, source: PlanSource) -> CompiledPlan:
    """Compile rules that were bound to the currency of the source."""
    if rules.currency != source.currency:
        raise ValueError(f"rules for {rules.currency} cannot read a price list in {source.currency}")
    return CompiledPlan(rules, source)


def _judged(rules: BoundRules, scope: Scope) -> Judged:
    return Guards(rules, stepped(rules, scope)).judged()


def _items(rules: BoundRules, source: PlanSource) -> Statement:
    judged = _judged(rules, picked(rules, source, keep_left=False, fence=Fence.OFFSET))
    scope, number = judged.scope, judged.scope["code"]
    return scope.select(
        product_id=scope["product_id"],
        price_list_id=source.price_list_id,
        currency=word(source.currency),
        before_amount=scope["before"],
        before_compare_at=scope["in_force"],
        after_amount=if_else(is_blocked(number), scope["before"], scope["final"]),
        after_compare_at=if_else(is_blocked(number), scope["in_force"], _compare_at(rules, scope)),
        verdict=_verdict(rules, scope),
        direction=_direction(scope),
        reason=reason_word(number, judged.reasons),
        binding=guardrail_word(number % whole(SHIFT), rules.guardrails),
        violated=_violated(rules, scope),
        trace=_trace(rules, scope),
    )


def _violated(rules: BoundRules, scope: Scope) -> Expr:
    if "violated" not in scope:
        return null_word()
    is_infeasible = has_reason(scope["code"], Reason.INFEASIBLE)
    return guardrail_word(if_else(is_infeasible, scope["violated"], whole(0)), rules.guardrails)


def _check_that_clears(rules: BoundRules) -> Guardrail | None:
    checks = (rule for rule in rules.guardrails if rule.kind is Kind.CHECK and rule.action is Action.CLAMP)
    return next(checks, None)


def _compare_at(rules: BoundRules, scope: Scope) -> Expr:
    """The compare-at of an item that is not blocked, after the check."""
    decided = scope["decided"]
    if _check_that_clears(rules) is None:
        return decided
    return if_else(decided <= scope["final"], null_amount(), decided)


def _is_unchanged(rules: BoundRules, scope: Scope) -> Expr:
    """Whether an item that is not blocked keeps both fields."""
    same_price = scope["final"] == scope["before"]
    keeps = all(isinstance(branch.compare_at, Keep) for branch in rules.transform.branches)
    if keeps and _check_that_clears(rules) is None:
        return same_price
    return and_(same_price, _compare_at(rules, scope).is_not_distinct_from(scope["in_force"]))


def _verdict(rules: BoundRules, scope: Scope) -> Expr:
    number = scope["code"]
    branches = [(is_blocked(number), word(Verdict.BLOCKED)), (_is_unchanged(rules, scope), word(Verdict.UNCHANGED))]
    if rules.guardrails:
        branches.append((number > whole(0), word(Verdict.CLAMPED)))
    return case(*branches, else_=word(Verdict.CHANGED))


def _direction(scope: Scope) -> Expr:
    final, before = scope["final"], scope["before"]
    return case(
        (is_blocked(scope["code"]), word(Direction.NONE)),
        (final > before, word(Direction.UP)),
        (final < before, word(Direction.DOWN)),
        else_=word(Direction.NONE),
    )


def _trace(rules: BoundRules, scope: Scope) -> Expr:
    """The numbers of `calibr.pricing.trace`, in its layout."""
    layout = layout_of(rules)
    numbers = [scope["cost"]]
    if layout.has_branch:
        numbers.append(scope["branch"])
    numbers.extend(scope[f"step{position}"] for position in range(layout.steps))
    if layout.has_clamped:
        numbers.append(scope["clamped"])
    if layout.has_rounded:
        numbers.append(scope["final"])
    return array(numbers, type_=BigInteger)


def _counts(rules: BoundRules, source: PlanSource) -> Statement:
    scope = picked(rules, source, keep_left=True, fence=Fence.VOLATILE)
    return scope.select(**_selection_counts(rules, scope))


def _selection(rules: BoundRules, source: PlanSource) -> Statement:
    scope = picked(rules, source, keep_left=True, fence=Fence.OFFSET)
    return scope.select(product_id=scope["product_id"], branch=branch_column(scope))


def _selection_counts(rules: BoundRules, scope: Scope) -> dict[str, Expr]:
    return {
        "selected": func.count(),
        "left": _count_where(scope["branch"].is_(None)) if rules.transform.leaves_the_rest else whole(0),
        "selected_as_missing": _count_where(is_not_true(scope["is_certain"])) if "is_certain" in scope else whole(0),
    }


def _summary(rules: BoundRules, source: PlanSource) -> Statement:
    judged = _judged(rules, picked(rules, source, keep_left=True, fence=Fence.VOLATILE))
    scope, number = judged.scope, judged.scope["code"]
    is_item = scope["branch"].is_not(None) if rules.transform.leaves_the_rest else TRUE
    is_proposed = and_(is_item, number < whole(SHIFT))
    is_unchanged = _is_unchanged(rules, scope)
    final, before = scope["final"], scope["before"]
    is_differing = and_(is_proposed, is_not_true(is_unchanged))
    by_reason = {
        f"blocked_{reason}": _count_where(and_(is_item, has_reason(number, reason)))
        if reason in judged.reasons
        else whole(0)
        for reason in Reason
    }
    return scope.select(
        **_selection_counts(rules, scope),
        items=_count_where(is_item),
        unchanged=_count_where(and_(is_proposed, is_unchanged)),
        changed=_count_where(and_(is_differing, number == whole(0))),
        clamped=_count_where(and_(is_differing, number > whole(0))),
        blocked=_count_where(and_(is_item, is_blocked(number))),
        up=_count_where(and_(is_proposed, final > before)),
        down=_count_where(and_(is_proposed, final < before)),
        rounded_far=_count_where(and_(is_proposed, _is_rounded_far(rules, scope))),
        before_total=_total(before, is_proposed),
        after_total=_total(final, is_proposed),
        costed_items=_count_where(and_(is_proposed, scope["cost"].is_not(None))),
        costed_before_total=_total(before, and_(is_proposed, scope["cost"].is_not(None))),
        costed_after_total=_total(final, and_(is_proposed, scope["cost"].is_not(None))),
        cost_total=_total(scope["cost"], is_proposed),
        **by_reason,
    )


def _is_rounded_far(rules: BoundRules, scope: Scope) -> Expr:
    """Whether rounding again moved the price by more than the guardrail did."""
    if not layout_of(rules).has_rounded:
        return FALSE
    amount, clamped, final = scope["amount"], scope["clamped"], scope["final"]
    return func.abs(final - clamped) > func.abs(clamped - amount)


def _count_where(condition: Expr) -> Expr:
    return func.count() if condition is TRUE else func.count().filter(condition)


def _total(amount: Expr, condition: Expr) -> Expr:
    return func.coalesce(func.sum(amount).filter(condition), 0)
