"""The loop that finds work and starts it. `jobs` says how each kind of work is found and done.

Slots are shared fairly between tenants: the next free one goes to the tenant that has used least, and a job that holds
a slot for long while others wait is asked to stop where it can go on later.

Several workers may run, in one process or in many: what a job does is guarded by a lease in its row, so that finding
the same work twice is harmless. Nothing that a job raises ends the loop.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from operator import itemgetter
from typing import Final
from uuid import UUID

import structlog
from structlog.contextvars import bound_contextvars

from calibr.core.errors import CalibrError
from calibr.core.ids import TenantId
from calibr.monitor import Metrics
from calibr.worker.shares import Shares

POLL_S: Final = 1.0
SLICE_S: Final = 5.0
SILENT_AFTER_S: Final = 30.0
BACKOFF_BASE_S: Final = 1.0
BACKOFF_CAP_S: Final = 60.0
RESTART_AFTER_S: Final = 0.5
FORGET_AFTER_S: Final = 600.0
HOUSEKEEPING_EVERY_S: Final = 3600.0

log = structlog.stdlib.get_logger("calibr.worker")


class JobKind(StrEnum):
    """What there is to do."""

    SYNC = "sync"
    PREVIEW = "preview"
    APPLY = "apply"
    DELIVER = "deliver"
    INBOX = "inbox"
    WATCH = "watch"
    HOUSEKEEPING = "housekeeping"


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work of one tenant. Equal jobs are the same work and run one at a time in a process."""

    kind: JobKind
    tenant_id: TenantId
    subject: UUID


Find = Callable[[TenantId], Iterable[Job]]
Run = Callable[[Job, threading.Event], None]
"""Does a job. The event is set when it should stop where it can go on later: for others, or since the process ends."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What a worker works on: all tenants, the work of one, and how each kind is done."""

    tenants: Callable[[], list[TenantId]]
    find: Find
    run: Mapping[JobKind, Run]


@dataclass(slots=True)
class _Pause:
    """How long a job is left alone: after a failure for a time that doubles, with jitter; after success briefly.

    The brief rest keeps a process from asking without end for work that another one holds.
    """

    failures: int = 0
    until: float = 0.0

    def shorten(self) -> None:
        self.failures = 0
        self.until = time.monotonic() + RESTART_AFTER_S

    def lengthen(self) -> float:
        self.failures += 1
        delay = min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2.0 ** (self.failures - 1)) * (0.5 + random.random() / 2)  # noqa: S311
        self.until = time.monotonic() + delay
        return delay


@dataclass(slots=True)
class _Slot:
    """A job in work: since when, up to when its time is charged, and how to stop it."""

    since: float
    charged_to: float
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class _Books:
    """What the loop keeps in mind between rounds; only touched under the worker's lock."""

    running: dict[Job, _Slot] = field(default_factory=dict)
    shares: Shares = field(default_factory=Shares)
    paused: dict[Job, _Pause] = field(default_factory=dict)
    kept_house: dict[TenantId, float] = field(default_factory=dict)


