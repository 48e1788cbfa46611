"""Why an item has its price: the stored row, recomputed from the rules of its change, as an explain trace."""

from sqlalchemy import RowMapping

from calibr.changes.model import ItemKey, PriceChange
from calibr.changes.reads import item_row
from calibr.changes.repository import get_change
from calibr.changes.rules import rules_of
from calibr.core.errors import Conflict
from calibr.core.ids import PriceChangeId
from calibr.core.money import format_minor
from calibr.core.written_json import Json
from calibr.db import Session
from calibr.pricing import BoundRules, PlanItem, TraceMismatch, parse_rules
from calibr.pricing import explain_item as explain


def explain_item(session: Session, change_id: PriceChangeId, key: ItemKey) -> dict[str, object]:
    """The explain trace (`explain-trace/1.1.0`) of an item, recomputed from what is stored and equal to it.

    Raises NotFound, and Conflict `price_change.trace_mismatch` where the stored numbers are not what the rules give:
    then the row, the rules or the engine were changed.
    """
    change, row = get_change(session, change_id), item_row(session, change_id, key)
    if change.has_fixed_plan and (row["before_relative"] or row["after_amount"] is None):
        return {**_recorded(row), "rule_hash": change.rule_hash, "engine": change.engine or ""}
    try:
        trace = explain(_rules(change, row), _stored(row), change.engine or "")
    except TraceMismatch as mismatch:
        text = f"the item of product {key.product_id} in price change {change_id} cannot be explained: {mismatch}"
        raise Conflict("price_change.trace_mismatch", text) from mismatch
    return {**trace, "rule_hash": change.rule_hash}


def _recorded(row: RowMapping) -> dict[str, object]:
    """The trace of an item that takes a fixed price away, or puts one back where none is: no amount is computed."""
    before = {"unit_amount": row["before_amount"], "compare_at": row["before_compare_at"]}
    after = {"unit_amount": row["after_amount"], "compare_at": row["after_compare_at"]}
    operation = "release" if row["after_amount"] is None else "set"
    return {
        **{name: str(row[name]) for name in ("product_id", "price_list_id", "currency")},
        "inputs": {**before, "unit_cost": row["trace"][0]},
        "case": None,
        "steps": [{"op": operation, "in": before["unit_amount"], "out": after["unit_amount"]}],
        "guardrails": [],
        "rounded_again": None,
        "compare_at": {"in": before["compare_at"], "out": after["compare_at"], "why": None},
        "after": after,
        **{name: row[name] for name in ("verdict", "reason", "binding", "violated")},
    }


def _rules(change: PriceChange, row: RowMapping) -> BoundRules:
    if not change.has_fixed_plan:
        return rules_of(change).bind(row["currency"])
    return restoring(row["currency"], row["after_amount"], row["after_compare_at"])


def restoring(currency: str, unit_amount: int, compare_at: int | None) -> BoundRules:
    """What a rollback or reassertion does to an item, as rules: set what was recorded, zero too, without guardrails."""
    recorded: Json = "clear" if compare_at is None else {"set": format_minor(compare_at, currency)}
    transform: Json = {
        "price": [{"op": "set", "to": format_minor(unit_amount, currency)}],
        "compare_at": recorded,
        "allow_zero": True,
    }
    return parse_rules({"all": []}, transform, []).bind(currency)


def _stored(row: RowMapping) -> PlanItem:
    names = ("product_id", "price_list_id", "currency", "before_amount", "before_compare_at", "after_amount")
    more = ("after_compare_at", "verdict", "reason", "binding", "violated")
    return PlanItem(**{name: row[name] for name in (*names, *more)}, trace=tuple(row["trace"]))
