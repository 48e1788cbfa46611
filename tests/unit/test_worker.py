import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from calibr.core.errors import Upstream
from calibr.core.ids import TenantId
from calibr.monitor import Metrics
from calibr.worker import loop as module
from calibr.worker.loop import Job, JobKind, Run, Worker, Workshop

TENANT = TenantId(uuid4())
SYNC, PREVIEW = (Job(kind, TENANT, uuid4()) for kind in (JobKind.SYNC, JobKind.PREVIEW))


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_BASE_S", 0.02)
    monkeypatch.setattr(module, "RESTART_AFTER_S", 0.01)


class Board:
    """Work that is there until it is done."""

    def __init__(self, *jobs: Job) -> None:
        self.open = set(jobs)
        self.tenants = [TENANT]

    def find(self, tenant_id: TenantId) -> list[Job]:
        return [job for job in self.open if job.tenant_id == tenant_id]


@contextmanager
def at_work(
    board: Board, run: Run, *, concurrency: int = 2, metrics: Metrics | None = None, poll_s: float = 0.01
) -> Iterator[Worker]:
    kinds = dict.fromkeys((JobKind.SYNC, JobKind.PREVIEW, JobKind.APPLY), run)
    workshop = Workshop(lambda: list(board.tenants), board.find, kinds)
    worker = Worker(workshop, concurrency=concurrency, metrics=metrics or Metrics(), poll_s=poll_s)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in 10 s"
        time.sleep(0.002)


def test_work_that_is_found_is_done() -> None:
    board, done = Board(SYNC, PREVIEW), []

    def run(job: Job, _stop: threading.Event) -> None:
        done.append(job)
        board.open.discard(job)

    with at_work(board, run):
        until(lambda: not board.open)

    assert set(done) == {SYNC, PREVIEW}
    assert len(done) == 2


def test_one_job_runs_once_at_a_time() -> None:
    board, together, most = Board(SYNC), 0, 0
    runs = 0

    def run(_job: Job, _stop: threading.Event) -> None:
        nonlocal together, most, runs
        together += 1
        most = max(most, together)
        time.sleep(0.02)
        runs += 1
        together -= 1

    with at_work(board, run, concurrency=4):
        until(lambda: runs >= 3)

    assert most == 1


def test_not_more_jobs_than_allowed_run_together() -> None:
    board = Board(*(Job(JobKind.SYNC, TENANT, uuid4()) for _ in range(6)))
    lock, together, most = threading.Lock(), 0, 0

    def run(job: Job, _stop: threading.Event) -> None:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        time.sleep(0.01)
        with lock:
            together -= 1
        board.open.discard(job)

    with at_work(board, run, concurrency=2):
        until(lambda: not board.open)

    assert most == 2


@pytest.mark.parametrize(
    "error", [RuntimeError("canary"), Upstream("upstream.unreachable", "no store", retryable=True)]
)
def test_a_job_that_raises_waits_longer_each_time_and_the_others_go_on(error: Exception) -> None:
    board, tries = Board(SYNC, PREVIEW), []

    def run(job: Job, _stop: threading.Event) -> None:
        if job == SYNC:
            tries.append(time.monotonic())
            if len(tries) < 4:
                raise error
        board.open.discard(job)

    with capture_logs() as logs, at_work(board, run):
        until(lambda: not board.open)

    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert len(tries) == 4
    assert gaps[2] >= 0.02 * 4 / 2
    told = [line for line in logs if line["event"] in {"job.failed", "job.refused"}]
    assert len(told) == 3


def test_a_round_that_fails_is_tried_again() -> None:
    board, done = Board(SYNC), []
    find, failures = board.find, iter([True, True])

    def shaky(tenant_id: TenantId) -> list[Job]:
        if next(failures, False):
            raise OSError("the database is away")
        return find(tenant_id)

    board.find = shaky  # type: ignore[method-assign]

    def run(job: Job, _stop: threading.Event) -> None:
        done.append(job)
        board.open.discard(job)

    with capture_logs() as logs, at_work(board, run) as worker:
        until(lambda: bool(done))
        assert worker.health() is None

    assert [line["event"] for line in logs].count("worker.round_failed") == 2


