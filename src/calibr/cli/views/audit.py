"""The audit trail: one line per event, with what it says in a few words."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from calibr.cli.amounts import amount
from calibr.cli.histogram import FLAT
from calibr.cli.lookups import short
from calibr.cli.views.table import Cell, Column, FittedTable, moment, table, text

Entry = Mapping[str, Any]

_TOLD: Final = ("name", "role", "reason", "kind")
_COUNTED: Final = ("rows", "new", "changed", "vanished", "prices_observed", "findings")
_ROOMY: Final = 100


def audit_table(entries: Sequence[Entry], names: Mapping[str, str] | None = None, *, width: int) -> FittedTable:
    """The entries in their order; `names` turns user ids into names. A narrow page leaves the date out."""
    narrow = width < _ROOMY
    columns = [
        Column("#", "right", style=FLAT),
        Column("at (UTC)"),
        Column("who", shrink=True),
        Column("what"),
        Column("of"),
        Column("", shrink=True),
    ]
    rows: list[list[Cell]] = [
        [
            f"{entry['seq']:,}",
            moment(entry["created_at"])[11 if narrow else 0 :],
            _who(str(entry["actor"]), names or {}),
            _what(str(entry["action"])),
            ("" if narrow else str(entry["entity"]).replace("_", " ") + " ") + f"…{short(entry['entity_id'])[-6:]}",
            Text(told(entry), style=FLAT),
        ]
        for entry in entries
    ]
    return table(columns, rows)


def told(entry: Entry) -> str:
    """What an event says, in a few words."""
    explain = entry.get("explain") or {}
    before, after = explain.get("before"), explain.get("after")
    if isinstance(before, dict) and isinstance(after, dict) and "currency" in explain:
        currency = str(explain["currency"])
        seen = explain.get("observed")
        shows = (
            f", store shows {amount(seen['unit_amount'], currency)}"
            if entry["action"].endswith("drifted") and seen
            else ""
        )
        return f"{amount(before['unit_amount'], currency)} → {amount(after['unit_amount'], currency)}{shows}"
    counts = explain.get("counts") or {}
    if str(entry["action"]).startswith("sync."):
        counts = {name: explain[name] for name in _COUNTED if name in explain}
    if any(counts.values()):
        return ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in counts.items() if number)
    if explain.get("plan_root"):
        return f"root {explain['plan_root'][:12]}…"
    return ", ".join(text(explain[key]) for key in _TOLD if explain.get(key))


def _who(actor: str, names: Mapping[str, str]) -> str:
    kind, _, identity = actor.partition(":")
    if kind == "system":
        return f"({identity})"
    return names.get(identity) or short(identity)


def _what(action: str) -> Text:
    style = {"price.changed": "cyan", "price_change.approved": "green", "price_change.item_drifted": "yellow"}
    return Text(action, style=style.get(action, ""))
