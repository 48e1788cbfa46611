"""The author's commands: write a change down, preview it, submit it, give it up."""

from typing import Annotated

from rich.console import Console
from typer import Argument, Option, Typer

from calibr.cli.commands.changes.reference import Change, Reference, Wait, command_on, report, until_previewed
from calibr.cli.declare import command
from calibr.cli.lookups import find_price_lists
from calibr.cli.rule_input import RuleOptions, SelectorOptions
from calibr.cli.session import Cli
from calibr.cli.views import summary
from calibr.cli.views.change import show_brief, show_rule


def register(app: Typer) -> None:
    """Add the commands."""
    command(app, "new")(new)
    command(app, "release")(release)
    command(app, "preview")(preview)
    command(app, "submit")(submit)
    command(app, "cancel")(cancel)


def new(
    cli: Cli,
    name: Annotated[str, Argument(help="What the change is called.")],
    rule: RuleOptions,
    price_list: Annotated[
        list[str] | None, Option(help="On this price list, by name or id (repeat); base, which is meant without it.")
    ] = None,
) -> None:
    """Write a price change down: which products, what happens to their prices, within which limits.

    Nothing is computed and nothing is written to a store.
    """
    body: dict[str, object] = {"name": name, **rule.documents()}
    if price_list:
        body["price_list_ids"] = [found["id"] for found in find_price_lists(cli.api, price_list)]
    change: Change = cli.api.post("/v1/price-changes", body)

    def show(page: Console) -> None:
        show_brief(page, change)
        show_rule(page, change)

    cli.result(change, show)


def release(
    cli: Cli,
    name: Annotated[str, Argument(help="What the change is called.")],
    products: SelectorOptions,
    price_list: Annotated[list[str], Option(help="Of this price list, by name or id (repeat).")],
) -> None:
    """Plan to take fixed prices of price lists away, so that these follow the base prices again.

    Submit, approve and apply it like any other change.
    """
    lists = [found["id"] for found in find_price_lists(cli.api, price_list)]
    body = {"name": name, "selector": products.selector(), "price_list_ids": lists}
    made: Change = cli.api.post("/v1/price-changes/release", body)

    def show(page: Console) -> None:
        show_brief(page, made)
        page.print(f"{made['summary']['to_write']:,} fixed prices to take away")
        page.print(f"next: calibr change submit {made['id']}", style="bright_black")

    cli.result(made, show)


def preview(cli: Cli, change: Reference, wait: Wait = True) -> None:
    """Compute the plan: every row, the money, and what the guardrails say. Nothing is written to a store."""
    asked = command_on(cli, change, "preview")
    if not wait:
        report(cli, asked)
        return
    planned = until_previewed(cli, asked)

    def show(page: Console) -> None:
        show_brief(page, planned)
        page.print()
        page.print(summary.whole(planned["summary"], page.width))
        page.print(f"\nplan root {planned['plan_root']}", style="bright_black")

    cli.result(planned, show)


def submit(cli: Cli, change: Reference) -> None:
    """Put the plan forward for approval by somebody else."""
    report(cli, command_on(cli, change, "submit"))


def cancel(
    cli: Cli,
    change: Reference,
    reason: Annotated[str | None, Option(help="Why, for the audit trail.")] = None,
) -> None:
    """Give a change up before anything of it is applied."""
    report(cli, command_on(cli, change, "cancel", {} if reason is None else {"reason": reason}))
