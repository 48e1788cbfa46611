"""The life of a price change and of its items: which step may follow which, who may take it, and what must hold.

Pure: no database, no clock, no settings. `calibr.changes.transition` takes the steps; triggers of the database mirror
the allowed pairs, and a test compares the two exhaustively.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from calibr.core.errors import CalibrError, Conflict, Forbidden
from calibr.core.ids import PriceChangeId, UserId


class ChangeState(StrEnum):
    """Where a price change stands."""

    DRAFT = "draft"
    PREVIEWING = "previewing"
    PREVIEWED = "previewed"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    APPLYING = "applying"
    PAUSED = "paused"
    ABORTING = "aborting"
    ABORTED = "aborted"
    APPLIED = "applied"
    PARTIALLY_APPLIED = "partially_applied"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class ItemState(StrEnum):
    """Where one item of a plan stands on its way to the store."""

    PENDING = "pending"
    CLAIMED = "claimed"
    SENDING = "sending"
    """Marked before the request leaves: from here on it may have been written."""
    APPLIED = "applied"
    REJECTED = "rejected"
    DRIFTED = "drifted"
    NOOP = "noop"
    """The store had the new price before we ever sent it."""
    UNKNOWN = "unknown"
    """Sent without an answer; only reading the store decides what happens next."""
    RETRY_WAIT = "retry_wait"
    """Certainly not written; due again at `next_at`."""
    SKIPPED = "skipped"
    """Unchanged or blocked by the rules: part of the plan, never written."""
    CANCELLED = "cancelled"
    """Never written, because the change was aborted or could not go on."""


class ActorKind(StrEnum):
    """Who takes a step: a person with a token, or a worker of ours."""

    USER = "user"
    WORKER = "system"


OPEN_ITEM_STATES = frozenset(
    {ItemState.PENDING, ItemState.CLAIMED, ItemState.SENDING, ItemState.UNKNOWN, ItemState.RETRY_WAIT}
)
"""While one item is in one of these, its change is not over."""

IN_FLIGHT_ITEM_STATES = OPEN_ITEM_STATES - {ItemState.PENDING}
"""At most one item of a price list and product may be in these, over all changes."""

TERMINAL_STATES = frozenset(
    {
        ChangeState.ABORTED,
        ChangeState.APPLIED,
        ChangeState.PARTIALLY_APPLIED,
        ChangeState.FAILED,
        ChangeState.REJECTED,
        ChangeState.EXPIRED,
        ChangeState.CANCELLED,
    }
)

RUNNING_STATES = frozenset({ChangeState.APPLYING, ChangeState.PAUSED, ChangeState.ABORTING})
"""States in which a change holds its stores for itself."""

ITEM_MOVES: Mapping[ItemState, frozenset[ItemState]] = MappingProxyType(
    {
        ItemState.PENDING: frozenset({ItemState.CLAIMED, ItemState.CANCELLED}),
        ItemState.CLAIMED: frozenset(
            {
                ItemState.SENDING,
                ItemState.NOOP,
                ItemState.DRIFTED,
                ItemState.REJECTED,
                ItemState.RETRY_WAIT,
                ItemState.CANCELLED,
            }
        ),
        ItemState.SENDING: frozenset(
            {ItemState.APPLIED, ItemState.REJECTED, ItemState.DRIFTED, ItemState.UNKNOWN, ItemState.RETRY_WAIT}
        ),
        ItemState.UNKNOWN: frozenset(
            {ItemState.APPLIED, ItemState.CLAIMED, ItemState.DRIFTED, ItemState.REJECTED, ItemState.CANCELLED}
        ),
        ItemState.RETRY_WAIT: frozenset({ItemState.CLAIMED, ItemState.CANCELLED}),
        ItemState.APPLIED: frozenset(),
        ItemState.REJECTED: frozenset(),
        ItemState.DRIFTED: frozenset(),
        ItemState.NOOP: frozenset(),
        ItemState.SKIPPED: frozenset(),
        ItemState.CANCELLED: frozenset(),
    }
)
"""Allowed moves of an item, all taken by the worker. `unknown` to `claimed` means: the store was read and still
shows the old price, so it is safe to send again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the guards look at. A command fills in what its step asks for; a fact that is missing refuses the step."""

    change_id: PriceChangeId
    authors: frozenset[UserId]
    actor: UserId | None = None
    plan_root: str | None = None
    approved_root: str | None = None
    seen_root: str | None = None
    plan_age: timedelta | None = None
    max_plan_age: timedelta | None = None
    store_held_by: PriceChangeId | None = None
    open_items: int | None = None


Guard = Callable[[Facts], CalibrError | None]
"""Returns the refusal, or None when the step may be taken."""


def four_eyes(facts: Facts) -> CalibrError | None:
    """The person who approves neither wrote the change nor edited any revision of it."""
    if facts.actor is not None and facts.actor not in facts.authors:
        return None
    return Forbidden(
        "price_change.author_cannot_approve",
        f"user {facts.actor} wrote or edited price change {facts.change_id}, so another person must approve it",
    )


def seen_root_is_current(facts: Facts) -> CalibrError | None:
    """The approver saw exactly the plan that would be applied."""
    if facts.plan_root is not None and facts.seen_root == facts.plan_root:
        return None
    return Conflict(
        "price_change.stale_plan_root",
        f"the plan root sent is {facts.seen_root}, the plan of price change {facts.change_id} has "
        f"{facts.plan_root}: look at the current plan and send its root",
    )


def plan_is_approved(facts: Facts) -> CalibrError | None:
    """The approval is of this very plan."""
    if facts.plan_root is not None and facts.approved_root == facts.plan_root:
        return None
    return Conflict(
        "price_change.not_approved",
        f"price change {facts.change_id} has the plan {facts.plan_root}, approved was {facts.approved_root}",
    )


def plan_is_fresh(facts: Facts) -> CalibrError | None:
    """The plan was computed recently enough; without a limit every plan is."""
    if facts.max_plan_age is None or (facts.plan_age is not None and facts.plan_age <= facts.max_plan_age):
        return None
    return Conflict(
        "price_change.plan_too_old",
        f"the plan of price change {facts.change_id} is {facts.plan_age} old, at most {facts.max_plan_age} is allowed: "
        "preview it again",
    )


def stores_are_free(facts: Facts) -> CalibrError | None:
    """One change at a time writes to a store, from its start to its end, pauses included."""
    if facts.store_held_by in {None, facts.change_id}:
        return None
    return Conflict(
        "price_change.store_busy",
        f"price change {facts.store_held_by} is being applied to the same store and has not ended; "
        f"finish or abort it before {facts.change_id} starts",
    )


def nothing_is_open(facts: Facts) -> CalibrError | None:
    """Every item has reached its end."""
    if facts.open_items == 0:
        return None
    return Conflict(
        "price_change.items_open",
        f"price change {facts.change_id} has {facts.open_items} items that are not over",
    )


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of step: from where, to where, by whom, under which guards, and the event that tells it."""

    name: str
    sources: frozenset[ChangeState]
    target: ChangeState
    event: str
    actors: frozenset[ActorKind]
    scope: str | None = None
    """The scope that a person's token needs; None for steps that only a worker takes."""
    guards: tuple[Guard, ...] = field(default=())


