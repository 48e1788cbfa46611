"""The upper levels of a statement: what guardrails make of the amount, the compare-at, and the code of the verdict."""

from dataclasses import dataclass

from sqlalchemy import and_, case, or_

from calibr.core.money import MAX_MINOR
from calibr.pricing.arithmetic import Span
from calibr.pricing.compare_at import CompareAt
from calibr.pricing.compile.codes import code, guardrail_code
from calibr.pricing.compile.scope import Scope, by_branch
from calibr.pricing.compile.steps import Stepped, branch_column, step_block, step_reasons
from calibr.pricing.guardrails import Guardrail, Kind, Of
from calibr.pricing.rounding import Grid, reach
from calibr.pricing.rules import BoundRules
from calibr.pricing.sql import FALSE, TRUE, Expr, first_that_holds, greatest, if_else, least, null_amount, whole
from calibr.pricing.vocabulary import Action, IfMissing, Mode, Reason


@dataclass(frozen=True, slots=True)
class Judged:
    """The last level, with what can happen on the way to it.

    Its columns: `final` (the price, if nothing blocks), `decided` (the compare-at, if nothing blocks, before the check
    clears it), `code` and, where `can_be_infeasible`, `violated`.
    """

    scope: Scope
    can_be_infeasible: bool
    reasons: tuple[Reason, ...]


