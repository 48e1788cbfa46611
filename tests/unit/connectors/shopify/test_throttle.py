"""The throttle with real threads: order, deadline, and that waiting calls wake up."""

import threading
import time

import pytest

from calibr.connectors.shopify.errors import CostReport, ThrottledError
from calibr.connectors.shopify.throttle import Throttle

FOREVER = 1e6


def known(available: int, rate: int = 100) -> Throttle:
    throttle = Throttle()
    throttle.settle(throttle.acquire(0, time.monotonic() + 1), CostReport(0, 0, 20_000, available, rate))
    return throttle


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def test_gives_points_that_are_there_at_once() -> None:
    assert known(100).acquire(60, soon()).cost == 60


def test_waits_for_missing_points() -> None:
    throttle = known(0, rate=1_000)
    started = time.monotonic()

    throttle.acquire(100, soon())

    assert 0.09 <= time.monotonic() - started < 0.5


def test_refuses_at_once_what_cannot_be_there_in_time() -> None:
    started = time.monotonic()

    with pytest.raises(ThrottledError) as caught:
        known(0).acquire(1_000, soon(2))

    assert caught.value.retry_after_s == 10
    assert not caught.value.maybe_executed
    assert time.monotonic() - started < 1


def test_refuses_after_the_deadline_even_if_points_are_there() -> None:
    with pytest.raises(ThrottledError):
        known(1_000).acquire(1, time.monotonic())


def test_a_call_behind_others_is_refused_at_its_own_deadline() -> None:
    throttle = known(0)
    ahead = threading.Thread(target=lambda: throttle.acquire(60, soon()))
    ahead.start()
    time.sleep(0.02)

    started = time.monotonic()
    with pytest.raises(ThrottledError):
        throttle.acquire(1, soon(0.05))
    waited = time.monotonic() - started

    ahead.join()
    assert waited < 0.4


def test_serves_first_come_first_even_if_a_later_call_is_cheaper() -> None:
    throttle = known(0, rate=1_000)
    order: list[str] = []

    def call(name: str, cost: int) -> None:
        throttle.acquire(cost, soon())
        order.append(name)

    dear = threading.Thread(target=call, args=("dear", 200))
    dear.start()
    time.sleep(0.05)
    cheap = threading.Thread(target=call, args=("cheap", 1))
    cheap.start()
    dear.join()
    cheap.join()

    assert order == ["dear", "cheap"]


def test_a_refused_call_goes_before_those_that_have_no_turn_yet() -> None:
    throttle = known(0)
    order: list[str] = []

    def call(name: str, cost: int, *, first: bool) -> None:
        throttle.acquire(cost, soon(), first=first)
        order.append(name)

    calls = [("booked", 30, False), ("late", 10, False), ("refused", 10, True)]
    threads = [threading.Thread(target=call, args=each[:2], kwargs={"first": each[2]}) for each in calls]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()

    assert order == ["booked", "refused", "late"]


def test_a_refund_wakes_who_waits() -> None:
    throttle = known(100, rate=1)
    held = throttle.acquire(100, soon())
    waiting = threading.Thread(target=lambda: throttle.acquire(50, soon(60)))
    waiting.start()

    throttle.settle(held, CostReport(100, 0, 20_000, 100, 1))

    waiting.join(2)
    assert not waiting.is_alive()


def test_retry_after_stops_everybody() -> None:
    throttle = known(1_000)
    asked = ThrottledError("upstream.throttled", "slow down", retryable=True, retry_after_s=30)
    throttle.refuse(throttle.acquire(1, soon()), asked)

    with pytest.raises(ThrottledError) as caught:
        throttle.acquire(1, soon(1))

    assert caught.value.retry_after_s == 30


def test_before_the_first_answer_calls_go_one_by_one_and_a_failure_lets_the_next_try() -> None:
    throttle = Throttle()
    probe = throttle.acquire(10, soon())
    granted = threading.Event()

    def second() -> None:
        throttle.acquire(10, soon())
        granted.set()

    waiting = threading.Thread(target=second)
    waiting.start()
    assert not granted.wait(0.05)

    throttle.cancel(probe)

    assert granted.wait(2)
    waiting.join()


def test_counts_what_was_granted_and_refused() -> None:
    throttle = known(1_000)
    throttle.refuse(throttle.acquire(1, soon()), ThrottledError("upstream.throttled", "no", retryable=True))

    view = throttle.view()

    assert (view.granted, view.refused, view.known) == (2, 1, True)
