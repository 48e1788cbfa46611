"""`calibr rules check`: judges a rule file on this host, without a server."""

from pathlib import Path
from typing import Annotated

from rich.console import Console
from typer import Argument, Option, Typer

from calibr.cli.declare import command, group
from calibr.cli.failures import CliError
from calibr.cli.output import Output
from calibr.cli.rule_input import read_rule
from calibr.cli.views.change import show_rule
from calibr.core.money import is_currency

app: Typer = group("rules", "Rule files.")


@command(app, "check")
def check(
    out: Output,
    file: Annotated[Path, Argument(help="JSON with selector, transform and guardrails; - reads standard input.")],
    currency: Annotated[str | None, Option(help="Also judge its amounts for price lists in this currency.")] = None,
) -> None:
    """Say whether a rule is valid, and what it means in words."""
    from calibr.pricing import parse_rules  # noqa: PLC0415 - the engine's libraries would slow every other command

    if currency is not None and not is_currency(currency):
        raise CliError(f"--currency: {currency!r} is no active ISO 4217 code, such as USD")
    documents = read_rule(file)
    rules = parse_rules(documents["selector"], documents["transform"], documents["guardrails"])
    bound = None if currency is None else rules.bind(currency)
    silent = (
        []
        if bound is None
        else [f"{part.kind} {part.name} is meant for {part.meant_for}" for part in bound.not_applied]
    )

    def show(page: Console) -> None:
        show_rule(page, documents)
        for line in silent:
            page.print(line, style="yellow")
        page.print(f"valid; rule hash {rules.rule_hash}", style="green")

    out.result({"valid": True, "rule_hash": rules.rule_hash, "not_applied": silent}, show)
