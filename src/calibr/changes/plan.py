"""The step that makes written items a plan; previews and rollbacks both take it."""

from typing import Any

from calibr.changes import lifecycle
from calibr.changes.lifecycle import ItemState
from calibr.changes.model import PriceChange
from calibr.changes.transition import transition
from calibr.db import Session
from calibr.events import JsonValue
from calibr.pricing import PlanHeader, canonical_header


def complete_preview(
    session: Session, change: PriceChange, header: PlanHeader, root: str, summary: dict[str, Any]
) -> PriceChange:
    """Make the items that are written the plan of a change."""
    verdicts: dict[str, JsonValue] = dict(summary["verdicts"])
    values = {
        "engine": header.engine,
        "computed_at": header.computed_at,
        "plan_root": root,
        "summary": summary,
        "counts": {
            ItemState.PENDING: summary["to_write"],
            ItemState.SKIPPED: summary["items"] - summary["to_write"],
        },
    }
    payload: dict[str, JsonValue] = {
        "plan_root": root,
        "rule_hash": header.rule_hash,
        "engine": header.engine,
        "computed_at": canonical_header(header).split(b"|")[5].decode(),
        "selected": header.selected,
        "left": header.left,
        "items": header.items,
        **verdicts,
    }
    return transition(session, change, lifecycle.COMPLETE_PREVIEW, values=values, payload=payload)
