"""A selector document meets the currency of a price list."""

from collections.abc import Callable
from dataclasses import dataclass

from calibr.pricing.amounts import Amount, Misfit, fit, meets, note_misfits
from calibr.pricing.faults import Faults, Place
from calibr.pricing.selector.nodes import All, AnyOf, Leaf, Never, Node, Not
from calibr.pricing.selector.numbers import AmountLeaf


@dataclass(frozen=True, slots=True)
class AmountLeafDocument:
    """A leaf whose literals are amounts, which mean nothing before there is a currency."""

    field_name: str
    amounts: tuple[Amount, ...]
    build: Callable[[tuple[int, ...]], AmountLeaf]
    place: Place


@dataclass(frozen=True, slots=True)
class GroupDocument:
    """An `all`, `any` or `not` over nodes of a document."""

    build: Callable[[tuple[Node, ...]], Node]
    nodes: "tuple[SelectorDocument, ...]"


SelectorDocument = Leaf | AmountLeafDocument | GroupDocument
"""A selector as read. Leaves without amounts are the same for every price list."""


def all_of(nodes: tuple["SelectorDocument", ...]) -> GroupDocument:
    """An `all`."""
    return GroupDocument(All, nodes)


def any_of(nodes: tuple["SelectorDocument", ...]) -> GroupDocument:
    """An `any`."""
    return GroupDocument(AnyOf, nodes)


def negation_of(node: "SelectorDocument") -> GroupDocument:
    """A `not`."""
    return GroupDocument(lambda nodes: Not(nodes[0]), (node,))


class SelectorBinding:
    """Binds selectors to a currency; collects the amounts that do not fit and the leaves that do not apply."""

    def __init__(self, currency: str, faults: Faults) -> None:
        self._currency = currency
        self._faults = faults
        self.not_applied: list[AmountLeafDocument] = []

    def bind(self, document: SelectorDocument) -> Node:
        """Return the condition for price lists of the currency."""
        if isinstance(document, GroupDocument):
            return document.build(tuple(self.bind(node) for node in document.nodes))
        if isinstance(document, AmountLeafDocument):
            return self._bind_amounts(document)
        return document

    def _bind_amounts(self, document: AmountLeafDocument) -> Node:
        if not meets(document.amounts, self._currency):
            self.not_applied.append(document)
            return Never()
        minor = fit(document.amounts, self._currency)
        if isinstance(minor, Misfit):
            note_misfits(self._faults, document.amounts, self._currency)
            return Never()
        return document.build(minor)
