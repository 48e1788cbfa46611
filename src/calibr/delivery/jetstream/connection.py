"""One connection to a NATS server, in an event loop in a thread of its own: the rest of the program is synchronous."""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from calibr.core.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import JetStreamContext

T = TypeVar("T")
SPARE_S: Final = 1.0
"""Beyond the time of the call itself, for the way between the threads."""


def require_nats() -> None:
    """Raise Invalid where the client library is not installed."""
    try:
        import nats  # noqa: F401, PLC0415 - an extra: whoever has no NATS does not need it
    except ImportError as error:
        raise Invalid("subscription.kind", "kind jetstream needs `pip install calibr[nats]`") from error


class NatsConnection:
    """Connects on first use, and again by itself. Thread-safe. `close` ends the thread."""

    def __init__(self, url: str, timeout_s: float) -> None:
        require_nats()
        self._url = url
        self._timeout_s = timeout_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._thread.start()

    def jetstream(self) -> "JetStreamContext":
        """The JetStream side of a connection. Raises Unavailable `delivery.nats_unreachable`."""
        with self._lock:
            if self._client is None or self._client.is_closed:
                self._client = self.run(_connected(self._url, self._timeout_s))
            if not self._client.is_connected:
                raise unreachable("it is not connected")
            return self._client.jetstream(timeout=self._timeout_s)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and wait for it. Raises Unavailable when it takes too long or cannot connect."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(self._timeout_s + SPARE_S)
        except TimeoutError as error:
            future.cancel()
            raise unreachable("it does not answer in time") from error
        except OSError as error:
            raise unreachable(type(error).__name__) from error

    def close(self) -> None:
        """End connection and thread."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            with suppress(Unavailable):  # the thread ends all the same
                self.run(client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def unreachable(reason: str) -> Unavailable:
    """The one error of a server that is not there."""
    return Unavailable("delivery.nats_unreachable", f"The NATS server cannot be reached: {reason}.", retryable=True)


async def _connected(url: str, timeout_s: float) -> "Client":
    import nats  # noqa: PLC0415 - an extra
    from nats.errors import Error  # noqa: PLC0415 - as above

    async def quiet(_error: Exception) -> None:
        """What is wrong with the connection shows in the next call."""

    connecting = nats.connect(
        url, connect_timeout=timeout_s, allow_reconnect=True, max_reconnect_attempts=-1, reconnect_time_wait=0.2,
        error_cb=quiet, name="calibr",
    )  # fmt: skip
    try:
        return await asyncio.wait_for(connecting, timeout_s)
    except Error as error:
        raise unreachable(type(error).__name__) from error
