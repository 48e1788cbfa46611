"""One sync: reads a store's catalog, or what changed in it, and records what differs with its events at once.

A crash at any point leaves the old state, and the run can be repeated: whoever does goes on with the same operation of
the store. An unchanged catalog writes no row.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from calibr.catalog.connection_states import FAIL
from calibr.catalog.connection_steps import take_step
from calibr.catalog.model import SyncRun, SyncSummary
from calibr.catalog.reads import get_sync
from calibr.catalog.recording import IncompleteError, Reading, Recording
from calibr.catalog.sync_lease import SyncLease
from calibr.catalog.sync_reading import SyncReading
from calibr.connectors.port import Connector, Progress
from calibr.connectors.port.reading import ReadsByOperation
from calibr.core.errors import CalibrError, Upstream
from calibr.core.ids import SyncId
from calibr.db import Context, Database, Role
from calibr.events import Event, emit
from calibr.monitor import scrub

_log = structlog.stdlib.get_logger("calibr.catalog")


def run_sync(
    database: Database,
    context: Context,
    sync_id: SyncId,
    connector: Connector,
    work_dir: Path,
    progress: Progress | None = None,
) -> SyncSummary | None:
    """Do a sync that waits; None if it does not wait (any more). Its files go to `work_dir`, which the caller clears.

    The first result of a connection is its baseline: one `sync.completed` with the counts. Later each changed or new
    price is a `price.observed`, and each listing that is gone a `listing.vanished`. Errors are recorded as
    `sync.failed` and raised: those of the connector, and Conflict `sync.everything_vanished`, `sync.currency_changed`
    or `sync.lease_lost`.
    """
    with database.session(context, role=Role.WORKER) as session:
        run = get_sync(session, sync_id)
    job = _Job(database, replace(context, correlation_id=run.correlation_id), run, progress)
    lease = SyncLease.take(database, job.context, sync_id)
    if lease is None:
        return None
    with lease:
        try:
            summary = job.work(lease, connector, work_dir)
        except Exception as error:
            job.record_failure(lease, error)
            raise
    _log.info("sync.completed", sync_id=str(sync_id), connection_id=str(run.connection_id), **summary.document())
    return summary


def fail_sync(database: Database, context: Context, sync_id: SyncId, error: CalibrError) -> None:
    """End a sync that waits and cannot even begin, since its connector cannot be opened."""
    with database.session(context, role=Role.WORKER) as session:
        run = get_sync(session, sync_id)
    job = _Job(database, replace(context, correlation_id=run.correlation_id), run, None)
    lease = SyncLease.take(database, job.context, sync_id)
    if lease is not None:
        with lease:
            job.record_failure(lease, error)


@dataclass(frozen=True, slots=True)
class _Job:
    database: Database
    context: Context
    run: SyncRun
    progress: Progress | None

    def work(self, lease: SyncLease, connector: Connector, work_dir: Path) -> SyncSummary:
        """Read the store, then record. Changes that do not add up to what the store has are followed by everything."""

        def show(stage: str, done: int, total: int | None) -> None:
            lease.show(stage, done, total)
            if self.progress is not None:
                self.progress(stage, done, total)

        reading = SyncReading(self.database, self.context, self.run, lease)
        reading.choose(connector)
        try:
            return self._read(reading, lease, connector, work_dir, show)
        except IncompleteError as error:
            _log.info("sync.widened", sync_id=str(self.run.id), reason=str(error))
        reading.widen()
        return self._read(reading, lease, connector, work_dir, show)

    def _read(
        self, reading: SyncReading, lease: SyncLease, connector: Connector, work_dir: Path, show: Progress
    ) -> SyncSummary:
        """The database is not held while the store is read."""
        stream = reading.open(connector, work_dir, show)
        try:
            is_part = reading.since is not None
            store_has = connector.count_listings() if is_part and isinstance(connector, ReadsByOperation) else None
            with self.database.session(self.context, role=Role.WORKER) as session:
                part = Reading(reading.mode, reading.read_from, store_has)
                return Recording(session, self.run, lease, show).record(stream, part)
        finally:
            stream.close()

    def record_failure(self, lease: SyncLease, error: Exception) -> None:
        """End the run as failed, unless another worker has it by now. Only a fault of the store makes it `failing`."""
        known = isinstance(error, CalibrError)
        code = error.code if isinstance(error, CalibrError) else "internal"
        message = scrub(str(error)) if known else f"The sync ended by an unexpected error ({type(error).__name__})."
        with self.database.session(self.context, role=Role.WORKER) as session:
            if not lease.try_end(session, state="failed", error=message, error_code=code):
                return
            if isinstance(error, Upstream):
                take_step(session, self.run.connection_id, FAIL, {"code": code, "message": message})
            payload = {"connection_id": str(self.run.connection_id), "code": code, "message": message}
            emit(session, Event("sync.failed", "sync", str(self.run.id), {**payload}))
        _log.warning("sync.failed", sync_id=str(self.run.id), code=code)
