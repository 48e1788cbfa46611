"""Runs a bulk query operation to its end and says where its result is.

A partial result (`partialDataUrl`) is never used: what it lacks would look as if it had vanished from the store.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import stamina

from calibr.connectors.port import Progress
from calibr.connectors.shopify.answers import readable
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.documents import BULK_OPERATION, START_BULK_QUERY, Document
from calibr.connectors.shopify.errors import PROTOCOL, THROTTLED, UNAUTHORIZED, UNAVAILABLE, CallError
from calibr.connectors.shopify.shapes import as_count, as_list, as_object, as_text

CALL_WINDOW_S: Final = 60.0
FIRST_POLL_S: Final = 0.25
LONGEST_POLL_S: Final = 5.0
SLOT_PATIENCE_S: Final = 600.0
"""How long to wait for one of the store's five slots."""

STALL_S: Final = 1_800.0
"""An operation that shows no progress for so long is given up (operations stuck at CREATED were seen)."""

RUNS: Final = 3
STAGE: Final = "catalog export"

_BUSY: Final = frozenset({"OPERATION_IN_PROGRESS", "LIMIT_REACHED"})
_UNDER_WAY: Final = frozenset({"CREATED", "RUNNING", "CANCELING"})


@dataclass(frozen=True, slots=True)
class BulkResult:
    """A finished operation. `url` is None if nothing matched; `size` is in bytes."""

    operation_id: str
    url: str | None
    size: int | None
    objects: int


@dataclass(eq=False)
class _EndedEarlyError(CallError):
    """The operation ended without its result, for a reason that a new run may not meet."""


class BulkQuery:
    """Runs bulk queries, one at a time per call. Thread-safe."""

    def __init__(self, client: ShopifyClient, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._sleep = sleep

    def run(self, document: Document, progress: Progress) -> BulkResult:
        """Run `document` to its end, in a new operation if one fails on the store's side. Raises `CallError`."""
        for attempt in stamina.retry_context(on=_EndedEarlyError, attempts=RUNS, timeout=None, wait_initial=1.0):
            with attempt:
                return self._follow(self._start(document), progress)
        raise AssertionError("the last attempt returns or raises")

    def _start(self, document: Document) -> str:
        patience = self._now() + SLOT_PATIENCE_S
        wait = 1.0
        while True:
            until = self._now() + CALL_WINDOW_S
            data = self._client.insist(START_BULK_QUERY, {"query": document.text}, rows=0, until=until)
            payload = as_object(data.get("bulkOperationRunQuery"), "bulkOperationRunQuery")
            errors = as_list(payload.get("userErrors"), "userErrors")
            if not errors:
                return as_text(as_object(payload.get("bulkOperation"), "bulkOperation").get("id"), "bulkOperation.id")
            error = as_object(errors[0], "userErrors entry")
            message = readable(error.get("message"))
            if error.get("code") not in _BUSY:
                raise CallError(PROTOCOL, f"Shopify refuses the bulk query: {message}")
            if self._now() + wait > patience:
                raise CallError(THROTTLED, f"The store runs too many bulk operations: {message}", retryable=True)
            self._sleep(wait)
            wait = min(wait * 2, 30.0)

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
                raise CallError(UNAVAILABLE, f"The store's bulk operation stands still at {status}.", retryable=True)

    def _poll(self, operation_id: str, *, give_up_at: float) -> dict[str, Any] | None:
        """Return the operation, or None after a failure that may pass: it keeps running while nobody looks."""
        try:
            data = self._client.insist(BULK_OPERATION, {"id": operation_id}, rows=1, until=self._now() + CALL_WINDOW_S)
        except CallError as err:
            if not err.retryable or self._now() > give_up_at:
                raise
            return None
        return as_object(data.get("bulkOperation"), "bulkOperation")

    def _now(self) -> float:
        return self._client.throttle.clock()


def _ended(operation_id: str, operation: dict[str, Any], status: str, objects: int) -> BulkResult:
    code = operation.get("errorCode")
    if status == "FAILED" and code == "ACCESS_DENIED":
        raise CallError(UNAUTHORIZED, "The access token may not read the catalog; it needs the scope read_products.")
    if status == "CANCELED":
        raise CallError(UNAVAILABLE, "The bulk operation was canceled in the store.", retryable=True)
    if status != "COMPLETED":
        reason = f"{status}, {readable(code)}" if code else status
        raise _EndedEarlyError(UNAVAILABLE, f"The store's bulk operation ended early ({reason}).", retryable=True)
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
