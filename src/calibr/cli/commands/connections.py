"""`calibr connections` and `sync`: the links to stores, their health, and reading a catalog in."""

from typing import Annotated, Any, Final

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

connections: Typer = group("connections", "Connected stores and their health.", has_default=True)

Store = Annotated[str, Argument(metavar="NAME", help="Name or id of the connection.")]
Connection = dict[str, Any]

LET_IN_AGAIN: Final = frozenset({"pending", "unauthorized", "uninstalled"})
"""States that a person ends by `calibr connections authorize`."""
_STATE_STYLES = {
    "active": "green",
    "pending": "yellow",
    "failing": "red",
    "unauthorized": "red",
    "uninstalled": "red",
    "disabled": "bright_black",
}


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
    cli.result(checked, lambda page: show_connection(page, checked))
    refuse_unhealthy(checked)


@command(connections, "disable")
def disable_connection(cli: Cli, name: Store) -> None:
    """Switch a connection off: nothing is read or written through it."""
    _switch(cli, name, "disable")


@command(connections, "enable")
def enable_connection(cli: Cli, name: Store) -> None:
    """Switch a connection on again."""
    _switch(cli, name, "enable")


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


def _switch(cli: Cli, name: str, verb: str) -> None:
    found = find_connection(cli.api, name)
    done = cli.api.post(f"/v1/connections/{found['id']}/{verb}")
    cli.result(done, lambda page: page.print(Text.assemble(str(done["name"]), "  ", _state(done))))


def _follow(cli: Cli, sync_id: str, name: str) -> dict[str, Any]:
    last: dict[str, Any] = {}

    def look() -> Point:
        last.update(cli.api.get(f"/v1/syncs/{sync_id}"))
        over = last["state"] in {"completed", "failed"}
        return Point(int(last["rows_read"]), last["rows_total"], over, str(last["stage"]))

    follow(cli.notes, f"reading {name}", look)
    return last


def refuse_unhealthy(connection: Connection) -> None:
    """Raise CliError with what the last check found."""
    health = connection["health"] or {}
    if not health.get("ok"):
        problems = "; ".join(map(str, health.get("problems") or ["the store was not reached"]))
        way_out = ""
        if connection["state"] in LET_IN_AGAIN:
            way_out = f" (then let it in again: calibr connections authorize {connection['name']} --help)"
        raise CliError(f"connection {connection['name']}: {problems}{way_out}", FAILED, "connection.unhealthy")


def show_connection(page: Console, connection: Connection) -> None:
    """A connection with what the last check found."""
    health = connection["health"] or {}
    page.print(Text.assemble((str(connection["name"]), "bold"), f"  {connection['kind']}  ", _state(connection)))
    for label, value in _facts(connection, health):
        if value:
            page.print(f"  {label:<12} {value}")
    for warning in health.get("warnings") or []:
        page.print(Text(f"  warning      {warning}", style="yellow"))


def _facts(connection: Connection, health: dict[str, Any]) -> list[tuple[str, object]]:
    version, asked = health.get("api_version"), health.get("asked_version")
    fell_forward = bool(version and asked and version != asked)
    throttle = health.get("throttle") or {}
    webhooks = health.get("webhooks") or {}
    return [
        ("id", connection["id"]),
        ("address", connection["config"].get("shop_url")),
        ("let in by", str(health.get("auth_method") or "").replace("_", "-")),
        ("store", health.get("store_name")),
        ("currency", health.get("currency")),
        ("API version", f"{version}, asked for {asked}" if fell_forward else version),
        ("rights", ", ".join(health.get("scopes") or [])),
        ("missing", ", ".join(health.get("missing_scopes") or [])),
        ("token until", moment(health.get("token_expires_at"))),
        ("answer", f"{health['latency_ms']} ms" if health.get("latency_ms") is not None else None),
        ("rate limit", _rate(throttle) if throttle else None),
        ("last sync", moment(connection["last_synced_at"]) or NONE),
        ("webhooks", ", ".join(f"{topic} {state}" for topic, state in webhooks.items())),
    ]


def _rate(throttle: dict[str, Any]) -> str:
    said = (
        f"{throttle['used_percent']} % of {throttle['maximum']:,} points used, {throttle['restore_rate']:,} per second"
    )
    refused = throttle["throttled"]
    return said if not refused else f"{said}; {refused} of {throttle['calls']} calls throttled"


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
