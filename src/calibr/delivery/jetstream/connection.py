"""One connection to a NATS server, in an event loop in a thread of its own: the rest of the program is synchronous."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from calibr.core.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from nats.aio.client import Client

T = TypeVar("T")
OWN_SHARE: Final = 0.8
"""Of the time of a call, what the server may take; the rest is for the way between the threads."""


def require_nats() -> None:
    """Raise Invalid where the client library is not installed."""
    try:
        import nats  # noqa: F401, PLC0415 - an extra: whoever has no NATS does not need it
    except ImportError as error:
        raise Invalid("subscription.kind", "kind jetstream needs `pip install calibr[nats]`") from error


class NatsConnection:
    """Connects on first use, and again on the next use after it was lost. Thread-safe. `close` ends the thread.

    A connection that is lost is given up with all that was not sent yet. The client could reconnect by itself, but then
    it would send what it holds back: an old publication, long after its lane was given to another worker.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        require_nats()
        self._servers = [part.strip() for part in url.split(",")]
        self._timeout_s = timeout_s
        self._client: Client | None = None
        self._connecting = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._thread.start()

    def run(self, work: Callable[["Client"], Awaitable[T]]) -> T:
        """Run some work on the connection within `timeout_s`, which includes the time to connect.

        Raises Unavailable `delivery.nats_unreachable` when there is no connection, or no answer in time; errors of the
        work itself pass through.
        """
        if self._is_closed.is_set():
            raise unreachable("the connection is closed")
        future = asyncio.run_coroutine_threadsafe(self._within_time(work), self._loop)
        try:
            return future.result(self._timeout_s)
        except (TimeoutError, CancelledError) as error:
            future.cancel()
            raise unreachable("it does not answer in time") from error
        except OSError as error:
            raise unreachable(type(error).__name__) from error

    def close(self) -> None:
        """End connection and thread, whatever the server does. Nothing happens the second time."""
        if self._is_closed.is_set():
            return
        self._is_closed.set()
        ending = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        with suppress(TimeoutError, CancelledError):
            ending.result(self._timeout_s)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _within_time(self, work: Callable[["Client"], Awaitable[T]]) -> T:
        async with asyncio.timeout(self._timeout_s * OWN_SHARE):
            async with self._connecting:
                client = await self._connected()
            return await work(client)

    async def _connected(self) -> "Client":
        from nats.aio.client import Client  # noqa: PLC0415 - an extra
        from nats.errors import Error  # noqa: PLC0415 - as above

        if self._client is not None:
            if self._client.is_connected:
                return self._client
            self._give_up(self._client)
        client, self._client = Client(), None
        try:
            await client.connect(
                self._servers, name="calibr", connect_timeout=max(1, round(self._timeout_s)), allow_reconnect=False,
                max_reconnect_attempts=1, reconnect_time_wait=0.05, error_cb=_quiet,  # type: ignore[arg-type]
            )  # fmt: skip
        except BaseException as error:
            self._give_up(client)
            if isinstance(error, Error):
                raise unreachable(type(error).__name__) from error
            raise
        self._client = client
        return client

    def _give_up(self, client: "Client") -> None:
        """Close a client without waiting for it: the server may never answer."""
        task = self._loop.create_task(_shut(client))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _end(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timeout_s / 4):
                    await _shut(client)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=self._timeout_s / 4)


def unreachable(reason: str) -> Unavailable:
    """The one error of a server that is not there."""
    return Unavailable("delivery.nats_unreachable", f"The NATS server cannot be reached: {reason}.", retryable=True)


async def _quiet(_error: Exception) -> None:
    """What is wrong with the connection shows in the next call."""


async def _shut(client: "Client") -> None:
    with suppress(Exception):  # it is broken, or not even open: either way it is not used any more
        await client.close()
