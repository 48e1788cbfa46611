"""Who works on a change: one worker at a time, by a lease renewed while it lives and a fence that voids a late one."""

import threading
import time
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import structlog

from calibr.changes.lifecycle import ChangeState
from calibr.changes.repository import claim_work, lock_for_work, release_lease, renew_lease
from calibr.core.errors import CalibrError, Conflict
from calibr.core.ids import PriceChangeId
from calibr.db import DATABASE_ERRORS, Context, Database, Role, Session

HEARTBEATS_PER_LEASE = 4


class LeaseLost(Conflict):
    """Another worker may have taken over: stop without touching anything."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The work on one change, taken under a fence. `taken_at`: local monotonic time before the database was asked."""

    change_id: PriceChangeId
    fence: int
    lease_s: float
    taken_at: float


def take(
    database: Database,
    context: Context,
    change_id: PriceChangeId,
    states: Collection[ChangeState],
    lease_s: float,
) -> "Lease | None":
    """Take the work on a change that is in one of `states`; None if it is not, or if another worker has it."""
    asked = time.monotonic()
    with database.session(context, role=Role.WORKER) as session:
        fence = claim_work(session, change_id, states, lease_s)
    return None if fence is None else Lease(database, context, Claim(change_id, fence, lease_s, asked))


class Lease:
    """The right to work on one change, renewed in the background while the `with` block runs.

    The local clock only ever ends the right early: the end is counted from before the database was asked.
    """

    def __init__(self, database: Database, context: Context, claim: Claim) -> None:
        """Use `take`."""
        self.fence = claim.fence
        self._database = database
        self._context = context
        self._claim = claim
        self._until = claim.taken_at + claim.lease_s
        self._ended = threading.Event()
        self._is_kept = False
        self._heart = threading.Thread(target=self._beat, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._heart.join()
        if self._is_kept:
            return
        try:
            with self._session() as session:
                release_lease(session, self._claim.change_id, self.fence)
        except (CalibrError, *DATABASE_ERRORS) as failure:  # it ends by itself
            self._warn("lease.not_released", failure)

    def keep(self) -> None:
        """Do not give the lease back at the end: nobody else begins until it ends by itself."""
        self._is_kept = True

    def lock(self, session: Session) -> ChangeState:
        """Begin a transaction of the worker: lock the change and return its state. Raises LeaseLost."""
        state = lock_for_work(session, self._claim.change_id, self.fence)
        if state is None:
            raise self._lost()
        return state

    def require(self) -> None:
        """Raise LeaseLost when the lease may have ended."""
        self.last_moment(0.0)

    def last_moment(self, left_s: float) -> float:
        """The last moment (of `time.monotonic`) at which the lease has `left_s` seconds left. Raises LeaseLost.

        Whoever sends looks at it right before the bytes leave: a process may be stopped between any two lines.
        """
        moment = self._until - left_s
        if time.monotonic() >= moment:
            raise self._lost()
        return moment

    def _session(self) -> AbstractContextManager[Session]:
        return self._database.session(self._context, role=Role.WORKER)

    def _lost(self) -> LeaseLost:
        change_id = self._claim.change_id
        return LeaseLost(
            "price_change.lease_lost", f"another worker may be at price change {change_id}", retryable=True
        )

    def _beat(self) -> None:
        claim = self._claim
        while not self._ended.wait(claim.lease_s / HEARTBEATS_PER_LEASE):
            asked = time.monotonic()
            try:
                with self._session() as session:
                    held = renew_lease(session, claim.change_id, self.fence, claim.lease_s)
            except (CalibrError, *DATABASE_ERRORS) as failure:  # the next beat tries again; without one the lease ends
                self._warn("lease.not_renewed", failure)
                continue
            if not held:
                self._until = claim.taken_at
                return
            self._until = asked + claim.lease_s

    def _warn(self, event: str, failure: Exception) -> None:
        structlog.get_logger().warning(event, change_id=str(self._claim.change_id), error=type(failure).__name__)
