"""Counts of accounts at stores are rows that processes change in turn; who does not get a turn goes on alone."""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text

from calibr.catalog import forget_old_budgets
from calibr.catalog.budgets import Budgets
from calibr.catalog.repository_budgets import lock_budget
from calibr.connectors.port.budget import BudgetState
from calibr.connectors.shopify.errors import CallError, CostReport
from calibr.connectors.shopify.throttle import Throttle
from calibr.core.errors import Unavailable
from calibr.db import Context, Database, Role

ACCOUNT = "app at store"
ANSWER = CostReport(10, 10, 2_000, 1_000, 100)
ROWS = text("select account, state from calibr.store_budget order by account")
AGE = text("update calibr.store_budget set changed_at = now() - interval '25 hours' where account = :account")


def budgets_of(database: Database, tenant: Context, role: Role = Role.WORKER) -> Budgets:
    with database.session(tenant, role=role) as session:
        return Budgets(session.again)


def rows(database: Database, tenant: Context) -> list[tuple[str, object]]:
    with database.session(tenant) as session:
        return [tuple(row) for row in session.execute(ROWS)]


def shared(database: Database, tenant: Context) -> Throttle:
    throttle = Throttle()
    throttle.use_budget(budgets_of(database, tenant), ACCOUNT)
    return throttle


def state(database: Database, tenant: Context) -> dict[str, Any]:
    (kept,) = [state for _, state in rows(database, tenant)]
    assert isinstance(kept, dict)
    return kept


def one_more(state: BudgetState | None, _now: float) -> BudgetState:
    return {"n": (state or {"n": 0})["n"] + 1}


@contextmanager
def held(database: Database, tenant: Context) -> Iterator[None]:
    """Somebody who was stopped in the middle of a change."""
    with database.session(tenant, role=Role.WORKER) as session:
        lock_budget(session, ACCOUNT)
        yield


@pytest.mark.parametrize("role", Role)
def test_each_account_has_a_count_which_the_next_change_finds(database: Database, tenant: Context, role: Role) -> None:
    budgets = budgets_of(database, tenant, role)
    times: list[float] = []

    for account in ("a", "b", "a"):
        budgets.change(account, lambda state, now: times.append(now) or one_more(state, now))

    assert rows(database, tenant) == [("a", {"n": 2}), ("b", {"n": 1})]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(time.time(), abs=60)


def test_another_tenant_has_its_own_count(database: Database, tenant: Context, other_tenant: Context) -> None:
    budgets_of(database, tenant).change(ACCOUNT, one_more)

    budgets_of(database, other_tenant).change(ACCOUNT, one_more)

    assert rows(database, tenant) == rows(database, other_tenant) == [(ACCOUNT, {"n": 1})]


def test_no_change_is_lost_among_many_also_not_the_first(database: Database, tenant: Context) -> None:
    start = threading.Barrier(5)

    def change(_thread: int) -> None:
        budgets = budgets_of(database, tenant)
        start.wait(10)
        for _ in range(20):
            budgets.change(ACCOUNT, one_more)

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(change, range(5)))

    assert rows(database, tenant) == [(ACCOUNT, {"n": 100})]


def test_a_change_that_fails_changes_nothing(database: Database, tenant: Context) -> None:
    budgets = budgets_of(database, tenant)
    budgets.change(ACCOUNT, one_more)

    with pytest.raises(ZeroDivisionError):
        budgets.change(ACCOUNT, lambda _state, _now: {"n": 1 // 0})

    assert rows(database, tenant) == [(ACCOUNT, {"n": 1})]


def test_who_gets_no_turn_is_told_so_within_moments(database: Database, tenant: Context) -> None:
    budgets = budgets_of(database, tenant)
    budgets.change(ACCOUNT, one_more)
    asked: list[float] = []

    with held(database, tenant):
        began = time.monotonic()
        with pytest.raises(Unavailable) as refused:
            budgets.change(ACCOUNT, lambda state, now: asked.append(now) or one_more(state, now))
        waited = time.monotonic() - began

    assert refused.value.retryable
    assert asked == []
    assert 0.9 < waited < 4
    assert rows(database, tenant) == [(ACCOUNT, {"n": 1})]


def test_who_stands_still_in_the_middle_is_let_go_by_the_server(database: Database, tenant: Context) -> None:
    budgets = budgets_of(database, tenant)
    budgets.change(ACCOUNT, one_more)

    with pytest.raises(Unavailable):
        budgets.change(ACCOUNT, lambda state, now: time.sleep(6) or one_more(state, now))

    budgets.change(ACCOUNT, one_more)
    assert rows(database, tenant) == [(ACCOUNT, {"n": 2})]


def test_while_the_count_cannot_be_had_nothing_is_granted_and_then_it_goes_on(
    database: Database, tenant: Context, caplog: pytest.LogCaptureFixture
) -> None:
    throttle = shared(database, tenant)
    under_way = throttle.acquire(10, throttle.clock() + 9)
    granted: list[float] = []

    def call() -> None:
        throttle.settle(throttle.acquire(10, throttle.clock() + 30), ANSWER)
        granted.append(time.monotonic())

    with ThreadPoolExecutor(4) as threads, caplog.at_level(logging.WARNING):
        with held(database, tenant):
            began = time.monotonic()
            throttle.settle(under_way, ANSWER)
            settled_s = time.monotonic() - began
            calls = [threads.submit(call) for _ in range(4)]
            with pytest.raises(CallError, match="nothing was sent"):
                throttle.acquire(10, throttle.clock() + 1)
            time.sleep(1.0)
            before = list(granted)
        let_go = time.monotonic()
        for each in calls:
            each.result(10)

    assert before == []
    assert max(granted) - let_go < 3
    assert settled_s < 4, "an answer is never lost, nor held up for long"
    assert 1 <= len(caplog.records) <= 4, "one wait of one caller after the other, not one for each call"
    assert state(database, tenant)["granted"] == 5
    assert state(database, tenant)["holders"] == {}


def test_a_caller_that_is_stopped_in_the_middle_holds_up_others_for_seconds_only(
    database: Database, tenant: Context
) -> None:
    budgets = budgets_of(database, tenant)
    budgets.change(ACCOUNT, one_more)
    is_in, go_on = threading.Event(), threading.Event()

    def stop(_state: BudgetState | None, _now: float) -> BudgetState:
        is_in.set()
        go_on.wait(30)
        return {}

    with ThreadPoolExecutor(1) as threads:
        stopped = threads.submit(budgets.change, ACCOUNT, stop)
        assert is_in.wait(10)
        throttle = shared(database, tenant)
        began = time.monotonic()
        throttle.settle(throttle.acquire(10, throttle.clock() + 30), ANSWER)
        waited = time.monotonic() - began
        go_on.set()
        with pytest.raises(Unavailable):
            stopped.result(10)

    assert waited < 9
    assert state(database, tenant)["granted"] == 1


def test_counts_that_nobody_used_for_a_day_are_forgotten(database: Database, tenant: Context) -> None:
    budgets = budgets_of(database, tenant)
    budgets.change("old", one_more)
    budgets.change("new", one_more)
    with database.session(tenant) as session:
        session.execute(AGE, {"account": "old"})

    with database.session(tenant, role=Role.WORKER) as session:
        assert forget_old_budgets(session) == 1

    assert rows(database, tenant) == [("new", {"n": 1})]
