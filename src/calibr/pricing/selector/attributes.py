"""Leaves on attributes of products: texts or exact numbers, compared as jsonb in SQL.

An attribute of the other type is unequal, and never unknown; one that is absent (or the JSON null) is unknown.
"""

import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from sqlalchemy import ARRAY, Numeric, Text, and_, case, cast, func
from sqlalchemy.dialects.postgresql import JSONB

from calibr.core.written_json import JsonNumber
from calibr.pricing.item import Item
from calibr.pricing.selector.nodes import Leaf, Logic
from calibr.pricing.selector.text import TEXT_OPERATORS
from calibr.pricing.source import PlanSource
from calibr.pricing.sql import FALSE, Expr, is_any_of, is_none_of, json_literal, text_array, text_literal

ATTRIBUTE_PREFIX: Final = "product.attributes."

TEXT_ATTRIBUTE_OPERATORS: Final = tuple(TEXT_OPERATORS)
NUMBER_ATTRIBUTE_OPERATORS: Final = ("eq", "ne", "in", "not_in", "lt", "lte", "gt", "gte", "between")
LIST_OPERATORS: Final = frozenset({"in", "not_in"})
_NEGATIONS: Final = frozenset({"ne", "not_in"})

_ORDERS: Final[Mapping[str, Callable[[Decimal, tuple[Decimal, ...]], bool]]] = MappingProxyType({
    "lt": lambda value, literals: value < literals[0],
    "lte": lambda value, literals: value <= literals[0],
    "gt": lambda value, literals: value > literals[0],
    "gte": lambda value, literals: value >= literals[0],
    "between": lambda value, literals: literals[0] <= value <= literals[1],
})  # fmt: skip

_SQL_ORDERS: Final[Mapping[str, Callable[[Expr, Expr], Expr]]] = MappingProxyType({
    "lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class AttributeTextLeaf(Leaf):
    """An attribute compared with texts in normal form."""

    name: str
    operator: str
    literals: tuple[str, ...]

    def holds(self, item: Item, logic: Logic) -> bool | None:  # noqa: ARG002 - a leaf knows no `not`
        """Whether the operator holds; of an absent attribute, unknown; a number is unequal."""
        value = item.attributes.get(self.name)
        if value is None:
            return None
        if isinstance(value, JsonNumber):
            return self.operator in _NEGATIONS
        return TEXT_OPERATORS[self.operator].holds(value, self.literals)

    def compile(self, source: PlanSource, logic: Logic) -> Expr:  # noqa: ARG002 - a leaf knows no `not`
        """SQL form of `holds`."""
        value = _attribute(source, self.name)
        if self.operator in {"contains", "starts_with"}:
            text: Expr = source.attributes.op("->>", return_type=Text())(text_literal(self.name))
            found = TEXT_OPERATORS[self.operator].compile(text, self.literals)
            return _of_type(value, "string", found)
        return _compile_equality(value, self.operator, [_json_text(text) for text in self.literals])


@dataclass(frozen=True, slots=True)
class AttributeNumberLeaf(Leaf):
    """An attribute compared with exact numbers."""

    name: str
    operator: str
    literals: tuple[JsonNumber, ...]

    def holds(self, item: Item, logic: Logic) -> bool | None:  # noqa: ARG002 - a leaf knows no `not`
        """Whether the operator holds; of an absent attribute, unknown; a text is unequal."""
        value = item.attributes.get(self.name)
        if value is None:
            return None
        if isinstance(value, str):
            return self.operator in _NEGATIONS
        literals = tuple(literal.decimal for literal in self.literals)
        if self.operator in _ORDERS:
            return _ORDERS[self.operator](value.decimal, literals)
        return (value.decimal in literals) is (self.operator not in _NEGATIONS)

    def compile(self, source: PlanSource, logic: Logic) -> Expr:  # noqa: ARG002 - a leaf knows no `not`
        """SQL form of `holds`."""
        value = _attribute(source, self.name)
        texts = [literal.text for literal in self.literals]
        if self.operator not in _ORDERS:
            return _compile_equality(value, self.operator, texts)
        number = cast(value, Numeric)
        literals = [cast(text_literal(text), Numeric) for text in texts]
        if self.operator == "between":
            ordered: Expr = and_(number >= literals[0], number <= literals[1])
        else:
            ordered = _SQL_ORDERS[self.operator](number, literals[0])
        return _of_type(value, "number", ordered)


@dataclass(frozen=True, slots=True)
class AttributeNull(Leaf):
    """Whether an attribute is absent (or is there)."""

    name: str
    wanted: bool

    def holds(self, item: Item, logic: Logic) -> bool | None:  # noqa: ARG002 - a leaf knows no `not`
        """Whether absence is what is wanted."""
        return (self.name not in item.attributes) is self.wanted

    def compile(self, source: PlanSource, logic: Logic) -> Expr:  # noqa: ARG002 - a leaf knows no `not`
        """SQL form of `holds`."""
        value = _attribute(source, self.name)
        return value.is_(None) if self.wanted else value.is_not(None)


def _attribute(source: PlanSource, name: str) -> Expr:
    """The attribute as jsonb, null where it is absent or the JSON null. The name is bound, never part of a path."""
    value = source.attributes.op("->", return_type=JSONB())(text_literal(name))
    return func.nullif(value, json_literal("null"), type_=JSONB())


def _of_type(value: Expr, json_type: str, then: Expr) -> Expr:
    """`then` for a value of the JSON type, false for one of another, null for null. CASE keeps a cast from failing."""
    return case((func.jsonb_typeof(value) == json_type, then), (value.is_not(None), FALSE))


def _compile_equality(value: Expr, name: str, literals: list[str]) -> Expr:
    """Equality of jsonb compares type and value at once: texts byte by byte, numbers as exact decimals."""
    if name in LIST_OPERATORS:
        array = cast(text_array(literals), ARRAY(JSONB))
        return is_none_of(value, array) if name in _NEGATIONS else is_any_of(value, array)
    literal = json_literal(literals[0])
    return value != literal if name in _NEGATIONS else value == literal


def _json_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
