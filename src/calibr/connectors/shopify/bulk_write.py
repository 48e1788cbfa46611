"""Writes many prices at a time: a file of variables, which the store works through with one mutation a line.

A file has a name (its tag) that stands in the text of its mutation, since the store shows that text with the operation:
so the operation is found again when the answer to its start is lost. What the file says about a row is judged as on the
other path, and its variables are made by the same function.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson

from calibr.connectors.port import BulkStart, BulkView, PriceWrite, WriteOutcome, WriteResult
from calibr.connectors.shopify.answers import readable
from calibr.connectors.shopify.batches import MAX_ARRAY, cut
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.documents import (
    BULK_OPERATION,
    CANCEL_BULK,
    START_BULK_MUTATION,
    UPDATE_PRICES,
    Document,
)
from calibr.connectors.shopify.download import download
from calibr.connectors.shopify.errors import PROTOCOL, THROTTLED, UNAVAILABLE, CallError
from calibr.connectors.shopify.operations import BUSY, find_operation
from calibr.connectors.shopify.outcomes import judge
from calibr.connectors.shopify.prices import ShopCurrency
from calibr.connectors.shopify.shapes import as_count, as_list, as_object, as_text
from calibr.connectors.shopify.upload import stage
from calibr.connectors.shopify.writes import INVALID_ROW, by_product, mismatch, refusals, update_variables

LEAST_ROWS: Final = 100
"""Below that nobody waits for a file: the path by calls is over before the store has looked at one."""

MOST_ROWS: Final = 2_500
"""Rows of one file. Reading their prices beforehand takes 25 s on the smallest plan: what is read must not grow old."""

SLOT_WAIT_S: Final = 5

CLOCKS_APART: Final = timedelta(days=1)
"""How far the store's clock may be from ours: a file that is not found would be sent again."""

_OVER: Final = frozenset({"COMPLETED", "CANCELED", "FAILED", "EXPIRED"})


class BulkPriceWriter:
    """See `connectors.port.BulkWriter`. Thread-safe."""

    least_rows: int = LEAST_ROWS
    most_rows: int = MOST_ROWS

    def __init__(self, client: ShopifyClient, currency: ShopCurrency) -> None:
        self._client = client
        self._currency = currency

    def start(self, tag: str, writes: Sequence[PriceWrite], *, until: float) -> BulkStart:
        """Upload the file and start the operation. Raises `Invalid` if a listing comes twice."""
        until = min(until, self._until())
        lines = lines_of(writes)
        if not lines:
            return BulkStart(WriteOutcome.REJECTED, None, INVALID_ROW, "no row of the file may be sent")
        try:
            told = self._currency.get(until)
            if any(write.currency != told for line in lines for write in line):
                refused = mismatch(next(w for line in lines for w in line if w.currency != told), told)
                return BulkStart(WriteOutcome.REJECTED, None, refused.code, refused.message)
            path = _staged(self._client, f"calibr-{tag}.jsonl", _file(lines), until)
            variables = {"mutation": mutation(tag), "path": path, "tag": f"calibr-{tag}"}
            data = self._client.call(START_BULK_MUTATION, variables, rows=0, until=until)
        except CallError as error:
            return _not_started(error)
        return _started(as_object(data.get("bulkOperationRunMutation"), "bulkOperationRunMutation"))

    def find(self, tag: str, since: datetime) -> BulkView | None:
        """Look through the operations that began since then."""
        found = find_operation(self._client, "mutation", _name(tag), since - CLOCKS_APART, self._until())
        return None if found is None else _view(found)

    def look(self, operation_id: str) -> BulkView | None:
        """Ask for one operation."""
        found = self._ask(BULK_OPERATION, {"id": operation_id}, 1).get("bulkOperation")
        return None if found is None else _view(as_object(found, "bulkOperation"))

    def cancel(self, operation_id: str) -> None:
        """Ask to cancel; what is over already stays as it is."""
        self._ask(CANCEL_BULK, {"id": operation_id}, 0)

    def layout(self, writes: Sequence[PriceWrite]) -> bytes:
        """Digest the external ids, line by line."""
        ids = [[write.external_id for write in line] for line in lines_of(writes)]
        return hashlib.sha256(orjson.dumps(ids)).digest()

    def results(self, view: BulkView, writes: Sequence[PriceWrite]) -> list[WriteResult]:
        """Fetch the result file and judge each of its lines."""
        refused = refusals(writes)
        found = {write.external_id: _unknown(write) for write in writes} | refused
        lines = lines_of(writes)
        seen: set[int] = set()
        for number, payload in self._payloads(view):
            if number < len(lines) and number not in seen:
                seen.add(number)
                found |= {result.external_id: result for result in _judged(lines[number], payload)}
        return [found[write.external_id] for write in writes]

    def _payloads(self, view: BulkView) -> Iterator[tuple[int, object]]:
        if view.result_url is None:
            return
        with TemporaryDirectory() as folder:
            path = Path(folder) / "result.jsonl"
            download(self._client, view.result_url, path, view.result_size, _tell_nobody)
            with path.open("rb") as file:
                for line in file:
                    try:
                        row = as_object(orjson.loads(line), "line of the result file")
                        number = as_count(row.get("__lineNumber"), "__lineNumber")
                    except (orjson.JSONDecodeError, CallError):
                        continue
                    data = row.get("data")
                    yield number, data.get("productVariantsBulkUpdate") if isinstance(data, Mapping) else None

    def _ask(self, document: Document, variables: Mapping[str, Any], rows: int) -> dict[str, Any]:
        return self._client.insist(document, variables, rows=rows, until=self._until())

    def _until(self) -> float:
        return self._client.throttle.clock() + self._client.times.send_window_s