class Guards:
    """Builds the upper levels for one set of rules."""

    def __init__(self, rules: BoundRules, below: Stepped) -> None:
        self._rules = rules
        self._branches = rules.transform.branches
        self._scope = below.scope
        self._spans = list(below.amounts)
        limited = [rule for rule in rules.guardrails if rule.limit is not None]
        self._limited = limited
        self._uppers = [rule for rule in limited if rule.kind is Kind.UPPER and rule.action is Action.CLAMP]
        self._lowers = [rule for rule in limited if rule.kind is Kind.LOWER and rule.action is Action.CLAMP]
        self._reasons = step_reasons(rules)
        self._check = next((rule for rule in rules.guardrails if rule.kind is Kind.CHECK), None)

    def judged(self) -> Judged:
        """Return the last level."""
        self._clamp()
        self._round_again()
        self._decide_compare_at()
        self._scope.add("code", self._code())
        reasons = tuple(reason for reason in Reason if reason in self._reasons)
        return Judged(self._scope.fenced(), self._can_be_infeasible, reasons)

    @property
    def _clamps(self) -> list[Guardrail]:
        return [*self._lowers, *self._uppers]

    @property
    def _can_be_infeasible(self) -> bool:
        """Whether moving the price for one rule can break another: only one of the other kind."""
        kinds = {rule.kind for rule in self._limited}
        return bool(self._clamps) and len(kinds) > 1

    def _bound(self, rule: Guardrail) -> Expr:
        assert rule.limit is not None  # noqa: S101 - only rules with a limit have bounds; narrows the type
        return whole(rule.limit.amount) if rule.limit.of is Of.AMOUNT else self._scope[f"bound{rule.position}"]

    def _is_broken(self, rule: Guardrail, amount: Expr) -> Expr:
        assert rule.limit is not None  # noqa: S101 - only rules with a limit can be broken; narrows the type
        return rule.limit.compile_is_broken(amount, self._bound(rule))

    def _clamp(self) -> None:
        """Levels for the amount after the upper bounds (`capped`), then after the lower ones (`clamped`)."""
        scope = self._scope
        if self._uppers:
            scope.add("upper", least([self._bound(rule) for rule in self._uppers]))
        if self._lowers:
            scope.add("lower", greatest([self._bound(rule) for rule in self._lowers]))
        self._fence_unless_plain()
        for name, source, bound in (("capped", "amount", "upper"), ("clamped", "capped", "lower")):
            scope, amount = self._scope, self._scope[source]
            if bound not in scope:
                scope.add(name, amount)
                continue
            beyond = amount > scope[bound] if bound == "upper" else amount < scope[bound]
            scope.add(name, if_else(beyond, scope[bound], amount))
            self._scope = scope.fenced()
        self._spans = [self._clamped_span(span) for span in self._spans]

    def _fence_unless_plain(self) -> None:
        """Fence unless the amount and the bounds are plain columns already, which need no computing."""
        is_plain = len(self._uppers) <= 1 and len(self._lowers) <= 1 and _is_column(self._scope["amount"])
        if not is_plain:
            self._scope = self._scope.fenced()

    def _clamped_span(self, span: Span) -> Span:
        for rule in self._uppers:
            if rule.limit is not None:
                span = Span(min(span.low, rule.limit.reach.low), span.high)
        for rule in self._lowers:
            if rule.limit is not None:
                span = Span(max(span.low, rule.limit.reach.low), max(span.high, rule.limit.reach.high))
        return span

    def _round_again(self) -> None:
        """A level for the amount after rounding again (`final`), where there is something to round again."""
        scope = self._scope
        grids = [branch.rounding.grid if branch.rounding and self._clamps else None for branch in self._branches]
        scope.add("final", by_branch(branch_column(scope), grids, self._rounded))
        if any(grid is not None for grid in grids):
            self._scope = scope.fenced()
            self._spans = [
                _rounded_span(grid, span) if grid else span for grid, span in zip(grids, self._spans, strict=True)
            ]

    def _rounded(self, grid: Grid | None) -> Expr:
        clamped, capped, amount = (self._scope[name] for name in ("clamped", "capped", "amount"))
        if grid is None:
            return clamped
        moves: list[tuple[Expr, Expr]] = []
        if self._lowers:
            moves.append((clamped > capped, grid.compile(clamped, Mode.UP)))
        if self._uppers:
            moves.append((capped < amount, grid.compile(clamped, Mode.DOWN)))
        return first_that_holds(moves, clamped)

    def _decide_compare_at(self) -> None:
        """A level for the compare-at (`decided`) and the rule that rounding broke (`violated`), where needed."""
        scope, final = self._scope, self._scope["final"]
        decisions = [branch.compare_at for branch in self._branches]
        scope.add("decided", by_branch(branch_column(scope), decisions, self._decided))
        if self._can_be_infeasible:
            broken = [(self._is_broken(rule, final), whole(guardrail_code(rule))) for rule in self._limited]
            scope.add("violated", if_else(self._is_moved(), first_that_holds(broken, null_amount()), null_amount()))
        needs_level = self._can_be_infeasible or self._check or any(d.can_be_too_large for d in decisions)
        if needs_level and not (_is_column(scope["decided"]) and not self._can_be_infeasible):
            self._scope = scope.fenced()

    def _decided(self, decision: CompareAt) -> Expr:
        """The compare-at; a multiple is only taken of a legal price, since 10^18 times a percent is beyond bigint."""
        scope = self._scope
        decided = decision.compile(scope["final"], scope["before"], scope["in_force"])
        if decision.can_be_too_large and self._can_be_out_of_range:
            return case((scope["final"] <= whole(MAX_MINOR), decided))
        return decided

    @property
    def _can_be_out_of_range(self) -> bool:
        """Whether a clamp or rounding again can lift the price above 10^12."""
        return any(span.high > MAX_MINOR for span in self._spans)

    def _is_moved(self) -> Expr:
        return or_(self._scope["clamped"] > self._scope["capped"], self._scope["capped"] < self._scope["amount"])

    def _code(self) -> Expr:
        """The code: the first block that holds in the order of the rules page, else the guardrail that binds."""
        scope = self._scope
        blocks = [(scope["amount"].is_(None), step_block(self._rules, scope)), *self._request_blocks()]
        final = scope["final"]
        if self._can_be_out_of_range:
            blocks.append((final > whole(MAX_MINOR), self._with_binding(Reason.AMOUNT_OUT_OF_RANGE)))
        if self._can_be_infeasible:
            blocks.append((scope["violated"].is_not(None), self._with_binding(Reason.INFEASIBLE)))
        is_new_zero = self._is_new_zero(final)
        if is_new_zero is not FALSE:
            blocks.append((is_new_zero, self._with_binding(Reason.ZERO_PRICE)))
        blocks.extend(self._compare_at_blocks())
        return first_that_holds([*blocks, *self._bindings(), *self._clearing()], whole(0))

    def _request_blocks(self) -> list[tuple[Expr, Expr]]:
        """The blocks that look at the amount as the steps gave it: a missing cost, then the rules that block."""
        blocks: list[tuple[Expr, Expr]] = []
        for rule in self._limited:
            if rule.needs_cost and rule.if_missing is IfMissing.BLOCK:
                blocks.append((self._scope["cost"].is_(None), whole(self._code_of(Reason.MISSING_COST, rule))))
                break
        for rule in self._limited:
            if rule.action is Action.BLOCK:
                broken = self._is_broken(rule, self._scope["amount"])
                blocks.append((broken, whole(self._code_of(Reason.GUARDRAIL, rule))))
        return blocks

    def _is_new_zero(self, final: Expr) -> Expr:
        keys = [
            span.low <= 0 and not branch.allow_zero for span, branch in zip(self._spans, self._branches, strict=True)
        ]
        possible = by_branch(branch_column(self._scope), keys, lambda key: TRUE if key else FALSE)
        return possible if possible is FALSE else and_(final == whole(0), self._scope["before"] > whole(0), possible)

    def _compare_at_blocks(self) -> list[tuple[Expr, Expr]]:
        scope = self._scope
        refusals = [branch.compare_at.refusal for branch in self._branches]
        refused = by_branch(branch_column(scope), refusals, lambda reason: TRUE if reason else FALSE)
        blocks: list[tuple[Expr, Expr]] = []
        if refused is not FALSE:
            reasons = by_branch(
                branch_column(scope), refusals, lambda reason: whole(self._code_of(reason) if reason else 0)
            )
            blocks.append((refused, reasons))
        if any(branch.compare_at.can_be_too_large for branch in self._branches):
            blocks.append((scope["decided"] > whole(MAX_MINOR), whole(self._code_of(Reason.AMOUNT_OUT_OF_RANGE))))
        if self._check is not None and self._check.action is Action.BLOCK:
            blocks.append((_is_not_above(scope), whole(self._code_of(Reason.GUARDRAIL, self._check))))
        return blocks

    def _code_of(self, reason: Reason, rule: Guardrail | None = None) -> int:
        self._reasons.add(reason)
        return code(reason, rule)

    def _with_binding(self, reason: Reason) -> Expr:
        """The code of a block that names the rule that moved the price."""
        base = self._code_of(reason)
        moved = [(condition, whole(base + guardrail_code(rule))) for condition, rule in self._moving_rules()]
        return first_that_holds(moved, whole(base))

    def _bindings(self) -> list[tuple[Expr, Expr]]:
        return [(condition, whole(guardrail_code(rule))) for condition, rule in self._moving_rules()]

    def _clearing(self) -> list[tuple[Expr, Expr]]:
        if self._check is None or self._check.action is not Action.CLAMP:
            return []
        return [(_is_not_above(self._scope), whole(guardrail_code(self._check)))]

    def _moving_rules(self) -> list[tuple[Expr, Guardrail]]:
        """The rule that moved the price last, as conditions in order: a lower one, else an upper one."""
        scope = self._scope
        lowers = self._which(self._lowers, scope["clamped"] > scope["capped"], "lower")
        return [*lowers, *self._which(self._uppers, scope["capped"] < scope["amount"], "upper")]

    def _which(self, rules: list[Guardrail], moved: Expr, bound: str) -> list[tuple[Expr, Guardrail]]:
        """Which of the rules of a kind moved the price: the first whose bound it is. The last needs no comparison."""
        found: list[tuple[Expr, Guardrail]] = []
        for rule in rules:
            is_last = rule is rules[-1]
            found.append((moved if is_last else and_(moved, self._scope[bound] == self._bound(rule)), rule))
        return found


def _is_not_above(scope: Scope) -> Expr:
    """Whether the compare-at breaks the check; null, which counts as false, where there is none."""
    return scope["decided"] <= scope["final"]


def _is_column(expression: Expr) -> bool:
    return getattr(expression, "table", None) is not None


def _rounded_span(grid: Grid, span: Span) -> Span:
    down, up = reach(grid, span, Mode.DOWN), reach(grid, span, Mode.UP)
    return Span(down.low, up.high)
