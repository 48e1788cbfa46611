"""Writing a price change down, editing it, and asking for its preview."""

from collections.abc import Mapping, Sequence
from typing import Any

from calibr.catalog import PriceList, list_price_lists
from calibr.changes import lifecycle
from calibr.changes.model import Documents, EditedPriceChange, NewPriceChange, PriceChange
from calibr.changes.repository import UNCLAIMED, get_change, insert_change
from calibr.changes.transition import tell, transition, user_of
from calibr.core.errors import Conflict, Fault, Forbidden, Invalid
from calibr.core.ids import PriceChangeId, PriceListId, UserId, new_uuid
from calibr.core.written_json import load_written
from calibr.db import Session
from calibr.events import JsonValue
from calibr.pricing import parse_rules

NAME_LENGTH = 200

NOTHING_COMPUTED: Mapping[str, Any] = {
    "engine": None,
    "computed_at": None,
    "plan_root": None,
    "summary": None,
    "counts": {},
    "error": None,
    **UNCLAIMED,
}
_NOTHING_DECIDED: Mapping[str, Any] = {
    "submitted_by": None,
    "submitted_at": None,
    "approved_by": None,
    "approved_root": None,
    "approved_at": None,
}


def create(session: Session, new: NewPriceChange) -> PriceChange:
    """Write a draft down; the acting person is its author.

    Raises Invalid: faults of the documents with their JSON path, `price_change.name`, `price_change.price_lists`.
    """
    values = {
        "id": new_uuid(),
        "name": checked_name(new.name),
        **rule_columns(new.documents),
        "price_list_ids": checked_price_lists(session, new.price_list_ids),
        "created_by": author_of(session),
        "correlation_id": session.context.correlation_id,
    }
    change = insert_change(session, values)
    tell(session, change, "price_change.created", {**described(change), "rollback_of": None})
    return change


def edit(session: Session, change_id: PriceChangeId, revision: int, edited: EditedPriceChange) -> PriceChange:
    """Make a new revision of a change that has not begun to be applied. Its plan and approval are void.

    `revision` is the one that the editor saw. Raises Conflict (`price_change.stale_revision`,
    `price_change.wrong_state`, `price_change.rollback_is_fixed`) and what `create` raises.
    """
    change = get_change(session, change_id)
    if change.has_fixed_plan:
        text = f"price change {change.id} restores recorded prices; its plan cannot be edited"
        raise Conflict("price_change.rollback_is_fixed", text)
    if revision != change.revision:
        text = f"revision {revision} of price change {change.id} was edited, but it is at revision {change.revision}"
        raise Conflict("price_change.stale_revision", text)
    editors = {*change.editors, author_of(session)} - {change.created_by}
    values = {"revision": change.revision + 1, "editors": sorted(editors), **NOTHING_COMPUTED, **_NOTHING_DECIDED}
    if edited.name is not None:
        values["name"] = checked_name(edited.name)
    values |= rule_columns(_merged(change, edited))
    if edited.price_list_ids is not None:
        values["price_list_ids"] = checked_price_lists(session, edited.price_list_ids)
    payload = {"voided_plan_root": change.plan_root}
    return transition(session, change, lifecycle.EDIT, values=values, payload=lambda new: {**described(new), **payload})


def request_preview(session: Session, change_id: PriceChangeId) -> PriceChange:
    """Ask the worker for a plan. A plan that stands already is computed anew."""
    change = get_change(session, change_id)
    if change.has_fixed_plan and change.plan_root is not None:
        raise Conflict("price_change.rollback_is_fixed", f"the plan of {change.id} is copied, not computed")
    return transition(session, change, lifecycle.REQUEST_PREVIEW, values=NOTHING_COMPUTED)


def _merged(change: PriceChange, edited: EditedPriceChange) -> Documents:
    return Documents(
        load_written(change.selector_json) if edited.selector is None else edited.selector,
        load_written(change.transform_json) if edited.transform is None else edited.transform,
        load_written(change.guardrails_json) if edited.guardrails is None else edited.guardrails,
    )


def rule_columns(documents: Documents) -> dict[str, str]:
    """The documents, checked, as they are stored. Raises `pricing.DocumentError`."""
    rules = parse_rules(documents.selector, documents.transform, documents.guardrails)
    return {
        "selector_json": rules.selector_json.decode(),
        "transform_json": rules.transform_json.decode(),
        "guardrails_json": rules.guardrails_json.decode(),
        "rule_hash": rules.rule_hash,
    }


def described(change: PriceChange) -> dict[str, JsonValue]:
    """What events say about the contents of a change."""
    return {
        "name": change.name,
        "rule_hash": change.rule_hash,
        "price_list_ids": [str(i) for i in change.price_list_ids],
    }


def author_of(session: Session) -> UserId:
    """The person who acts; a worker writes no price changes."""
    user = user_of(session.context)
    if user is None:
        raise Forbidden("price_change.wrong_actor", f"{session.context.actor} is no person and cannot author a change")
    return user


def checked_name(name: str) -> str:
    """The name without spaces around it. Raises Invalid `price_change.name`."""
    if not name.strip() or len(name) > NAME_LENGTH:
        fault = Fault("$.name", name[:NAME_LENGTH], f"must have 1 to {NAME_LENGTH} characters")
        raise Invalid("price_change.name", f"the name {fault.rule}", faults=(fault,))
    return name.strip()


def checked_price_lists(session: Session, wanted: Sequence[PriceListId] | None) -> list[PriceListId]:
    """The price lists, each once, in order; None: all base prices. Raises Invalid `price_change.price_lists`."""
    known = {p.id: p for p in list_price_lists(session)}
    chosen = [p.id for p in known.values() if p.is_base] if wanted is None else list(dict.fromkeys(wanted))
    if not chosen:
        fault = Fault("$.price_list_ids", None, "must name at least one price list; connect and sync a store first")
        raise Invalid("price_change.price_lists", f"price_list_ids {fault.rule}", faults=(fault,))
    faults = [
        Fault(f"$.price_list_ids[{index}]", str(price_list_id), rule)
        for index, price_list_id in enumerate(chosen)
        if (rule := _why_not(known.get(price_list_id))) is not None
    ]
    if faults:
        text = f"price list {faults[0].value} {faults[0].rule}"
        raise Invalid("price_change.price_lists", text, faults=tuple(faults))
    return sorted(chosen)


def _why_not(price_list: PriceList | None) -> str | None:
    if price_list is None:
        return "is no price list of this tenant"
    return None if price_list.active else "is not in use at its store any more"
