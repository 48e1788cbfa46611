"""Price lists beside the base prices: what a plan does to each, and what buyers of one product pay."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from calibr.cli.amounts import NONE
from calibr.cli.histogram import FLAT
from calibr.cli.views.items import change_cell, price_cell
from calibr.cli.views.table import Cell, Column, FittedTable, table, text

Row = Mapping[str, Any]

_ROOMY: Final = 100
_OUTCOMES: Final = {
    "written": ("written", "bold"),
    "follows": ("follows the base price", FLAT),
    "stays": ("stays", FLAT),
}
_NOTES: Final = (
    ("becomes_fixed", "followed the base price until now and will not any more"),
    ("becomes_relative", "will follow the base price again"),
    ("quantity_breaks", "have lower prices for larger quantities, which stay as they are"),
    ("stays_fixed", "are fixed there and will not follow the base price"),
)


def notes(price_lists: Sequence[Row]) -> Iterator[Text]:
    """What a plan does to each list, one line per thing that a reader may not expect."""
    for row in price_lists:
        where = f"{text(row['name'])} ({row['currency']})"
        if row["to_write"]:
            yield Text(f"{where}: {row['to_write']:,} prices to write")
        for name, words in _NOTES:
            if row[name]:
                yield Text(f"{where}: {row[name]:,} {words}", style="yellow")
        if row["follows"]:
            yield Text(f"{where}: {row['follows']:,} follow the base price", style=FLAT)


def effects_table(rows: Sequence[Row], *, width: int) -> FittedTable:
    """One product on each price list, before and after."""
    columns = [Column("price list", shrink=True), Column("price", "right"), Column("", "right"), Column("what happens")]
    if width >= _ROOMY:
        columns.append(Column("markets", shrink=True))
    return table(columns, [_row(row, width) for row in rows])


def _row(row: Row, width: int) -> list[Cell]:
    before, after, currency = row["before"], row["after"], str(row["currency"])
    words, style = _OUTCOMES[str(row["outcome"])]
    if row["outcome"] == "stays" and not row["is_base"]:
        words = "follows the base price" if after["relative"] else "fixed, does not follow"
        style = FLAT if after["relative"] else "yellow"
    cells: list[Cell] = [
        text(row["name"]),
        Text.assemble(
            ("about ", FLAT) if row["is_estimate"] else "", price_cell(before, after, currency), f" {currency}"
        ),
        change_cell(before["unit_amount"], after["unit_amount"]),
        Text(words, style=style),
    ]
    return [*cells, ", ".join(map(str, row["markets"])) or NONE] if width >= _ROOMY else cells
