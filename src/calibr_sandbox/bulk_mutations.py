"""`bulkOperationRunQuery`, `bulkOperationRunMutation` and `bulkOperationCancel`."""

from typing import Any, Final

from calibr_sandbox.bulk import Import
from calibr_sandbox.config import MAX_BULK_OPERATIONS
from calibr_sandbox.context import Info, RequestContext
from calibr_sandbox.queries import number_of

_SINCE: Final = "2026-01"
"""From this version on several operations of a type may be open; before, one."""


def resolve_run_query(
    _root: object,
    info: Info,
    query: str,
    groupObjects: bool = False,  # noqa: FBT001, FBT002, N803 - the argument's name in the schema
) -> dict[str, Any]:
    """Start a bulk query, or say why not."""
    context = info.context
    started = context.bulk.start_query(query, context.writer, group_objects=groupObjects, limit=_limit(context))
    return {"bulkOperation": started.operation, "userErrors": started.errors}


def resolve_run_mutation(_root: object, info: Info, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401
    """Start a bulk mutation, or say why not. `groupObjects` has no effect, as at Shopify's."""
    context = info.context
    wanted = Import(arguments["mutation"], arguments["stagedUploadPath"], arguments.get("clientIdentifier"))
    started = context.bulk.start_mutation(wanted, context.writer, limit=_limit(context))
    return {"bulkOperation": started.operation, "userErrors": started.errors}


def resolve_cancel(_root: object, info: Info, id: str) -> dict[str, Any]:  # noqa: A002
    """Cancel a bulk operation; the answer is its state right after asking."""
    row, refusal = info.context.bulk.cancel(number_of(id, "BulkOperation"))
    if refusal is None:
        return {"bulkOperation": row, "userErrors": []}
    path = ["id"] if row is None else None
    return {"bulkOperation": row, "userErrors": [{"field": path, "message": refusal}]}


def _limit(context: RequestContext) -> int:
    return MAX_BULK_OPERATIONS if context.version >= _SINCE else 1
