"""Runs the lines of a bulk mutation: each is the mutation with its own variables, through the code of a direct call.

A line's writes, its answer and the progress are one transaction: a server that is killed goes on with the next line and
does none twice.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson
from graphql import GraphQLSchema, execute_sync

from calibr_sandbox.bulk_mutation_document import read_bulk_mutation
from calibr_sandbox.bulk_state import BulkState
from calibr_sandbox.context import RequestContext
from calibr_sandbox.documents import Document, DocumentCache, RefusedDocumentError
from calibr_sandbox.errors import translate
from calibr_sandbox.rows import BulkRow

Announce = Callable[[Iterable[int]], None]
ContextOf = Callable[[BulkRow, Announce], RequestContext]
"""Makes the context of an operation: who started it, and what takes the products that it changes."""

_MAX_LINE: Final = 16_000_000


class LineRunner:
    """Runs one operation's lines."""

    def __init__(self, schema: GraphQLSchema, state: BulkState, row: BulkRow, context: ContextOf) -> None:
        """Take up an operation whose mutation was checked when it was created."""
        self._schema = schema
        self._state = state
        self._row = row
        self._changed: list[int] = []
        self._context = context(row, self._changed.extend)
        mutation = read_bulk_mutation(schema, row.query)
        self._unserved = None if mutation.is_served else f"The sandbox does not serve `{mutation.name}`."
        self._documents = DocumentCache(schema)
        self._document: Document | None = None if self._unserved else self._documents.prepare(row.query, None)

    def run(self, path: Path, announce: Announce) -> Iterator[int]:
        """Run the lines that have not been run, and yield how many have, after each. Stops when it was canceled."""
        sql = "SELECT count(*) FROM bulk_line WHERE operation = ?"
        done = int(str(self._state.store.fetch_value(sql, (self._row.id,))))
        for place, number, text in _lines(path):
            if place < done:
                continue
            if not self._run_line(place, number, text):
                return
            announce(self._changed)
            self._changed.clear()
            yield place + 1

    def _run_line(self, place: int, number: int, text: bytes) -> bool:
        with self._state.store.transaction() as connection:
            if not self._state.report(self._row.id, place + 1, place + 1):
                return False
            answer = self._answer(text) | {"__lineNumber": number}
            connection.execute("INSERT INTO bulk_line VALUES (?, ?, ?)", (self._row.id, number, _json(answer)))
        return True

    def _answer(self, text: bytes) -> dict[str, Any]:
        if self._document is None:
            return {"errors": [{"message": self._unserved}]}
        try:
            variables = self._document.complete(_variables(text))
            self._document.check_sizes(variables)
            self._documents.check_types(self._document, variables)
        except ValueError as error:
            return {"errors": [{"message": str(error)}]}
        except RefusedDocumentError as error:
            return {"errors": error.errors}
        result = execute_sync(self._schema, self._document.ast, context_value=self._context, variable_values=variables)
        if not result.errors:
            return {"data": result.data}
        return {"errors": [translate(error) for error in result.errors], "data": result.data}


def _lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield the lines that are not blank: how many came before, their number in the file, their text."""
    place = 0
    with path.open("rb") as file:
        number = 0
        while text := file.readline(_MAX_LINE):
            if text.strip():
                yield place, number, text
                place += 1
            number += 1


def _variables(text: bytes) -> dict[str, Any]:
    parsed = orjson.loads(text)
    if not isinstance(parsed, dict):
        raise ValueError("a line must be a JSON object with the variables of the mutation")  # noqa: TRY004 - input
    return parsed


def _json(answer: dict[str, Any]) -> str:
    r"""Write a line as Shopify does: slashes, which stand in texts only, as `\/`."""
    return orjson.dumps(answer).decode().replace("/", "\\/")
