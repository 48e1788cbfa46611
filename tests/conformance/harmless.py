"""The differences that are told and do no harm, each with its reason.

Searches and counts of a real store run behind its writes: a recording that asks at once for what it has just written or
made sees nothing yet, or the old count; the sandbox tells at once. An empty answer of a search (a root field with
`query`) and a lower count of catalogs are excused, only after a mutation. Two things differ by the version of the API:
the list of an enum's values in an error, and the version that webhooks are written in, which is a setting of the app.
"""

import re
from typing import Final

from graphql import FieldNode, OperationDefinitionNode, parse
from plan import Send

_STALE: Final = "the search index of the real store was not up to date yet"
_OLD_COUNT: Final = "the real store had not counted what was just made"
_VERSION: Final = "versions of the API differ in it"
_EMPTY: Final = re.compile(r"^data\.(?P<key>\w+)\S*: (0 items, here \d+|0, here \d+)$")
_COUNT: Final = re.compile(r"^data\.catalogsCount\.count: (?P<theirs>\d+), here (?P<ours>\d+)$")
_APP_VERSION: Final = re.compile(r"\.apiVersion\.(handle|displayName|supported): ")
_ENUM: Final = re.compile(r'"(Expected \\?"\w+\\?" to be one of: ).*, here "\1')


def reason_harmless(action: Send, difference: str, *, is_changed: bool) -> str | None:
    """Why a difference does no harm; None when it does. `is_changed`: a mutation came before."""
    if _APP_VERSION.search(difference) or _ENUM.search(difference):
        return _VERSION
    count = _COUNT.match(difference)
    if is_changed and count is not None and int(count["theirs"]) < int(count["ours"]):
        return _OLD_COUNT
    empty = _EMPTY.match(difference)
    return _STALE if is_changed and empty is not None and empty["key"] in _searches(action.query) else None


def _searches(query: str) -> set[str]:
    return {
        field.alias.value if field.alias else field.name.value
        for operation in parse(query).definitions
        if isinstance(operation, OperationDefinitionNode)
        for field in operation.selection_set.selections
        if isinstance(field, FieldNode) and any(argument.name.value == "query" for argument in field.arguments)
    }
