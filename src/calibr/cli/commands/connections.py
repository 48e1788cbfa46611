"""`calibr connect`, `connections` and `sync`: the links to stores, their health, and reading a catalog in."""

import os
import sys
from typing import Annotated, Any

from rich.console import Console
from rich.text import Text
from typer import Argument, Context, Option, Typer

from calibr.cli.amounts import NONE
from calibr.cli.declare import command, default, group
from calibr.cli.failures import FAILED, CliError
from calibr.cli.lookups import find_connection, short
from calibr.cli.progress import Point, follow
from calibr.cli.session import Cli
from calibr.cli.views.table import Cell, Column, FittedTable, moment, table, text

connect: Typer = group("connect", "Connect a store.")
connections: Typer = group("connections", "Connected stores and their health.", has_default=True)

Store = Annotated[str, Argument(metavar="NAME", help="Name or id of the connection.")]
Connection = dict[str, Any]

_STATE_STYLES = {"active": "green", "failing": "red", "disabled": "bright_black"}


@command(connect, "shopify")
def connect_shopify(
    cli: Cli,
    name: Annotated[str, Option(help="How you will call it.")],
    shop_url: Annotated[str, Option(help="https://your-store.myshopify.com, or a sandbox on this host.")],
    token_stdin: Annotated[bool, Option("--token-stdin", help="Read the access token from standard input.")] = False,
    token_env: Annotated[str | None, Option(help="Read the access token from this environment variable.")] = None,
    api_version: Annotated[str | None, Option(help="Version of the Admin API.")] = None,
) -> None:
    """Connect a Shopify store and check it. The access token is never an argument: those are visible to others."""
    config = {"shop_url": shop_url, **({} if api_version is None else {"api_version": api_version})}
    secrets = {"access_token": _secret(token_stdin, token_env)}
    made = cli.api.post("/v1/connections", {"kind": "shopify", "name": name, "config": config, "secrets": secrets})
    checked = cli.api.post(f"/v1/connections/{made['id']}/check")
    cli.result(checked, lambda page: _show(page, checked))
    _refuse_unhealthy(checked)


@default(connections)
def list_connections(context: Context, cli: Cli) -> None:
    """List the connections."""
    if context.invoked_subcommand is not None:
        return
    found = list(cli.api.pages("/v1/connections"))
    cli.result({"items": found}, lambda page: page.print(_table(found)))


@command(connections, "check")
def check_connection(cli: Cli, name: Store) -> None:
    """Ask the store now: does it answer, which rights does the token have, what would not work?"""
    found = find_connection(cli.api, name)
    checked = cli.api.post(f"/v1/connections/{found['id']}/check")
    cli.result(checked, lambda page: _show(page, checked))
    _refuse_unhealthy(checked)


def sync(
    cli: Cli,
    name: Store,
    wait: Annotated[bool, Option("--wait/--no-wait", help="Follow it to its end.")] = True,
    full: Annotated[
        bool | None,
        Option("--full/--incremental", help="Read everything, or what changed. Default: what the last syncs allow."),
    ] = None,
) -> None:
    """Read the store's catalog: products, prices and costs that are new, changed or gone."""
    found = find_connection(cli.api, name)
    mode = "auto" if full is None else "full" if full else "incremental"
    started = cli.api.post(f"/v1/connections/{found['id']}/syncs", {"mode": mode})
    done = _follow(cli, str(started["id"]), name) if wait else started
    cli.result(done, lambda page: show_sync(page, done))
    if done["state"] == "failed":
        raise CliError(f"the sync of {name} failed: {done['error']}", FAILED, "sync.failed")


def show_sync(page: Console, run: dict[str, Any]) -> None:
    """The counts of a sync."""
    page.print(Text.assemble("sync ", (str(run["state"]), "bold"), f"  {run['mode']}  {run['id']}"))
    for key, value in (run.get("summary") or {}).items():
        if isinstance(value, int) and not isinstance(value, bool):
            page.print(f"  {value:>9,}  {key.replace('_', ' ')}")


def _follow(cli: Cli, sync_id: str, name: str) -> dict[str, Any]:
    last: dict[str, Any] = {}

    def look() -> Point:
        last.update(cli.api.get(f"/v1/syncs/{sync_id}"))
        over = last["state"] in {"completed", "failed"}
        return Point(int(last["rows_read"]), last["rows_total"], over, str(last["stage"]))

    follow(cli.notes, f"reading {name}", look)
    return last


def _secret(from_stdin: bool, variable: str | None) -> str:
    if from_stdin == (variable is not None):
        raise CliError("say where the access token comes from: --token-stdin or --token-env NAME")
    if variable is None:
        secret = sys.stdin.readline().strip()
        if not secret:
            raise CliError("--token-stdin: standard input holds no access token")
        return secret
    secret = os.environ.get(variable, "").strip()
    if not secret:
        raise CliError(f"--token-env: the environment variable {variable} is not set or empty")
    return secret


def _refuse_unhealthy(connection: Connection) -> None:
    health = connection["health"] or {}
    if not health.get("ok"):
        problems = "; ".join(map(str, health.get("problems") or ["the store was not reached"]))
        raise CliError(f"connection {connection['name']}: {problems}", FAILED, "connection.unhealthy")


def _show(page: Console, connection: Connection) -> None:
    health = connection["health"] or {}
    page.print(Text.assemble((str(connection["name"]), "bold"), f"  {connection['kind']}  ", _state(connection)))
    shown = [
        ("id", connection["id"]),
        ("address", connection["config"].get("shop_url")),
        ("store", health.get("store_name")),
        ("currency", health.get("currency")),
        ("API version", health.get("api_version")),
        ("rights", ", ".join(health.get("scopes") or [])),
        ("answer", f"{health['latency_ms']} ms" if health.get("latency_ms") is not None else None),
    ]
    for label, value in shown:
        if value:
            page.print(f"  {label:<12} {value}")


def _table(found: list[Connection]) -> FittedTable:
    columns = [
        Column("name"),
        Column("kind"),
        Column("state"),
        Column("address", shrink=True),
        Column("last sync"),
        Column("id"),
    ]
    rows: list[list[Cell]] = [
        [
            text(row["name"]),
            text(row["kind"]),
            _state(row),
            text(row["config"].get("shop_url")),
            moment(row["last_synced_at"]) or NONE,
            short(row["id"]),
        ]
        for row in found
    ]
    return table(columns, rows)


def _state(connection: Connection) -> Text:
    state = str(connection["state"])
    return Text(state, style=_STATE_STYLES.get(state, ""))
