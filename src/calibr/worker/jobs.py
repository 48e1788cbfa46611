"""How each kind of work is found and done: which feature is called, as whom, with which connector."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final
from uuid import UUID

from calibr import access, catalog, delivery, inbound
from calibr.changes import reads as change_reads
from calibr.changes.apply import ApplySettings, RunHooks, run_apply
from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.changes.preview import PreviewSettings, run_preview
from calibr.connectors.port import Connector, ConnectorFactory
from calibr.core.errors import CalibrError
from calibr.core.ids import ConnectionId, PriceChangeId, SyncId, TenantId, new_uuid
from calibr.db import Context, Database, Role, Session
from calibr.delivery import DeliverySettings, Relay, RelayHooks, Subscribers, SubscriptionKind
from calibr.inbound import Inbox, Readers, Watcher, WatchSettings
from calibr.monitor import Metrics
from calibr.vault import Vault
from calibr.worker.loop import Job, JobKind, Workshop

ACTOR = "system:worker"
LOOK_EVERY_S: Final = 10.0
KIND_OF_STATE = MappingProxyType({
    ChangeState.PREVIEWING: JobKind.PREVIEW,
    ChangeState.APPLYING: JobKind.APPLY,
    ChangeState.ABORTING: JobKind.APPLY,
    ChangeState.PAUSED: JobKind.APPLY,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class JobSettings:
    """How jobs pace themselves, and where they may put files."""

    work_dir: Path
    preview: PreviewSettings = field(default_factory=PreviewSettings)
    apply: ApplySettings = field(default_factory=ApplySettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    watch: WatchSettings = field(default_factory=WatchSettings)


@dataclass(frozen=True, slots=True)
class Jobs:
    """The work of one process."""

    database: Database
    vault: Vault
    connectors: Mapping[str, ConnectorFactory]
    subscribers: Subscribers
    metrics: Metrics
    settings: JobSettings
    readers: Readers = field(default_factory=lambda: MappingProxyType({}))
    looked_at: dict[Job, float] = field(default_factory=dict)

    def workshop(self) -> Workshop:
        """What the loop needs."""
        return Workshop(
            tenants=self.database.directory,
            find=self.find,
            run={
                JobKind.SYNC: self.sync,
                JobKind.PREVIEW: self.preview,
                JobKind.APPLY: self.apply,
                JobKind.DELIVER: self.deliver,
                JobKind.INBOX: self.work_in,
                JobKind.WATCH: self.watch,
                JobKind.HOUSEKEEPING: self.keep_house,
            },
        )

    def find(self, tenant_id: TenantId) -> list[Job]:
        """What is to be done for a tenant and is not in somebody's hands."""
        with self._session(tenant_id) as session:
            syncs = [Job(JobKind.SYNC, tenant_id, sync_id) for sync_id in catalog.find_syncs(session)]
            work = [Job(KIND_OF_STATE[state], tenant_id, id_) for id_, state in change_reads.list_work(session)]
            due = [_delivery(tenant_id, id_) for id_ in delivery.due_subscriptions(session)]
            kept = [_delivery(tenant_id, id_) for id_ in delivery.streams(session)]
            due += [job for job in kept if job not in due and self._is_time(job)]
            inboxes = [Job(JobKind.INBOX, tenant_id, id_) for id_ in inbound.due_inboxes(session)]
            watches = inbound.due_connections(session, self.settings.watch)
        return syncs + work + due + inboxes + [Job(JobKind.WATCH, tenant_id, id_) for id_ in watches]

    def _is_time(self, job: Job) -> bool:
        """Whether to look at a stream that has nothing due: it may have lost what it held."""
        now = time.monotonic()
        if now - self.looked_at.get(job, float("-inf")) < LOOK_EVERY_S:
            return False
        self.looked_at[job] = now
        return True

    def sync(self, job: Job, _stop: threading.Event) -> None:
        """Read a store's catalog."""
        sync_id, context = SyncId(job.subject), _context(job.tenant_id)
        with self._session(job.tenant_id) as session:
            connection_id = catalog.get_sync(session, sync_id).connection_id
        try:
            connector = self._opener(job.tenant_id)(connection_id)
        except CalibrError as error:  # else it would be taken up again and again, without end and without a word
            catalog.fail_sync(self.database, context, sync_id, error)
            return
        try:
            with self._folder() as folder:
                catalog.run_sync(self.database, context, sync_id, connector, folder)
        finally:
            connector.close()

    def preview(self, job: Job, _stop: threading.Event) -> None:
        """Compute a plan."""
        run_preview(
            self.database,
            _context(job.tenant_id),
            PriceChangeId(job.subject),
            self.settings.preview,
            self._opener(job.tenant_id),
        )

    def apply(self, job: Job, stop: threading.Event) -> None:
        """Write a plan to its stores."""
        run_apply(
            self.database,
            _context(job.tenant_id),
            PriceChangeId(job.subject),
            self._opener(job.tenant_id),
            self.settings.apply,
            RunHooks(stop, self._count_items),
        )

    def deliver(self, job: Job, stop: threading.Event) -> None:
        """Hand events to a subscriber."""
        Relay(
            database=self.database,
            context=_context(job.tenant_id),
            settings=self.settings.delivery,
            projections=self.subscribers.projections,
            open_receiver=self.subscribers.open,
            schedules=self.subscribers.schedules,
            hooks=RelayHooks(stop, self._count_deliveries),
        ).run(job.subject)

    def work_in(self, job: Job, stop: threading.Event) -> None:
        """Work in what a store sent."""
        inbox = Inbox(self.database, _context(job.tenant_id), self.readers, self._opener(job.tenant_id))
        inbox.run(ConnectionId(job.subject), stop)

    def watch(self, job: Job, _stop: threading.Event) -> None:
        """Look after a connection: its webhooks, a sample of its prices, a sync that is wanted."""
        self._watcher(job.tenant_id).run(ConnectionId(job.subject))

    def _watcher(self, tenant_id: TenantId) -> Watcher:
        return Watcher(
            database=self.database,
            context=_context(tenant_id),
            vault=self.vault,
            readers=self.readers,
            connector_for=self._opener(tenant_id),
            connector_in_any_state=self._opener(tenant_id, any_state=True),
            settings=self.settings.watch,
        )

    def keep_house(self, job: Job, _stop: threading.Event) -> None:
        """Give the tenant what every tenant has, and forget what nobody needs any more."""
        with self._session(job.tenant_id) as session:
            delivery.ensure_projections(session, self.subscribers.projections.values())
            access.forget_old_keys(session)
            delivery.forget_old_messages(session)
            catalog.forget_old_budgets(session)
        self._watcher(job.tenant_id).keep_house()

    def _count_items(self, state: ItemState, number: int) -> None:
        self.metrics.apply_items.labels(state.value).inc(number)

    def _count_deliveries(self, kind: SubscriptionKind, number: int) -> None:
        self.metrics.deliveries.labels(kind.value).inc(number)

    def _opener(self, tenant_id: TenantId, *, any_state: bool = False) -> Callable[[ConnectionId], Connector]:
        """Opens the connector of a connection for one run, which closes it."""

        def open_connector(connection_id: ConnectionId) -> Connector:
            with self._session(tenant_id) as session:
                return catalog.open_connector(session, connection_id, self.vault, self.connectors, any_state=any_state)

        return open_connector

    @contextmanager
    def _session(self, tenant_id: TenantId) -> Iterator[Session]:
        with self.database.session(_context(tenant_id), role=Role.WORKER) as session:
            yield session

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """A private folder that is gone afterwards."""
        self.settings.work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="job-", dir=self.settings.work_dir))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _delivery(tenant_id: TenantId, subscription_id: UUID) -> Job:
    return Job(JobKind.DELIVER, tenant_id, subscription_id)


def _context(tenant_id: TenantId) -> Context:
    """The features put a job into the story of what it works on."""
    return Context(tenant_id, ACTOR, new_uuid())
