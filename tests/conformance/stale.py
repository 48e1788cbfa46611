"""The one difference that is told and does no harm: searches of a real store run behind its writes.

Shopify indexes for searches after a write was answered. A recording that searches at once for what it has just written
or made sees nothing yet; the sandbox finds it. Only an answer that was empty is excused, only in a search (a root field
with `query`), and only after a mutation.
"""

import re
from typing import Final

from graphql import FieldNode, OperationDefinitionNode, parse
from plan import Send

STALE: Final = "the search index of the real store was not up to date yet"
_EMPTY: Final = re.compile(r"^data\.(?P<key>\w+)\S*: (0 items, here \d+|0, here \d+)$")


def is_stale_search(action: Send, difference: str) -> bool:
    """Whether a difference is that the real store had not found yet what the sandbox finds."""
    match = _EMPTY.match(difference)
    return match is not None and match["key"] in _searches(action.query)


def _searches(query: str) -> set[str]:
    return {
        field.alias.value if field.alias else field.name.value
        for operation in parse(query).definitions
        if isinstance(operation, OperationDefinitionNode)
        for field in operation.selection_set.selections
        if isinstance(field, FieldNode) and any(argument.name.value == "query" for argument in field.arguments)
    }
