"""One transaction of one tenant, and the only place of the program that commits."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal, TypeVar, cast

import psycopg
from psycopg import RawCursor, generators, pq, sql
from psycopg.abc import PQGen
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus
from sqlalchemy import Connection, CursorResult, Executable, text
from sqlalchemy.exc import SQLAlchemyError

from calibr.core.ids import TenantId
from calibr.db.context import Context, signed

Isolation = Literal["read committed", "repeatable read"]
Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
Hook = Callable[["Session"], None]
Deferred = tuple[bytes, Sequence[Any]]
Again = Callable[[], AbstractContextManager["Session"]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Every transaction begins with these two. They go straight to the driver, which halves what the beginning costs. The
# first goes together with BEGIN, the second with whatever comes next: each spares a round trip.
_BIND = "select sec.binding()"
_ENTER = b"set_config('calibr.ctx', $, true)"
_COMMIT = b"commit"
_TOGETHER = 4  # calls that wait at most: one may hold thousands of events
_T = TypeVar("_T")

DATABASE_ERRORS: Final = (SQLAlchemyError, psycopg.Error)
"""What a session raises when the database fails in the middle; where none can be opened it is `Unavailable`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a transaction needs to begin as a tenant."""

    context: Context
    key: bytes
    isolation: Isolation = "read committed"
    snapshot: str | None = None
    again: Again | None = None


class Session:
    """A transaction that sees and writes the rows of one tenant only.

    Made by `Database.session`, and of no use beyond it.
    """

    def __init__(self, connection: Connection, context: Context, now: datetime, again: Again | None = None) -> None:
        """Only `transaction` calls this."""
        self._connection = connection
        self._driver = driver_connection(connection)
        self._deferred: list[Deferred] = []
        self.context = context
        self.now = now
        self._again = again
        self.has_news = False
        """Whether something was written that others wait for; it is hinted at after the commit."""
        self._hooks: list[Hook] = []
        self._last_hooks: list[Hook] = []
        self._locals: dict[type, object] = {}

    @property
    def connection(self) -> Connection:
        """SQLAlchemy's connection, inside the transaction and after what was deferred."""
        self._send()
        return self._connection

    @property
    def tenant_id(self) -> TenantId:
        """The tenant of the context."""
        return self.context.tenant_id

    @property
    def again(self) -> "Again":
        """Opens later transactions on behalf of the same tenant and actor in the same role: what outlives this one."""
        if self._again is None:
            raise RuntimeError("This session was not opened by a database.")
        return self._again

    @property
    def raw(self) -> psycopg.Connection:
        """The driver's connection, inside the same transaction."""
        self._send()
        return self._driver

    def execute(self, statement: Executable, parameters: Parameters = None) -> CursorResult[Any]:
        """Run a statement, `text()` or an expression. A list of parameters runs it once for each."""
        return cast("CursorResult[Any]", self.connection.execute(statement, parameters))

    def defer(self, call: bytes, parameters: Sequence[Any]) -> None:
        """Call a function later, in its order: before any statement, at the latest together with COMMIT.

        For one whose answer nobody reads, as the last one of a transaction: it then spares a round trip. What it raises
        is raised by whatever sends it. Each `$` stands for a parameter.
        """
        if len(self._deferred) >= _TOGETHER:
            self._send()
        self._deferred.append((call, parameters))

    def _send(self) -> None:
        if self._deferred:
            RawCursor(self._driver).execute(*self._taken())

    def _taken(self) -> tuple[bytes, list[Any]]:
        """One statement of all that was deferred, and its parameters. PostgreSQL works from left to right."""
        deferred, self._deferred = self._deferred, []
        return _selecting(tuple([call for call, _ in deferred])), [value for _, values in deferred for value in values]

    def commit(self) -> None:
        """Only `transaction` calls this. What was deferred goes together with COMMIT."""
        if self._deferred:
            _commit_after(self._driver, *self._taken())
        if self._connection.in_transaction():
            self._connection.commit()  # sends nothing where the transaction is over already
        else:
            self._driver.commit()

    def copy_in(self, statement: str, chunks: Iterable[bytes]) -> int:
        """Feed `COPY ... FROM STDIN` and return the number of rows.

        The target is a temporary table: PostgreSQL refuses to COPY into one with row-level security.
        """
        with self.raw.cursor() as cursor:
            with cursor.copy(sql.SQL(statement)) as copy:
                for chunk in chunks:
                    copy.write(chunk)
            return cursor.rowcount

    def copy_out(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """Yield what `COPY (...) TO STDOUT` sends, block by block."""
        with self.raw.cursor() as cursor, cursor.copy(sql.SQL(statement), parameters) as copy:
            for block in copy:
                yield bytes(block)

    def before_commit(self, hook: Hook, *, last: bool = False) -> None:
        """Run `hook` once before COMMIT, in the order of registration; those with `last` after all others.

        A hook that raises rolls the transaction back. A rolled-back transaction runs none.
        """
        (self._last_hooks if last else self._hooks).append(hook)

    def local(self, kind: type[_T]) -> _T:
        """Return the one object of this type that lives as long as this transaction, made on first use."""
        if kind not in self._locals:
            self._locals[kind] = kind()
        return cast("_T", self._locals[kind])

    def may_stand_still(self) -> None:
        """Wait for something else without end, where others are ended after a minute.

        Only for transactions that hold no lock that much depends on.
        """
        self.execute(text("set local idle_in_transaction_session_timeout = 0"))

    def export_snapshot(self) -> str:
        """Return the id under which other sessions see exactly what this one sees, while it is open.

        It may stand still from now on, however long the others take.
        """
        self.may_stand_still()
        return str(self.execute(text("select pg_export_snapshot()")).scalar_one())

    def run_hooks(self) -> None:
        """Run what `before_commit` registered, also what the hooks themselves register."""
        while self._hooks or self._last_hooks:
            queue = self._hooks or self._last_hooks
            queue.pop(0)(self)


def driver_connection(connection: Connection) -> psycopg.Connection:
    """Return the driver's connection below SQLAlchemy's."""
    return cast("psycopg.Connection", connection.connection.driver_connection)


@contextmanager
def transaction(connection: Connection, entry: Entry) -> Iterator[Session]:
    """Open a transaction as the tenant of `entry`; commit at the end, roll back when anything raises."""
    try:
        session = _enter(connection, entry)
        yield session
        session.run_hooks()
        session.commit()
    except BaseException:
        # SQLAlchemy has a transaction if it was asked to run anything; it is the one that notices a lost connection.
        (connection.get_transaction() or connection.begin()).rollback()
        raise


def _enter(connection: Connection, entry: Entry) -> Session:
    """Begin, and sign the context with what binds it to this transaction."""
    driver = driver_connection(connection)
    binding = _begin(driver, entry)
    microseconds = int(binding.partition(".")[2])  # the binding ends in the start of the transaction
    session = Session(connection, entry.context, _EPOCH + timedelta(microseconds=microseconds), entry.again)
    session.defer(_ENTER, (signed(entry.context.tenant_id, binding, entry.key),))
    return session


def _begin(driver: psycopg.Connection, entry: Entry) -> str:
    """Begin as `entry` asks, and return what binds a context to this transaction."""
    is_frozen = entry.snapshot is not None or entry.isolation == "repeatable read"
    statements = ["begin isolation level repeatable read" if is_frozen else "begin"]
    if entry.snapshot is not None:
        statements.append(f"set transaction snapshot {sql.Literal(entry.snapshot).as_string(None)}")
    # The driver would send a BEGIN of its own before a statement; what it is handed here it passes on as it is.
    driver.pgconn.send_query("; ".join([*statements, _BIND]).encode())
    results = driver.wait(generators.execute(driver.pgconn))
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result)
    return str(results[-1].get_value(0, 0), "ascii")


