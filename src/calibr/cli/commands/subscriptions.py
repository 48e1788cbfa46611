"""`calibr subscription`: who else gets the events of this tenant."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from rich.console import Console
from rich.text import Text
from typer import Argument, Option, Typer

from calibr.cli.declare import command, group
from calibr.cli.failures import CliError
from calibr.cli.session import Cli
from calibr.cli.views.table import Column, moment, table, text

app: Typer = group("subscription", "Who else gets the events: webhooks, streams.")
Name = Annotated[str, Argument(help="Name or id of the subscription.")]


@dataclass(frozen=True, slots=True)
class Wishes:
    """How events are delivered."""

    types: Annotated[list[str] | None, Option("--type", help="A type or prefix (price.*); may be repeated.")] = None
    lanes: Annotated[int, Option(help="Deliveries at a time: 1, 2, 4, 8, 16, 32 or 64.")] = 8
    from_seq: Annotated[int | None, Option(help="Also what happened after this number; 0: everything.")] = None
    block: Annotated[bool, Option("--block", help="Let what cannot be delivered hold up its lane.")] = False


@command(app, "create")
def create(
    cli: Cli,
    wishes: Wishes,
    name: Annotated[str, Argument(help="What to call it.")],
    to: Annotated[str | None, Option(help="Where a webhook sends events: https://...")] = None,
    kind: Annotated[str, Option(help="webhook or jetstream.")] = "webhook",
) -> None:
    """Subscribe, and print the secret that signs the events, once."""
    body = {
        "kind": kind,
        "name": name,
        "config": {} if to is None else {"url": to},
        "event_types": wishes.types or [],
        "lanes": wishes.lanes,
        "from_seq": wishes.from_seq,
        "on_poison": "block_lane" if wishes.block else "park_key",
    }
    made = cli.api.post("/v1/subscriptions", body)
    cli.result(made, lambda page: _show_made(page, made))


@command(app, "list")
def list_all(cli: Cli) -> None:
    """List the subscriptions, those that are part of Calibr too."""
    found = list(cli.api.pages("/v1/subscriptions"))
    rows = [
        [text(s["name"]), s["kind"], _state(s), text(", ".join(s["event_types"]) or "all"), text(_where(s))]
        for s in found
    ]
    columns = [
        Column("name"),
        Column("kind"),
        Column("state"),
        Column("events", shrink=True),
        Column("to", shrink=True),
    ]
    cli.result({"items": found}, lambda page: page.print(table(columns, rows)))


@command(app, "show")
def show(cli: Cli, name: Name) -> None:
    """Show how far a subscription is, and what it waits for."""
    found = cli.api.get(f"/v1/subscriptions/{_id(cli, name)}")
    cli.result(found, lambda page: _show(page, found))


@command(app, "pause")
def pause(cli: Cli, name: Name) -> None:
    """Deliver nothing until `resume`."""
    _step(cli, name, "pause")


@command(app, "resume")
def resume(cli: Cli, name: Name) -> None:
    """Go on where deliveries stopped."""
    _step(cli, name, "resume")


@command(app, "replay")
def replay(
    cli: Cli,
    name: Name,
    from_seq: Annotated[int | None, Option(help="Everything after this number of the log.")] = None,
    since: Annotated[str | None, Option(help="Everything from this time on.")] = None,
) -> None:
    """Deliver events again, marked as a replay."""
    if (from_seq is None) == (since is None):
        raise CliError("say from where: --from-seq or --since")
    _step(cli, name, "replay", {"from_seq": from_seq} if since is None else {"since": since})


@command(app, "rotate-secret")
def rotate_secret(cli: Cli, name: Name) -> None:
    """Make a new secret and print it once; for a day the old one signs too."""
    made = cli.api.post(f"/v1/subscriptions/{_id(cli, name)}/rotate-secret")
    cli.result(made, lambda page: _show_made(page, made))


@command(app, "delete")
def delete(cli: Cli, name: Name) -> None:
    """Delete a subscription with its dead letters."""
    cli.api.delete(f"/v1/subscriptions/{_id(cli, name)}")
    cli.result({"deleted": name}, lambda page: page.print(f"{name} is deleted"))


@command(app, "dead-letters")
def dead_letters(
    cli: Cli, name: Name, limit: Annotated[int, Option(min=1, help="At most this many rows.")] = 100
) -> None:
    """List what could not be delivered."""
    found = list(cli.api.pages(f"/v1/subscriptions/{_id(cli, name)}/dead-letters", limit=limit))
    rows = [
        [f"{r['seq']:,}", text(r["type"]), text(f"{r['aggregate_type']} {r['aggregate_id']}"), moment(r["parked_at"]),
         str(r["attempts"]), text(r["reason"])]
        for r in found
    ]  # fmt: skip
    columns = [
        Column("#", "right"),
        Column("event"),
        Column("of", shrink=True),
        Column("parked (UTC)"),
        Column("tries", "right"),
        Column("why", shrink=True),
    ]
    cli.result({"items": found}, lambda page: page.print(table(columns, rows) if rows else "nothing is parked"))


@command(app, "redeliver")
def redeliver(
    cli: Cli,
    name: Name,
    aggregate_type: Annotated[str | None, Option(help="Only of this aggregate; needs --aggregate-id.")] = None,
    aggregate_id: Annotated[str | None, Option(help="Only of this aggregate; needs --aggregate-type.")] = None,
) -> None:
    """Deliver dead letters again, in their order."""
    body = {"aggregate_type": aggregate_type, "aggregate_id": aggregate_id}
    made = cli.api.post(f"/v1/subscriptions/{_id(cli, name)}/redeliver", body)
    cli.result(made, lambda page: page.print(f"{made['dead_letters']:,} dead letters are delivered again"))


def _id(cli: Cli, name: str) -> str:
    found: Sequence[dict[str, Any]] = [s for s in cli.api.pages("/v1/subscriptions") if name in {s["name"], s["id"]}]
    if not found:
        raise CliError(f"there is no subscription {name!r}; see `calibr subscription list`", code="cli.not_found")
    return str(found[0]["id"])


def _step(cli: Cli, name: str, step: str, body: dict[str, object] | None = None) -> None:
    made = cli.api.post(f"/v1/subscriptions/{_id(cli, name)}/{step}", body)
    said = "is replayed" if step == "replay" else f"is {made['state']}"
    cli.result(made, lambda page: page.print(f"{made['name']} {said}"))


def _state(found: dict[str, Any]) -> Text:
    if found["state"] == "active" and found["failing_since"]:
        return Text("failing", style="yellow")
    return Text(found["state"], style={"active": "green", "disabled": "red"}.get(found["state"], "yellow"))


def _where(found: dict[str, Any]) -> str:
    return str(found["config"].get("url", ""))


def _show_made(page: Console, made: dict[str, Any]) -> None:
    found = made["subscription"]
    page.print(Text.assemble((found["name"], "bold"), f"  {found['kind']}  {found['id']}"))
    if made["secret"]:
        page.print(f"secret  {made['secret']}", soft_wrap=True)
        page.print("Keep the secret now: it is never shown again.", style="yellow")


def _show(page: Console, found: dict[str, Any]) -> None:
    told, stands = found["subscription"], found["standing"]
    page.print(Text.assemble((told["name"], "bold"), f"  {told['kind']}  ", _state(told), f"  {_where(told)}"))
    page.print(f"events   {', '.join(told['event_types']) or 'all'}")
    page.print(f"behind   {stands['behind']:,} of {stands['head']:,}")
    if stands["waiting_lanes"]:
        page.print(f"waiting  {stands['waiting_lanes']} lanes, the first until {moment(stands['next_at'])}")
    if stands["last_error"]:
        page.print(Text(f"said     {stands['last_error']}", style="yellow"))
    if stands["parked"]:
        page.print(Text(f"parked   {stands['parked']:,}; see `calibr subscription dead-letters`", style="yellow"))
