"""Release: a price change that takes fixed prices of price lists away, so that they follow the base prices again."""

from collections.abc import Sequence
from hashlib import sha256

from calibr.catalog import PriceList, list_price_lists, plan_source
from calibr.changes.model import Documents, NewRelease, PriceChange
from calibr.changes.repository import insert_change
from calibr.changes.repository_plan import expect_many_rows, insert_releases
from calibr.changes.rules import ListRules, bind_all, rules_of
from calibr.changes.service.draft import author_of, checked_name, checked_price_lists, rule_columns
from calibr.changes.service.rollback import planned_at_once
from calibr.core.canonical import canonical_json
from calibr.core.errors import Conflict, Fault, Invalid
from calibr.core.ids import PriceChangeId, PriceListId, new_uuid
from calibr.core.written_json import Json
from calibr.db import Session
from calibr.pricing import compile_plan

_AS_IS: Json = {"price": []}


def create_release(session: Session, new: NewRelease) -> PriceChange:
    """Make a change that takes away the fixed prices of the selected products on some price lists, with its plan.

    The acting person is its author. What the store asks when it is applied is compared with the price in force now, as
    always; what a price then becomes is the store's to compute, so that no guardrail can judge it. Products with
    quantity breaks on a list keep their fixed price there.

    Raises Invalid (faults of the selector, `price_change.name`, `price_change.price_lists`) and Conflict
    `price_change.nothing_to_release` where nothing selected has a fixed price.
    """
    chosen = _beside_base(session, new.price_list_ids)
    columns = rule_columns(Documents(new.selector, _AS_IS, []))
    columns["rule_hash"] = sha256(canonical_json({"releases": columns["rule_hash"]})).hexdigest()
    values = {
        "id": new_uuid(),
        "name": checked_name(new.name),
        **columns,
        "price_list_ids": sorted(p.id for p in chosen),
        "created_by": author_of(session),
        "correlation_id": session.context.correlation_id,
        "releases": True,
    }
    made = insert_change(session, values)
    return planned_at_once(
        session,
        made,
        lambda _: _fill(session, made, chosen),
        told="price_change.release_planned",
        nothing=Conflict(
            "price_change.nothing_to_release", "no selected product has a fixed price on these price lists"
        ),
    )


def _fill(session: Session, made: PriceChange, chosen: Sequence[PriceList]) -> int:
    expect_many_rows(session)
    return sum(_fill_list(session, made.id, rules) for rules in bind_all(rules_of(made), chosen))


def _beside_base(session: Session, wanted: Sequence[PriceListId]) -> list[PriceList]:
    ids = set(checked_price_lists(session, wanted))
    chosen = [p for p in list_price_lists(session) if p.id in ids]
    faults = [
        Fault(f"$.price_list_ids[{index}]", str(price_list_id), "holds base prices, which follow no other price")
        for index, price_list_id in enumerate(wanted)
        if any(p.id == price_list_id and p.is_base for p in chosen)
    ]
    if faults:
        text = f"price list {faults[0].value} {faults[0].rule}"
        raise Invalid("price_change.price_lists", text, faults=tuple(faults))
    return chosen


def _fill_list(session: Session, change_id: PriceChangeId, rules: ListRules) -> int:
    source = plan_source(session, rules.price_list.id, computed_at=session.now)
    return insert_releases(session, change_id, rules.price_list.id, compile_plan(rules.rules, source).selection)
