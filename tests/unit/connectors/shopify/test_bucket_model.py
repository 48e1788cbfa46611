"""The bucket that processes share, against a simulated store: the rate is used, and hardly any call is refused."""

import random

import pytest
from callers import Simulation, StoreBucket
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calibr.connectors.shopify.bucket import PROBE_S


@pytest.mark.parametrize("processes", [1, 2, 5])
@pytest.mark.parametrize(("maximum", "rate"), [(2_000, 100), (20_000, 1_000)])
@pytest.mark.parametrize("refund", [0.0, 0.5])
def test_uses_the_whole_rate_and_is_hardly_ever_throttled(
    processes: int, maximum: int, rate: int, refund: float
) -> None:
    rng = random.Random(11)  # noqa: S311 - repeatable on purpose
    simulation = Simulation(
        StoreBucket(maximum, rate),
        workers=64 // processes,
        latency=lambda: rng.uniform(0.01, 0.2),
        requested=lambda: rng.choice((10, 11, 20, 60)),
        actual=lambda cost: round(cost * (1 - refund)),
        processes=processes,
    )

    simulation.run(120.0)

    assert simulation.spent >= 0.97 * rate * 120.0
    assert simulation.throttled < 0.01 * simulation.calls


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32), processes=st.integers(2, 6), workers=st.integers(4, 32),
    longest=st.floats(0.02, 0.3), level=st.integers(0, 2_000), refund=st.sampled_from((0.0, 0.2, 0.7)),
)  # fmt: skip
@example(seed=0, processes=6, workers=4, longest=0.25, level=0, refund=0.0)
def test_processes_in_any_order_share_a_bucket_without_loss(
    seed: int, processes: int, workers: int, longest: float, level: int, refund: float
) -> None:
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    simulation = Simulation(
        StoreBucket(2_000, 100, level=level),
        workers,
        latency=lambda: rng.uniform(0.005, longest),
        requested=lambda: rng.choice((10, 11, 20, 60)),
        actual=lambda cost: round(cost * (1 - refund)),
        processes=processes,
    )

    simulation.run(20.0)
    begun = simulation.spent
    simulation.run(140.0)

    # What calls under way hold and do not use stays in the store's bucket, so it is the rate from then on that counts.
    assert simulation.spent - begun >= 0.97 * 100 * 120.0
    assert simulation.throttled <= (level < 60)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32), processes=st.integers(2, 8), workers=st.integers(1, 32),
    level=st.integers(0, 59), dies_at=st.floats(0.0, 30.0),
)  # fmt: skip
def test_at_an_empty_store_one_call_at_most_is_refused_and_a_death_leaves_the_rate_to_the_others(
    seed: int, processes: int, workers: int, level: int, dies_at: float
) -> None:
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    simulation = Simulation(
        StoreBucket(2_000, 100, level=level), workers, lambda: rng.uniform(0.005, 0.2),
        lambda: rng.choice((10, 20, 60)), lambda cost: cost, processes,
    )  # fmt: skip

    simulation.run(dies_at)
    simulation.kill(simulation.all[0])
    simulation.run(120.0)

    assert simulation.throttled <= 1
    if workers * (processes - 1) > 2:  # fewer callers cannot keep the store busy
        assert simulation.spent >= 0.97 * 100 * (120.0 - PROBE_S)


def test_dear_calls_of_one_process_are_not_overtaken_by_cheap_ones_of_another_for_ever() -> None:
    rng = random.Random(5)  # noqa: S311 - repeatable on purpose
    simulation = Simulation(
        StoreBucket(2_000, 100), 16, lambda: rng.uniform(0.01, 0.1), lambda: 10, lambda cost: cost, processes=2
    )
    dear, cheap = simulation.all
    dear.line = [60] * 16

    simulation.run(30.0)

    assert 60 not in dear.line
    assert cheap.served > 500


def test_the_points_of_a_process_that_dies_come_back() -> None:
    rng = random.Random(7)  # noqa: S311 - repeatable on purpose
    simulation = Simulation(
        StoreBucket(2_000, 100), 32, lambda: rng.uniform(0.05, 0.2), lambda: 60, lambda cost: cost, processes=2
    )
    simulation.run(20.0)
    dead, alive = simulation.all
    simulation.kill(dead)
    held = simulation.bucket().holders[dead.name].points
    simulation.run(30.0)
    before, throttled = simulation.spent, simulation.throttled

    simulation.run(90.0)

    assert held > 0
    assert dead.name not in simulation.bucket().holders
    assert simulation.spent - before >= 0.97 * 100 * 60
    assert alive.served > dead.served
    assert simulation.throttled == throttled


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


@pytest.mark.parametrize("processes", [1, 3])
def test_another_client_of_the_same_store_is_noticed(processes: int) -> None:
    rng = random.Random(3)  # noqa: S311 - repeatable on purpose
    store = StoreBucket(2_000, 100, level=2_000)

    def cost_while_somebody_else_calls() -> int:
        if store.level > 100 and rng.random() < 0.2:
            store.level -= 100
        return 60

    simulation = Simulation(
        store, 8, lambda: rng.uniform(0.05, 0.2), cost_while_somebody_else_calls, lambda cost: cost, processes
    )
    simulation.run(120.0)

    assert simulation.throttled < 0.1 * simulation.calls
