"""Rollback and retry: new price changes whose plan is copied from another one, through the same review and checks."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from calibr.changes import lifecycle
from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.changes.model import PriceChange
from calibr.changes.plan import complete_preview
from calibr.changes.reads_price_lists import price_list_effects
from calibr.changes.reads_summary import item_groups, labeled, top_movers
from calibr.changes.repository import get_change, insert_change
from calibr.changes.repository_plan import copy_items_again, copy_items_back
from calibr.changes.seal import seal_items
from calibr.changes.service.draft import NAME_LENGTH, author_of, described
from calibr.changes.summary import Findings, Selection, summarize
from calibr.changes.transition import tell, transition
from calibr.core.canonical import canonical_json
from calibr.core.errors import Conflict
from calibr.core.ids import PriceChangeId, new_uuid
from calibr.db import Session
from calibr.pricing import PlanHeader, engine_version

RESTORABLE = (ChangeState.APPLIED, ChangeState.PARTIALLY_APPLIED, ChangeState.ABORTED, ChangeState.FAILED)


def create_rollback(session: Session, change_id: PriceChangeId) -> PriceChange:
    """Make a change that restores every item that `change_id` applied, with its plan; the acting person is its author.

    What somebody changed since then is found when the rollback is applied, and left alone.

    Raises Conflict: `price_change.wrong_state` while the original may still write, `price_change.nothing_to_roll_back`.
    """
    original = get_change(session, change_id)
    _require_restorable(original)
    columns = {
        **_columns(session, original, f"Rollback of {original.name}"),
        "rule_hash": rollback_hash(original),
        "rollback_of": original.id,
    }
    made = insert_change(session, columns)
    return with_fixed_plan(session, made, lambda new: copy_items_back(session, original.id, new))


def create_retry(session: Session, change_id: PriceChangeId) -> PriceChange:
    """Make a change that tries again what `change_id` could not write, with its plan; the acting person is its author.

    It takes the items that the store refused and those that were given up. Drifted ones are left to a new preview.

    Raises Conflict: `price_change.wrong_state` while the original may still write, `price_change.nothing_to_retry`.
    """
    original = get_change(session, change_id)
    _require_ended(original, "tried again")
    if original.rollback_of is not None:
        text = f"price change {original.id} is a rollback: make another one of {original.rollback_of}"
        raise Conflict("price_change.nothing_to_retry", text)
    if not original.counts.get(ItemState.REJECTED) and not original.counts.get(ItemState.CANCELLED):
        text = f"price change {original.id} has no item that was refused or given up"
        raise Conflict("price_change.nothing_to_retry", text)
    columns = {
        **_columns(session, original, f"Retry of {original.name}"),
        "rule_hash": original.rule_hash,
        "retry_of": original.id,
        "reasserts": original.reasserts,
        "releases": original.releases,
    }
    made = insert_change(session, columns)
    retry = with_fixed_plan(session, made, lambda new: copy_items_again(session, original.id, new))
    tell(session, retry, "price_change.retry_planned", {"retry_of": str(original.id), "plan_root": retry.plan_root})
    return retry


def with_fixed_plan(session: Session, made: PriceChange, fill: Callable[[PriceChangeId], int]) -> PriceChange:
    """Give a new change the plan whose rows `fill` writes (it returns their number), and seal it."""
    rollback_of = None if made.rollback_of is None else str(made.rollback_of)
    tell(session, made, "price_change.created", {**described(made), "rollback_of": rollback_of})
    made = transition(session, made, lifecycle.REQUEST_PREVIEW)
    items = fill(made.id)
    header = PlanHeader(*(made.id, made.revision, made.rule_hash, engine_version(), session.now), *(items, 0, items))
    return complete_preview(session, made, header, seal_items(session, header), _summary(session, made, items))


def planned_at_once(
    session: Session,
    made: PriceChange,
    fill: Callable[[PriceChangeId], int],
    *,
    told: str,
    nothing: Conflict,
) -> PriceChange:
    """Give a new change its plan, and tell it by the event `told`. Raises `nothing` where the plan has no item."""
    change = with_fixed_plan(session, made, fill)
    items = 0 if change.summary is None else change.summary["items"]
    if not items:
        raise nothing
    tell(session, change, told, {"items": items, "plan_root": change.plan_root})
    return change


def rollback_hash(original: PriceChange) -> str:
    """What stands for the rules of a rollback: the plan whose effect it takes back."""
    return sha256(canonical_json({"rollback_of": str(original.id), "plan_root": original.plan_root})).hexdigest()


def _require_ended(original: PriceChange, what: str) -> None:
    if original.state not in RESTORABLE:
        text = f"price change {original.id} is {original.state}: only one that has ended can be {what}"
        raise Conflict("price_change.wrong_state", text)


def _require_restorable(original: PriceChange) -> None:
    _require_ended(original, "rolled back")
    if not original.counts.get(ItemState.APPLIED):
        text = f"price change {original.id} applied no item, so there is nothing to restore"
        raise Conflict("price_change.nothing_to_roll_back", text)


def _columns(session: Session, original: PriceChange, name: str) -> Mapping[str, Any]:
    return {
        "id": new_uuid(),
        "name": name[:NAME_LENGTH],
        "selector_json": original.selector_json,
        "transform_json": original.transform_json,
        "guardrails_json": original.guardrails_json,
        "price_list_ids": list(original.price_list_ids),
        "created_by": author_of(session),
        "correlation_id": original.correlation_id,
    }


def _summary(session: Session, change: PriceChange, items: int) -> dict[str, Any]:
    findings = Findings(
        Selection(selected=items),
        movers_up=labeled(session, top_movers(session, change.id, up=True)),
        movers_down=labeled(session, top_movers(session, change.id, up=False)),
        price_lists=price_list_effects(session, change),
    )
    return summarize(item_groups(session, change.id, None), findings)
