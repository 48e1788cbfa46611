"""Puts the pieces together: the ASGI application, and a server that runs it."""

import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from calibr_sandbox import schema
from calibr_sandbox.access import Access
from calibr_sandbox.app import App
from calibr_sandbox.app_control import AppControl
from calibr_sandbox.broken_answers import remember_send
from calibr_sandbox.bulk import BulkOperations
from calibr_sandbox.clock import SandboxClock
from calibr_sandbox.config import SandboxConfig
from calibr_sandbox.control import Control
from calibr_sandbox.endpoint import GraphQLEndpoint, Shop
from calibr_sandbox.faults import FaultRule, Faults
from calibr_sandbox.grants import Grants
from calibr_sandbox.oauth import OAuth
from calibr_sandbox.rest import Rest
from calibr_sandbox.store import Store
from calibr_sandbox.throttle import Clock
from calibr_sandbox.webhooks import Webhooks

_START_TIMEOUT_S = 20.0


def create_app(config: SandboxConfig, clock: Clock = time.monotonic, faults: Sequence[FaultRule] = ()) -> Starlette:
    """Open the shop's file and return the application; it closes the file when it is shut down."""
    store = Store(config.db, config.currency)
    executable = schema.build()
    in_force = Faults(clock)
    for rule in faults:
        in_force.add(rule)
    time_here = SandboxClock(clock, config.time_factor)
    app_here = App(config, store, time_here.now)
    access = Access(config.tokens, app_here, Grants(store, time_here.now))
    bulk = BulkOperations(config, store, executable)
    webhooks = Webhooks(config, store, in_force, app_here.signing_secret)
    shop = Shop(config, store, executable, bulk, webhooks, in_force, access, time_here)

    @asynccontextmanager
    async def closing(_app: Starlette) -> AsyncIterator[None]:
        yield
        webhooks.close()
        bulk.close()
        store.close()

    graphql = Route("/admin/api/{version}/graphql.json", GraphQLEndpoint(shop), methods=["POST"])
    parts = (OAuth(config, access, time_here), Rest(config, store, access), AppControl(config, access, time_here))
    routes = [route for part in parts for route in part.routes()]
    app = Starlette(routes=[graphql, *routes, *Control(shop).routes()], lifespan=closing)
    app.state.shop = shop
    return app


def serve(config: SandboxConfig, port: int, announce: Callable[[str], None], faults: Sequence[FaultRule] = ()) -> None:
    """Run until SIGTERM or SIGINT, with `faults` from the start. `announce` gets the URL once the server answers."""
    # uvicorn raises the signal again once it has stopped; the end of a server that was asked to stop is no failure.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: None)
    listener = listen(port)
    server = _AnnouncingServer(_uvicorn(create_app(config, faults=faults)), announce, url_of(listener))
    server.run(sockets=[listener])


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A sandbox that runs in a thread of this process."""

    url: str
    shop: Shop


@contextmanager
def running_sandbox(config: SandboxConfig, clock: Clock = time.monotonic) -> Iterator[RunningSandbox]:
    """Serve on a free port for as long as the block lasts."""
    app, listener = create_app(config, clock), listen(0)
    server = uvicorn.Server(_uvicorn(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        _await_start(server)
        yield RunningSandbox(url_of(listener), app.state.shop)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def listen(port: int) -> socket.socket:
    """Bind the loopback address; port 0 takes a free one."""
    if not 0 <= port <= 65_535:  # noqa: PLR2004 - what TCP allows
        raise ValueError(f"port: {port} is outside of 0 to 65535")
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it, each call takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the address clients use."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


class _AnnouncingServer(uvicorn.Server):
    """Tells when it is ready."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[str], None], url: str) -> None:
        super().__init__(config)
        self._announce = announce
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._announce(self._url)


def _uvicorn(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        remember_send(app),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=5,
        lifespan="on",
    )


def _await_start(server: uvicorn.Server) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not server.started:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the sandbox did not start within {_START_TIMEOUT_S} seconds")
        time.sleep(0.005)