@lru_cache(maxsize=64)
def _selecting(calls: tuple[bytes, ...]) -> bytes:
    """One SELECT of all calls, with each `$` numbered."""
    first, *others = (b"select " + b", ".join(calls)).split(b"$")
    return first + b"".join([b"$%d%b" % numbered for numbered in enumerate(others, 1)])


def _commit_after(driver: psycopg.Connection, statement: bytes, parameters: Sequence[Any]) -> None:
    """Run a statement and COMMIT in one round trip. Raises what the statement says; nothing is committed then.

    It is not prepared: the driver forgets its own prepared statements now and then, and would take ours with them.
    """
    dumper = Transformer(driver)
    values = dumper.dump_sequence(parameters, [PyFormat.BINARY] * len(parameters))
    server = driver.pgconn
    try:
        server.enter_pipeline_mode()
        server.send_query_params(statement, values, dumper.types, dumper.formats)
        server.send_query_params(_COMMIT, ())
        server.pipeline_sync()
        results = driver.wait(_answers(server))
        server.exit_pipeline_mode()
    except BaseException:
        driver.close()  # nobody knows which answers are still under way
        raise
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result)


def _answers(server: pq.abc.PGconn) -> PQGen[list[pq.abc.PGresult]]:
    """The answers to a statement, to COMMIT and to the sync after them, in one wait."""
    results: list[pq.abc.PGresult] = yield from generators.execute(server)
    for _ in range(2):
        results += yield from generators.fetch_many(server)
    return results
