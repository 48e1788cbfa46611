"""Finds a bulk operation again by the name in its text: the store shows that text, and nothing else that we chose."""

from datetime import UTC, datetime
from typing import Any, Final, Literal

from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.documents import BULK_OPERATIONS
from calibr.connectors.shopify.pages import read_pages
from calibr.connectors.shopify.shapes import as_text

PAGE: Final = 50
BUSY: Final = frozenset({"OPERATION_IN_PROGRESS", "LIMIT_REACHED"})
"""Codes of a start for which the store has no slot now."""


def find_operation(
    client: ShopifyClient, kind: Literal["query", "mutation"], name: str, since: datetime, until: float
) -> dict[str, Any] | None:
    """Return the operation with `name` in its text among those begun since then, newest first. Raises `CallError`."""
    begun = f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    variables = {"query": f"operation_type:{kind} created_at:>='{begun}'"}
    pages = read_pages(
        client, BULK_OPERATIONS, variables, lambda data: data.get("bulkOperations"), points=PAGE, until=until
    )
    found = (each for page in pages for each in page if name in as_text(each.get("query"), "bulkOperation.query"))
    return next(found, None)