_USER = frozenset({ActorKind.USER})
_WORKER = frozenset({ActorKind.WORKER})
_ANYONE = _USER | _WORKER
_S = ChangeState
_BEFORE_APPLY = frozenset({_S.DRAFT, _S.PREVIEWING, _S.PREVIEWED, _S.SUBMITTED, _S.APPROVED})
_WRITE, _APPROVE, _APPLY = "changes:write", "changes:approve", "changes:apply"


def _from(*states: ChangeState) -> frozenset[ChangeState]:
    return frozenset(states)


EDIT = Step("edit", _BEFORE_APPLY, _S.DRAFT, "price_change.edited", _USER, _WRITE)
REQUEST_PREVIEW = Step(
    "request_preview", _from(_S.DRAFT, _S.PREVIEWED), _S.PREVIEWING, "price_change.preview_requested", _USER, _WRITE
)
COMPLETE_PREVIEW = Step("complete_preview", _from(_S.PREVIEWING), _S.PREVIEWED, "price_change.previewed", _ANYONE)
"""A person completes a preview only by creating a rollback, whose plan is copied and not computed."""
FAIL_PREVIEW = Step("fail_preview", _from(_S.PREVIEWING), _S.DRAFT, "price_change.preview_failed", _WORKER)
SUBMIT = Step("submit", _from(_S.PREVIEWED), _S.SUBMITTED, "price_change.submitted", _USER, _WRITE)
APPROVE = Step(
    "approve",
    _from(_S.SUBMITTED),
    _S.APPROVED,
    "price_change.approved",
    _USER,
    _APPROVE,
    (four_eyes, seen_root_is_current, plan_is_fresh),
)
REJECT = Step("reject", _from(_S.SUBMITTED), _S.REJECTED, "price_change.rejected", _USER, _APPROVE)
EXPIRE = Step("expire", _from(_S.SUBMITTED, _S.APPROVED), _S.EXPIRED, "price_change.expired", _WORKER)
CANCEL = Step("cancel", _BEFORE_APPLY, _S.CANCELLED, "price_change.cancelled", _USER, _WRITE)
START_APPLY = Step(
    "start_apply",
    _from(_S.APPROVED),
    _S.APPLYING,
    "price_change.apply_started",
    _USER,
    _APPLY,
    (plan_is_approved, plan_is_fresh, stores_are_free),
)
PAUSE = Step("pause", _from(_S.APPLYING), _S.PAUSED, "price_change.paused", _ANYONE, _APPLY)
RESUME = Step("resume", _from(_S.PAUSED), _S.APPLYING, "price_change.resumed", _USER, _APPLY, (plan_is_approved,))
ABORT = Step("abort", _from(_S.APPLYING, _S.PAUSED), _S.ABORTING, "price_change.abort_requested", _USER, _APPLY)
_OVER = (nothing_is_open,)
FINISH_APPLIED = Step("finish", _from(_S.APPLYING), _S.APPLIED, "price_change.applied", _WORKER, None, _OVER)
FINISH_PARTIALLY = Step(
    "finish", _from(_S.APPLYING), _S.PARTIALLY_APPLIED, "price_change.partially_applied", _WORKER, None, _OVER
)
FINISH_FAILED = Step("finish", _from(_S.APPLYING), _S.FAILED, "price_change.failed", _WORKER, None, _OVER)
FINISH_ABORTED = Step("finish", _from(_S.ABORTING), _S.ABORTED, "price_change.aborted", _WORKER, None, _OVER)

