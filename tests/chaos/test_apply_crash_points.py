"""Every crash point of an apply run of twenty items, and every pair of them, on a good day and on bad ones."""

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from workers import Crash, Effects, Fate, SimulatedWorker, kind_fate
from world import SETTINGS, World

from calibr.changes.apply import core
from calibr.changes.apply.decide import after_reading
from calibr.changes.apply.settings import require_safe_lease
from calibr.changes.lifecycle import ItemState
from calibr.changes.model import Price

ITEMS = 20
EDITED = ("3", "11")
Violations = dict[str, list[str]]


def a_bad_day(seed: int) -> Fate:
    """A store that loses answers, is late, throttles and refuses, the same way each time."""
    chance = random.Random(seed)  # noqa: S311 - repeatable
    fates = {
        "write": ["ok", "ok", "lost_before", "lost_after", "late", "throttled"],
        "read": ["ok"] * 8 + ["refused_read"],
    }
    return lambda call: chance.choice(fates[call])


def run_with_crashes(crashes: tuple[int, ...], fate: Callable[[], Fate] = lambda: kind_fate, **changed: float) -> World:
    """One worker after another, each lost at its crash point; the last one goes to the end."""
    world = World.of(ITEMS, replace(SETTINGS, **changed))  # type: ignore[arg-type]
    for product in EDITED:
        world.land(product, Price(5, None), by_us=False)
    day = fate()
    for crash_at in (*crashes, None):
        for _ in range(400):
            worker = SimulatedWorker(world, Effects(crash_at), day)
            try:
                worker.run()
            except Crash:
                break
            if world.is_over:
                break
            world.pass_time(0.05)
    world.pass_time(10)  # what is still on its way lands
    return world


def effects_of_a_run(fate: Callable[[], Fate] = lambda: kind_fate) -> int:
    world = World.of(ITEMS)
    worker = SimulatedWorker(world, Effects(), fate())
    worker.run()
    return worker.effects.passed


def broken(worlds: Iterator[World]) -> Violations:
    """The first violations of any of these worlds."""
    return next((found for world in worlds if (found := world.violations() or not_right(world))), {})


def not_right(world: World) -> Violations:
    """What is not a violation by itself, and yet not how it must end."""
    wrong = {
        "not_ended": [] if world.is_over else ["change"],
        "edited": [p for p in EDITED if world.prices[p] != Price(5, None)],
        "not_applied": [
            str(key.int)
            for key, row in world.rows.items()
            if row.state is not (ItemState.DRIFTED if str(key.int) in EDITED else ItemState.APPLIED)
        ],
    }
    return {name: products for name, products in wrong.items() if products}


def test_without_a_crash_everything_is_written_once() -> None:
    assert broken(iter([run_with_crashes(())])) == {}


def test_the_lease_of_the_simulation_is_one_that_a_server_would_accept() -> None:
    require_safe_lease(SETTINGS, 1.0)


def test_a_crash_at_any_point_loses_repeats_and_hides_nothing() -> None:
    points = effects_of_a_run() + 1

    assert points > 40
    assert broken(run_with_crashes((point,)) for point in range(points)) == {}


@pytest.mark.slow
def test_two_crashes_at_any_two_points_lose_repeat_and_hide_nothing() -> None:
    points = range(effects_of_a_run() + 1)

    assert broken(run_with_crashes(pair) for pair in itertools.product(points, points)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_crashes_on_a_bad_day_lose_repeat_and_hide_nothing(seed: int) -> None:
    def day() -> Fate:
        return a_bad_day(seed)

    points = range(effects_of_a_run(day) + 1)

    assert broken(run_with_crashes((point, point // 2), day) for point in points) == {}


def test_the_simulation_finds_a_lease_that_is_too_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedWorker, "_require", lambda *_: None)  # else such a lease would write nothing at all
    points = range(effects_of_a_run() + 1)

    found = broken(run_with_crashes((point,), lease_s=0.3) for point in points)

    assert "duplicate_writes" in found


def test_the_simulation_finds_a_retry_without_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(item, remote, permission, attempts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        decision = after_reading(item, remote, permission, attempts)
        return replace(decision, target=ItemState.SENDING, changed=False) if item.may_be_written else decision

    monkeypatch.setattr(core, "after_reading", blind)
    points = range(effects_of_a_run() + 1)

    assert "duplicate_writes" in broken(run_with_crashes((point,)) for point in points)


def test_the_simulation_finds_a_before_that_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(item, remote, permission, attempts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        decision = after_reading(item, remote, permission, attempts)
        return replace(decision, target=ItemState.SENDING) if decision.target is ItemState.DRIFTED else decision

    monkeypatch.setattr(core, "after_reading", careless)

    assert "external_edits_overwritten" in broken(iter([run_with_crashes(())]))


def test_the_simulation_finds_a_settlement_without_its_event(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = World.write_down

    def hushed(world: World, fence: int, decisions: list[core.Decision]) -> object:
        return whole(world, fence, [replace(d, changed=False) for d in decisions])

    monkeypatch.setattr(World, "write_down", hushed)

    assert "unaudited" in broken(iter([run_with_crashes(())]))
