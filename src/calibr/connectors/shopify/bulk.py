"""Runs a bulk query operation to its end and says where its result is.

An operation is noted under a name before the store hears of it. The name stands in the text of its query, which the
store shows, so that it is found again when the answer to its start is lost or its worker dies. A partial result
(`partialDataUrl`) is never used: what it lacks would look as if it had vanished from the store.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import stamina

from calibr.connectors.port import Progress
from calibr.connectors.port.reading import ReadingLog, ReadingOperation
from calibr.connectors.shopify.answers import readable
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.documents import (
    BULK_OPERATION,
    CANCEL_BULK,
    START_BULK_QUERY,
    Document,
)
from calibr.connectors.shopify.errors import PROTOCOL, THROTTLED, UNAUTHORIZED, UNAVAILABLE, CallError
from calibr.connectors.shopify.operations import BUSY, find_operation
from calibr.connectors.shopify.shapes import as_count, as_list, as_object, as_text

CALL_WINDOW_S: Final = 60.0
FIRST_POLL_S: Final = 0.25
LONGEST_POLL_S: Final = 5.0
SLOT_PATIENCE_S: Final = 600.0
"""How long to wait for one of the store's five slots, or for a store that does not answer to a start."""

STALL_S: Final = 1_800.0
"""An operation that shows no progress for so long is given up (operations stuck at CREATED were seen)."""

RUNS: Final = 3
STARTING: Final = "starting the catalog export"
STAGE: Final = "catalog export"

CLOCKS_APART: Final = timedelta(hours=1)
"""How far the store's clock may be from ours: an operation that is not found costs a second export."""

_UNDER_WAY: Final = frozenset({"CREATED", "RUNNING", "CANCELING"})


@dataclass(frozen=True, slots=True)
class BulkResult:
    """A finished operation. `url` is None if nothing matched; `size` is in bytes."""

    operation_id: str
    url: str | None
    size: int | None
    objects: int


@dataclass(eq=False)
class EndedEarlyError(CallError):
    """The operation ended, or its result went, for a reason that a new run may not meet."""


@dataclass(eq=False)
class _CanceledError(CallError):
    """Somebody has canceled the operation in the store."""