STEPS = (
    *(EDIT, REQUEST_PREVIEW, COMPLETE_PREVIEW, FAIL_PREVIEW, SUBMIT, APPROVE, REJECT, EXPIRE, CANCEL, START_APPLY),
    *(PAUSE, RESUME, ABORT, FINISH_APPLIED, FINISH_PARTIALLY, FINISH_FAILED, FINISH_ABORTED),
)


def change_moves() -> frozenset[tuple[ChangeState, ChangeState]]:
    """Every allowed pair of different states of a change."""
    return frozenset((s, step.target) for step in STEPS for s in step.sources if s is not step.target)


def item_moves() -> frozenset[tuple[ItemState, ItemState]]:
    """Every allowed pair of different states of an item."""
    return frozenset((source, target) for source, targets in ITEM_MOVES.items() for target in targets)


def refusal(step: Step, state: ChangeState, actor: ActorKind, facts: Facts) -> CalibrError | None:
    """Why `actor` may not take `step` from `state` (the first reason), or None when the step may be taken."""
    if state not in step.sources:
        allowed = ", ".join(sorted(step.sources))
        return Conflict(
            "price_change.wrong_state",
            f"price change {facts.change_id} is {state}: {step.name.replace('_', ' ')} needs one of: {allowed}",
        )
    if actor not in step.actors:
        return Forbidden("price_change.wrong_actor", f"a {actor} may not {step.name.replace('_', ' ')} a price change")
    return next((found for guard in step.guards if (found := guard(facts)) is not None), None)


def outcome(state: ChangeState, items: Mapping[ItemState, int]) -> Step:
    """The step that ends a change whose items are all over, by the number of items in each state.

    `noop` counts as reached: the store has the wanted price. A change that wanted to and
    reached nothing has failed.
    """
    if state is ChangeState.ABORTING:
        return FINISH_ABORTED
    reached = items.get(ItemState.APPLIED, 0) + items.get(ItemState.NOOP, 0)
    missed = sum(items.get(s, 0) for s in (ItemState.DRIFTED, ItemState.REJECTED, ItemState.CANCELLED))
    if missed == 0:
        return FINISH_APPLIED
    return FINISH_PARTIALLY if reached else FINISH_FAILED
