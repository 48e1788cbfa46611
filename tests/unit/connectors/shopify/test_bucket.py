"""The throttle against a simulated store: the discrete events of calls, latencies and refunds, no real time."""

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from calibr.connectors.shopify.bucket import FOREVER, Bucket, Reservation
from calibr.connectors.shopify.errors import CostReport


@dataclass
class StoreBucket:
    """The store's side: whole points in answers, refund of what a call did not use."""

    maximum: int
    rate: int
    level: float = 0.0
    at: float = 0.0

    def refill(self, now: float) -> None:
        self.level = min(self.level + (now - self.at) * self.rate, self.maximum)
        self.at = now

    def start(self, requested: int, now: float) -> bool:
        self.refill(now)
        if requested > self.level:
            return False
        self.level -= requested
        return True

    def finish(self, requested: int, actual: int | None, now: float) -> CostReport:
        self.refill(now)
        if actual is not None:
            self.level = min(self.level + requested - actual, self.maximum)
        return CostReport(requested, actual, self.maximum, math.floor(self.level), self.rate)


@dataclass
class Simulation:
    """Workers that always have a next call. `latency()` is drawn for the way there, the work and the way back."""

    store: StoreBucket
    workers: int
    latency: Callable[[], float]
    requested: Callable[[], int]
    actual: Callable[[int], int]
    bucket: Bucket = field(default_factory=Bucket)
    spent: int = 0
    calls: int = 0
    throttled: int = 0

    def run(self, seconds: float) -> None:
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._waiting = [self.requested() for _ in range(self.workers)]
        self._ids = iter(range(10**9))
        self._look_at = math.inf
        self._at(0.0, self._grant)
        while self._events[0][0] < seconds:
            now, _, act = heapq.heappop(self._events)
            act(now)

    def _at(self, when: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._ids), act))

    def _grant(self, now: float) -> None:
        while self._waiting:
            wait = self.bucket.wait_for(self._waiting[0], now)
            if wait >= FOREVER:
                return
            if wait > 0:
                self._plan(now + wait)
                return
            cost = self._waiting.pop(0)
            self._send(self.bucket.take(cost, now), cost, now)

    def _plan(self, when: float) -> None:
        """Look again at `when`; a later look that is already planned becomes superfluous, an earlier one suffices."""
        if when < self._look_at:
            self._look_at = when
            self._at(when, self._look)

    def _look(self, now: float) -> None:
        if now == self._look_at:
            self._look_at = math.inf
            self._grant(now)

    def _send(self, held: Reservation, cost: int, now: float) -> None:
        def arrive(at: float) -> None:
            started = self.store.start(cost, at)
            self._at(at + self.latency(), lambda done: finish(done, started=started))

        def finish(at: float, *, started: bool) -> None:
            actual = self.actual(cost) if started else None
            report = self.store.finish(cost, actual, at)
            self._at(at + self.latency(), lambda back: returned(back, report))

        def returned(at: float, report: CostReport) -> None:
            self.calls += 1
            if report.actual is None:
                self.throttled += 1
                self.bucket.refuse(held, report, at)
                self._waiting.insert(0, cost)
            else:
                self.spent += report.actual
                self.bucket.settle(held, report, at)
                self._waiting.append(self.requested())
            self._grant(at)

        self._at(now + self.latency(), arrive)


@pytest.mark.parametrize(("maximum", "rate"), [(2_000, 100), (20_000, 1_000)])
@pytest.mark.parametrize("refund", [0.0, 0.5])
def test_uses_the_whole_rate_and_is_hardly_ever_throttled(maximum: int, rate: int, refund: float) -> None:
    rng = random.Random(11)  # noqa: S311 - repeatable on purpose
    simulation = Simulation(
        StoreBucket(maximum, rate),
        workers=64,
        latency=lambda: rng.uniform(0.01, 0.2),
        requested=lambda: rng.choice((10, 11, 20, 60)),
        actual=lambda cost: round(cost * (1 - refund)),
    )

    simulation.run(60.0)

    assert simulation.spent >= 0.97 * rate * 60.0
    assert simulation.throttled < 0.01 * simulation.calls


