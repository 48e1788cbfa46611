"""Follows long work on the server with a bar on standard error: amount, rate and time left."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_FIRST_POLL_S: Final = 0.05
_LONGEST_POLL_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Point:
    """Where the work stands. `total` None: nobody knows how much there is."""

    done: int
    total: int | None
    over: bool
    stage: str = ""


class _Rate(ProgressColumn):
    """Steps per second since the start."""

    def render(self, task: Task) -> Text:
        """Blank until there is something to divide."""
        elapsed = task.finished_time if task.finished else task.elapsed
        if not elapsed or not task.completed:
            return Text("")
        return Text(f"{int(task.completed / elapsed):,}/s", style="bright_black")


def follow(notes: Console, label: str, look: Callable[[], Point]) -> Point:
    """Ask `look` until the work is over and draw what it says; returns the last answer."""
    wait = _FIRST_POLL_S
    with _bar(notes) as progress:
        task = progress.add_task(label, total=None, stage="")
        while True:
            point = look()
            progress.update(task, completed=point.done, total=point.total, stage=point.stage)
            if point.over:
                progress.update(task, total=point.done, completed=point.done, stage="")
                return point
            time.sleep(wait)
            wait = min(wait * 1.5, _LONGEST_POLL_S)


def _bar(notes: Console) -> Progress:
    wide = notes.width >= 100  # noqa: PLR2004 - a terminal of 80 columns has room for half the bar
    return Progress(
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=40 if wide else 20),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[stage]}", style="bright_black"),
        console=notes,
        disable=notes.quiet,
    )
