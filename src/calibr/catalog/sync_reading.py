"""What one sync reads: everything or what changed, and by which operation of the store; all noted in its run."""

from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from calibr.catalog.model import SyncMode, SyncRun
from calibr.catalog.repository_readings import (
    NotedReading,
    adopt_operation,
    begin_operation,
    find_abandoned,
    find_watermark,
    load_reading,
    note_operation,
    note_read_from,
    set_reading,
)
from calibr.catalog.sync_lease import SyncLease, lease_lost
from calibr.connectors.port import CatalogStream, Connector, Progress
from calibr.connectors.port.reading import ReadingOperation, ReadsByOperation
from calibr.core.ids import SyncId
from calibr.db import Context, Database, Role, Session

FULL_EVERY: Final = timedelta(hours=24)
"""A sync that may choose reads everything if the last one that did is older: what a store does not date, such as a
cost or the products of a collection, is found by then."""

OVERLAP: Final = timedelta(hours=1)
"""Changes from before the last reading that are read again: clocks differ, and stores find a change after a while."""


class SyncReading:
    """The reading of one sync; see `connectors.port.reading.ReadingLog`.

    `read_from` is the time of the database when the reading began, which may have been in another worker.
    """

    def __init__(self, database: Database, context: Context, run: SyncRun, lease: SyncLease) -> None:
        """Use `open_reading`."""
        self._database = database
        self._context = context
        self._run = run
        self._lease = lease
        self.mode = SyncMode.FULL
        self.since: datetime | None = None
        self.read_from = lease.taken_at
        self.noted: ReadingOperation | None = None

    def choose(self, connector: Connector) -> None:
        """Take over what another worker chose; else choose, and note it."""
        with self._session() as session:
            known = load_reading(session, self._run.id)
            if not self._is_chosen(known, connector):
                self._set(session, self._since_when(session, known.mode, connector))
            else:
                self.mode, self.since = known.mode, known.since
            if known.operations == 0 and known.operation_id is None:
                self._adopt(session)
                return
        if known.read_from is not None:
            self._note(ReadingOperation(self._name(known.operations), known.read_from, known.operation_id))

    def widen(self) -> None:
        """Read everything after all."""
        with self._session() as session:
            self._set(session, None)

    def open(self, connector: Connector, work_dir: Path, progress: Progress) -> CatalogStream:
        """Let the connector read, noted where it can be."""
        if isinstance(connector, ReadsByOperation):
            return connector.read_catalog_noted(work_dir, progress, self)
        with self._session() as session:
            self._require(note_read_from(session, self._run.id, self._lease.fence, self.read_from))
        return connector.read_catalog(work_dir, progress)

    def begin(self) -> ReadingOperation:
        """Note a new operation."""
        with self._session() as session:
            begun = begin_operation(session, self._run.id, self._lease.fence)
        if begun is None:
            raise lease_lost(self._run.id)
        number, self.read_from = begun
        self.noted = ReadingOperation(self._name(number), self.read_from)
        return self.noted

    def started(self, operation_id: str) -> None:
        """Note how the store calls it."""
        with self._session() as session:
            self._require(note_operation(session, self._run.id, self._lease.fence, operation_id))

    def _is_chosen(self, known: NotedReading, connector: Connector) -> bool:
        if known.mode is SyncMode.INCREMENTAL:
            return known.since is not None and isinstance(connector, ReadsByOperation)
        return known.mode is SyncMode.FULL

    def _since_when(self, session: Session, mode: SyncMode, connector: Connector) -> datetime | None:
        known = find_watermark(session, self._run.connection_id)
        if known is None or not isinstance(connector, ReadsByOperation):
            return None
        if mode is SyncMode.AUTO and session.now - known.full_from > FULL_EVERY:
            return None
        return known.read_from - OVERLAP

    def _adopt(self, session: Session) -> None:
        """Go on with what the run before this one had the store do, if it failed on the way there."""
        left = find_abandoned(session, self._run.id, self._run.connection_id, self.since)
        if left is not None:
            self._require(adopt_operation(session, self._run.id, self._lease.fence, left))
            self._note(ReadingOperation(self._name(0), *left))

    def _note(self, operation: ReadingOperation) -> None:
        self.noted, self.read_from = operation, operation.begun_at

    def _set(self, session: Session, since: datetime | None) -> None:
        self.mode, self.since = SyncMode.FULL if since is None else SyncMode.INCREMENTAL, since
        self.noted, self.read_from = None, session.now
        self._require(set_reading(session, self._run.id, self._lease.fence, mode=self.mode, since=since))

    def _name(self, number: int) -> str:
        return operation_name(self._run.id, number)

    def _require(self, is_ours: bool) -> None:  # noqa: FBT001 - the answer of a statement
        if not is_ours:
            raise lease_lost(self._run.id)

    def _session(self) -> AbstractContextManager[Session]:
        return self._database.session(self._context, role=Role.WORKER)


def operation_name(sync_id: SyncId, number: int) -> str:
    """The name of an operation at the store. The number stands first, so that no name is the beginning of another."""
    return f"CalibrCatalog_{number}_{sync_id.hex}"