class BulkQuery:
    """Runs bulk queries, one at a time per call. Thread-safe."""

    def __init__(self, client: ShopifyClient, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._sleep = sleep

    def run(self, document: Document, progress: Progress, log: ReadingLog) -> BulkResult:
        """Run `document` to its end, in a new operation if one fails on the store's side. Raises `CallError`."""
        for attempt in stamina.retry_context(on=EndedEarlyError, attempts=RUNS, timeout=None, wait_initial=1.0):
            with attempt:
                return self._follow(self._start(document, log, progress), progress)
        raise AssertionError("the last attempt returns or raises")

    def resume(self, progress: Progress, log: ReadingLog) -> BulkResult | None:
        """Follow the noted operation to its end; None if there is none, or it can bring no result any more."""
        if log.noted is None:
            return None
        operation_id = log.noted.operation_id
        if operation_id is None:
            operation_id = self._find(log.noted)
            if operation_id is None:
                return None
            log.started(operation_id)
        try:
            return self._follow(operation_id, progress)
        except (EndedEarlyError, _CanceledError):
            return None

    def _start(self, document: Document, log: ReadingLog, progress: Progress) -> str:
        operation = log.begin()
        text = named(document, operation.name)
        patience, wait, in_doubt = self._now() + SLOT_PATIENCE_S, 1.0, False
        while True:
            progress(STARTING, 0, None)
            try:
                # It may have begun although no answer came: a second one would take one of the five slots.
                started = (self._find(operation) if in_doubt else None) or self._send_start(text)
            except CallError as error:
                if not error.retryable or self._now() + wait > patience:
                    raise
                in_doubt = in_doubt or error.maybe_executed
            else:
                log.started(started)
                return started
            self._sleep(wait)
            wait = min(wait * 2, 30.0)

    def _send_start(self, text: str) -> str:
        """Ask once. Raises `CallError`; a retryable one while all slots are taken."""
        data = self._client.call(START_BULK_QUERY, {"query": text}, rows=0, until=self._until())
        payload = as_object(data.get("bulkOperationRunQuery"), "bulkOperationRunQuery")
        errors = as_list(payload.get("userErrors"), "userErrors")
        if not errors:
            return as_text(as_object(payload.get("bulkOperation"), "bulkOperation").get("id"), "bulkOperation.id")
        error = as_object(errors[0], "userErrors entry")
        message = readable(error.get("message"))
        if error.get("code") not in BUSY:
            raise CallError(PROTOCOL, f"Shopify refuses the bulk query: {message}")
        raise CallError(THROTTLED, f"The store runs too many bulk operations: {message}", retryable=True)

    def _find(self, operation: ReadingOperation) -> str | None:
        """Look for the operation by its name among those that began since it was noted."""
        found = find_operation(self._client, "query", operation.name, operation.begun_at - CLOCKS_APART, self._until())
        return None if found is None else as_text(found.get("id"), "bulkOperation.id")

    def _follow(self, operation_id: str, progress: Progress) -> BulkResult:
        seen: tuple[str, int] | None = None
        changed_at, wait = self._now(), FIRST_POLL_S
        while True:
            self._sleep(wait)
            wait = min(wait * 1.5, LONGEST_POLL_S)
            operation = self._poll(operation_id, give_up_at=changed_at + STALL_S)
            if operation is None:
                continue
            status = as_text(operation.get("status"), "bulkOperation.status")
            objects = as_count(operation.get("objectCount"), "bulkOperation.objectCount")
            progress(STAGE, objects, None)
            if status not in _UNDER_WAY:
                return _ended(operation_id, operation, status, objects)
            if (status, objects) != seen:
                seen, changed_at = (status, objects), self._now()
            elif self._now() > changed_at + STALL_S:
                self._cancel(operation_id)
                raise CallError(UNAVAILABLE, f"The store's bulk operation stands still at {status}.", retryable=True)

    def _poll(self, operation_id: str, *, give_up_at: float) -> dict[str, Any] | None:
        """Return the operation, or None after a failure that may pass: it keeps running while nobody looks."""
        try:
            data = self._client.insist(BULK_OPERATION, {"id": operation_id}, rows=1, until=self._until())
        except CallError as err:
            if not err.retryable or self._now() > give_up_at:
                raise
            return None
        if data.get("bulkOperation") is None:
            raise EndedEarlyError(UNAVAILABLE, "The store does not know the bulk operation any more.", retryable=True)
        return as_object(data.get("bulkOperation"), "bulkOperation")

    def _cancel(self, operation_id: str) -> None:
        """Free the slot of an operation that nobody will follow; it ends by itself where that fails."""
        with suppress(CallError):
            self._client.insist(CANCEL_BULK, {"id": operation_id}, rows=0, until=self._until())

    def _until(self) -> float:
        return self._now() + CALL_WINDOW_S

    def _now(self) -> float:
        return self._client.throttle.clock()


def named(document: Document, name: str) -> str:
    """Return the text of a query under the name of one operation."""
    return document.text.strip().replace(document.name, name, 1)


def _ended(operation_id: str, operation: dict[str, Any], status: str, objects: int) -> BulkResult:
    code = operation.get("errorCode")
    if status == "FAILED" and code == "ACCESS_DENIED":
        raise CallError(UNAUTHORIZED, "The access token may not read the catalog; it needs the scope read_products.")
    if status == "CANCELED":
        raise _CanceledError(UNAVAILABLE, "The bulk operation was canceled in the store.", retryable=True)
    if status != "COMPLETED":
        reason = f"{status}, {readable(code)}" if code else status
        raise EndedEarlyError(UNAVAILABLE, f"The store's bulk operation ended early ({reason}).", retryable=True)
    url = operation.get("url")
    if url is None and objects > 0:
        message = f"The bulk operation has {objects} objects but no address of its result."
        raise CallError(PROTOCOL, message, retryable=True)
    size = operation.get("fileSize")
    return BulkResult(
        operation_id,
        None if url is None else as_text(url, "bulkOperation.url"),
        None if size is None else as_count(size, "bulkOperation.fileSize"),
        objects,
    )
