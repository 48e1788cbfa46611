"""Rollback: a new price change that restores what another one changed, through the same review and the same checks."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from calibr.changes import lifecycle
from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.changes.model import PriceChange
from calibr.changes.plan import complete_preview
from calibr.changes.reads_summary import item_groups, labeled, top_movers
from calibr.changes.repository import get_change, insert_change
from calibr.changes.repository_plan import copy_items_back
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
    rollback = insert_change(session, _columns(session, original))
    tell(session, rollback, "price_change.created", {**described(rollback), "rollback_of": str(original.id)})
    rollback = transition(session, rollback, lifecycle.REQUEST_PREVIEW)
    items = copy_items_back(session, original.id, rollback.id)
    header = PlanHeader(
        *(rollback.id, rollback.revision, rollback.rule_hash, engine_version(), session.now), *(items, 0, items)
    )
    return complete_preview(
        session, rollback, header, seal_items(session, header), _summary(session, rollback.id, items)
    )


def rollback_hash(original: PriceChange) -> str:
    """What stands for the rules of a rollback: the plan whose effect it takes back."""
    return sha256(canonical_json({"rollback_of": str(original.id), "plan_root": original.plan_root})).hexdigest()


def _require_restorable(original: PriceChange) -> None:
    if original.state not in RESTORABLE:
        text = f"price change {original.id} is {original.state}: only one that has ended can be rolled back"
        raise Conflict("price_change.wrong_state", text)
    if not original.counts.get(ItemState.APPLIED):
        text = f"price change {original.id} applied no item, so there is nothing to restore"
        raise Conflict("price_change.nothing_to_roll_back", text)


def _columns(session: Session, original: PriceChange) -> Mapping[str, Any]:
    return {
        "id": new_uuid(),
        "name": f"Rollback of {original.name}"[:NAME_LENGTH],
        "selector_json": original.selector_json,
        "transform_json": original.transform_json,
        "guardrails_json": original.guardrails_json,
        "rule_hash": rollback_hash(original),
        "price_list_ids": list(original.price_list_ids),
        "rollback_of": original.id,
        "created_by": author_of(session),
        "correlation_id": original.correlation_id,
    }


def _summary(session: Session, rollback_id: PriceChangeId, items: int) -> dict[str, Any]:
    findings = Findings(
        Selection(selected=items),
        movers_up=labeled(session, top_movers(session, rollback_id, up=True)),
        movers_down=labeled(session, top_movers(session, rollback_id, up=False)),
    )
    return summarize(item_groups(session, rollback_id, None), findings)
