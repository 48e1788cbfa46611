"""`calibr drift`: prices that somebody else changed in a store, and what is decided about them."""

from typing import Annotated, Any

from rich.console import Console
from rich.text import Text
from typer import Argument, Option, Typer

from calibr.cli.amounts import amount, counted
from calibr.cli.declare import command, group
from calibr.cli.failures import CliError
from calibr.cli.lookups import find_connection
from calibr.cli.session import Cli
from calibr.cli.views.table import Cell, Column, moment, table, text

app: Typer = group("drift", "Prices that somebody else changed in a store.")
Drift = dict[str, Any]
Ids = Annotated[list[str] | None, Argument(help="Ids of drift, or the ends of them.")]
_SUFFIX = 6
_AT_ONCE = 10_000


@command(app, "list")
def list_all(
    cli: Cli,
    connection: Annotated[str | None, Option(help="Only of this connection, by name or id.")] = None,
    state: Annotated[str, Option(help="open, adopted, reasserted or gone.")] = "open",
) -> None:
    """List prices that are not the ones that Calibr put in force."""
    found = _list(cli, connection, state)
    cli.result({"items": found}, lambda page: _show(page, found))


@command(app, "adopt")
def adopt(cli: Cli, ids: Ids = None) -> None:
    """Take the store's prices as ours. Nothing is written to the store."""
    taken = [cli.api.post(f"/v1/drift/{one['id']}/adopt", {}) for one in _chosen(cli, ids)]
    cli.result({"items": taken}, lambda page: page.print(f"adopted {counted(len(taken), 'price')}"))


@command(app, "reassert")
def reassert(
    cli: Cli,
    ids: Ids = None,
    everything: Annotated[bool, Option("--all", help="Everything that is open.")] = False,
    connection: Annotated[str | None, Option(help="With --all: only of this connection.")] = None,
    name: Annotated[str | None, Option(help="What to call the price change.")] = None,
) -> None:
    """Plan to put our prices back: makes a price change to submit, approve and apply like any other."""
    if everything == bool(ids):
        raise CliError("say which drift: ids, or --all")
    chosen = _list(cli, connection, "open") if everything else _chosen(cli, ids)
    if not chosen:
        raise CliError("nothing has drifted")
    if len(chosen) > _AT_ONCE:
        raise CliError(f"{len(chosen)} prices have drifted, at most {_AT_ONCE} go into one price change")
    body: Drift = {"drift_ids": [one["id"] for one in chosen], "name": name}
    made = cli.api.post("/v1/drift/reassert", body)
    cli.result(made, lambda page: page.print(_planned(made)))


def _list(cli: Cli, connection: str | None, state: str) -> list[Drift]:
    query = {"state": state}
    if connection is not None:
        query["connection_id"] = str(find_connection(cli.api, connection)["id"])
    return list(cli.api.pages("/v1/drift", query))


def _chosen(cli: Cli, ids: list[str] | None) -> list[Drift]:
    if not ids:
        raise CliError("say which drift, by id: `calibr drift list` shows them")
    known = list(cli.api.pages("/v1/drift", {"state": "open"}))
    return [_only(known, wanted) for wanted in dict.fromkeys(ids)]


def _only(known: list[Drift], wanted: str) -> Drift:
    fitting = [one for one in known if one["id"] == wanted or (len(wanted) >= _SUFFIX and one["id"].endswith(wanted))]
    if len(fitting) != 1:
        raise CliError(f"{wanted!r}: {'several open drifts end' if fitting else 'no open drift ends'} like that")
    return fitting[0]


def _show(page: Console, found: list[Drift]) -> None:
    if not found:
        page.print("nothing")
        return
    columns = [
        Column("id"),
        Column("state"),
        Column("listing", shrink=True),
        Column("expected", align="right"),
        Column("store", align="right"),
        Column("seen (UTC)", shrink=True),
    ]
    page.print(table(columns, [_row(one) for one in found]))


def _row(one: Drift) -> list[Cell]:
    return [
        one["id"][-12:],
        Text(one["state"] if one["reason"] is None else f"{one['state']} ({one['reason']})"),
        text(one["external_id"]),
        _price(one["expected"], one["currency"], says_currency=True),
        _price(one["observed"], one["currency"], says_currency=False),
        moment(one["observed_at"]),
    ]


def _price(price: dict[str, Any] | None, currency: str, *, says_currency: bool) -> str:
    if price is None:
        return amount(None, currency)
    crossed = "" if price["compare_at"] is None else f" ({amount(price['compare_at'], currency)})"
    return f"{amount(price['unit_amount'], currency)}{crossed}{f' {currency}' if says_currency else ''}"


def _planned(made: dict[str, Any]) -> str:
    prices = counted(made["progress"]["to_write"], "price")
    return f"{made['name']}: {prices} to put back; next: calibr change submit {made['id']}"
