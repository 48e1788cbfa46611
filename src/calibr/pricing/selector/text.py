"""Leaves on texts and on lists of texts. Both forms of an operator stand side by side in one table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from sqlalchemy import ARRAY, BigInteger, Text, exists, func, literal

from calibr.core.text import normalize
from calibr.pricing.item import Item
from calibr.pricing.selector.nodes import Leaf, Logic
from calibr.pricing.source import PlanSource
from calibr.pricing.sql import (
    FALSE,
    TRUE,
    Expr,
    is_any_of,
    is_none_of,
    null_truth,
    text_array,
    text_literal,
    where_present,
    whole,
)

_OVERLAP_BY_ELEMENT_FROM: Final = 16
"""From so many literals on, `&&` (which compares each pair) is slower than a hashed look-up of each tag."""


@dataclass(frozen=True, slots=True)
class TextOperator:
    """An operator on a text that is not null. The literals are in normal form, so plain comparison is enough."""

    takes_list: bool
    holds: Callable[[str, tuple[str, ...]], bool]
    compile: Callable[[Expr, tuple[str, ...]], Expr]


TEXT_OPERATORS: Final[Mapping[str, TextOperator]] = MappingProxyType({
    "eq": TextOperator(
        takes_list=False,
        holds=lambda value, literals: value == literals[0],
        compile=lambda value, literals: value == text_literal(literals[0]),
    ),
    "ne": TextOperator(
        takes_list=False,
        holds=lambda value, literals: value != literals[0],
        compile=lambda value, literals: value != text_literal(literals[0]),
    ),
    "in": TextOperator(
        takes_list=True,
        holds=lambda value, literals: value in literals,
        compile=lambda value, literals: is_any_of(value, text_array(literals)),
    ),
    "not_in": TextOperator(
        takes_list=True,
        holds=lambda value, literals: value not in literals,
        compile=lambda value, literals: is_none_of(value, text_array(literals)),
    ),
    "contains": TextOperator(
        takes_list=False,
        holds=lambda value, literals: literals[0] in value,
        compile=lambda value, literals: func.strpos(value, text_literal(literals[0])) > 0,
    ),
    "starts_with": TextOperator(
        takes_list=False,
        holds=lambda value, literals: value.startswith(literals[0]),
        compile=lambda value, literals: func.starts_with(value, text_literal(literals[0])),
    ),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class TextField:
    """A field of type text: how to read it from an item, and from a source (where it may be the same for all rows)."""

    of_item: Callable[[Item], str | None]
    of_source: Callable[[PlanSource], Expr | str | None]
    operators: tuple[str, ...] = ("eq", "ne", "in", "not_in", "contains", "starts_with")
    can_be_null: bool = True


_SET_OPERATORS: Final = ("eq", "ne", "in", "not_in")

TEXT_FIELDS: Final[Mapping[str, TextField]] = MappingProxyType({
    "product.sku": TextField(lambda item: item.sku, lambda source: source.sku),
    "product.title": TextField(lambda item: item.title, lambda source: source.title),
    "product.vendor": TextField(lambda item: item.vendor, lambda source: source.vendor),
    "product.product_type": TextField(lambda item: item.product_type, lambda source: source.product_type),
    "product.status": TextField(lambda item: item.status, lambda source: source.status),
    "price.currency": TextField(
        lambda item: normalize(item.currency),
        lambda source: normalize(source.currency),
        _SET_OPERATORS,
        can_be_null=False,
    ),
    "price_list.name": TextField(
        lambda item: item.price_list_name, lambda source: source.price_list_name, _SET_OPERATORS, can_be_null=False
    ),
    "listing.connection": TextField(
        lambda item: item.connection_name, lambda source: source.connection_name, _SET_OPERATORS, can_be_null=False
    ),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class TextLeaf(Leaf):
    """A text field compared with literals."""

    field: TextField
    operator: TextOperator
    literals: tuple[str, ...]

    def holds(self, item: Item, logic: Logic) -> bool | None:  # noqa: ARG002 - a leaf knows no `not`
        """Whether the operator holds; of null, unknown."""
        value = self.field.of_item(item)
        return None if value is None else self.operator.holds(value, self.literals)

    def compile(self, source: PlanSource, logic: Logic) -> Expr:  # noqa: ARG002 - a leaf knows no `not`
        """SQL form of `holds`."""
        value = self.field.of_source(source)
        if value is None:
            return null_truth()
        if isinstance(value, str):
            return TRUE if self.operator.holds(value, self.literals) else FALSE
        return self.operator.compile(value, self.literals)


@dataclass(frozen=True, slots=True)
class TextNull(Leaf):
    """Whether a text field is null (or is not)."""

    field: TextField
    wanted: bool

    def holds(self, item: Item, logic: Logic) -> bool | None:  # noqa: ARG002 - a leaf knows no `not`
        """Whether null is what is wanted."""
        return (self.field.of_item(item) is None) is self.wanted

    def compile(self, source: PlanSource, logic: Logic) -> Expr:  # noqa: ARG002 - a leaf knows no `not`
        """SQL form of `holds`."""
        value = self.field.of_source(source)
        if value is None or isinstance(value, str):
            return TRUE if (value is None) is self.wanted else FALSE
        return value.is_(None) if self.wanted else value.is_not(None)


TagOperator = Literal["has_any", "has_all", "has_none"]
TAG_OPERATORS: Final[tuple[TagOperator, ...]] = ("has_any", "has_all", "has_none")


@dataclass(frozen=True, slots=True)
class TagLeaf(Leaf):
    """The tags of a product compared with literals. No tags are like null, and `has_none` is true of them."""

    operator: TagOperator
    literals: tuple[str, ...]

    def holds(self, item: Item, logic: Logic) -> bool | None:  # noqa: ARG002 - a leaf knows no `not`
        """Whether the operator holds; of no tags, unknown, except `has_none`."""
        if not item.tags:
            return True if self.operator == "has_none" else None
        wanted = set(self.literals)
        if self.operator == "has_all":
            return wanted <= item.tags
        return (not wanted.isdisjoint(item.tags)) is (self.operator == "has_any")

    def compile(self, source: PlanSource, logic: Logic) -> Expr:
        """SQL form of `holds`."""
        if self.operator == "has_none":
            return func.coalesce(~self._overlaps(source.tags), TRUE, type_=TRUE.type)
        tags = source.tags
        if logic is Logic.THREE_VALUED:
            tags = func.nullif(tags, literal([], ARRAY(Text)), type_=ARRAY(Text))
        if self.operator == "has_all":
            return tags.op("@>", is_comparison=True)(text_array(self.literals))
        return self._overlaps(tags)

    def _overlaps(self, tags: Expr) -> Expr:
        if len(self.literals) < _OVERLAP_BY_ELEMENT_FROM:
            return tags.op("&&", is_comparison=True)(text_array(self.literals))
        tag = func.unnest(tags, type_=Text).column_valued("tag")
        return where_present(tags, exists().where(is_any_of(tag, text_array(self.literals))))


@dataclass(frozen=True, slots=True)
class TagNull(Leaf):
    """Whether a product has no tags (or has some)."""

    wanted: bool

    def holds(self, item: Item, logic: Logic) -> bool | None:  # noqa: ARG002 - a leaf knows no `not`
        """Whether no tags are what is wanted."""
        return (not item.tags) is self.wanted

    def compile(self, source: PlanSource, logic: Logic) -> Expr:  # noqa: ARG002 - a leaf knows no `not`
        """SQL form of `holds`."""
        count = func.coalesce(func.cardinality(source.tags), whole(0), type_=BigInteger)
        return count == whole(0) if self.wanted else count > whole(0)
