"""The leaky bucket, with a clock in the test's hand."""

from dataclasses import dataclass

import pytest

from calibr_sandbox.clock import SandboxClock
from calibr_sandbox.config import PLANS
from calibr_sandbox.throttle import Bucket


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("plan", "size"), [("standard", 2_000), ("advanced", 4_000), ("plus", 20_000), ("enterprise", 40_000)]
)
def test_a_bucket_starts_full(clock: Clock, plan: str, size: int) -> None:
    bucket = Bucket(PLANS[plan], clock)

    status = bucket.status()

    assert (status.maximum_available, status.currently_available) == (size, size)


def test_points_that_are_not_there_are_not_taken(clock: Clock) -> None:
    bucket = Bucket(PLANS["standard"], clock)
    assert bucket.take(1_500)

    assert not bucket.take(501)
    assert bucket.status().currently_available == 500
    assert bucket.take(500)


def test_points_come_back_with_time_up_to_the_size(clock: Clock) -> None:
    bucket = Bucket(PLANS["standard"], clock)
    bucket.take(1_000)

    clock.now += 3.5
    assert bucket.status().currently_available == 1_350
    clock.now += 1_000
    assert bucket.status().currently_available == 2_000


def test_a_refund_never_overfills(clock: Clock) -> None:
    bucket = Bucket(PLANS["standard"], clock)
    bucket.take(100)

    bucket.refund(90)
    assert bucket.status().currently_available == 1_990
    bucket.refund(90)
    assert bucket.status().currently_available == 2_000


def test_a_drained_bucket_refills_at_the_rate_of_the_plan(clock: Clock) -> None:
    bucket = Bucket(PLANS["plus"], clock)

    bucket.drain()
    assert not bucket.take(1)
    clock.now += 0.01
    assert bucket.take(10)
    assert not bucket.take(1)


def test_a_faster_time_shows_the_rate_that_the_caller_sees(clock: Clock) -> None:
    time_here = SandboxClock(clock, factor=10)
    bucket = Bucket(PLANS["standard"], time_here, pace=10)
    bucket.drain()
    clock.now += 1

    status = bucket.status()

    assert (status.currently_available, status.restore_rate) == (1_000, 1_000)


def test_time_moved_ahead_fills_the_bucket(clock: Clock) -> None:
    time_here = SandboxClock(clock)
    bucket = Bucket(PLANS["standard"], time_here)
    bucket.drain()

    time_here.advance(5)

    assert bucket.status().currently_available == 500
