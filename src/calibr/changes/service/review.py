"""Submitting a plan and deciding on it."""

from dataclasses import replace
from datetime import timedelta

from calibr.changes import lifecycle
from calibr.changes.model import PriceChange
from calibr.changes.repository import get_change, list_plans_before
from calibr.changes.transition import facts_of, transition, user_of
from calibr.core.errors import Fault, Invalid
from calibr.core.ids import PriceChangeId
from calibr.db import Session


def submit(session: Session, change_id: PriceChangeId) -> PriceChange:
    """Put the plan forward for approval."""
    change = get_change(session, change_id)
    values = {"submitted_by": user_of(session.context), "submitted_at": session.now}
    return transition(session, change, lifecycle.SUBMIT, values=values, payload={"plan_root": change.plan_root})


def approve(
    session: Session, change_id: PriceChangeId, plan_root: str, *, max_plan_age: timedelta | None = None
) -> PriceChange:
    """Approve the plan with the root that the approver saw.

    Raises Forbidden `price_change.author_cannot_approve`, and Conflict `price_change.stale_plan_root` or
    `price_change.plan_too_old`.
    """
    change = get_change(session, change_id)
    facts = replace(facts_of(session, change), seen_root=plan_root, max_plan_age=max_plan_age)
    values = {"approved_by": facts.actor, "approved_root": plan_root, "approved_at": session.now}
    payload = {"plan_root": plan_root}
    return transition(session, change, lifecycle.APPROVE, facts=facts, values=values, payload=payload)


def reject(session: Session, change_id: PriceChangeId, reason: str) -> PriceChange:
    """Refuse the plan for good; the reason is for its author."""
    if not reason.strip():
        raise Invalid(
            "price_change.reason", "a rejection needs a reason", faults=(Fault("$.reason", reason, "is empty"),)
        )
    change = get_change(session, change_id)
    payload = {"plan_root": change.plan_root, "reason": reason}
    return transition(session, change, lifecycle.REJECT, values={"reason": reason}, payload=payload)


def expire_plans(session: Session, max_plan_age: timedelta) -> list[PriceChangeId]:
    """Expire what waits for approval or for its start with a plan older than `max_plan_age`. For the worker."""
    old = list_plans_before(session, session.now - max_plan_age, lifecycle.EXPIRE.sources)
    return [transition(session, change, lifecycle.EXPIRE, payload={"plan_root": change.plan_root}).id for change in old]


def cancel(session: Session, change_id: PriceChangeId, reason: str | None = None) -> PriceChange:
    """Give the change up before anything is applied."""
    change = get_change(session, change_id)
    return transition(session, change, lifecycle.CANCEL, values={"reason": reason}, payload={"reason": reason})
