"""How an apply run slows down and stops."""

import pytest

from calibr.changes.apply.breaker import Breaker, Call
from calibr.changes.apply.pace import Pace
from calibr.changes.apply.settings import ApplySettings
from calibr.core.errors import Upstream

AWAY = Upstream("upstream.unreachable", "away", retryable=True)


def test_a_throttling_store_gets_half_the_rows_and_slowly_more_again() -> None:
    pace = Pace(ApplySettings(batch_size=100, parallel_batches=4))
    assert (pace.batches, pace.batch_size) == (4, 100)

    pace.throttled()
    assert (pace.batches, pace.batch_size) == (2, 100)
    for _ in range(9):
        pace.throttled()
    assert (pace.batches, pace.batch_size, pace.is_at_floor) == (1, 25, True)

    pace.kept_up()
    assert 25 < pace.batch_size < 60
    for _ in range(99):
        pace.kept_up()
    assert (pace.batches, pace.batch_size) == (4, 100)


def test_failures_in_a_row_stop_a_run_and_one_success_starts_over() -> None:
    breaker = Breaker(ApplySettings(give_up_after=3))
    for _ in range(2):
        breaker.failed(Call.READ, AWAY)
    breaker.succeeded(Call.READ)
    for _ in range(2):
        breaker.failed(Call.READ, AWAY)
    assert breaker.reason is None

    breaker.failed(Call.READ, AWAY)

    assert breaker.reason is AWAY


def test_reading_well_does_not_make_up_for_writes_that_fail() -> None:
    breaker = Breaker(ApplySettings(give_up_after=3))

    for _ in range(3):
        breaker.failed(Call.WRITE, AWAY)
        breaker.succeeded(Call.READ)

    assert breaker.reason is AWAY


def test_what_will_fail_again_stops_a_run_at_once() -> None:
    breaker = Breaker(ApplySettings())

    breaker.failed(Call.WRITE, Upstream("upstream.unauthorized", "no"))

    assert breaker.reason is not None


def test_one_failure_slows_nobody_down() -> None:
    breaker = Breaker(ApplySettings())

    breaker.failed(Call.READ, AWAY)

    assert breaker.pause_s() == 0


@pytest.mark.parametrize("failures", [2, 3, 4])
def test_each_failure_makes_the_run_wait_longer(failures: int) -> None:
    breaker = Breaker(ApplySettings(give_up_after=9, backoff_base_s=1, backoff_cap_s=100))
    assert breaker.pause_s() == 0

    for _ in range(failures):
        breaker.failed(Call.READ, AWAY)

    assert 2 ** (failures - 2) / 2 <= breaker.pause_s() <= 2 ** (failures - 2)
