"""The servers that the application runs in: plain HTTP, and beside it TLS with a proxy that leads there."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import uvicorn
from starlette.applications import Starlette

from calibr_sandbox.broken_answers import remember_send
from calibr_sandbox.certificates import Certificates, ensure_certificates
from calibr_sandbox.connect_proxy import ConnectProxy

Announce = Callable[["Addresses"], None]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the sandbox is reached; the last three are None without TLS."""

    url: str
    tls_url: str | None = None
    proxy_url: str | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports on the loopback address; 0 takes a free one. TLS is served if there is a folder for certificates."""

    http: int = 0
    tls: int = 0
    proxy: int = 0
    certificates: Path | None = None


class SandboxServer(uvicorn.Server):
    """The plain server, which starts and stops its companions and tells when all of them are ready."""

    def __init__(self, app: Starlette, ports: Ports, announce: Announce = lambda _addresses: None) -> None:
        """Bind the ports."""
        super().__init__(_config(app, lifespan="on"))
        self._announce = announce
        self.is_ready = False
        if ports.certificates is None:
            (self.listener,), self._front = _bind(ports.http), None
            self.addresses = Addresses(url_of(self.listener))
            return
        files = ensure_certificates(ports.certificates)
        self.listener, tls, proxy = _bind(ports.http, ports.tls, ports.proxy)
        self._front = TlsFront(app, files, tls, proxy)
        self.addresses = Addresses(url_of(self.listener), url_of(tls, "https"), url_of(proxy), files.ca_file.absolute())

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer on every port, then say so."""
        await super().startup(sockets=sockets)
        if self.started:
            if self._front is not None:
                await self._front.start()
            self.is_ready = True
            self._announce(self.addresses)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop the companions first: the application must outlive them."""
        if self._front is not None:
            await self._front.stop()
        await super().shutdown(sockets=sockets)


class TlsFront:
    """A server with TLS on the same application, and a proxy that leads to it."""

    def __init__(self, app: Starlette, files: Certificates, tls: socket.socket, proxy: socket.socket) -> None:
        """Serve on these sockets, once started."""
        self._server = _Companion(_config(app, lifespan="off", files=files))
        self._listener = tls
        self._proxy = ConnectProxy(proxy, tls.getsockname())
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return once both answer."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        await self._server.answers.wait()
        await self._proxy.start()

    async def stop(self) -> None:
        """Let the calls under way end."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        await self._proxy.stop()


class _Companion(uvicorn.Server):
    """A server beside another one, which is told of signals and stops this one."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.answers.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(port: int) -> socket.socket:
    """Bind the loopback address; port 0 takes a free one."""
    if not 0 <= port <= 65_535:  # noqa: PLR2004 - what TCP allows
        raise ValueError(f"port: {port} is outside of 0 to 65535")
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it, each call takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    return listener


def _bind(*ports: int) -> list[socket.socket]:
    """Bind all of the ports or none."""
    with contextlib.ExitStack() as opened:
        bound = [opened.enter_context(listen(port)) for port in ports]
        opened.pop_all()
    return bound


def url_of(listener: socket.socket, scheme: str = "http") -> str:
    """Return the address clients use."""
    return f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"


def _config(app: Starlette, *, lifespan: Literal["on", "off"], files: Certificates | None = None) -> uvicorn.Config:
    return uvicorn.Config(
        remember_send(app),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        # A client that pauses, as tests do on a busy machine, must not find its kept connection closed.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        lifespan=lifespan,
        ssl_certfile=None if files is None else files.chain_file,
        ssl_keyfile=None if files is None else files.key_file,
    )