def lines_of(writes: Sequence[PriceWrite]) -> list[Sequence[PriceWrite]]:
    """Return the writes of each line of the file: rows of one product, at most as many as one call takes.

    What must never reach a store is left out. Raises `Invalid` if a listing comes twice.
    """
    refused = refusals(writes)
    fit = [write for write in writes if write.external_id not in refused]
    return [chunk for group in by_product(fit) for chunk in cut(group, MAX_ARRAY)]


def mutation(tag: str) -> str:
    """Return the mutation of both paths, under a name that tells which file it belongs to."""
    return UPDATE_PRICES.text.strip().replace(UPDATE_PRICES.name, _name(tag), 1)


def _staged(client: ShopifyClient, name: str, content: bytes, until: float) -> str:
    """Upload; whatever becomes of it, it has written no price."""
    try:
        return stage(client, name, content, until)
    except CallError as error:
        error.maybe_executed = False
        raise


def _name(tag: str) -> str:
    return f"Calibr_{tag.replace('-', '')}"


def _file(lines: Sequence[Sequence[PriceWrite]]) -> bytes:
    return b"".join(orjson.dumps(update_variables(line)) + b"\n" for line in lines)


def _not_started(error: CallError) -> BulkStart:
    if not error.retryable and not error.maybe_executed:
        raise error
    wait = None if error.retry_after_s is None else math.ceil(error.retry_after_s)
    outcome = WriteOutcome.UNKNOWN if error.maybe_executed else WriteOutcome.RETRY
    return BulkStart(outcome, None, error.code, error.message, wait)


def _started(payload: Mapping[str, Any]) -> BulkStart:
    errors = as_list(payload.get("userErrors"), "userErrors")
    if not errors:
        operation = as_object(payload.get("bulkOperation"), "bulkOperation")
        return BulkStart(WriteOutcome.WRITTEN, as_text(operation.get("id"), "bulkOperation.id"))
    error = as_object(errors[0], "userErrors entry")
    message = readable(error.get("message"))
    if error.get("code") in BUSY:
        return BulkStart(WriteOutcome.RETRY, None, THROTTLED, message, SLOT_WAIT_S)
    raise CallError(PROTOCOL, f"Shopify refuses the bulk mutation: {message}")


def _view(operation: Mapping[str, Any]) -> BulkView:
    status = as_text(operation.get("status"), "bulkOperation.status")
    url, size = operation.get("url"), operation.get("fileSize")
    return BulkView(
        operation_id=as_text(operation.get("id"), "bulkOperation.id"),
        status=status,
        is_over=status in _OVER,
        objects=as_count(operation.get("objectCount"), "bulkOperation.objectCount"),
        result_url=None if url is None else as_text(url, "bulkOperation.url"),
        result_size=None if size is None else as_count(size, "bulkOperation.fileSize"),
    )


def _judged(line: Sequence[PriceWrite], payload: object) -> list[WriteResult]:
    """Judge one line. One that cannot be read says nothing about its rows: the store itself is asked for them."""
    try:
        return judge(line, payload)
    except CallError:
        return [_unknown(write) for write in line]


def _unknown(write: PriceWrite) -> WriteResult:
    message = "The result of the bulk operation does not show this listing."
    return WriteResult(write.external_id, WriteOutcome.UNKNOWN, None, UNAVAILABLE, message)


def _tell_nobody(_stage: str, _done: int, _total: int | None) -> None:
    pass
