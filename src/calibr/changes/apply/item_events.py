"""The events that tell what became of one item. They are about its product, so that its prices read as one story."""

from dataclasses import dataclass
from hashlib import sha256

from calibr.changes.apply.decide import ClaimedItem, Decision
from calibr.changes.lifecycle import ItemState
from calibr.changes.model import Price, PriceChange
from calibr.core.canonical import canonical_json
from calibr.events import Event, JsonValue

AGGREGATE = "product"
VERSION = "1.1.0"


@dataclass(frozen=True, slots=True)
class SealedPlan:
    """What events say about the plan that an item belongs to."""

    change_id: str
    revision: int
    rollback_of: str | None
    rule_hash: str
    plan_root: str

    @classmethod
    def of(cls, change: PriceChange) -> "SealedPlan":
        """The plan of a change that is sealed."""
        if change.plan_root is None:
            raise ValueError(f"price change {change.id} has no plan")
        rollback_of = None if change.rollback_of is None else str(change.rollback_of)
        return cls(str(change.id), change.revision, rollback_of, change.rule_hash, change.plan_root)


def events_of(plan: SealedPlan, decision: Decision) -> list[Event]:
    """The events of an item, in order; the last one is the one that settled it. None where nothing is settled."""
    item, told = decision.item, []
    if decision.changed:
        told.append(_event("price.changed", plan, item, _changed(plan, decision)))
    if decision.target is ItemState.DRIFTED:
        told.append(_event("price_change.item_drifted", plan, item, _drifted(decision)))
    if decision.target is ItemState.REJECTED:
        why: dict[str, JsonValue] = {"code": decision.code or "rejected", "message": decision.message or ""}
        told.append(_event("price_change.item_rejected", plan, item, {**_both(item), **why}))
    if decision.target is ItemState.NOOP:
        told.append(_event("price_change.item_noop", plan, item, {"after": _amounts(item.after)}))
    return told


def _changed(plan: SealedPlan, decision: Decision) -> dict[str, JsonValue]:
    seen = decision.observed if decision.target is ItemState.APPLIED else None
    return {
        **_both(decision.item),
        "rollback_of": plan.rollback_of,
        "rule_hash": plan.rule_hash,
        "plan_root": plan.plan_root,
        "trace_hash": sha256(canonical_json(decision.item.trace)).hexdigest(),
        "observed": None if seen is None else _amounts(seen),
    }


def _drifted(decision: Decision) -> dict[str, JsonValue]:
    item = decision.item
    sent = decision.changed or item.state in {ItemState.UNKNOWN, ItemState.SENDING}
    observed = decision.observed or Price(None, None)
    return {**_both(item), "observed": _amounts(observed), "sent": sent}


def _both(item: ClaimedItem) -> dict[str, JsonValue]:
    return {"before": _amounts(item.before), "after": _amounts(item.after)}


def _amounts(price: Price) -> dict[str, JsonValue]:
    return {**price.payload()}


def _event(kind: str, plan: SealedPlan, item: ClaimedItem, payload: dict[str, JsonValue]) -> Event:
    body: dict[str, JsonValue] = {
        "change_id": plan.change_id,
        "revision": plan.revision,
        "product_id": str(item.key.product_id),
        "price_list_id": str(item.key.price_list_id),
        "currency": item.currency,
        **payload,
    }
    return Event(kind, AGGREGATE, str(item.key.product_id), body, schema_version=VERSION)
