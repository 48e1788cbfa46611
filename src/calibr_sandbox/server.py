"""Puts the pieces together: the ASGI application, and a server that runs it."""

import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from calibr_sandbox import schema
from calibr_sandbox.access import Access
from calibr_sandbox.app import App
from calibr_sandbox.app_control import AppControl
from calibr_sandbox.bulk import BulkOperations
from calibr_sandbox.bulk_gate import Gate
from calibr_sandbox.bulk_lines import Announce as AnnounceProducts
from calibr_sandbox.bulk_run import Workshop
from calibr_sandbox.bulk_state import BulkState
from calibr_sandbox.clock import SandboxClock
from calibr_sandbox.config import API_VERSION, SandboxConfig
from calibr_sandbox.context import RequestContext
from calibr_sandbox.control import Control
from calibr_sandbox.endpoint import GraphQLEndpoint, Shop
from calibr_sandbox.facts_control import FactsControl
from calibr_sandbox.faults import FaultRule, Faults
from calibr_sandbox.fields import ShopContext
from calibr_sandbox.grants import Grants
from calibr_sandbox.oauth import OAuth
from calibr_sandbox.rest import Rest
from calibr_sandbox.rows import BulkRow
from calibr_sandbox.serving import Addresses, Announce, Ports, SandboxServer
from calibr_sandbox.shop_host import OnlyThisShop
from calibr_sandbox.staged_http import StagedStorage
from calibr_sandbox.staged_uploads import StagedUploads
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
    staged, webhooks = StagedUploads(store, time_here.now), Webhooks(config, store, in_force, app_here.signing_secret)
    bulk = _bulk_operations(config, BulkState(store, time_here.now), staged, webhooks, app_here)
    shop = Shop(config, store, executable, bulk, staged, webhooks, in_force, access, time_here)

    @asynccontextmanager
    async def closing(_app: Starlette) -> AsyncIterator[None]:
        yield
        webhooks.close()
        bulk.close()
        store.close()

    graphql = Route("/admin/api/{version}/graphql.json", GraphQLEndpoint(shop), methods=["POST"])
    app_control = AppControl(config, access, time_here, webhooks)
    identity = OAuth(config, access, time_here, in_force)
    parts = (identity, Rest(config, store, access), app_control, FactsControl(store, webhooks))
    routes = [route for part in (*parts, StagedStorage(staged), Control(shop)) for route in part.routes()]
    only = Middleware(OnlyThisShop, shop_domain=config.shop_domain)
    app = Starlette(routes=[graphql, *routes], middleware=[only], lifespan=closing)
    app.state.shop = shop
    return app


def _bulk_operations(
    config: SandboxConfig, state: BulkState, staged: StagedUploads, webhooks: Webhooks, app: App
) -> BulkOperations:
    """Open operations begin to run at once, so everything that their lines need must be there."""
    store = state.store

    def context_of(row: BulkRow, announce: AnnounceProducts) -> RequestContext:
        shown = ShopContext(config, store, "", app.scopes)
        return RequestContext(shown, store, bulk, staged, webhooks, state.writer_of(row.id), announce, API_VERSION)

    def tell(number: int) -> None:
        row = state.find(number)
        if row is not None:
            webhooks.bulk_finished(row)

    state.on_end = tell
    results = store.path.with_name(store.path.name + ".bulk")
    announce = webhooks.products_changed
    shop = Workshop(config, schema.build(), state, staged, results, Gate(), context_of, announce, lambda: app.scopes)
    bulk = BulkOperations(shop)
    bulk.resume()
    return bulk


def serve(config: SandboxConfig, ports: Ports, announce: Announce, faults: Sequence[FaultRule] = ()) -> None:
    """Run until SIGTERM or SIGINT, with `faults` from the start. `announce` is told where, once the server answers."""
    # uvicorn raises the signal again once it has stopped; the end of a server that was asked to stop is no failure.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: None)
    server = SandboxServer(create_app(config, faults=faults), ports, announce)
    server.run(sockets=[server.listener])


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A sandbox that runs in a thread of this process."""

    url: str
    shop: Shop
    addresses: Addresses


@contextmanager
def running_sandbox(
    config: SandboxConfig,
    clock: Clock = time.monotonic,
    ports: Ports = Ports(),  # noqa: B008 - immutable
) -> Iterator[RunningSandbox]:
    """Serve for as long as the block lasts, on free ports unless they are given."""
    app = create_app(config, clock)
    server = SandboxServer(app, ports)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [server.listener]}, daemon=True)
    thread.start()
    try:
        _await_start(server)
        yield RunningSandbox(server.addresses.url, app.state.shop, server.addresses)
    finally:
        server.should_exit = True
        thread.join()
        server.listener.close()


def _await_start(server: SandboxServer) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not server.is_ready:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the sandbox did not start within {_START_TIMEOUT_S} seconds")
        time.sleep(0.005)
