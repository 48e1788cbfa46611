"""What must hold of the state machine, whatever its table says."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from calibr.changes import lifecycle
from calibr.changes.lifecycle import ActorKind, ChangeState, Facts, ItemState
from calibr.core.errors import Conflict, Forbidden
from calibr.core.ids import PriceChangeId, UserId, new_uuid

AUTHOR, EDITOR, OTHER = UserId(new_uuid()), UserId(new_uuid()), UserId(new_uuid())
CHANGE = PriceChangeId(new_uuid())
FACTS = Facts(change_id=CHANGE, authors=frozenset({AUTHOR, EDITOR}))


def reachable(start: str, moves: Iterable[tuple[str, str]], without: frozenset[str] = frozenset()) -> set[str]:
    pairs = [(a, b) for a, b in moves if a not in without and b not in without]
    found = {start}
    while more := {b for a, b in pairs if a in found} - found:
        found |= more
    return found


def test_every_state_of_a_change_can_be_reached_and_left_except_the_terminal_ones() -> None:
    moves = lifecycle.change_moves()

    assert reachable(ChangeState.DRAFT, moves) == set(ChangeState)
    assert set(ChangeState) - {a for a, _ in moves} == lifecycle.TERMINAL_STATES


def test_every_state_of_a_change_leads_to_an_end() -> None:
    for state in ChangeState:
        assert reachable(state, lifecycle.change_moves()) & lifecycle.TERMINAL_STATES


@pytest.mark.parametrize("gate", [ChangeState.PREVIEWED, ChangeState.SUBMITTED, ChangeState.APPROVED])
def test_no_way_leads_to_applying_around_preview_submission_and_approval(gate: ChangeState) -> None:
    without = reachable(ChangeState.DRAFT, lifecycle.change_moves(), without=frozenset({gate}))

    assert not without & {ChangeState.APPLYING, ChangeState.APPLIED, ChangeState.PARTIALLY_APPLIED}


def test_a_change_that_started_to_apply_can_never_be_edited_or_cancelled() -> None:
    after = reachable(ChangeState.APPLYING, lifecycle.change_moves())

    assert ChangeState.DRAFT not in after
    assert ChangeState.CANCELLED not in after


def test_no_item_is_applied_without_having_been_marked_as_sent() -> None:
    without = reachable(ItemState.PENDING, lifecycle.item_moves(), without=frozenset({ItemState.SENDING}))

    assert ItemState.APPLIED not in without


def test_an_item_that_may_have_been_written_is_sent_again_only_after_the_store_was_read() -> None:
    moves = lifecycle.item_moves()

    assert (ItemState.SENDING, ItemState.CLAIMED) not in moves
    assert (ItemState.SENDING, ItemState.PENDING) not in moves
    assert (ItemState.UNKNOWN, ItemState.SENDING) not in moves


def test_skipped_items_never_move() -> None:
    assert not {(a, b) for a, b in lifecycle.item_moves() if ItemState.SKIPPED in (a, b)}


def test_item_states_that_are_not_open_are_ends() -> None:
    assert {a for a, _ in lifecycle.item_moves()} == lifecycle.OPEN_ITEM_STATES


def test_every_step_of_a_person_needs_a_scope_unless_it_is_part_of_another_step() -> None:
    unscoped = {s.name for s in lifecycle.STEPS if ActorKind.USER in s.actors and s.scope is None}

    assert unscoped == {lifecycle.COMPLETE_PREVIEW.name}


def test_only_people_decide_and_only_workers_finish() -> None:
    assert lifecycle.APPROVE.actors == lifecycle.REJECT.actors == lifecycle.START_APPLY.actors == {ActorKind.USER}
    assert all(s.actors == {ActorKind.WORKER} for s in lifecycle.STEPS if s.name == "finish")


def test_a_step_from_a_wrong_state_names_the_state_and_the_needed_ones() -> None:
    refused = lifecycle.refusal(lifecycle.START_APPLY, ChangeState.SUBMITTED, ActorKind.USER, FACTS)

    assert isinstance(refused, Conflict)
    assert refused.code == "price_change.wrong_state"
    assert "is submitted" in refused.message
    assert "approved" in refused.message


def test_a_worker_cannot_approve() -> None:
    refused = lifecycle.refusal(lifecycle.APPROVE, ChangeState.SUBMITTED, ActorKind.WORKER, FACTS)

    assert isinstance(refused, Forbidden)


@pytest.mark.parametrize(
    ("guard", "good", "bad", "code"),
    [
        (lifecycle.four_eyes, {"actor": OTHER}, {"actor": AUTHOR}, "price_change.author_cannot_approve"),
        (lifecycle.four_eyes, {"actor": OTHER}, {"actor": EDITOR}, "price_change.author_cannot_approve"),
        (lifecycle.four_eyes, {"actor": OTHER}, {"actor": None}, "price_change.author_cannot_approve"),
        (
            lifecycle.seen_root_is_current,
            {"plan_root": "a", "seen_root": "a"},
            {"plan_root": "a", "seen_root": "b"},
            "price_change.stale_plan_root",
        ),
        (
            lifecycle.seen_root_is_current,
            {"plan_root": "a", "seen_root": "a"},
            {"plan_root": None, "seen_root": None},
            "price_change.stale_plan_root",
        ),
        (
            lifecycle.plan_is_approved,
            {"plan_root": "a", "approved_root": "a"},
            {"plan_root": "a", "approved_root": None},
            "price_change.not_approved",
        ),
        (
            lifecycle.plan_is_fresh,
            {"plan_age": timedelta(hours=1), "max_plan_age": timedelta(hours=1)},
            {"plan_age": timedelta(hours=2), "max_plan_age": timedelta(hours=1)},
            "price_change.plan_too_old",
        ),
        (
            lifecycle.stores_are_free,
            {"store_held_by": CHANGE},
            {"store_held_by": PriceChangeId(new_uuid())},
            "price_change.store_busy",
        ),
        (lifecycle.nothing_is_open, {"open_items": 0}, {"open_items": None}, "price_change.items_open"),
    ],
)
def test_a_guard_refuses_with_its_code_and_lets_the_rest_pass(
    guard: lifecycle.Guard, good: dict[str, Any], bad: dict[str, Any], code: str
) -> None:
    assert guard(replace(FACTS, **good)) is None

    refused = guard(replace(FACTS, **bad))

    assert refused is not None
    assert refused.code == code


def test_a_stale_root_is_answered_with_both_roots() -> None:
    refused = lifecycle.seen_root_is_current(replace(FACTS, plan_root="current1", seen_root="older2"))

    assert refused is not None
    assert "current1" in refused.message
    assert "older2" in refused.message


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, ChangeState.APPLIED),
        ({ItemState.APPLIED: 3, ItemState.NOOP: 1, ItemState.SKIPPED: 9}, ChangeState.APPLIED),
        ({ItemState.NOOP: 2, ItemState.DRIFTED: 1}, ChangeState.PARTIALLY_APPLIED),
        ({ItemState.APPLIED: 2, ItemState.CANCELLED: 1}, ChangeState.PARTIALLY_APPLIED),
        ({ItemState.DRIFTED: 1, ItemState.REJECTED: 1, ItemState.SKIPPED: 5}, ChangeState.FAILED),
    ],
)
def test_the_outcome_follows_from_the_items(counts: dict[ItemState, int], expected: ChangeState) -> None:
    assert lifecycle.outcome(ChangeState.APPLYING, counts).target is expected


def test_an_aborted_change_is_aborted_whatever_it_reached() -> None:
    counts = {ItemState.APPLIED: 2, ItemState.CANCELLED: 5}

    assert lifecycle.outcome(ChangeState.ABORTING, counts).target is ChangeState.ABORTED
