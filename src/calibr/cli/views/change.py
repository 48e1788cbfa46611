"""A price change as a person reads it: where it stands, its rule in words, its plan and how far it is."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from calibr.cli.amounts import NONE
from calibr.cli.lookups import short
from calibr.cli.rule_words import rule_lines
from calibr.cli.views import summary
from calibr.cli.views.items import STATE_STYLES
from calibr.cli.views.table import Cell, Column, FittedTable, moment, table, text

Change = Mapping[str, Any]

_STYLES: Final = {
    "applied": "green",
    "approved": "cyan",
    "submitted": "cyan",
    "applying": "cyan",
    "previewed": "cyan",
    "partially_applied": "yellow",
    "paused": "yellow",
    "aborting": "yellow",
    "failed": "red",
    "rejected": "red",
}
_WIDE: Final = 110


def changes_table(changes: Sequence[Change], *, width: int) -> FittedTable:
    """A list of changes, newest first. A wide page has room for whole ids; their ends are as good."""
    columns = [Column("name", shrink=True), Column("state"), Column("items", "right"), Column("created"), Column("id")]
    rows: list[list[Cell]] = [
        [
            text(row["name"]),
            state_text(row),
            _progress(row),
            moment(row["created_at"])[:16],
            str(row["id"]) if width >= _WIDE else short(row["id"]),
        ]
        for row in changes
    ]
    return table(columns, rows)


def show_brief(page: Console, change: Change) -> None:
    """One line after a command: what is now the state of what."""
    page.print(Text.assemble((str(change["name"]), "bold"), "  ", state_text(change), f"  {change['id']}"))


def show_change(page: Console, change: Change) -> None:
    """All there is to know, but not its rows."""
    show_brief(page, change)
    page.print()
    _show_facts(page, change)
    page.print()
    show_rule(page, change)
    if change["summary"] is not None:
        page.print()
        page.print(summary.whole(change["summary"], page.width))
    show_outcome(page, change)


def show_rule(page: Console, rule: Change) -> None:
    """The rule in words."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bright_black")
    grid.add_column()
    for heading, words in rule_lines(rule):
        grid.add_row(heading, Text(words))
    page.print(grid)


def show_outcome(page: Console, change: Change) -> None:
    """What became of the items, once some were worked on."""
    counts = change["progress"]["counts"]
    if not any(number for state, number in counts.items() if state not in {"pending", "skipped"}):
        return
    parts: list[str | tuple[str, str]] = []
    for state, number in sorted(counts.items(), key=lambda entry: -entry[1]):
        if number:
            parts += [("   " if parts else ""), (f"{number:,} {state.replace('_', ' ')}", STATE_STYLES.get(state, ""))]
    page.print()
    page.print(Text.assemble(*parts))


def state_text(change: Change) -> Text:
    """The state, colored by how things stand."""
    state = str(change["state"])
    return Text(state.replace("_", " "), style=_STYLES.get(state, "bright_black"))


def _show_facts(page: Console, change: Change) -> None:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bright_black")
    grid.add_column()
    for label, value in _facts(change):
        if value:
            grid.add_row(label, Text(str(value)))
    page.print(grid)


def _facts(change: Change) -> list[tuple[str, object]]:
    error = change["error"] or {}
    return [
        ("revision", change["revision"]),
        ("created", _who(change["created_at"], change["created_by"])),
        ("submitted", _who(change["submitted_at"], change["submitted_by"])),
        ("approved", _who(change["approved_at"], change["approved_by"])),
        ("apply started", _who(change["apply_started_at"], change["applied_by"])),
        ("finished", moment(change["finished_at"])),
        ("plan root", change["plan_root"]),
        ("takes back", change["rollback_of"]),
        ("tries again", change["retry_of"]),
        ("taken back by", ", ".join(map(str, change["rollbacks"]))),
        ("reason", change["reason"]),
        ("error", error.get("message")),
    ]


def _who(at: object, user: object) -> str:
    return "" if at is None else f"{moment(at)} by {user}"


def _progress(change: Change) -> str:
    progress = change["progress"]
    done, total = progress["done"], progress["to_write"]
    return f"{done:,} of {total:,}" if total else NONE
