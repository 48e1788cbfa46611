"""`bulkOperationRunQuery` and `bulkOperationCancel`."""

from typing import Any

from calibr_sandbox.context import Info
from calibr_sandbox.queries import number_of


def resolve_run_query(
    _root: object,
    info: Info,
    query: str,
    groupObjects: bool = False,  # noqa: FBT001, FBT002, N803 - the argument's name in the schema
) -> dict[str, Any]:
    """Start a bulk query, or say why not."""
    started = info.context.bulk.start(query, group_objects=groupObjects)
    return {"bulkOperation": started.operation, "userErrors": started.errors}


def resolve_cancel(_root: object, info: Info, id: str) -> dict[str, Any]:  # noqa: A002
    """Cancel a bulk operation; the answer is its state right after asking."""
    row, refusal = info.context.bulk.cancel(number_of(id, "BulkOperation"))
    if refusal is None:
        return {"bulkOperation": row, "userErrors": []}
    path = ["id"] if row is None else None
    return {"bulkOperation": row, "userErrors": [{"field": path, "message": refusal}]}
