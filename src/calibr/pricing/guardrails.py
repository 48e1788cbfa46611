"""Guardrails: what each rule limits, with both forms of its bound side by side. Read from documents, then bound."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from sqlalchemy import BigInteger, func

from calibr.core.written_json import Json
from calibr.pricing.amounts import Amount, Misfit, fit, meets, note_misfits
from calibr.pricing.arithmetic import ANY_AMOUNT, Ratio, Span, at_margin, minus_percent, plus_percent
from calibr.pricing.faults import Faults, Place
from calibr.pricing.item import Inputs
from calibr.pricing.reading import (
    ABOVE_MINUS_100,
    AT_LEAST_0,
    FROM_0_BELOW_100,
    FROM_0_TO_100,
    Members,
    PercentBounds,
    read_list,
)
from calibr.pricing.sql import Expr, whole
from calibr.pricing.steps import InputColumns
from calibr.pricing.vocabulary import Action, IfMissing

MAX_GUARDRAILS: Final = 50

_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_IDENTITY: Final = Ratio(1, 1)


class Kind(StrEnum):
    """What a guardrail limits."""

    UPPER = "upper"
    LOWER = "lower"
    CHECK = "check"


class Of(StrEnum):
    """What a bound is taken of."""

    AMOUNT = "amount"
    PRICE = "price"
    COST = "cost"


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound: an amount, or a ratio of the price before or of the cost. Lower bounds round up, upper ones down."""

    kind: Kind
    of: Of
    ratio: Ratio = _IDENTITY
    amount: int = 0

    def bound(self, inputs: Inputs) -> int | None:
        """The bound in minor units; None where the input is missing, and where it is a price of 0."""
        if self.of is Of.AMOUNT:
            return self.amount
        base = inputs.unit_cost if self.of is Of.COST else inputs.unit_amount or None
        if base is None:
            return None
        return self.ratio.floor(base) if self.kind is Kind.UPPER else self.ratio.ceil(base)

    def compile_bound(self, columns: InputColumns) -> Expr:
        """SQL form of `bound`, except that a lower bound of a price of 0 is 0, which no price breaks."""
        if self.of is Of.AMOUNT:
            return whole(self.amount)
        base = columns.unit_cost if self.of is Of.COST else columns.unit_amount
        if self.of is Of.PRICE and self.kind is Kind.UPPER:
            base = func.nullif(base, whole(0), type_=BigInteger)
        return self.ratio.compile_floor(base) if self.kind is Kind.UPPER else self.ratio.compile_ceil(base)

    def is_broken_by(self, value: int, bound: int | None) -> bool:
        """Whether the value is beyond the bound."""
        if bound is None:
            return False
        return value > bound if self.kind is Kind.UPPER else value < bound

    def compile_is_broken(self, value: Expr, bound: Expr) -> Expr:
        """SQL form of `is_broken_by`; null counts as false."""
        return value > bound if self.kind is Kind.UPPER else value < bound

    @property
    def reach(self) -> Span:
        """The bounds that there can be."""
        if self.of is Of.AMOUNT:
            return Span(self.amount, self.amount)
        top = self.ratio.floor(ANY_AMOUNT.high) if self.kind is Kind.UPPER else self.ratio.ceil(ANY_AMOUNT.high)
        return Span(0, top)


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A guardrail, bound to a currency. `limit` is None where its amount is meant for another currency."""

    position: int
    id: str
    rule: str
    kind: Kind
    action: Action
    if_missing: IfMissing
    limit: Limit | None

    @property
    def needs_cost(self) -> bool:
        """Whether it cannot be judged without a cost."""
        return self.limit is not None and self.limit.of is Of.COST


@dataclass(frozen=True, slots=True)
class GuardrailDocument:
    """A guardrail as read. `build` makes the limit from its amounts in minor units."""

    position: int
    id: str
    rule: str
    kind: Kind
    action: Action
    if_missing: IfMissing
    amounts: tuple[Amount, ...]
    build: Callable[[tuple[int, ...]], Limit | None]
    place: Place

    def applies_to(self, currency: str) -> bool:
        """Whether the guardrail is meant for price lists of the currency."""
        return meets(self.amounts, currency)

    def bind(self, currency: str, faults: Faults) -> Guardrail:
        """Return the guardrail for price lists of the currency; amounts that do not fit are faults."""
        limit: Limit | None = None
        if self.applies_to(currency):
            minor = fit(self.amounts, currency)
            if isinstance(minor, Misfit):
                note_misfits(faults, self.amounts, currency)
            else:
                limit = self.build(minor)
        return Guardrail(self.position, self.id, self.rule, self.kind, self.action, self.if_missing, limit)


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule of the page: its kind, and how its parameter becomes a limit."""

    kind: Kind
    of: Of | None = None
    percent: PercentBounds | None = None
    ratio: Callable[[int], Ratio] = plus_percent

    @property
    def parameter(self) -> str | None:
        """Name of the member that the rule takes."""
        if self.percent is not None:
            return "percent"
        return "amount" if self.of is Of.AMOUNT else None


