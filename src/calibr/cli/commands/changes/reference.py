"""What all commands on one change share: its argument, sending a command, and following it to its end."""

from typing import Annotated, Any

from typer import Argument, Option

from calibr.cli.failures import FAILED, CliError, from_problem
from calibr.cli.lookups import find_change
from calibr.cli.progress import Point, follow
from calibr.cli.session import Cli
from calibr.cli.views.change import show_brief

Reference = Annotated[str, Argument(metavar="CHANGE", help="Name of the change, its id, or the end of its id.")]
Wait = Annotated[bool, Option("--wait/--no-wait", help="Follow it to its end.")]
Change = dict[str, Any]

RUNNING = frozenset({"previewing", "applying", "aborting"})


def command_on(cli: Cli, reference: str, verb: str, body: dict[str, object] | None = None) -> Change:
    """Send one command about a change and return the change as it then is."""
    found = find_change(cli.api, reference)
    return cli.api.post(f"/v1/price-changes/{found['id']}/{verb}", body)


def report(cli: Cli, change: Change) -> None:
    """Print what became of the change: its document for programs, one line for people."""
    cli.result(change, lambda page: show_brief(page, change))


def until_previewed(cli: Cli, change: Change) -> Change:
    """Wait for the plan. Raises CliError with the faults of the rule when there is none."""
    last = _until_over(cli, change, f"previewing {change['name']}", by_items=False)
    if last["state"] == "draft":
        error = last["error"] or {}
        problem = {"detail": error.get("message") or "the preview failed", **error}
        raise from_problem(422, problem)
    return last


def until_applied(cli: Cli, change: Change) -> Change:
    """Wait for the end of an apply run, or for the pause that it ends in. Ctrl-C stops the waiting and not the run."""
    try:
        return _until_over(cli, change, f"applying {change['name']}", by_items=True)
    except KeyboardInterrupt:
        cli.notes.print(f"the run goes on without you; `calibr change pause {change['id']}` holds it")
        raise


def refuse_unfinished(change: Change) -> None:
    """Raises CliError unless the run came to a good end."""
    if change["state"] in {"failed", "paused"}:
        error = change["error"] or {}
        told = error.get("message") or "see `calibr change items` for the items"
        raise CliError(f"{change['name']} is {change['state']}: {told}", FAILED, "price_change.unfinished")


def _until_over(cli: Cli, change: Change, label: str, *, by_items: bool) -> Change:
    last = change

    def look() -> Point:
        nonlocal last
        last = cli.api.get(f"/v1/price-changes/{change['id']}")
        over = last["state"] not in RUNNING
        progress = last["progress"]
        if not by_items:
            return Point((last["summary"] or {}).get("items", 0) if over else 0, None, over)
        drifted = progress["counts"].get("drifted", 0)
        return Point(progress["done"], progress["to_write"], over, f"{drifted:,} drifted" if drifted else "")

    follow(cli.notes, label, look)
    return last
