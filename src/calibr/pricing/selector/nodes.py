"""The nodes of a selector. Every node has two forms: `holds` for one item, and `compile` for all of them.

A leaf whose field is null is unknown (None, SQL null). Rules use two-valued logic, in which unknown counts as false;
that differs from three-valued logic only below a `not`, and the difference is what the preview counts as "selected
because a field is missing".
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from sqlalchemy import and_, not_, or_

from calibr.pricing.item import Item
from calibr.pricing.source import PlanSource
from calibr.pricing.sql import FALSE, TRUE, Expr, is_any_of, is_not_true, text_array


class Logic(Enum):
    """What `not` makes of unknown."""

    TWO_VALUED = "unknown counts as false"
    THREE_VALUED = "unknown stays unknown"


class Node(Protocol):
    """A condition on an item, bound to a currency."""

    def holds(self, item: Item, logic: Logic) -> bool | None:
        """Whether the condition holds; None is unknown."""
        ...

    def compile(self, source: PlanSource, logic: Logic) -> Expr:
        """SQL form of `holds`. Under two-valued logic null and false mean the same."""
        ...

    @property
    def has_not(self) -> bool:
        """Whether a `not` stands in it."""
        ...


class Leaf(ABC):
    """A node without nodes below it."""

    __slots__ = ()

    @abstractmethod
    def holds(self, item: Item, logic: Logic) -> bool | None:
        """Whether the condition holds; None is unknown."""

    @abstractmethod
    def compile(self, source: PlanSource, logic: Logic) -> Expr:
        """SQL form of `holds`."""

    @property
    def has_not(self) -> bool:
        """Whether a `not` stands in it: never."""
        return False


@dataclass(frozen=True, slots=True)
class All:
    """True where every node is; of no nodes, true."""

    nodes: tuple[Node, ...]

    def holds(self, item: Item, logic: Logic) -> bool | None:
        """The conjunction."""
        results = [node.holds(item, logic) for node in self.nodes]
        return False if False in results else None if None in results else True

    def compile(self, source: PlanSource, logic: Logic) -> Expr:
        """SQL form of `holds`."""
        return and_(*(node.compile(source, logic) for node in self.nodes)) if self.nodes else TRUE

    @property
    def has_not(self) -> bool:
        """Whether a `not` stands in it."""
        return any(node.has_not for node in self.nodes)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where one node is; of no nodes, false."""

    nodes: tuple[Node, ...]

    def holds(self, item: Item, logic: Logic) -> bool | None:
        """The disjunction."""
        results = [node.holds(item, logic) for node in self.nodes]
        return True if True in results else None if None in results else False

    def compile(self, source: PlanSource, logic: Logic) -> Expr:
        """SQL form of `holds`."""
        return or_(*(node.compile(source, logic) for node in self.nodes)) if self.nodes else FALSE

    @property
    def has_not(self) -> bool:
        """Whether a `not` stands in it."""
        return any(node.has_not for node in self.nodes)


@dataclass(frozen=True, slots=True)
class Not:
    """The negation."""

    node: Node

    def holds(self, item: Item, logic: Logic) -> bool | None:
        """The negation; of unknown, what the logic says."""
        result = self.node.holds(item, logic)
        if result is None and logic is Logic.THREE_VALUED:
            return None
        return result is not True

    def compile(self, source: PlanSource, logic: Logic) -> Expr:
        """SQL form of `holds`."""
        condition = self.node.compile(source, logic)
        is_constant = condition is TRUE or condition is FALSE
        return not_(condition) if is_constant or logic is Logic.THREE_VALUED else is_not_true(condition)

    @property
    def has_not(self) -> bool:
        """Whether a `not` stands in it: here it is."""
        return True


@dataclass(frozen=True, slots=True)
class Skus(Leaf):
    """True where the SKU is in a list; of an item without a SKU, unknown."""

    skus: frozenset[str]

    def holds(self, item: Item, logic: Logic) -> bool | None:  # noqa: ARG002 - a leaf knows no `not`
        """Whether the SKU is in the list."""
        return None if item.sku is None else item.sku in self.skus

    def compile(self, source: PlanSource, logic: Logic) -> Expr:  # noqa: ARG002 - a leaf knows no `not`
        """SQL form of `holds`."""
        return is_any_of(source.sku, text_array(sorted(self.skus)))


@dataclass(frozen=True, slots=True)
class Never(Leaf):
    """A leaf that is meant for price lists of another currency: false, and not unknown."""

    def holds(self, item: Item, logic: Logic) -> bool | None:  # noqa: ARG002 - whatever the item
        """False."""
        return False

    def compile(self, source: PlanSource, logic: Logic) -> Expr:  # noqa: ARG002 - whatever the item
        """SQL form of `holds`."""
        return FALSE


def selects(node: Node, item: Item) -> bool:
    """Whether the selector takes the item."""
    return node.holds(item, Logic.TWO_VALUED) is True


def first_index(nodes: Sequence[Node], item: Item) -> int | None:
    """Index of the first node that takes the item."""
    return next((index for index, node in enumerate(nodes) if selects(node, item)), None)
