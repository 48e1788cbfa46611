"""The stored state of bulk operations: every change of a status, each in one transaction."""

import time
from collections.abc import Callable
from typing import Final

import orjson

from calibr_sandbox.ids import FIRST_BULK_OPERATION_ID
from calibr_sandbox.rows import BULK_COLUMNS, BulkRow
from calibr_sandbox.search import Filter
from calibr_sandbox.store import Store
from calibr_sandbox.variant_writes import Writer

OPEN: Final = ("CREATED", "RUNNING", "CANCELING")
RESULT_SECONDS: Final = 7 * 86_400
_SELECT: Final = f"SELECT {BULK_COLUMNS} FROM bulk_operation"  # noqa: S608 - columns of our own


class BulkState:
    """Reads and changes the rows of one shop's operations."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        """Use the shop's file, and let results grow old by this time."""
        self.store = store
        self._now = now
        self.on_end: Callable[[int], None] = lambda _number: None
        """Told of each operation that has ended, in the thread that ended it."""

    def create(self, draft: BulkRow, writer: Writer) -> BulkRow:
        """Store a new operation. The id in the draft does not count. Inside or outside of a transaction."""
        who = orjson.dumps([writer.who, writer.request_id, writer.writer]).decode()
        with self.store.transaction() as connection:
            number = connection.execute(
                "INSERT INTO bulk_operation (id, status, query, group_objects, created_at, object_count,"
                " root_object_count, type, staged_path, client_identifier, writer)"
                " SELECT coalesce(max(id) + 1, ?), 'CREATED', ?, ?, ?, 0, 0, ?, ?, ?, ? FROM bulk_operation",
                (
                    *(FIRST_BULK_OPERATION_ID, draft.query, draft.group_objects, int(self._now())),
                    *(draft.type, draft.staged_path, draft.client_identifier, who),
                ),
            ).lastrowid
        return draft._replace(id=number or 0, status="CREATED", created_at=int(self._now()))

    def find(self, number: int) -> BulkRow | None:
        """Return the operation, or None."""
        row = self.store.fetch_one(f"{_SELECT} WHERE id = ?", (number,))
        return self._as_of_now(BulkRow._make(row)) if row else None

    def list_all(self, where: Filter) -> list[BulkRow]:
        """Return the operations that match, the newest first."""
        rows = self.store.fetch_all(f"{_SELECT} WHERE {where.sql} ORDER BY id DESC", where.parameters)
        return [self._as_of_now(BulkRow._make(row)) for row in rows]

    def list_open(self, kind: str | None = None) -> list[BulkRow]:
        """Return the operations that have not ended, of one type if one is given."""
        states = ", ".join(repr(state) for state in OPEN)
        where = Filter(f"status IN ({states})")
        return self.list_all(where if kind is None else where.and_also(Filter("type = ?", (kind,))))

    def writer_of(self, number: int) -> Writer:
        """Tell who started an operation."""
        stored = self.store.fetch_value("SELECT writer FROM bulk_operation WHERE id = ?", (number,))
        who, request_id, name = orjson.loads(str(stored or '["api", null, null]'))
        return Writer("api", who, request_id, name)

    def begin(self, number: int) -> bool:
        """Start running; an operation that an earlier process left RUNNING goes on. False when it was canceled."""
        return self._change("status = 'RUNNING'", (), number, "'CREATED', 'RUNNING'")

    def report(self, number: int, objects: int, roots: int) -> bool:
        """Publish the counts; False when the operation was canceled."""
        return self._change("object_count = ?, root_object_count = ?", (objects, roots), number, "'RUNNING'")

    def complete(self, number: int, result: str, size: int) -> bool:
        """Publish the result; False when the operation was canceled in the last moment."""
        changes = "status = 'COMPLETED', completed_at = ?, file_size = ?, result = ?"
        return self._end(changes, (int(self._now()), size, result), number, "'RUNNING'")

    def cancel(self, number: int) -> bool:
        """Ask an open operation to stop."""
        return self._change("status = 'CANCELING'", (), number, ", ".join(repr(state) for state in OPEN))

    def end_canceled(self, number: int, result: str | None) -> bool:
        """End an operation that was asked to stop; what it had done by then may be published."""
        return self._end("status = 'CANCELED', result = ?", (result,), number, "'CANCELING'")

    def fail(self, number: int, error_code: str, result: str | None) -> bool:
        """End a running operation without success; what it had done by then may be published."""
        changes = "status = 'FAILED', error_code = ?, completed_at = ?, result = ?"
        return self._end(changes, (error_code, int(self._now()), result), number, "'RUNNING'")

    def forget_lines(self, number: int) -> None:
        """Drop the answers of an ended mutation: its result file has them."""
        with self.store.transaction() as connection:
            connection.execute("DELETE FROM bulk_line WHERE operation = ?", (number,))

    def expire(self, number: int) -> bool:
        """Let the time for which a result is kept be over."""
        return self._change("completed_at = ?", (int(self._now()) - RESULT_SECONDS - 1,), number, "'COMPLETED'")

    def _as_of_now(self, row: BulkRow) -> BulkRow:
        """An operation whose result is no longer kept has expired."""
        is_done = row.status == "COMPLETED" and row.completed_at is not None
        if is_done and self._now() - (row.completed_at or 0) > RESULT_SECONDS:
            return row._replace(status="EXPIRED")
        return row

    def _end(self, changes: str, values: tuple[object, ...], number: int, states: str) -> bool:
        has_ended = self._change(changes, values, number, states)
        if has_ended:
            self.on_end(number)
        return has_ended

    def _change(self, changes: str, values: tuple[object, ...], number: int, states: str) -> bool:
        sql = f"UPDATE bulk_operation SET {changes} WHERE id = ? AND status IN ({states})"  # noqa: S608 - of our own
        with self.store.transaction() as connection:
            return connection.execute(sql, (*values, number)).rowcount == 1
