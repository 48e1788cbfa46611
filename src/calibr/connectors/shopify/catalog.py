"""Reads a store's catalog: by a bulk operation, whose file is fetched and staged. All of it, or what changed lately."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from calibr.connectors.port import BasePriceList, CatalogStream, Progress
from calibr.connectors.port.reading import ReadingLog
from calibr.connectors.shopify.bulk_rows import stream
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.documents import CATALOG, COUNT_VARIANTS, Document
from calibr.connectors.shopify.export import Export
from calibr.connectors.shopify.metafields import Metafields, selection
from calibr.connectors.shopify.prices import ShopCurrency
from calibr.connectors.shopify.shapes import as_count, as_object

COUNT_COST: Final = 10
_ROOT: Final = "products {"
_PRODUCT: Final = "id title vendor productType status tags"
_VARIANT: Final = "id sku price compareAtPrice position"


class CatalogReader:
    """See `connectors.port.reading.ReadsByOperation`."""

    def __init__(self, client: ShopifyClient, currency: ShopCurrency) -> None:
        self._client = client
        self._currency = currency
        self._export = Export(client)

    def read(self, work_dir: Path, progress: Progress, log: ReadingLog) -> CatalogStream:
        """Export into a file in `work_dir` and stage its rows.

        The bulk file holds every variant of a product that it holds, however many there are.
        """
        currency = self._currency.get(self._until())
        metafields = self._client.config.metafields
        document = with_metafields(CATALOG, metafields)
        if log.since is not None:
            document = changed_since(document, log.since)
        result, path = self._export.fetch(document, work_dir, progress, log)
        # Where the size was told and checked, the count of objects can tell nothing more.
        expected = result.objects if result.size is None else None
        base = BasePriceList("Base prices", currency)
        return stream(path, base, work_dir, expected_objects=expected, metafields=metafields)

    def count(self) -> int:
        """How many variants the store has."""
        data = self._client.insist(COUNT_VARIANTS, {}, rows=COUNT_COST, until=self._until())
        return as_count(as_object(data.get("productVariantsCount"), "productVariantsCount").get("count"), "count")

    def _until(self) -> float:
        return self._client.throttle.clock() + self._client.times.send_window_s


def with_metafields(document: Document, metafields: Metafields) -> Document:
    """Let the export bring these metafields of products and variants."""
    text = document.text.replace(_PRODUCT, f"{_PRODUCT} {selection(metafields.product)}", 1)
    return replace(document, text=text.replace(_VARIANT, f"{_VARIANT} {selection(metafields.variant)}", 1))


def changed_since(document: Document, since: datetime) -> Document:
    """Limit the export to products that changed since then, each with all of its variants."""
    condition = f"updated_at:>='{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'"
    return replace(document, text=document.text.replace(_ROOT, f'products(query: "{condition}") {{', 1))
