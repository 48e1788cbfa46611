"""The look of every table: no box, a rule under the header, numbers to the right, and as wide as the page at most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

Cell = str | Text


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `shrink` may be cut on a narrow page, the others are never."""

    title: str
    align: Literal["left", "right"] = "left"
    shrink: bool = False
    style: str = ""


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, title: str | None = None) -> Table:
    """Draw rows under columns."""
    drawn = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        show_edge=False,
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bright_black",
    )
    for column in columns:
        drawn.add_column(
            column.title,
            justify=column.align,
            style=column.style,
            no_wrap=True,
            overflow="ellipsis",
            min_width=8 if column.shrink else len(column.title),
            ratio=None,
        )
    for row in rows:
        drawn.add_row(*row)
    return drawn


def moment(value: object) -> str:
    """A point in time to the second, in UTC as the API gives it."""
    return "" if value is None else str(value)[:19].replace("T", " ")


def text(value: object) -> str:
    """A text that may be missing."""
    return "" if value is None else str(value)
