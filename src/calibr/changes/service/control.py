"""Starting, pausing, resuming and aborting an apply run. The run itself is the worker's."""

from dataclasses import replace
from datetime import timedelta

from calibr.catalog import get_connection, list_price_lists, require_usable
from calibr.changes import lifecycle
from calibr.changes.lifecycle import ItemState
from calibr.changes.model import PriceChange
from calibr.changes.repository import get_change, take_stores
from calibr.changes.transition import facts_of, transition, user_of
from calibr.core.ids import PriceChangeId
from calibr.db import Session


def start_apply(session: Session, change_id: PriceChangeId, *, max_plan_age: timedelta | None = None) -> PriceChange:
    """Hand the approved plan to the worker and hold its stores.

    Raises Conflict: `price_change.wrong_state` (not approved, or started before), `price_change.not_approved`,
    `price_change.plan_too_old`, `price_change.store_busy`, and `connection.<state>` where a store cannot be written to.
    """
    change = get_change(session, change_id)
    wanted = set(change.price_list_ids)
    connections = {p.connection_id for p in list_price_lists(session) if p.id in wanted}
    for connection_id in connections:
        require_usable(get_connection(session, connection_id))
    held_by = None
    if change.state in lifecycle.START_APPLY.sources:
        held_by = take_stores(session, change.id, connections)
    facts = replace(facts_of(session, change), max_plan_age=max_plan_age, store_held_by=held_by)
    values = {"applied_by": user_of(session.context), "apply_started_at": session.now, "error": None}
    payload = {
        "plan_root": change.plan_root,
        "approved_by": str(change.approved_by),
        "to_write": change.counts.get(ItemState.PENDING, 0),
    }
    return transition(session, change, lifecycle.START_APPLY, facts=facts, values=values, payload=payload)


def pause(session: Session, change_id: PriceChangeId) -> PriceChange:
    """Let nothing more be sent. What is on its way is still settled."""
    change = get_change(session, change_id)
    return transition(session, change, lifecycle.PAUSE, values={"error": None}, payload={"error": None})


def resume(session: Session, change_id: PriceChangeId) -> PriceChange:
    """Go on after a pause."""
    change = get_change(session, change_id)
    return transition(session, change, lifecycle.RESUME, values={"error": None})


def abort(session: Session, change_id: PriceChangeId) -> PriceChange:
    """Give up what is not yet written. What is on its way is still settled."""
    change = get_change(session, change_id)
    return transition(session, change, lifecycle.ABORT)
