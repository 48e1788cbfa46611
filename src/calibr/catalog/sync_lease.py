"""Who works on a sync: one worker at a time, by a lease renewed while it lives and a fence that voids a late one."""

import threading
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, Self

import structlog

from calibr.catalog.repository_syncs import claim_sync, end_sync, renew_sync
from calibr.core.errors import CalibrError, Conflict
from calibr.core.ids import SyncId
from calibr.db import DATABASE_ERRORS, Context, Database, Role, Session

LEASE_S: Final = 60
BEAT_S: Final = 2.0
"""How often the lease is renewed, and the progress shown to others."""

_log = structlog.stdlib.get_logger("calibr.catalog")


@dataclass(frozen=True, slots=True)
class _Claim:
    sync_id: SyncId
    fence: int
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class _Progress:
    stage: str
    done: int
    total: int | None


class SyncLease:
    """The right to work on one sync run, renewed in the background while the `with` block runs.

    `taken_at` is the time of the database when the work began, `fence` voids what a late worker writes.
    """

    def __init__(self, database: Database, context: Context, claim: "_Claim") -> None:
        """Use `take`."""
        self.taken_at = claim.taken_at
        self.fence = claim.fence
        self._database = database
        self._context = context
        self._sync_id = claim.sync_id
        self._progress = _Progress("starting", 0, None)
        self._is_lost = False
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="sync-lease", daemon=True)

    @classmethod
    def take(cls, database: Database, context: Context, sync_id: SyncId) -> Self | None:
        """Take a sync that waits; None if it does not wait (any more)."""
        with database.session(context, role=Role.WORKER) as session:
            fence = claim_sync(session, sync_id, LEASE_S)
            return None if fence is None else cls(database, context, _Claim(sync_id, fence, session.now))

    def __enter__(self) -> Self:
        """Begin to renew."""
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End renewing; without an end of the run the lease runs out by itself."""
        self._ended.set()
        self._heart.join()

    def show(self, stage: str, done: int, total: int | None) -> None:
        """Note the progress. Raises Conflict `sync.lease_lost` when another worker has taken over."""
        self._progress = _Progress(stage, done, total)
        if self._is_lost:
            raise lease_lost(self._sync_id)

    def end(self, session: Session, **values: object) -> None:
        """End the run in the transaction of `session`. Raises Conflict `sync.lease_lost`."""
        if not self.try_end(session, **values):
            raise lease_lost(self._sync_id)

    def try_end(self, session: Session, **values: object) -> bool:
        """End the run in the transaction of `session`; False when another worker has taken over."""
        return end_sync(session, self._sync_id, self.fence, values)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            seen = self._progress
            shown = {"stage": seen.stage, "rows_read": seen.done, "rows_total": seen.total}
            try:
                with self._database.session(self._context, role=Role.WORKER) as session:
                    self._is_lost = not renew_sync(session, self._sync_id, self.fence, LEASE_S, shown)
            except (CalibrError, *DATABASE_ERRORS) as failure:  # the next beat tries again; without one the lease ends
                _log.warning("sync.lease_not_renewed", sync_id=str(self._sync_id), error=type(failure).__name__)


def lease_lost(sync_id: SyncId) -> Conflict:
    """The error of a worker that was late."""
    return Conflict("sync.lease_lost", f"Another worker has taken over sync {sync_id}.", retryable=True)
