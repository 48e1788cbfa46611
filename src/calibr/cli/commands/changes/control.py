"""The commands that touch a store: apply, pause, resume, abort, roll back."""

from rich.console import Console
from typer import Typer

from calibr.cli.commands.changes.reference import (
    Change,
    Reference,
    Wait,
    command_on,
    refuse_unfinished,
    report,
    until_applied,
)
from calibr.cli.declare import command
from calibr.cli.session import Cli
from calibr.cli.views.change import show_brief, show_outcome


def register(app: Typer) -> None:
    """Add the commands."""
    for name, function in (("pause", pause), ("abort", abort), ("rollback", rollback)):
        command(app, name)(function)
    command(app, "retry-failed")(retry_failed)
    command(app, "apply")(apply)
    command(app, "resume")(resume)


def apply(cli: Cli, change: Reference, wait: Wait = True) -> None:
    """Write an approved plan to the store. Prices that somebody changed meanwhile are reported and left alone."""
    _run(cli, command_on(cli, change, "apply"), wait=wait)


def pause(cli: Cli, change: Reference) -> None:
    """Send nothing more; what is on its way is still settled."""
    report(cli, command_on(cli, change, "pause"))


def resume(cli: Cli, change: Reference, wait: Wait = True) -> None:
    """Go on after a pause."""
    _run(cli, command_on(cli, change, "resume"), wait=wait)


def abort(cli: Cli, change: Reference) -> None:
    """Give up what is not yet written. What is written stays, and can be rolled back."""
    report(cli, command_on(cli, change, "abort"))


def rollback(cli: Cli, change: Reference) -> None:
    """Plan the way back as a new change, which needs submission and approval like any other."""
    _show_made(cli, command_on(cli, change, "rollback"))


def retry_failed(cli: Cli, change: Reference) -> None:
    """Plan another try of what the store refused or what was given up, as a new change to submit and approve."""
    _show_made(cli, command_on(cli, change, "retry"))


def _show_made(cli: Cli, made: Change) -> None:
    def show(page: Console) -> None:
        show_brief(page, made)
        page.print(f"next: calibr change submit {made['id']}", style="bright_black")

    cli.result(made, show)


def _run(cli: Cli, started: Change, *, wait: bool) -> None:
    if not wait:
        report(cli, started)
        return
    ended = until_applied(cli, started)

    def show(page: Console) -> None:
        show_brief(page, ended)
        show_outcome(page, ended)

    cli.result(ended, show)
    refuse_unfinished(ended)
