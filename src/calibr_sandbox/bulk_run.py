"""Runs one bulk operation from CREATED to its end, in the thread that calls it."""

import random
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from graphql import GraphQLSchema, get_named_type

from calibr_sandbox.bulk_document import read_bulk_query
from calibr_sandbox.bulk_export import Line, Progress, read_lines, write_result
from calibr_sandbox.bulk_gate import Gate
from calibr_sandbox.bulk_lines import Announce, ContextOf, LineRunner
from calibr_sandbox.bulk_mutation_document import read_bulk_mutation
from calibr_sandbox.bulk_state import OPEN, BulkState
from calibr_sandbox.config import SandboxConfig
from calibr_sandbox.fields import ShopContext
from calibr_sandbox.rows import BulkRow
from calibr_sandbox.scopes import requirement, with_implied
from calibr_sandbox.staged_uploads import StagedUploads

_SHORTEST_WAIT_S: Final = 0.02
_LOOK_EVERY: Final = 50


@dataclass(frozen=True, slots=True)
class Failure:
    """An operation that is to fail after so many objects or lines, with this error code."""

    after: int
    error_code: str


@dataclass(frozen=True, slots=True)
class Workshop:
    """What operations run with."""

    config: SandboxConfig
    schema: GraphQLSchema
    state: BulkState
    staged: StagedUploads
    results: Path
    gate: Gate
    context: ContextOf
    announce: Announce
    scopes: Callable[[], tuple[str, ...]]


class BulkRun:
    """One operation."""

    def __init__(self, shop: Workshop, number: int, failure: Callable[[], Failure | None]) -> None:
        """Run this operation; `failure` tells, once it begins, whether it is to fail."""
        self._shop = shop
        self._number = number
        self._failure = failure

    def run(self) -> None:
        """Run to the end, or until the server closes: then it is taken up again at the next start."""
        try:
            if self._wait() and self._shop.state.begin(self._number):
                row = self._shop.state.find(self._number)
                if row is not None:
                    self._work(row)
            self._end_canceled()
        except Exception:
            self._shop.state.fail(self._number, "INTERNAL_SERVER_ERROR", None)
            raise
        row = self._shop.state.find(self._number)
        if row is not None and row.status not in OPEN:
            self._shop.state.forget_lines(self._number)

    def _work(self, row: BulkRow) -> None:
        if not self._is_allowed(row):
            self._shop.state.fail(self._number, "ACCESS_DENIED", None)
            return
        failure = self._failure()
        if row.type == "MUTATION":
            self._run_lines(row, failure)
        else:
            self._export(row, failure)

    def _is_allowed(self, row: BulkRow) -> bool:
        """Whether the app has the scope that the operation's field needs: starting one needs none."""
        schema = self._shop.schema
        if row.type == "MUTATION":
            owner, name = schema.mutation_type, read_bulk_mutation(schema, row.query).name
        else:
            owner, name = schema.query_type, read_bulk_query(schema, row.query).root
        if owner is None or name not in owner.fields:
            return True
        needed = requirement(owner.name, name, get_named_type(owner.fields[name].type).name)
        return needed is None or needed.is_met_by(with_implied(self._shop.scopes()))

    def _export(self, row: BulkRow, failure: Failure | None) -> None:
        shop, path = self._shop, self._new_file("")
        shuffle = self._shuffle() if not row.group_objects else None
        query = read_bulk_query(shop.schema, row.query)
        written: Progress | None = None
        with shop.state.store.snapshot() as reader:
            lines = read_lines(query, ShopContext(shop.config, reader, ""))
            if failure is not None:
                lines = _first(lines, failure.after)
            written = write_result(path, lines, shuffle, self._report)
        is_whole = written is not None and self._report(written) and self._wait()
        if is_whole and failure is not None:
            shop.state.fail(self._number, failure.error_code, path.name)
        elif not is_whole or not shop.state.complete(self._number, path.name, path.stat().st_size):
            path.unlink(missing_ok=True)

    def _run_lines(self, row: BulkRow, failure: Failure | None) -> None:
        shop = self._shop
        staged = shop.staged.find(row.staged_path or "")
        path = shop.staged.path_of(staged) if staged else None
        if path is None:
            raise LookupError(f"the file of bulk operation {row.id} is gone")
        began, runner = time.monotonic(), LineRunner(shop.schema, shop.state, row, shop.context)
        for number, done in enumerate(runner.run(path, shop.announce), 1):
            if not self._keep_pace(began + number * shop.config.bulk_line_s):
                return
            if failure is not None and done >= failure.after:
                break
            if done % _LOOK_EVERY == 0 and shop.gate.is_closing:
                return
        if not self._wait():
            return
        result = self._write_answers(row.id)
        if failure is not None:
            shop.state.fail(self._number, failure.error_code, result.name)
        elif not shop.state.complete(self._number, result.name, result.stat().st_size):
            result.unlink(missing_ok=True)

    def _end_canceled(self) -> None:
        """A canceled mutation publishes the answers to the lines that it had run."""
        row = self._shop.state.find(self._number)
        if row is None or row.status != "CANCELING":
            return
        if not self._shop.gate.wait(self._shop.config.cancel_pause_s, lambda: False):
            return
        ran = row.type == "MUTATION" and row.object_count > 0
        self._shop.state.end_canceled(self._number, self._write_answers(row.id).name if ran else None)

    def _write_answers(self, number: int) -> Path:
        """Write the answers of a mutation to a file, in no promised order."""
        path = self._new_file("m")
        sql = "SELECT answer FROM bulk_line WHERE operation = ? ORDER BY line"
        with self._shop.state.store.snapshot() as reader:
            lines = (Line(text.encode() + b"\n", is_root=True) for (text,) in reader.stream(sql, (number,)))
            write_result(path, lines, self._shuffle(), lambda _progress: True)
        return path

    def _new_file(self, mark: str) -> Path:
        return self._shop.results / f"{self._number}{mark}-{secrets.token_hex(16)}.jsonl"

    def _shuffle(self) -> random.Random:
        return random.Random(f"{self._shop.config.seed}:{self._number}")  # noqa: S311 - not a secret

    def _report(self, progress: Progress) -> bool:
        is_wanted = self._shop.state.report(self._number, progress.objects, progress.roots)
        return is_wanted and not self._shop.gate.is_closing

    def _keep_pace(self, earliest: float) -> bool:
        """Wait until the next line may begin; False when the operation was canceled or the server closes."""
        ahead_s = earliest - time.monotonic()
        return ahead_s < _SHORTEST_WAIT_S or self._shop.gate.wait(ahead_s, self._is_canceling)

    def _wait(self) -> bool:
        return self._shop.gate.wait(self._shop.config.bulk_pause_s, self._is_canceling)

    def _is_canceling(self) -> bool:
        row = self._shop.state.find(self._number)
        return row is None or row.status == "CANCELING"


def _first(lines: Iterator[Line], count: int) -> Iterator[Line]:
    return (line for line, _ in zip(lines, range(count), strict=False))