def test_waking_finds_work_before_the_poll() -> None:
    board, done = Board(), threading.Event()

    def run(job: Job, _stop: threading.Event) -> None:
        board.open.discard(job)
        done.set()

    with at_work(board, run, poll_s=60.0) as worker:
        time.sleep(0.05)
        board.open.add(SYNC)
        worker.wake()
        assert done.wait(10)


def test_stopping_waits_for_the_job_at_hand_and_starts_no_other() -> None:
    board, started, ended = Board(SYNC), threading.Event(), threading.Event()

    def run(_job: Job, _stop: threading.Event) -> None:
        started.set()
        time.sleep(0.1)
        ended.set()

    with at_work(board, run, concurrency=1) as worker:
        assert started.wait(10)
        worker.stop()
        assert ended.is_set()
        ended.clear()
        time.sleep(0.05)

    assert not ended.is_set()
    assert worker.health() == "the worker does not run"


def test_metrics_tell_how_jobs_ended() -> None:
    board, metrics, tries = Board(SYNC), Metrics(), []

    def run(job: Job, _stop: threading.Event) -> None:
        tries.append(job)
        if len(tries) == 1:
            raise RuntimeError
        board.open.discard(job)

    with at_work(board, run, metrics=metrics):
        until(lambda: not board.open)

    text = metrics.render().decode()
    assert 'calibr_jobs_total{kind="sync",outcome="failed"} 1.0' in text
    assert 'calibr_jobs_total{kind="sync",outcome="done"} 1.0' in text
    assert 'calibr_jobs_running{kind="sync"} 0.0' in text


def test_housekeeping_is_done_once_an_hour_for_each_tenant() -> None:
    done: list[Job] = []
    tenants = [TENANT, TenantId(uuid4())]
    workshop = Workshop(
        lambda: list(tenants), lambda _tenant: [], {JobKind.HOUSEKEEPING: lambda job, _: done.append(job)}
    )
    worker = Worker(workshop, concurrency=2, metrics=Metrics(), poll_s=0.01)

    worker.start()
    until(lambda: len(done) == 2)
    time.sleep(0.05)
    worker.stop()

    assert {job.tenant_id for job in done} == set(tenants)
    assert len(done) == 2


def test_ten_times_the_work_brings_no_tenant_more_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICE_S", 0.05)
    modest = [TenantId(uuid4()) for _ in range(3)]
    board = Board(*(Job(JobKind.APPLY, tenant_id, uuid4()) for tenant_id in (*[TENANT] * 10, *modest)))
    board.tenants = [TENANT, *modest]
    served: Counter[TenantId] = Counter()
    lock = threading.Lock()

    def run(job: Job, stop: threading.Event) -> None:
        while not stop.wait(0.005):
            with lock:
                served[job.tenant_id] += 1

    with at_work(board, run):
        until(lambda: sum(served.values()) >= 1_200)

    assert set(served) == {TENANT, *modest}
    assert max(served.values()) / min(served.values()) <= 1.5


def test_a_long_job_goes_on_while_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICE_S", 0.02)
    board, stopped = Board(SYNC), threading.Event()

    def run(_job: Job, stop: threading.Event) -> None:
        if stop.wait(0.2):
            stopped.set()
        board.open.clear()

    with at_work(board, run, concurrency=1):
        until(lambda: not board.open)

    assert not stopped.is_set()


def test_stopping_tells_every_job() -> None:
    board, told = Board(SYNC, PREVIEW), []

    def run(job: Job, stop: threading.Event) -> None:
        if stop.wait(10):
            told.append(job)
        board.open.discard(job)

    with at_work(board, run) as worker:
        until(lambda: len(worker._books.running) == 2)

    assert set(told) == {SYNC, PREVIEW}
