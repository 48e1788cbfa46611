"""The commands that only look: list, show, items, explain, plan."""

import sys
from typing import Annotated, Any

from rich.console import Console
from rich.text import Text
from typer import Argument, Option, Typer

from calibr.cli.amounts import amount
from calibr.cli.client import Client
from calibr.cli.commands.changes.reference import Change, Reference
from calibr.cli.declare import command
from calibr.cli.failures import FAILED, ApiRefusal, CliError
from calibr.cli.lookups import Found, find_change, find_product
from calibr.cli.plan_root import root_of
from calibr.cli.session import Cli
from calibr.cli.views.change import changes_table, show_change
from calibr.cli.views.items import items_table
from calibr.cli.views.price_lists import effects_table
from calibr.cli.waterfall import outcome, waterfall

Limit = Annotated[int, Option(min=1, help="At most this many rows.")]

_NOT_FOUND = 404
_BARS = 100


def register(app: Typer) -> None:
    """Add the commands."""
    command(app, "list")(list_changes)
    command(app, "show")(show)
    command(app, "items")(items)
    command(app, "explain")(explain)
    command(app, "effects")(effects)
    command(app, "plan")(plan)


def list_changes(
    cli: Cli,
    state: Annotated[str | None, Option(help="Only those in this state.")] = None,
    limit: Limit = 50,
) -> None:
    """List price changes, newest first."""
    found = list(cli.api.pages("/v1/price-changes", {"state": state}, limit=limit))
    cli.result({"items": found}, lambda page: page.print(changes_table(found, width=page.width)))


def show(cli: Cli, change: Reference) -> None:
    """Show a change: where it stands, its rule in words, and the summary of its plan."""
    found = find_change(cli.api, change)
    cli.result(found, lambda page: show_change(page, found))


def items(
    cli: Cli,
    change: Reference,
    verdict: Annotated[str | None, Option(help="changed, clamped, unchanged or blocked.")] = None,
    state: Annotated[str | None, Option(help="Such as applied, drifted or rejected.")] = None,
    limit: Limit = 50,
) -> None:
    """Show rows of the plan, before and after."""
    found = find_change(cli.api, change)
    query = {"verdict": verdict, "state": state}
    rows = list(cli.api.pages(f"/v1/price-changes/{found['id']}/items", query, limit=limit))
    cli.result({"items": rows}, lambda page: page.print(items_table(rows, width=page.width)))


def explain(
    cli: Cli,
    change: Reference,
    product: Annotated[str, Argument(help="SKU or id of a product in the plan.")],
) -> None:
    """Say why a price is what it is: inputs, steps, guardrails, rounding, verdict."""
    found = find_change(cli.api, change)
    trace = _trace(cli.api, found, find_product(cli.api, product))
    cli.result(trace, lambda page: _show_trace(page, trace, found))


def effects(
    cli: Cli,
    change: Reference,
    product: Annotated[str, Argument(help="SKU or id of a product.")],
) -> None:
    """Show what buyers on each price list pay for a product before and after, and what does not follow."""
    found, chosen = find_change(cli.api, change), find_product(cli.api, product)
    rows = list(cli.api.pages(f"/v1/price-changes/{found['id']}/products/{chosen['id']}/price-lists"))
    cli.result({"items": rows}, lambda page: page.print(effects_table(rows, width=page.width)))


def plan(
    cli: Cli,
    change: Reference,
    root: Annotated[
        bool, Option("--root", help="Compute the root from the rows, check it, and print it instead of the rows.")
    ] = False,
) -> None:
    """Print the sealed rows of the plan (plan.txt), from which anybody can recompute its root."""
    found = find_change(cli.api, change)
    lines = cli.api.lines(f"/v1/price-changes/{found['id']}/plan.txt")
    if root:
        _print_root(cli, found, root_of(lines))
    elif cli.as_json:
        rows = list(lines)
        cli.result({"plan_root": found["plan_root"], "rows": rows}, lambda _: None)
    else:
        for line in lines:
            sys.stdout.write(f"{line}\n")


def _print_root(cli: Cli, change: Change, computed: str) -> None:
    if computed != change["plan_root"]:
        told = f"the rows of {change['name']} have the root {computed}, but its plan is known by {change['plan_root']}"
        raise CliError(told, FAILED, "plan.root")
    cli.result({"plan_root": computed}, lambda page: page.print(computed))


def _trace(api: Client, change: Change, product: Found) -> dict[str, Any]:
    """The product's trace on the first price list of the change that it is on."""
    for price_list in change["price_list_ids"]:
        try:
            return api.get(f"/v1/price-changes/{change['id']}/items/{price_list}/{product['id']}/explain")
        except ApiRefusal as error:
            if error.status != _NOT_FOUND:
                raise
    called = product["sku"] or product["id"]
    raise CliError(f"{called} ({product['title']}) is not in the plan of {change['name']}", code="cli.not_found")


def _show_trace(page: Console, trace: dict[str, Any], change: Change) -> None:
    inputs, currency = trace["inputs"], str(trace["currency"])
    cost = amount(inputs.get("unit_cost"), currency)
    compare_at = amount(inputs.get("compare_at"), currency)
    page.print(Text(f"{currency}   cost {cost}   compare-at {compare_at}", style="bright_black"))
    page.print(waterfall(trace, change, bars=page.width >= _BARS))
    for line in outcome(trace):
        page.print(line)
