"""Runs an export and fetches its file: a bulk query from its start to bytes on this machine."""

import re
from pathlib import Path

from calibr.connectors.port import Progress
from calibr.connectors.port.reading import ReadingLog
from calibr.connectors.shopify.bulk import RUNS, BulkQuery, BulkResult
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.documents import Document
from calibr.connectors.shopify.download import ResultGoneError, download


class Export:
    """Exports into files. Thread-safe."""

    def __init__(self, client: ShopifyClient) -> None:
        self._client = client
        self._bulk = BulkQuery(client)

    def fetch(self, document: Document, work_dir: Path, progress: Progress, log: ReadingLog) -> tuple[BulkResult, Path]:
        """Go on with the noted operation, or with new ones while the address of the result expires unused.

        Raises `CallError`.
        """
        result = self._bulk.resume(progress, log)
        for attempt in range(1, RUNS + 1):
            result = result or self._bulk.run(document, progress, log)
            path = work_dir / f"shopify-bulk-{re.sub(r'[^0-9]', '', result.operation_id)}.jsonl"
            try:
                if result.url is None:
                    path.write_bytes(b"")
                else:
                    download(self._client, result.url, path, result.size, progress)
            except ResultGoneError:
                if attempt == RUNS:
                    raise
                result = None
                continue
            return result, path
        raise AssertionError("the last attempt returns or raises")
