"""Bulk query operations: started, run beside the requests, canceled, and taken up again after a restart."""

import random
import secrets
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from graphql import GraphQLSchema

from calibr_sandbox.bulk_document import RefusedQueryError, read_bulk_query
from calibr_sandbox.bulk_export import Progress, read_lines, write_result
from calibr_sandbox.config import MAX_BULK_QUERIES, SandboxConfig
from calibr_sandbox.fields import ShopContext
from calibr_sandbox.ids import FIRST_BULK_OPERATION_ID, gid
from calibr_sandbox.rows import BULK_COLUMNS, BulkRow
from calibr_sandbox.search import Filter
from calibr_sandbox.store import Store

_OPEN: Final = ("CREATED", "RUNNING", "CANCELING")
_SELECT: Final = f"SELECT {BULK_COLUMNS} FROM bulk_operation"  # noqa: S608 - columns of our own


@dataclass(frozen=True, slots=True)
class Started:
    """The outcome of a start: the operation, or the reasons why there is none."""

    operation: BulkRow | None
    errors: list[dict[str, Any]] = field(default_factory=list)


class BulkOperations:
    """The bulk operations of one shop. Each open one has a thread; the states live in the store."""

    def __init__(self, config: SandboxConfig, store: Store, schema: GraphQLSchema) -> None:
        """Take up what an earlier process left unfinished."""
        self._config = config
        self._store = store
        self._schema = schema
        self._closing = threading.Event()
        self._threads: dict[int, threading.Thread] = {}
        self.results = store.path.with_name(store.path.name + ".bulk")
        self.results.mkdir(exist_ok=True)
        self._remove_leftovers()
        for row in self.list_all(Filter(_in_states(_OPEN))):
            self._launch(row.id)

    def close(self) -> None:
        """Stop the threads. Unfinished operations stay open in the store and resume at the next start."""
        self._closing.set()
        for thread in list(self._threads.values()):
            thread.join()

    def start(self, query: str, *, group_objects: bool) -> Started:
        """Create an operation and run it, unless its query or the number of open operations forbids it."""
        try:
            read_bulk_query(self._schema, query)
        except RefusedQueryError as error:
            return Started(None, [_user_error(["query"], message, "INVALID") for message in error.messages])
        with self._store.transaction() as connection:
            running = [gid("BulkOperation", row.id) for row in self.list_all(Filter(_in_states(_OPEN)))]
            if len(running) >= MAX_BULK_QUERIES:
                listed = ", ".join(sorted(running))
                message = f"A bulk query operation for this app and shop is already in progress: {listed}."
                return Started(None, [_user_error(None, message, "OPERATION_IN_PROGRESS")])
            number = connection.execute(
                "INSERT INTO bulk_operation"
                " (id, status, query, group_objects, created_at, object_count, root_object_count)"
                " SELECT coalesce(max(id) + 1, ?), 'CREATED', ?, ?, ?, 0, 0 FROM bulk_operation",
                (FIRST_BULK_OPERATION_ID, query, int(group_objects), int(time.time())),
            ).lastrowid
        operation = self.find(number or 0)
        self._launch(number or 0)
        return Started(operation)

    def cancel(self, number: int) -> tuple[BulkRow | None, str | None]:
        """Ask an operation to stop. Returns it, and why it cannot be canceled if it cannot."""
        with self._store.transaction() as connection:
            row = self.find(number)
            if row is None:
                return None, "Bulk operation does not exist"
            if row.status not in _OPEN:
                return row, f"A bulk operation cannot be canceled when it is {row.status.lower()}"
            connection.execute("UPDATE bulk_operation SET status = 'CANCELING' WHERE id = ?", (number,))
        return row._replace(status="CANCELING"), None

    def find(self, number: int) -> BulkRow | None:
        """Return the operation, or None."""
        row = self._store.fetch_one(f"{_SELECT} WHERE id = ?", (number,))
        return BulkRow._make(row) if row else None

    def list_all(self, where: Filter) -> list[BulkRow]:
        """Return the operations that match, the newest first."""
        rows = self._store.fetch_all(f"{_SELECT} WHERE {where.sql} ORDER BY id DESC", where.parameters)
        return [BulkRow._make(row) for row in rows]

    def result_file(self, name: str) -> Path | None:
        """Return the result file of that name if an operation completed with it."""
        known = self._store.fetch_one("SELECT 1 FROM bulk_operation WHERE result = ? AND status = 'COMPLETED'", (name,))
        return self.results / name if known else None

    def _remove_leftovers(self) -> None:
        """Delete the files that operations were writing when an earlier process died."""
        kept = {row.result for row in self.list_all(Filter("result IS NOT NULL"))}
        for path in self.results.glob("*.jsonl"):
            if path.name not in kept:
                path.unlink()

    def _launch(self, number: int) -> None:
        thread = threading.Thread(target=self._run, args=(number,), name=f"bulk-{number}", daemon=True)
        self._threads[number] = thread
        thread.start()

    def _run(self, number: int) -> None:
        try:
            if self._wait(number) and self._begin(number):
                self._export(number)
            self._settle(number, "CANCELING", "CANCELED", None)
        except Exception:
            self._settle(number, "RUNNING", "FAILED", "INTERNAL_SERVER_ERROR")
            raise
        finally:
            self._threads.pop(number, None)

    def _export(self, number: int) -> None:
        row = self.find(number)
        if row is None:
            return
        name = f"{number}-{secrets.token_hex(16)}.jsonl"
        shuffle = None if row.group_objects else random.Random(f"{self._config.seed}:{number}")  # noqa: S311
        query = read_bulk_query(self._schema, row.query)
        with self._store.snapshot() as reader:
            shop = ShopContext(self._config, reader, "")
            path = self.results / name
            done = write_result(path, read_lines(query, shop), shuffle, lambda p: self._report(number, p))
        is_whole = done is not None and self._report(number, done) and self._wait(number)
        if not is_whole or not self._complete(number, path):
            path.unlink(missing_ok=True)

    def _complete(self, number: int, path: Path) -> bool:
        """Publish the result; False when the operation was canceled in the last moment."""
        with self._store.transaction() as connection:
            changed = connection.execute(
                "UPDATE bulk_operation SET status = 'COMPLETED', completed_at = ?, file_size = ?, result = ?"
                " WHERE id = ? AND status = 'RUNNING'",
                (int(time.time()), path.stat().st_size, path.name, number),
            ).rowcount
        return changed == 1

    def _report(self, number: int, progress: Progress) -> bool:
        """Publish the counts; False when the operation should stop."""
        with self._store.transaction() as connection:
            changed = connection.execute(
                "UPDATE bulk_operation SET object_count = ?, root_object_count = ? WHERE id = ? AND status = 'RUNNING'",
                (progress.objects, progress.roots, number),
            ).rowcount
        return changed == 1 and not self._closing.is_set()

    def _wait(self, number: int) -> bool:
        """Let the configured delay pass; False when the operation was canceled or the server closes."""
        deadline = time.monotonic() + self._config.bulk_pause_s
        while (left := deadline - time.monotonic()) > 0:
            if self._closing.wait(min(left, 0.05)) or self._is_canceling(number):
                return False
        return not self._closing.is_set() and not self._is_canceling(number)

    def _is_canceling(self, number: int) -> bool:
        row = self.find(number)
        return row is None or row.status == "CANCELING"

    def _begin(self, number: int) -> bool:
        """Start running; an operation that an earlier process left RUNNING starts over."""
        with self._store.transaction() as connection:
            changed = connection.execute(
                "UPDATE bulk_operation SET status = 'RUNNING', object_count = 0, root_object_count = 0"
                " WHERE id = ? AND status IN ('CREATED', 'RUNNING')",
                (number,),
            ).rowcount
        return changed == 1

    def _settle(self, number: int, before: str, after: str, error_code: str | None) -> None:
        """End an operation that has no result, if it is in the state before."""
        with self._store.transaction() as connection:
            connection.execute(
                "UPDATE bulk_operation SET status = ?, error_code = ? WHERE id = ? AND status = ?",
                (after, error_code, number, before),
            )


def _in_states(states: tuple[str, ...]) -> str:
    return f"status IN ({', '.join(repr(state) for state in states)})"


def _user_error(path: list[str] | None, message: str, code: str) -> dict[str, Any]:
    return {"field": path, "message": message, "code": code}