class Worker:
    """Runs in threads of its own from `start` to `stop`."""

    def __init__(self, workshop: Workshop, *, concurrency: int, metrics: Metrics, poll_s: float = POLL_S) -> None:
        """`concurrency` jobs at a time; looks for work every `poll_s` seconds, and whenever `wake` hints at some."""
        self._workshop = workshop
        self._concurrency = concurrency
        self._metrics = metrics
        self._poll_s = poll_s
        self._lock = threading.Lock()
        self._books = _Books()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="job")
        self._loop = threading.Thread(target=self._work, name="worker", daemon=True)
        self._last_round = time.monotonic()

    def start(self) -> None:
        """Begin. May be called once."""
        self._loop.start()
        log.info("worker.started", concurrency=self._concurrency)

    def wake(self) -> None:
        """Look for work now instead of at the next poll."""
        self._wake.set()

    def stop(self) -> None:
        """Find nothing more, let the jobs come to their next safe point, and return when they have."""
        self._stopping.set()
        self._wake.set()
        with self._lock:
            for slot in self._books.running.values():
                slot.stop.set()
        if self._loop.is_alive():
            self._loop.join()
        self._pool.shutdown(wait=True, cancel_futures=True)
        log.info("worker.stopped")

    def health(self) -> str | None:
        """The probe of `readyz`: None while the loop turns."""
        silent_s = time.monotonic() - self._last_round
        if not self._loop.is_alive():
            return "the worker does not run"
        return f"the worker has been silent for {silent_s:.0f} s" if silent_s > SILENT_AFTER_S else None

    def _work(self) -> None:
        failures = _Pause()
        while not self._stopping.is_set():
            self._wake.clear()
            self._last_round = time.monotonic()
            try:
                self._round()
                failures = _Pause()
            except Exception:
                log.exception("worker.round_failed")
                self._stopping.wait(min(failures.lengthen(), SILENT_AFTER_S / 2))
            self._wake.wait(self._poll_s)

    def _round(self) -> None:
        """Give free slots to what is due: first those of the tenant that has used least, one job at a time."""
        self._forget_pauses()
        waiting: dict[TenantId, deque[Job]] = {}
        for tenant_id in self._workshop.tenants():
            self._last_round = time.monotonic()
            if self._stopping.is_set():
                return
            jobs = [job for job in (*self._workshop.find(tenant_id), *self._housekeeping(tenant_id)) if self._may(job)]
            if jobs:
                waiting[tenant_id] = deque(jobs)
        with self._lock:
            self._charge()
            busy = {*waiting, *(job.tenant_id for job in self._books.running)}
            self._books.shares.keep(busy, time.monotonic())
        while waiting and self._free_slots() > 0:
            tenant_id = min(waiting, key=self._claim_on_a_slot)
            self._begin(waiting[tenant_id].popleft())
            if not waiting[tenant_id]:
                del waiting[tenant_id]
        if waiting:
            self._make_room(min(waiting, key=self._claim_on_a_slot))

    def _claim_on_a_slot(self, tenant_id: TenantId) -> tuple[float, float]:
        """Smaller is first: time used, counting what running jobs are about to use; then by chance."""
        running = sum(job.tenant_id == tenant_id for job in self._books.running)
        return self._books.shares.used(tenant_id) + running * SLICE_S, random.random()  # noqa: S311 - no secret

    def _make_room(self, tenant_id: TenantId) -> None:
        """Ask the longest job of the tenant with the largest account to stop, if it has had its time and more."""
        now = time.monotonic()
        with self._lock:
            shares = self._books.shares
            over = [
                (shares.used(job.tenant_id), now - slot.since, slot)
                for job, slot in self._books.running.items()
                if now - slot.since > SLICE_S and shares.used(job.tenant_id) > shares.used(tenant_id)
            ]
            if over:
                max(over, key=itemgetter(0, 1))[2].stop.set()

    def _charge(self) -> None:
        """Charge running jobs for the time since they were charged last. Under the lock."""
        now = time.monotonic()
        for job, slot in self._books.running.items():
            self._books.shares.charge(job.tenant_id, now - slot.charged_to)
            slot.charged_to = now

    def _forget_pauses(self) -> None:
        """Jobs that did not come back."""
        with self._lock:
            limit = time.monotonic() - FORGET_AFTER_S
            self._books.paused = {job: pause for job, pause in self._books.paused.items() if pause.until > limit}

    def _housekeeping(self, tenant_id: TenantId) -> list[Job]:
        if JobKind.HOUSEKEEPING not in self._workshop.run:
            return []
        now, last = time.monotonic(), self._books.kept_house.get(tenant_id)
        if last is not None and now - last < HOUSEKEEPING_EVERY_S:
            return []
        self._books.kept_house[tenant_id] = now
        return [Job(JobKind.HOUSEKEEPING, tenant_id, tenant_id)]

    def _free_slots(self) -> int:
        with self._lock:
            return self._concurrency - len(self._books.running)

    def _may(self, job: Job) -> bool:
        """Whether a job is neither in work here nor left alone for a while."""
        with self._lock:
            pause = self._books.paused.get(job)
            return job not in self._books.running and (pause is None or pause.until <= time.monotonic())

    def _begin(self, job: Job) -> None:
        now = time.monotonic()
        slot = _Slot(now, now)
        with self._lock:
            if job in self._books.running:
                return
            self._books.running[job] = slot
        self._metrics.jobs_running.labels(job.kind).inc()
        self._pool.submit(self._run, job, slot.stop).add_done_callback(lambda done: self._end(job, done))

    def _run(self, job: Job, stop: threading.Event) -> None:
        """Do the job; raises what it raises."""
        with (
            bound_contextvars(job=job.kind.value, tenant_id=str(job.tenant_id), subject=str(job.subject)),
            self._metrics.job_duration.labels(job.kind).time(),
        ):
            try:
                self._workshop.run[job.kind](job, stop)
            except CalibrError as error:
                level = log.info if error.retryable else log.warning
                level("job.refused", code=error.code, error=error.message)
                raise
            except Exception:
                log.exception("job.failed")
                raise

    def _end(self, job: Job, done: "Future[None]") -> None:
        failed = done.cancelled() or done.exception() is not None
        with self._lock:
            slot = self._books.running.pop(job)
            self._books.shares.charge(job.tenant_id, time.monotonic() - slot.charged_to)
            pause = self._books.paused.setdefault(job, _Pause())
            if failed:
                pause.lengthen()
            else:
                pause.shorten()
        self._metrics.jobs_running.labels(job.kind).dec()
        self._metrics.jobs.labels(job.kind, "failed" if failed else "done").inc()
        if not failed:
            self.wake()  # what it left behind may be the next job
