"""Finds a bulk operation again by the name in its text: the store shows that text, and nothing else that we chose."""

from datetime import UTC, datetime
from typing import Any, Final, Literal

from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.documents import BULK_OPERATIONS
from calibr.connectors.shopify.shapes import as_list, as_object, as_text

PAGE: Final = 50
BUSY: Final = frozenset({"OPERATION_IN_PROGRESS", "LIMIT_REACHED"})
"""Codes of a start for which the store has no slot now."""


def find_operation(
    client: ShopifyClient, kind: Literal["query", "mutation"], name: str, since: datetime, until: float
) -> dict[str, Any] | None:
    """Return the operation with `name` in its text among those begun since then, newest first. Raises `CallError`."""
    begun = f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    after: str | None = None
    while True:
        variables = {"query": f"operation_type:{kind} created_at:>='{begun}'", "after": after}
        data = client.insist(BULK_OPERATIONS, variables, rows=PAGE, until=until)
        page = as_object(data.get("bulkOperations"), "bulkOperations")
        for node in as_list(page.get("nodes"), "bulkOperations.nodes"):
            operation = as_object(node, "bulkOperations.nodes entry")
            if name in as_text(operation.get("query"), "bulkOperation.query"):
                return operation
        info = as_object(page.get("pageInfo"), "bulkOperations.pageInfo")
        if not info.get("hasNextPage"):
            return None
        after = as_text(info.get("endCursor"), "pageInfo.endCursor")
