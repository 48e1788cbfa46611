"""Reads a connection page by page."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.documents import Document
from calibr.connectors.shopify.errors import PROTOCOL, CallError
from calibr.connectors.shopify.shapes import as_list, as_object, as_text


def read_pages(
    client: ShopifyClient,
    document: Document,
    variables: Mapping[str, Any],
    find: Callable[[dict[str, Any]], object],
    *,
    points: int,
    until: float | None = None,
) -> Iterator[list[dict[str, Any]]]:
    """Yield the nodes of each page of the connection that `find` takes out of the data. Raises `CallError`.

    `points` is what a page is expected to cost. Without `until`, each page has the time of a call.
    """
    after: str | None = None
    while True:
        window = client.throttle.clock() + client.times.send_window_s if until is None else until
        data = client.insist(document, {**variables, "after": after}, rows=points, until=window)
        page = as_object(find(data), document.name)
        yield [as_object(node, f"{document.name} node") for node in as_list(page.get("nodes"), document.name)]
        info = as_object(page.get("pageInfo"), f"{document.name} pageInfo")
        if not info.get("hasNextPage"):
            return
        after, before = as_text(info.get("endCursor"), f"{document.name} endCursor"), after
        if after == before:
            raise CallError(PROTOCOL, "Shopify shows the same page again instead of the next one.")
