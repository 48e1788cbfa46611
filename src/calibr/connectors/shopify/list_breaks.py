"""Lower prices for larger quantities go with the fixed price that they belong to, and Calibr leaves them untouched.

The last reading may be old. So the store is asked again right before fixed prices are taken away.
"""

from collections.abc import Sequence
from typing import Final

from calibr.connectors.port import PriceWrite, WriteOutcome, WriteResult
from calibr.connectors.shopify.batches import cut
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.documents import FIXED_PRICES_WITH_BREAKS
from calibr.connectors.shopify.errors import PRICE_LIST_GONE, PROTOCOL, CallError
from calibr.connectors.shopify.gids import PRICE_LIST, to_gid
from calibr.connectors.shopify.list_prices import listing_query, read_listed, require_list
from calibr.connectors.shopify.outcomes import without_answer
from calibr.connectors.shopify.shapes import as_list, as_object

QUANTITY_BREAKS: Final = "quantity_breaks"
PAGE: Final = 100
"""Prices of one call. Shopify allows more, but not together with their breaks."""
BREAKS_POINTS: Final = 150

_MESSAGE: Final = "The fixed price has lower prices for larger quantities, which would be lost with it."


class BreakGuard:
    """Finds what must not be taken away from one list. Thread-safe."""

    def __init__(self, client: ShopifyClient, price_list: str) -> None:
        self._client = client
        self._price_list = price_list

    def refusals(self, writes: Sequence[PriceWrite], until: float) -> dict[str, WriteResult]:
        """Results of rows that must not go to the store, by external id; where it does not tell, of all removals."""
        removals = [write for write in writes if write.unit_amount is None]
        found: dict[str, WriteResult] = {}
        for part in cut(removals, PAGE):
            try:
                kept = self._with_breaks([write.external_id for write in part], until)
            except CallError as error:
                if error.code == PRICE_LIST_GONE:
                    break  # with all its breaks; the write will say so
                unsent = CallError(error.code, error.message, error.retryable, retry_after_s=error.retry_after_s)
                found |= {result.external_id: result for result in without_answer(part, unsent)}
            else:
                rejected = WriteOutcome.REJECTED
                found |= {each: WriteResult(each, rejected, None, QUANTITY_BREAKS, _MESSAGE) for each in kept}
        return found

    def _with_breaks(self, ids: Sequence[str], until: float) -> set[str]:
        variables = {"id": to_gid(PRICE_LIST, self._price_list), "query": listing_query(ids), "after": None}
        data = self._client.insist(FIXED_PRICES_WITH_BREAKS, variables, rows=BREAKS_POINTS, until=until)
        prices = as_object(require_list(self._price_list, data).get("prices"), "prices")
        listed = [read_listed(node) for node in as_list(prices.get("nodes"), "prices.nodes")]
        if not {external_id for external_id, _, _ in listed} <= set(ids):
            # A condition that the store leaves out would hide the breaks of what is beyond the page.
            raise CallError(PROTOCOL, "The store shows fixed prices of other listings than the ones asked for.")
        return {
            external_id
            for external_id, _, node in listed
            if as_list(as_object(node.get("quantityPriceBreaks"), "quantityPriceBreaks").get("nodes"), "breaks")
        }
