"""Bulk operations: started, run beside the requests, canceled, and taken up again after a restart."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from calibr_sandbox.bulk_document import MAX_BYTES, RefusedQueryError, read_bulk_query
from calibr_sandbox.bulk_mutation_document import RefusedMutationError, read_bulk_mutation
from calibr_sandbox.bulk_run import BulkRun, Failure, Workshop
from calibr_sandbox.bulk_state import OPEN
from calibr_sandbox.ids import gid
from calibr_sandbox.rows import BulkRow
from calibr_sandbox.search import Filter
from calibr_sandbox.staged_uploads import MAX_UPLOAD_BYTES
from calibr_sandbox.variant_writes import Writer

ERROR_CODES: Final = ("ACCESS_DENIED", "INTERNAL_SERVER_ERROR", "TIMEOUT")
_NO_FILE: Final = (
    "The JSONL file could not be found. Try uploading the file again, and check that you've entered the URL correctly"
    " for the stagedUploadPath mutation argument."
)
_SHORTEST_IDENTIFIER: Final = 10
_LONGEST_IDENTIFIER: Final = 255


@dataclass(frozen=True, slots=True)
class Started:
    """The outcome of a start: the operation, or the reasons why there is none."""

    operation: BulkRow | None
    errors: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Import:
    """What a bulk mutation is started with."""

    mutation: str
    staged_path: str
    client_identifier: str | None = None


class BulkOperations:
    """The bulk operations of one shop. Each open one has a thread; the states live in the store."""

    def __init__(self, shop: Workshop) -> None:
        """Keep what an earlier process left unfinished, until `resume`."""
        self._shop = shop
        self._state = shop.state
        self._threads: dict[int, threading.Thread] = {}
        self._failures: deque[Failure] = deque()
        self.results = shop.results
        self.results.mkdir(exist_ok=True)
        self._remove_leftovers()

    def resume(self) -> None:
        """Take up what an earlier process left unfinished. What operations run with must be there by now."""
        for row in self._state.list_open():
            self._launch(row.id)

    def close(self) -> None:
        """Stop the threads. Unfinished operations stay open in the store and resume at the next start."""
        self._shop.gate.close()
        for thread in list(self._threads.values()):
            thread.join()

    def start_query(self, query: str, writer: Writer, *, group_objects: bool, limit: int) -> Started:
        """Create an export and run it, unless its query or the number of open ones forbids it."""
        try:
            read_bulk_query(self._shop.schema, query)
        except RefusedQueryError as error:
            return Started(None, [_user_error(["query"], message, "INVALID") for message in error.messages])
        draft = _draft("QUERY", query)._replace(group_objects=int(group_objects))
        return self._start(draft, writer, limit)

    def start_mutation(self, wanted: Import, writer: Writer, *, limit: int) -> Started:
        """Create an import and run it, unless its mutation, its file or the number of open ones forbids it."""
        try:
            read_bulk_mutation(self._shop.schema, wanted.mutation)
        except RefusedMutationError as error:
            return Started(None, [_user_error(error.field, error.message, error.code)])
        refused = self._file_error(wanted.staged_path) or _model_error(wanted)
        if refused is not None:
            return Started(None, [refused])
        draft = _draft("MUTATION", wanted.mutation)._replace(
            staged_path=wanted.staged_path, client_identifier=wanted.client_identifier
        )
        return self._start(draft, writer, limit)

    def cancel(self, number: int) -> tuple[BulkRow | None, str | None]:
        """Ask an operation to stop. Returns it, and why it cannot be canceled if it cannot."""
        with self._state.store.transaction():
            row = self.find(number)
            if row is None:
                return None, "Bulk operation does not exist"
            if row.status not in OPEN:
                return row, f"A bulk operation cannot be canceled when it is {row.status.lower()}"
            self._state.cancel(number)
        return row._replace(status="CANCELING"), None

    def advance(self) -> None:
        """Let every operation that waits take its next step now: tests need not sleep through the delay."""
        self._shop.gate.advance()

    def fail_next(self, failure: Failure) -> None:
        """Let the next operation that begins fail. Raises ValueError for a code that Shopify does not have."""
        if failure.error_code not in ERROR_CODES:
            raise ValueError(f"errorCode: {failure.error_code!r} is unknown; known are {', '.join(ERROR_CODES)}")
        self._failures.append(failure)

    def expire(self, number: int) -> None:
        """Let the time for which the result of a completed operation is kept be over. Raises LookupError."""
        if not self._state.expire(number):
            raise LookupError(f"there is no completed bulk operation {number}")

    def find(self, number: int) -> BulkRow | None:
        """Return the operation, or None."""
        return self._state.find(number)

    def list_all(self, where: Filter) -> list[BulkRow]:
        """Return the operations that match, the newest first."""
        return self._state.list_all(where)

    def result_file(self, name: str) -> Path | None:
        """Return the result file of that name if an operation published it and it has not expired."""
        published = ("COMPLETED", "CANCELED", "FAILED")
        found = [row for row in self.list_all(Filter("result = ?", (name,))) if row.status in published]
        return self.results / name if found else None

    def _start(self, draft: BulkRow, writer: Writer, limit: int) -> Started:
        with self._state.store.transaction():
            running = sorted(gid("BulkOperation", row.id) for row in self._state.list_open(draft.type))
            if len(running) >= limit:
                kind = draft.type.lower()
                message = f"A bulk {kind} operation for this app and shop is already in progress: {', '.join(running)}."
                return Started(None, [_user_error(None, message, "OPERATION_IN_PROGRESS")])
            row = self._state.create(draft, writer)
        self._launch(row.id)
        return Started(row)

    def _file_error(self, path: str) -> dict[str, Any] | None:
        staged = self._shop.staged.find(path)
        if staged is None or staged.size is None:
            return _user_error(None, _NO_FILE, "NO_SUCH_FILE")
        if staged.size == 0:
            return _user_error(None, "The input file is empty.", "INVALID_STAGED_UPLOAD_FILE")
        if staged.size > MAX_UPLOAD_BYTES:
            message = "The input file size exceeds the maximum allowed size of 100 MB."
            return _user_error(None, message, "INVALID_STAGED_UPLOAD_FILE")
        return None

    def _remove_leftovers(self) -> None:
        """Delete the files that operations were writing when an earlier process died."""
        kept = {row.result for row in self.list_all(Filter("result IS NOT NULL"))}
        for path in self.results.glob("*.jsonl"):
            if path.name not in kept:
                path.unlink()

    def _launch(self, number: int) -> None:
        run = BulkRun(self._shop, number, self._next_failure)
        thread = threading.Thread(target=self._run, args=(number, run.run), name=f"bulk-{number}", daemon=True)
        self._threads[number] = thread
        thread.start()

    def _run(self, number: int, run: Callable[[], None]) -> None:
        try:
            run()
        finally:
            self._threads.pop(number, None)

    def _next_failure(self) -> Failure | None:
        try:
            return self._failures.popleft()
        except IndexError:
            return None


def _draft(kind: str, text: str) -> BulkRow:
    return BulkRow(0, "CREATED", text, 0, None, 0, None, 0, 0, None, None, kind, None, None)


def _model_error(wanted: Import) -> dict[str, Any] | None:
    """What does not fit into the stored operation."""
    size = len(wanted.mutation.encode())
    if size > MAX_BYTES:
        message = f"is too large ({size} bytes; maximum is {MAX_BYTES} bytes)"
        return _user_error(["query"], message, "INVALID_MUTATION")
    identifier = wanted.client_identifier
    if identifier is None or _SHORTEST_IDENTIFIER <= len(identifier) <= _LONGEST_IDENTIFIER:
        return None
    is_short = len(identifier) < _SHORTEST_IDENTIFIER
    bound = f"short (minimum is {_SHORTEST_IDENTIFIER}" if is_short else f"long (maximum is {_LONGEST_IDENTIFIER}"
    return _user_error(["clientIdentifier"], f"is too {bound} characters)", "INVALID_MUTATION")


def _user_error(path: list[str] | None, message: str, code: str | None) -> dict[str, Any]:
    return {"field": path, "message": message, "code": code}
