"""The one place where a price change takes a step: guard, compare-and-set, event, in the caller's transaction."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from calibr.changes.lifecycle import ActorKind, Facts, Step, refusal
from calibr.changes.model import PriceChange
from calibr.changes.repository import compare_and_set
from calibr.core.errors import CalibrError, Conflict
from calibr.core.ids import UserId
from calibr.db import Context, Session
from calibr.events import Event, JsonValue, emit

AGGREGATE = "price_change"

Payload = Mapping[str, JsonValue]


def actor_kind(context: Context) -> ActorKind:
    """Whether a person or a worker acts."""
    return ActorKind(context.actor.partition(":")[0])


def user_of(context: Context) -> UserId | None:
    """The person who acts; None for a worker."""
    kind, _, name = context.actor.partition(":")
    return UserId(UUID(name)) if kind == ActorKind.USER else None


def facts_of(session: Session, change: PriceChange) -> Facts:
    """The facts that the change itself tells."""
    return Facts(
        change_id=change.id,
        authors=frozenset({change.created_by, *change.editors}),
        actor=user_of(session.context),
        plan_root=change.plan_root,
        approved_root=change.approved_root,
        plan_age=None if change.computed_at is None else session.now - change.computed_at,
    )


def transition(
    session: Session,
    change: PriceChange,
    step: Step,
    *,
    facts: Facts | None = None,
    values: Mapping[str, Any] | None = None,
    payload: Payload | Callable[[PriceChange], Payload] | None = None,
) -> PriceChange:
    """Take `step`, write `values` with it and append its event with `payload` (or what it makes of the moved change).

    Raises what the guards say, and Conflict `price_change.moved` when somebody took another step in the meantime.
    """
    refused = refusal(step, change.state, actor_kind(session.context), facts or facts_of(session, change))
    if refused is not None:
        raise refused
    moved = compare_and_set(session, change, {"state": step.target, **(values or {})})
    if moved is None:
        raise Conflict(
            "price_change.moved",
            f"price change {change.id} is no longer {change.state} in revision {change.revision}: look at it again",
            retryable=True,
        )
    tell(session, moved, step.event, payload(moved) if callable(payload) else payload)
    return moved


def tell(session: Session, change: PriceChange, event: str, payload: Payload | None = None) -> None:
    """Append an event about the change as a whole."""
    body = {"change_id": str(change.id), "revision": change.revision, **(payload or {})}
    emit(session, Event(event, AGGREGATE, str(change.id), body))


def error_payload(error: CalibrError) -> dict[str, JsonValue]:
    """An error as rows and events carry it."""
    faults: list[JsonValue] = [dict(asdict(fault)) for fault in error.faults]
    return {"code": error.code, "message": error.message, "faults": faults}


def with_story(context: Context, change: PriceChange) -> Context:
    """The worker's context as part of the story that began with the change."""
    return replace(context, correlation_id=change.correlation_id)
