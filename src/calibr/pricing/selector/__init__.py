"""Which items a rule is about: selectors, their fields and operators, each with its Python and its SQL form."""

from calibr.pricing.selector.bind import SelectorBinding, SelectorDocument
from calibr.pricing.selector.nodes import Logic, Node, first_index, selects
from calibr.pricing.selector.read import read_selector

__all__ = ["Logic", "Node", "SelectorBinding", "SelectorDocument", "first_index", "read_selector", "selects"]