def test_a_full_bucket_is_spent_at_once_after_the_first_answer() -> None:
    simulation = Simulation(
        StoreBucket(2_000, 100, level=2_000),
        workers=40,
        latency=lambda: 0.1,
        requested=lambda: 60,
        actual=lambda cost: cost,
    )

    simulation.run(1.5)

    assert simulation.spent > 1_500
    assert simulation.throttled == 0


def test_another_client_of_the_same_store_is_noticed() -> None:
    rng = random.Random(3)  # noqa: S311 - repeatable on purpose
    store = StoreBucket(2_000, 100, level=2_000)

    def cost_while_somebody_else_calls() -> int:
        if store.level > 100 and rng.random() < 0.2:
            store.level -= 100
        return 60

    simulation = Simulation(store, 8, lambda: rng.uniform(0.05, 0.2), cost_while_somebody_else_calls, lambda cost: cost)
    simulation.run(120.0)

    assert simulation.throttled < 0.1 * simulation.calls


def test_before_the_first_answer_one_call_goes_alone() -> None:
    bucket = Bucket()

    assert bucket.wait_for(10, 0.0) == 0
    held = bucket.take(10, 0.0)

    assert bucket.wait_for(10, 5.0) == FOREVER
    bucket.settle(held, CostReport(10, 10, 2_000, 1_990, 100), 6.0)
    assert bucket.wait_for(1_000, 6.0) == 0


def test_a_call_without_an_answer_counts_as_spent() -> None:
    bucket = _known(Bucket(), available=100)

    bucket.settle(bucket.take(100, 0.0), None, 0.0)

    assert bucket.wait_for(50, 0.0) == pytest.approx(0.5)


def test_a_call_that_never_left_costs_nothing() -> None:
    bucket = _known(Bucket(), available=100)

    bucket.cancel(bucket.take(100, 0.0), 0.0)

    assert bucket.wait_for(100, 0.0) == 0


def test_waits_for_exactly_the_missing_points() -> None:
    bucket = _known(Bucket(), available=40)

    assert bucket.wait_for(100, 0.0) == pytest.approx(0.6)
    assert bucket.wait_for(100, 0.6) == 0


def test_a_call_dearer_than_the_bucket_is_left_to_the_store() -> None:
    bucket = _known(Bucket(), available=2_000)

    assert bucket.wait_for(5_000, 0.0) == 0


def test_refusals_in_a_row_wait_longer_each_time_and_an_answer_ends_that() -> None:
    bucket = _known(Bucket(), available=1_000)
    full = CostReport(10, None, 2_000, 1_000, 100)
    waits = []
    now = 0.0
    for _ in range(4):
        held = bucket.take(10, now)
        bucket.refuse(held, full, now)
        waits.append(bucket.wait_for(10, now))
        now += waits[-1]

    assert waits == pytest.approx([0.05, 0.1, 0.2, 0.4])
    bucket.settle(bucket.take(10, now), CostReport(10, 10, 2_000, 1_000, 100), now)
    bucket.refuse(bucket.take(10, now), full, now)
    assert bucket.wait_for(10, now) == pytest.approx(0.05)


def test_an_answer_older_than_other_calls_does_not_give_their_points_back() -> None:
    bucket = _known(Bucket(), available=100)
    early, late = bucket.take(10, 0.0), bucket.take(80, 0.0)

    bucket.settle(late, CostReport(80, 80, 2_000, 10, 100), 0.0)
    bucket.settle(early, CostReport(10, 10, 2_000, 90, 100), 0.0)

    assert bucket.view(0.0).available == 10


def test_follows_a_rate_that_the_store_changes() -> None:
    bucket = _known(Bucket(), available=0)

    bucket.settle(bucket.take(10, 1.0), CostReport(10, 10, 1_000, 0, 50), 1.0)

    view = bucket.view(1.0)
    assert (view.maximum, view.restore_rate) == (1_000, 50)
    assert bucket.wait_for(50, 1.0) == pytest.approx(1.0)


def _known(bucket: Bucket, *, available: int) -> Bucket:
    bucket.settle(bucket.take(0, 0.0), CostReport(0, 0, 2_000, available, 100), 0.0)
    return bucket
