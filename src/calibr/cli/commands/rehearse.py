"""`calibr rehearse`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from rich.console import Console
from rich.text import Text
from typer import Exit, Option

from calibr.cli.failures import FAILED
from calibr.cli.output import Output
from calibr.cli.views.table import Column, table

TOLD: Final = {
    "lost_items": "items lost, or applied and never in the store",
    "duplicate_writes": "prices written twice",
    "unaudited_changes": "writes without their event, or events without a write",
    "external_edits_overwritten": "edits of others overwritten",
    "events_lost": "events that the subscriber never got",
    "effects_twice": "events with two effects",
    "reorders": "effects out of order within an aggregate",
    "gaps": "gaps in the event log",
    "leaves_wrong": "events whose hash does not fit",
    "envelopes_wrong": "events whose columns tell another story",
    "plan_roots_wrong": "plans whose rows do not give their root",
}


@dataclass(frozen=True, slots=True)
class Harm:
    """What is done to it."""

    kill: Annotated[int, Option(min=0, help="Workers killed with SIGKILL while the change is applied.")] = 10
    zombies: Annotated[int, Option(min=0, help="Workers stopped for longer than their lease, and woken again.")] = 2
    faults: Annotated[str, Option(help="What the store does wrong: default, none, or a JSON file of faults.")] = (
        "default"
    )


def rehearse(
    out: Output,
    harm: Harm,
    items: Annotated[int, Option(min=10, help="Products in the store, one item each.")] = 2000,
    workers: Annotated[int, Option(min=2, max=8, help="Worker processes.")] = 3,
    seed: Annotated[int, Option(help="The same seed gives the same catalog, faults and victims.")] = 1,
    rollback: Annotated[bool, Option("--rollback", help="Roll the change back too, under the same harm.")] = False,
    logs: Annotated[Path | None, Option(help="Keep the logs of all processes in this folder.")] = None,
) -> None:
    """Rehearse a big sale: apply it under kills, stopped workers, a bad store and other people's edits, and judge it.

    Everything runs on this host in a directory that is gone afterwards. The verdict comes from a checker that shares no
    code with Calibr; exits 1 if anything that must be zero is not.
    """
    from calibr.cli.rehearse import Plan  # noqa: PLC0415 - the server's libraries would slow every other command
    from calibr.cli.rehearse import rehearse as perform  # noqa: PLC0415 - as above

    plan = Plan(items, harm.kill, harm.zombies, harm.faults, workers, seed, rollback)
    report = perform(plan, out.notes, keep=logs)
    out.result(report, lambda page: _show(page, report))
    if any(report["violations"].values()) or any(report["integrity"].values()):
        raise Exit(FAILED)


def _show(page: Console, report: dict[str, Any]) -> None:
    trials = {"kills": report["kills"], "items": report["items"]}
    rows = [
        [Text("✗" if number else "✓", style="red" if number else "green"), f"{number:,}", TOLD.get(name, name)]
        for name, number in {**report["violations"], **report["integrity"]}.items()
    ]
    page.print(
        f"{report['items']:,} items, {report['kills']} kills, {report['zombies']} zombies, "
        f"{report['faults_injected']:,} faults of the store, {report['edits']} edits by others, "
        f"{report['events_delivered']:,} events delivered ({report['redeliveries']:,} again), {report['seconds']} s, "
        f"seed {report['seed']}"
    )
    page.print(table([Column(""), Column("found", "right"), Column("what")], rows))
    page.print(f"After a kill work went on within {report['resume_p95_s']} s (95 %); a lease is {report['lease_s']} s.")
    for name, number in trials.items():
        if number:
            page.print(f"None in {number:,} {name}: fewer than 1 in {number / 3:,.0f} at 95 %.", style="bright_black")
    for name, found in report["evidence"].items():
        page.print(Text(f"{name}: {'; '.join(found)}", style="red"))