_RULES: Final[Mapping[str, _Rule]] = MappingProxyType({
    "ceiling": _Rule(Kind.UPPER, Of.AMOUNT),
    "max_increase": _Rule(Kind.UPPER, Of.PRICE, AT_LEAST_0, plus_percent),
    "floor": _Rule(Kind.LOWER, Of.AMOUNT),
    "not_below_cost": _Rule(Kind.LOWER, Of.COST),
    "min_margin": _Rule(Kind.LOWER, Of.COST, FROM_0_BELOW_100, at_margin),
    "min_markup": _Rule(Kind.LOWER, Of.COST, ABOVE_MINUS_100, plus_percent),
    "max_decrease": _Rule(Kind.LOWER, Of.PRICE, FROM_0_TO_100, minus_percent),
    "compare_at_above_price": _Rule(Kind.CHECK),
})  # fmt: skip


def read_guardrails(faults: Faults, value: Json, place: Place) -> tuple[GuardrailDocument, ...]:
    """Read the list of guardrails. Where there are faults, what it returns means nothing."""
    entries = read_list(faults, value, place, at_most=MAX_GUARDRAILS)
    guardrails: list[GuardrailDocument] = []
    ids: set[str] = set()
    checks = 0
    for position, entry in enumerate(entries or ()):
        if not isinstance(entry, dict):
            faults.add(place.element(position), "is not an object: a guardrail", entry)
            continue
        members = _members_of(faults, entry, place.element(position))
        identifier = _read_id(members, ids)
        guardrail = _read_guardrail(members, identifier or "", position)
        checks += entry.get("rule") == "compare_at_above_price"
        if checks > 1 and entry.get("rule") == "compare_at_above_price":
            faults.add(members.place("rule"), "may stand only once", entry.get("rule"))
        if guardrail is not None:
            guardrails.append(guardrail)
    return tuple(guardrails)


def _members_of(faults: Faults, entry: dict[str, Json], place: Place) -> Members:
    rule = _rule_of(entry.get("rule"))
    parameter = ((rule.parameter,) if rule.parameter else ()) if rule else ("amount", "percent")
    return Members(faults, entry, place, ("id", "rule", *parameter, "action", "if_missing"))


def _rule_of(name: Json) -> _Rule | None:
    return _RULES.get(name) if isinstance(name, str) else None


def _read_guardrail(members: Members, identifier: str, position: int) -> GuardrailDocument | None:
    name = members.word("rule", tuple(_RULES))
    rule = _rule_of(name)
    limit = _read_limit(members, rule) if rule else None
    action = members.word("action", Action, Action.CLAMP)
    if_missing = members.word("if_missing", IfMissing, IfMissing.BLOCK)
    if name is None or rule is None or limit is None or action is None or if_missing is None:
        return None
    amounts, build = limit
    at = members.at
    return GuardrailDocument(position, identifier, name, rule.kind, action, if_missing, amounts, build, at)


def _read_id(members: Members, ids: set[str]) -> str | None:
    value = members.get("id")
    if isinstance(value, str) and _ID.fullmatch(value):
        if value in ids:
            members.faults.add(members.place("id"), "is the id of a guardrail before it", value)
        ids.add(value)
        return value
    if "id" in members:
        members.faults.add(members.place("id"), "is not 1 to 64 of the characters A-Z a-z 0-9 . _ : -", value)
    return None


def _read_limit(
    members: Members, rule: _Rule
) -> tuple[tuple[Amount, ...], Callable[[tuple[int, ...]], Limit | None]] | None:
    """Read the parameter of a rule: its amounts, and how they become a limit."""
    kind, of = rule.kind, rule.of
    if of is None:
        return (), lambda _: None
    if of is Of.AMOUNT:
        amount = members.amount("amount")
        return None if amount is None else ((amount,), lambda minor: Limit(kind, of, amount=minor[0]))
    if rule.percent is None:
        return (), lambda _: Limit(kind, of)
    percent = members.percent("percent", rule.percent)
    if percent is None:
        return None
    ratio = rule.ratio(percent)
    return (), lambda _: Limit(kind, of, ratio)
