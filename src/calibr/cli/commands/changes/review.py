"""The reviewer's commands: approve exactly the plan that was seen, or refuse it."""

import sys
from typing import Annotated

from typer import Option, Typer, confirm

from calibr.cli.commands.changes.reference import Change, Reference, command_on, report
from calibr.cli.declare import command
from calibr.cli.failures import CliError
from calibr.cli.lookups import find_change
from calibr.cli.session import Cli
from calibr.cli.views.change import show_change


def register(app: Typer) -> None:
    """Add the commands."""
    command(app, "approve")(approve)
    command(app, "reject")(reject)


def approve(
    cli: Cli,
    change: Reference,
    plan_root: Annotated[
        str | None, Option(help="Root of the plan that you have seen; without it you are shown the plan and asked.")
    ] = None,
) -> None:
    """Approve a plan that somebody else submitted. An approval is of one plan root and of nothing else."""
    found = find_change(cli.api, change)
    seen = plan_root or _look_and_confirm(cli, found)
    report(cli, cli.api.post(f"/v1/price-changes/{found['id']}/approve", {"plan_root": seen}))


def reject(
    cli: Cli,
    change: Reference,
    reason: Annotated[str, Option(help="Why; the author reads it.")],
) -> None:
    """Refuse a submitted plan for good."""
    report(cli, command_on(cli, change, "reject", {"reason": reason}))


def _look_and_confirm(cli: Cli, change: Change) -> str:
    root = change["plan_root"]
    if root is None:
        raise CliError(f"{change['name']} is {change['state']} and has no plan to approve")
    if cli.as_json or not sys.stdin.isatty():
        raise CliError("say which plan you have seen: --plan-root ROOT, as `calibr change show` prints it")
    show_change(cli.page, change)
    if not confirm(f"\nApprove the plan {root[:12]}…?", default=False):
        raise CliError("not approved")
    return str(root)
