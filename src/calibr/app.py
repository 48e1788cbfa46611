"""Puts the program together: settings, database, vault, connectors, API, worker. Decides nothing else."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from types import FrameType, MappingProxyType

import structlog
from starlette.types import ASGIApp

from calibr.changes.apply import ApplySettings, require_safe_lease
from calibr.connectors import shopify
from calibr.connectors.port import ConnectorFactory
from calibr.connectors.port.webhooks import WebhookReader
from calibr.db import Database, OpenDatabase, ServerUrl
from calibr.db.migrate import current_revision, head_revision
from calibr.delivery import Activity, DeliverySettings, Subscribers, SubscriptionKind
from calibr.delivery.jetstream import jetstream_kind
from calibr.delivery.webhook import AddressPolicy, webhook_kind
from calibr.drift import DriftLedger
from calibr.http import ApiServices, build_api
from calibr.http.server import HttpServer
from calibr.inbound import WatchSettings
from calibr.monitor import HealthChecks, Metrics, Probe, configure_logging
from calibr.settings import Settings, master_key, prepare_data_dir, wants_console_logs
from calibr.vault import Vault
from calibr.worker import Jobs, JobSettings, Worker

log = structlog.stdlib.get_logger("calibr.app")


@dataclass(frozen=True, slots=True)
class Application:
    """Everything that one process of Calibr has. `worker` is None where it is switched off."""

    database: Database
    vault: Vault
    metrics: Metrics
    api: ASGIApp
    worker: Worker | None


@contextmanager
def open_database(settings: Settings, key: bytes) -> Iterator[Database]:
    """The database at the current schema: the one that is set, or the embedded one."""
    with _opened(settings, key) as opened:
        yield opened.database


@contextmanager
def create_app(settings: Settings) -> Iterator[Application]:
    """Open what the program needs, and close it in reverse order. The worker runs as long as this is open."""
    require_safe_leases(settings)
    key = master_key(settings)
    with _opened(settings, key) as opened, ExitStack() as closing:
        database, vault, metrics = opened.database, Vault(key), Metrics()
        subscribers = _subscribers(settings, vault)
        probes: dict[str, Probe] = {"database": partial(_ping, database), "schema": partial(_schema, opened.admin, key)}
        probes["disk"] = partial(_disk, database)
        worker = None
        if settings.worker_enabled:
            worker = _worker(settings, database, subscribers, metrics)
            probes["worker"] = worker.health
            worker.start()
            closing.callback(worker.stop)
            listener = database.listen(worker.wake)
            listener.start()
            closing.callback(listener.close)
        services = ApiServices(
            database=database,
            vault=vault,
            connectors=_connectors(settings),
            subscribers=subscribers,
            metrics=metrics,
            health=HealthChecks(probes),
            wake_worker=worker.wake if worker is not None else _nobody_to_wake,
            webhook_readers=_webhook_readers(),
            version=version("calibr"),
            public_url=settings.public_url,
        )
        yield Application(database, vault, metrics, build_api(services), worker)


def serve(settings: Settings, *, on_ready: Callable[[str], None] | None = None) -> None:
    """Run until SIGTERM or SIGINT, then end in order: requests, jobs, database. `on_ready` gets the address.

    A second signal ends the process at once; what it was doing is safe to be taken up again.
    """
    configure_logging(console=wants_console_logs(settings), level=settings.log_level)
    with (
        _told_to_stop() as told,
        create_app(settings) as application,
        HttpServer(application.api, host=settings.host, port=settings.port) as server,
    ):
        log.info("server.started", url=server.url, worker=application.worker is not None)
        if on_ready is not None:
            on_ready(server.url)
        told.wait()
        log.info("server.stopping")
    log.info("server.stopped")


def work(settings: Settings, *, on_ready: Callable[[], None] | None = None) -> None:
    """Run a worker without an API until SIGTERM or SIGINT. Any number may run, on any number of machines."""
    configure_logging(console=wants_console_logs(settings), level=settings.log_level)
    with _told_to_stop() as told, create_app(settings.model_copy(update={"worker_enabled": True})):
        if on_ready is not None:
            on_ready()
        told.wait()


def require_safe_leases(settings: Settings) -> None:
    """Refuse to start with a lease that could end while a request under it is still on its way. Raises Invalid."""
    require_safe_lease(_apply_settings(settings), settings.store_call_s)
    _delivery_settings(settings).require_safe_lease(settings.delivery_call_s)


def _apply_settings(settings: Settings) -> ApplySettings:
    return ApplySettings(
        batch_size=settings.worker_batch,
        lease_s=settings.worker_lease_s,
        margin_s=settings.store_delay_s + settings.lease_margin_s,
        # Where calls are short, waits are too: a store on this machine is not given a minute to recover.
        backoff_base_s=min(1.0, settings.store_call_s / 10),
        backoff_cap_s=min(60.0, settings.store_call_s),
    )


def _delivery_settings(settings: Settings) -> DeliverySettings:
    return DeliverySettings(lease_s=settings.delivery_lease_s, margin_s=settings.lease_margin_s)


def _worker(settings: Settings, database: Database, subscribers: Subscribers, metrics: Metrics) -> Worker:
    pace = JobSettings(
        work_dir=prepare_data_dir(settings) / "work",
        apply=_apply_settings(settings),
        delivery=_delivery_settings(settings),
        watch=WatchSettings(
            public_url=settings.public_url,
            webhooks_every_s=settings.webhooks_check_s,
            reread_every_s=settings.reread_every_s,
            reread_share_bp=settings.reread_share_bp,
            price_lists_every_s=settings.price_lists_every_s,
            work_dir=prepare_data_dir(settings) / "work",
        ),
    )
    connectors, readers = _connectors(settings), _webhook_readers()
    jobs = Jobs(database, subscribers.vault, connectors, subscribers, metrics, pace, readers)
    return Worker(jobs.workshop(), concurrency=settings.worker_concurrency, metrics=metrics, poll_s=settings.poll_s)


def _subscribers(settings: Settings, vault: Vault) -> Subscribers:
    activity, drift = Activity(), DriftLedger()
    policy = AddressPolicy(allow_loopback=settings.allow_loopback_webhooks)
    outside = {SubscriptionKind.WEBHOOK: webhook_kind(policy, settings.delivery_call_s)}
    if settings.nats_url is not None:
        outside[SubscriptionKind.JETSTREAM] = jetstream_kind(
            settings.nats_url.get_secret_value(), settings.delivery_call_s
        )
    return Subscribers(vault, MappingProxyType(outside), MappingProxyType({activity.name: activity, drift.name: drift}))


def _connectors(settings: Settings) -> Mapping[str, ConnectorFactory]:
    create_shopify = partial(
        shopify.create, allow_loopback=settings.allow_loopback_stores, call_s=settings.store_call_s
    )
    return MappingProxyType({shopify.KIND: create_shopify})


def _webhook_readers() -> Mapping[str, WebhookReader]:
    return MappingProxyType({shopify.KIND: shopify.ShopifyWebhooks()})


def _opened(settings: Settings, key: bytes) -> OpenDatabase:
    if settings.database_url is not None:
        return OpenDatabase.external(settings.database_url.get_secret_value(), key)
    return OpenDatabase.embedded(prepare_data_dir(settings) / "postgres", key)


def _ping(database: Database) -> None:
    database.ping()


def _disk(database: Database) -> str | None:
    return database.trouble()


def _schema(admin: ServerUrl, key: bytes) -> str | None:
    """A newer schema is fine: migrations keep the version before them working."""
    wanted, found = head_revision(), current_revision(admin, key)
    return None if found is not None and found >= wanted else f"the schema is at {found}, this program needs {wanted}"


def _nobody_to_wake() -> None:
    """Workers of other processes poll."""


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """An event that the first SIGTERM or SIGINT sets. Afterwards the signals mean what they meant before."""
    told = threading.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in signals}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def tell(_number: int, _frame: FrameType | None) -> None:
        told.set()
        restore()

    for number in signals:
        signal.signal(number, tell)
    try:
        yield told
    finally:
        restore()
