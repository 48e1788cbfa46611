"""The look of every table: a rule under the header, numbers to the right, never wider than the page.

A narrow page shortens the columns that may be shortened, such as titles. Amounts are never cut: half a price is a lie.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

Cell = str | Text

_GAP: Final = 2
_SHORTEST: Final = 8


@dataclass(frozen=True, slots=True)
class Column:
    """A column; with `shrink` its texts may be shortened on a narrow page."""

    title: str
    align: Literal["left", "right"] = "left"
    shrink: bool = False
    style: str = ""


@dataclass(frozen=True, slots=True)
class FittedTable:
    """Rows under columns, fitted to whatever width they are drawn in."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Text]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        del console
        widths = self._widths(options.max_width)
        drawn = Table(
            box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False, header_style="bright_black"
        )
        for column, width in zip(self.columns, widths, strict=True):
            drawn.add_column(column.title, justify=column.align, style=column.style, no_wrap=True, width=width)
        for row in self.rows:
            drawn.add_row(*(_shortened(cell, width) for cell, width in zip(row, widths, strict=True)))
        yield drawn

    def _widths(self, room: int) -> list[int]:
        """The natural width of each column, less what is missing, taken from the widest that may be shortened."""
        widths = [
            max([len(column.title), *(row[place].cell_len for row in self.rows)])
            for place, column in enumerate(self.columns)
        ]
        flexible = [place for place, column in enumerate(self.columns) if column.shrink]
        missing = sum(widths) + _GAP * (len(widths) - 1) - room
        while missing > 0 and flexible:
            widest = max(flexible, key=lambda place: widths[place])
            if widths[widest] <= _SHORTEST:
                break
            widths[widest] -= 1
            missing -= 1
        return widths


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> FittedTable:
    """Rows under columns."""
    return FittedTable(columns, [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows])


def moment(value: object) -> str:
    """A point in time to the second, in UTC as the API gives it."""
    return "" if value is None else str(value)[:19].replace("T", " ")


def text(value: object) -> str:
    """A text that may be missing."""
    return "" if value is None else str(value)


def _shortened(cell: Text, width: int) -> Text:
    """A copy that fits. A line break in a title would break the table."""
    copy = Text(" ").join(cell.split("\n")) if "\n" in cell.plain else cell.copy()
    copy.truncate(width, overflow="ellipsis")
    return copy
