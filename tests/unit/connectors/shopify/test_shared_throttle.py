"""Throttles that share a count, as those of several processes do, with real threads at a store that only counts."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from callers import StoreBucket

from calibr.connectors.port.budget import BudgetChange, BudgetState
from calibr.connectors.shopify.errors import UNREACHABLE, CallError, CostReport, ThrottledError
from calibr.connectors.shopify.throttle import Throttle
from calibr.core.errors import Unavailable


class Shelf:
    """A keeper in memory; `fails` says when it cannot be reached, and every other time only after the change."""

    def __init__(self, fails: Callable[[], bool] = lambda: False) -> None:
        self.state: BudgetState | None = None
        self.fails = fails
        self.failures = 0
        self._lock = threading.Lock()

    def change(self, _account: str, change: BudgetChange) -> None:
        with self._lock:
            fails = self.fails()
            self.failures += fails
            if not fails or self.failures % 2:
                self.state = change(self.state, time.monotonic())
        time.sleep(0.001)
        if fails:
            raise Unavailable("db.unavailable", "not now", retryable=True)


class Store:
    """A store behind a lock, whose answers take a moment."""

    def __init__(self, maximum: int, rate: int, level: float) -> None:
        self.bucket = StoreBucket(maximum, rate, level=level, at=time.monotonic())
        self.lock = threading.Lock()
        self.calls = 0
        self.refused = 0

    def answer(self, cost: int, seconds: float) -> CostReport:
        time.sleep(seconds)
        with self.lock:
            now = time.monotonic()
            started = self.bucket.start(cost, now)
            self.calls += 1
            self.refused += not started
            return self.bucket.finish(cost, cost if started else None, now)


def throttles(number: int, shelf: Shelf) -> list[Throttle]:
    made = [Throttle() for _ in range(number)]
    for throttle in made:
        throttle.use_budget(shelf, "account")
    return made


def call(throttle: Throttle, store: Store, rng: random.Random) -> None:
    """One call as the client makes it, with all that may become of it."""
    cost, until, refused = rng.choice((2, 5, 12)), throttle.clock() + rng.uniform(0.2, 2.0), False
    while True:
        held = throttle.acquire(cost, until, first=refused)
        if rng.random() < 0.1:
            return throttle.cancel(held)
        report = store.answer(cost, rng.uniform(0.0, 0.02))
        if report.actual is not None:
            return throttle.settle(held, report if rng.random() < 0.9 else None)
        throttle.refuse(held, ThrottledError("upstream.throttled", "no", retryable=True, report=report))
        refused = True


@pytest.mark.parametrize("fails", [False, True])
def test_nobody_waits_longer_than_it_may_and_nothing_stays_held(*, fails: bool) -> None:
    chance = random.Random(1)  # noqa: S311 - repeatable on purpose
    shelf = Shelf(lambda: fails and chance.random() < 0.05)
    store = Store(2_000, 1_000, 0)
    ends_at = time.monotonic() + 3.0
    late: list[float] = []

    def work(number: int, throttle: Throttle) -> None:
        rng = random.Random(number)  # noqa: S311 - repeatable on purpose
        while (began := time.monotonic()) < ends_at:
            with suppress(CallError):
                call(throttle, store, rng)
            late.append(time.monotonic() - began - 2.0)

    made = throttles(3, shelf)
    with ThreadPoolExecutor(24) as threads:
        list(threads.map(work, range(24), made * 8))
    shelf.fails = lambda: False
    time.sleep(0.5)
    for throttle in made:
        throttle.settle(throttle.acquire(1, throttle.clock() + 3), CostReport(1, 1, 2_000, 500, 1_000))

    assert max(late) < 0.3
    assert store.refused <= 0.01 * store.calls
    assert len(late) > 300
    assert shelf.state is not None
    assert shelf.state["holders"] == {}


def test_while_the_keeper_is_away_nothing_is_sent_and_then_all_go_on_at_the_rate() -> None:
    is_away = threading.Event()
    shelf = Shelf(is_away.is_set)
    store = Store(2_000, 200, 300)
    ends_at = time.monotonic() + 4.0

    def work(throttle: Throttle) -> None:
        while time.monotonic() < ends_at:
            held = throttle.acquire(10, throttle.clock() + 10)
            throttle.settle(held, store.answer(10, 0.02))

    made = throttles(3, shelf)
    with ThreadPoolExecutor(24) as threads:
        working = [threads.submit(work, throttle) for throttle in made * 8]
        time.sleep(1.0)
        is_away.set()
        time.sleep(0.8)  # what has its turn goes
        before = store.calls
        time.sleep(1.0)
        after = store.calls
        is_away.clear()
        for each in working:
            each.result(15)

    assert before == after > 30
    assert store.calls * 10 >= 0.9 * (300 + 4.0 * 200), "what was restored meanwhile is used"
    assert store.refused <= 1


def test_of_all_processes_one_call_asks_an_unknown_store_and_the_others_follow_its_answer() -> None:
    store = Store(2_000, 100, 1_000)
    shelf = Shelf()
    answered: list[float] = []

    def work(throttle: Throttle) -> None:
        held = throttle.acquire(10, throttle.clock() + 5)
        with store.lock:
            first = not answered
        assert first or store.calls
        report = store.answer(10, 0.5)
        answered.append(time.monotonic())
        throttle.settle(held, report)

    with ThreadPoolExecutor(12) as threads:
        began = time.monotonic()
        list(threads.map(work, throttles(6, shelf) * 2))

    probe, *others = sorted(answered)
    assert 0.5 <= probe - began < 0.9
    assert min(others) - probe >= 0.5
    assert max(others) - probe < 1.2
    assert store.refused == 0


def test_whoever_waits_for_an_answer_that_does_not_come_says_so() -> None:
    first, second = throttles(2, Shelf())
    first.acquire(10, first.clock() + 5)

    with pytest.raises(CallError) as caught:
        second.acquire(10, second.clock() + 0.3)

    assert caught.value.code == UNREACHABLE
    assert not caught.value.maybe_executed


def test_what_ended_is_told_while_a_call_in_line_waits_for_its_turn() -> None:
    (throttle,) = throttles(1, Shelf())
    throttle.settle(throttle.acquire(1, throttle.clock() + 5), CostReport(1, 1, 1_000, 1_000, 20))
    held = throttle.acquire(1_000, throttle.clock() + 5)

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(throttle.acquire, 100, throttle.clock() + 60)
        time.sleep(0.05)
        throttle.cancel(held)

        assert waiting.result(1).cost == 100
