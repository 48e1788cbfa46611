"""Reassertion: a new price change that puts back prices that somebody else changed, through the normal review."""

from collections.abc import Sequence
from hashlib import sha256

from calibr.changes.model import Documents, PriceChange, Reassertion
from calibr.changes.repository import insert_change
from calibr.changes.repository_plan import insert_reassertions
from calibr.changes.service.draft import author_of, checked_name, rule_columns
from calibr.changes.service.rollback import planned_at_once
from calibr.core.canonical import canonical_json
from calibr.core.errors import Conflict
from calibr.core.ids import new_uuid
from calibr.core.written_json import Json
from calibr.db import Session

_NOTHING: Json = {"any": []}
_AS_IS: Json = {"price": []}


def create_reassertion(session: Session, wanted: Sequence[Reassertion], name: str) -> PriceChange:
    """Make a change that puts these prices back, each product of a price list once; the acting person is its author.

    What the store asks when it is applied is compared with the price in force now, as always.

    Raises Conflict `price_change.nothing_to_reassert` where every price is as wanted already.
    """
    columns = {
        "id": new_uuid(),
        "name": checked_name(name),
        **rule_columns(Documents(_NOTHING, _AS_IS, [])),
        "rule_hash": _hash(wanted),
        "price_list_ids": sorted({each.key.price_list_id for each in wanted}),
        "created_by": author_of(session),
        "correlation_id": session.context.correlation_id,
        "reasserts": True,
    }
    made = insert_change(session, columns)
    return planned_at_once(
        session,
        made,
        lambda new: insert_reassertions(session, new, wanted),
        told="price_change.reassertion_planned",
        nothing=Conflict("price_change.nothing_to_reassert", "every chosen price is in force already"),
    )


def _hash(wanted: Sequence[Reassertion]) -> str:
    """What stands for the rules: the prices that are put back."""
    rows: list[list[str | int | None]] = [
        [str(each.key.price_list_id), str(each.key.product_id), each.unit_amount, each.compare_at]
        for each in sorted(wanted, key=lambda each: (each.key.price_list_id, each.key.product_id))
    ]
    return sha256(canonical_json({"reasserts": rows})).hexdigest()
