"""The rows of a plan: before and after, verdict and binding guardrail, and what became of them in the store."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from calibr.cli.amounts import NONE, amount, percent_change
from calibr.cli.histogram import FALL, FLAT, RISE
from calibr.cli.views.table import Cell, Column, FittedTable, table, text
from calibr.cli.waterfall import VERDICT_STYLES

Item = Mapping[str, Any]

_ROOMY: Final = 100
_WIDE: Final = 150
STATE_STYLES: Final = {
    "applied": "green",
    "noop": "green",
    "drifted": "yellow",
    "rejected": "red",
    "unknown": "yellow",
    "retry_wait": "yellow",
    "skipped": "bright_black",
    "cancelled": "bright_black",
}


def moved(before: int | None, after: int | None, currency: str) -> Text:
    """`49.00 → 43.99`, the new amount colored by its direction; one amount where nothing moves."""
    if before == after:
        return Text(amount(before, currency), style=FLAT)
    style = RISE if before is None or (after is not None and after > before) else FALL
    return Text.assemble(amount(before, currency), (" → ", FLAT), (amount(after, currency), style))


def price_cell(before: Item, after: Item, currency: str) -> Text:
    """The same for prices of a price list: one that follows the base price again is said in words."""
    if after["unit_amount"] is None and after.get("relative"):
        return Text.assemble(amount(before["unit_amount"], currency), (" → ", FLAT), ("follows base", FLAT))
    return moved(before["unit_amount"], after["unit_amount"], currency)


def change_cell(before: int | None, after: int | None) -> Text:
    """The move in percent, colored by its direction."""
    if before is None or after is None or before == after:
        return Text("")
    return Text(percent_change(before, after), style=RISE if after > before else FALL)


def verdict_cell(item: Item) -> Text:
    """The verdict, with the reason of a block."""
    reason = f": {str(item['reason']).replace('_', ' ')}" if item.get("reason") else ""
    return Text(f"{item['verdict']}{reason}", style=VERDICT_STYLES.get(str(item["verdict"]), ""))


def items_table(items: Sequence[Item], *, width: int) -> FittedTable:
    """Rows of a plan. A narrow page leaves compare-at out; a wide one adds the ids."""
    columns = [Column("SKU", shrink=True), Column("title", shrink=True), Column("price", "right"), Column("", "right")]
    if width >= _ROOMY:
        columns.append(Column("compare-at", "right"))
    columns += [Column("verdict"), Column("bound by", shrink=True), Column("state")]
    if width >= _WIDE:
        columns.append(Column("product"))
    return table(columns, [_row(item, width) for item in items])


def _row(item: Item, width: int) -> list[Cell]:
    before, after, currency = item["before"], item["after"], str(item["currency"])
    state = str(item["state"])
    cells: list[Cell] = [
        text(item.get("sku")) or NONE,
        text(item.get("title")),
        price_cell(before, after, currency),
        change_cell(before["unit_amount"], after["unit_amount"]),
    ]
    if width >= _ROOMY:
        cells.append(moved(before["compare_at"], after["compare_at"], currency))
    cells += [verdict_cell(item), text(item.get("binding")), Text(state, style=STATE_STYLES.get(state, ""))]
    return [*cells, str(item["product_id"])] if width >= _WIDE else cells
