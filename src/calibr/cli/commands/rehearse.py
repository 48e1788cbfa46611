"""`calibr rehearse`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from rich.console import Console
from rich.text import Text
from typer import Exit, Option

from calibr.cli.failures import FAILED, CliError
from calibr.cli.session import Cli
from calibr.cli.views.table import Column, table
from calibr.connectors.port import WritePath

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
    "plan_roots_wrong": "plans whose rows do not give their root, or changed after they were read",
    "deliveries_wrong": "arrivals without a good signature, or with other bytes than the log",
    "journal_wrong": "breaks in what the store wrote down",
    "writes_unmarked": "writes before the mark that tells of them",
    "counts_wrong": "changes that miscount their items",
}
TRIALS: Final = {
    "kills": ("lost_items", "duplicate_writes", "unaudited_changes", "external_edits_overwritten"),
    "items": ("lost_items", "duplicate_writes", "unaudited_changes"),
    "events_delivered": ("events_lost", "effects_twice", "reorders"),
}
"""What the violations are counted over, for the bound."""


@dataclass(frozen=True, slots=True)
class What:
    """What is rehearsed."""

    change: Annotated[
        str | None, Option(metavar="CHANGE", help="A change with a plan: what it writes, on a copy of its products.")
    ] = None
    path: Annotated[WritePath, Option(help="How the prices get to the store: one call after another, or in files.")] = (
        WritePath.CALLS
    )
    items: Annotated[int, Option(min=10, help="Without a change: ten percent off so many generated products.")] = 2000
    market: Annotated[
        bool, Option("--market", help="Without a change: on a price list for a market too, together with base prices.")
    ] = False


@dataclass(frozen=True, slots=True)
class Harm:
    """What is done to it."""

    kill: Annotated[int, Option(min=0, help="Workers killed with SIGKILL while the change is applied.")] = 10
    zombies: Annotated[int, Option(min=0, help="Workers stopped for longer than their lease, and woken again.")] = 2
    faults: Annotated[str, Option(help="What the store does wrong: default, none, or a JSON file of faults.")] = (
        "default"
    )


def rehearse(
    cli: Cli,
    what: What,
    harm: Harm,
    workers: Annotated[int, Option(min=2, max=8, help="Worker processes.")] = 3,
    seed: Annotated[int, Option(help="The same seed gives the same catalog, faults and victims.")] = 1,
    rollback: Annotated[bool, Option("--rollback", help="Roll the change back too, under the same harm.")] = False,
    logs: Annotated[Path | None, Option(help="Keep the logs of all processes in this folder.")] = None,
) -> None:
    """Rehearse a big sale: apply it under kills, stopped workers, a bad store and other people's edits, and judge it.

    Everything runs on this host in a directory that is gone afterwards. Your server is read for the plan of a change,
    and your store not at all. The verdict comes from a checker that shares no code with Calibr; exits 1 if anything
    that must be zero is not, or if no price was written at all.
    """
    from calibr.cli.rehearse import Plan, copy_change  # noqa: PLC0415 - the server's libraries would slow the others
    from calibr.cli.rehearse import rehearse as perform  # noqa: PLC0415 - as above

    if what.market and what.change is not None:
        raise CliError("--market is for generated products; a change says itself which price lists it is for")
    copied = None if what.change is None else copy_change(cli.api, what.change)
    number = what.items if copied is None else len(copied.rows)
    plan = Plan(number, harm.kill, harm.zombies, harm.faults, workers, seed, rollback, copied, what.path, what.market)
    report = perform(plan, cli.notes, keep=logs)
    cli.result(report, lambda page: _show(page, report))
    proves_nothing = not report["item_states"].get("applied")
    if proves_nothing or any(report["violations"].values()) or any(report["integrity"].values()):
        raise Exit(FAILED)


def _show(page: Console, report: dict[str, Any]) -> None:
    page.print(_what(report["rehearsed"]))
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
    for name, checks in TRIALS.items():
        number = report[name]
        if number and not any(report["violations"][check] for check in checks):
            said = f"None in {number:,} {name.replace('_', ' ')}: fewer than {3 / number:.2%} at 95 % confidence."
            page.print(said, style="bright_black")
    if not report["item_states"].get("applied"):
        page.print("No price was written, so nothing is proved.", style="red")
    if report["raced"]:
        page.print(
            f"{report['raced']} edits came between reading a price and writing it, where no store shows them.",
            style="yellow",
        )
    for name, found in report["evidence"].items():
        page.print(Text(f"{name}: {'; '.join(found)}", style="red"))


def _what(rehearsed: dict[str, Any]) -> str:
    """What it was a rehearsal of, and what not."""
    if rehearsed["change_id"] is None:
        return "Rehearsed: ten percent off a generated catalog."
    otherwise, left_out = rehearsed["planned_otherwise"], rehearsed["left_out"]
    exact = "exactly the planned prices" if not otherwise else f"the planned prices, {otherwise:,} of them otherwise"
    missing = f" {left_out:,} items are left out: no store sells them any more." if left_out else ""
    return (
        f"Rehearsed: {rehearsed['name']} (plan {rehearsed['plan_root'][:12]}): {exact}, on a copy of its products in a "
        f"sandbox store. Its rules and guardrails were not computed again.{missing}"
    )
