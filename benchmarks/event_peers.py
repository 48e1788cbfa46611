"""The libraries that a Python team would otherwise take for this: procrastinate and pgqueuer, as their manuals say.

Both keep a row per job and change it with each step of the job; each has a database of its own on the same server.
"""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from typing import Any, Final, Protocol, TypeVar

import procrastinate
import psycopg
from pgqueuer import Queries, QueueManager
from pgqueuer.db import PsycopgDriver
from pgqueuer.models import Job
from pgqueuer.ports.driver import NotifyCallback
from pgqueuer.types import QueueExecutionMode

from calibr.db import ServerUrl

BATCH: Final = 100
CONCURRENCY: Final = 10
_T = TypeVar("_T")


class Peer(Protocol):
    """A queue that takes bodies in and has them handled by a function that does nothing."""

    name: str

    def one_by_one(self, bodies: Sequence[bytes]) -> None:
        """Append each body in a transaction of its own."""
        ...

    def together(self, bodies: Sequence[bytes]) -> None:
        """Append all in one transaction."""
        ...

    def forget(self) -> None:
        """Drop everything that is waiting."""
        ...

    def consume(self) -> int:
        """Handle everything that is waiting; returns how much that was."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class Procrastinate:
    """A worker that handles ten jobs at a time."""

    name = "procrastinate"

    def __init__(self, server: ServerUrl) -> None:
        logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
        self._server = server
        self._runner = asyncio.Runner()
        self._app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=server.conninfo()))
        self._seen = 0
        self._task = self._app.task(queue="events", name="noop")(self._handle)
        self._run(self._app.open_async())
        self._run(self._app.schema_manager.apply_schema_async())

    async def _handle(self, body: str) -> None:  # noqa: ARG002 - it is passed by this name
        self._seen += 1

    def one_by_one(self, bodies: Sequence[bytes]) -> None:
        """Defer each."""
        texts = [body.decode() for body in bodies]

        async def work() -> None:
            for text in texts:
                await self._task.defer_async(body=text)

        self._run(work())

    def together(self, bodies: Sequence[bytes]) -> None:
        """Defer a batch."""
        self._run(self._task.batch_defer_async(*({"body": body.decode()} for body in bodies)))  # type: ignore[arg-type]

    def forget(self) -> None:
        """Empty the table of jobs."""
        _empty(self._server, "procrastinate_jobs")

    def consume(self) -> int:
        """Work until the queue is empty."""
        before = self._seen
        self._run(
            self._app.run_worker_async(
                queues=["events"], wait=False, concurrency=CONCURRENCY, install_signal_handlers=False,
                listen_notify=False,
            )
        )  # fmt: skip
        return self._seen - before

    def close(self) -> None:
        """Close the pool."""
        self._run(self._app.close_async())
        self._runner.close()

    def _run(self, work: Awaitable[_T]) -> _T:
        return self._runner.run(_awaited(work))


class _DeafDriver(PsycopgDriver):
    """Does not listen: its listener keeps the connection for up to a second at a time, and a drain needs no hints."""

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        """Do nothing."""


class PgQueuer:
    """A queue manager that takes a hundred jobs at a time and marks them done together."""

    name = "pgqueuer"

    def __init__(self, server: ServerUrl) -> None:
        logging.getLogger("pgqueuer").setLevel(logging.CRITICAL)
        self._server = server
        self._runner = asyncio.Runner()
        self._connection = self._run(self._connect())
        self._queries = Queries(PsycopgDriver(self._connection))
        self._run(self._queries.install())
        self._seen = 0

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(self._server.conninfo(), autocommit=True)

    def one_by_one(self, bodies: Sequence[bytes]) -> None:
        """Enqueue each in a transaction that data could go with, as its manual shows: the event log does no less."""

        async def work() -> None:
            for body in bodies:
                async with self._connection.transaction():
                    await self._queries.enqueue("noop", body)

        self._run(work())

    def without_transaction(self, bodies: Sequence[bytes]) -> None:
        """Enqueue each by itself: nothing else could be committed together with it."""

        async def work() -> None:
            for body in bodies:
                await self._queries.enqueue("noop", body)

        self._run(work())

    def together(self, bodies: Sequence[bytes]) -> None:
        """Enqueue a batch."""
        number = len(bodies)
        self._run(self._queries.enqueue(["noop"] * number, list(bodies), [0] * number))

    def forget(self) -> None:
        """Empty the table of jobs."""
        _empty(self._server, "pgqueuer")

    def consume(self) -> int:
        """Drain the queue."""
        return self._run(self._drain())

    async def _drain(self) -> int:
        before = self._seen
        async with await self._connect() as connection:
            manager = QueueManager(Queries(_DeafDriver(connection)))
            manager.entrypoint("noop")(self._handle)
            await manager.run(batch_size=BATCH, mode=QueueExecutionMode.drain)
        return self._seen - before

    async def _handle(self, _job: Job) -> None:
        self._seen += 1

    def close(self) -> None:
        """Close the connection."""
        self._run(self._connection.close())
        self._runner.close()

    def _run(self, work: Awaitable[_T]) -> _T:
        return self._runner.run(_awaited(work))


def _empty(server: ServerUrl, table: str) -> None:
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute(f"truncate {table} cascade".encode())


async def _awaited(work: Awaitable[_T]) -> _T:
    """A coroutine, which is all that a runner takes."""
    return await work
