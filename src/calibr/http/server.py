"""Runs an application on a socket: in the foreground for `serve`, or in a thread for whoever needs a running API."""

import socket
import threading
import time
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from calibr.core.errors import Unavailable

START_TIMEOUT_S = 15
GRACE_S = 10
BACKLOG = 2048


class HttpServer:
    """One server on one address. The socket is bound when it is made, so that the address is known before it serves."""

    def __init__(self, app: ASGIApp, *, host: str, port: int) -> None:
        """Raises Unavailable `http.address` if the address is taken or not ours."""
        self._socket = _bound(host, port)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            app,
            access_log=False,
            log_config=None,
            lifespan="off",
            server_header=False,
            date_header=True,
            timeout_graceful_shutdown=GRACE_S,
        )
        self._app = app
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM; requests in work get 10 s to end."""
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Serve in a thread until `stop`. Returns when it answers."""
        self._thread = threading.Thread(target=self.run, name="http", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._server.started and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        if self._server.started:
            return
        self.stop()
        raise Unavailable("http.start", f"The server on {self.url} did not start.")

    def stop(self) -> None:
        """End gracefully; also closes the socket if it never served."""
        # Streams never end by themselves, and the server waits for its requests.
        if (streams := getattr(getattr(self._app, "state", None), "streams", None)) is not None:
            streams.is_stopping = True
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(GRACE_S + 5)
        self._socket.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, since asyncio switches Nagle's algorithm off only then; it costs 40 ms an answer.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        reason = error.strerror or str(error)
        raise Unavailable(
            "http.address", f"Cannot listen on {host}:{port}: {reason}. Set CALIBR_HOST or CALIBR_PORT."
        ) from error
    bound.listen(BACKLOG)
    return bound
