"""`calibr events`: what happens, as it happens."""

import json
import time
from collections.abc import Iterator
from typing import Annotated, Any, Final

from rich.text import Text
from typer import Option, Typer

from calibr.cli.client import Query
from calibr.cli.declare import command, group
from calibr.cli.failures import CliError, Unreachable
from calibr.cli.histogram import FLAT
from calibr.cli.lookups import short
from calibr.cli.session import Cli
from calibr.cli.views.audit import told
from calibr.cli.views.table import moment

app: Typer = group("events", "What happens, as it happens.")
_AGAIN_AFTER_S: Final = 1.0
_LATEST: Final = 20


@command(app, "tail")
def tail(
    cli: Cli,
    kind: Annotated[str | None, Option("--type", help="A type, or a prefix such as price.*")] = None,
    aggregate_type: Annotated[str | None, Option(help="Kind of thing, such as product.")] = None,
    aggregate_id: Annotated[str | None, Option(help="Id of the thing.")] = None,
    since: Annotated[str | None, Option(help="From this time on, such as 2026-11-24T08:00:00Z.")] = None,
    follow: Annotated[bool, Option("--follow/--no-follow", help="Wait for what comes, until Ctrl-C.")] = True,
) -> None:
    """Print events, one line each; with --json the whole envelopes. A stream that breaks goes on where it stopped."""
    query: Query = {
        "type": kind,
        "aggregate_type": aggregate_type,
        "aggregate_id": aggregate_id,
        "since": since,
        "follow": "true" if follow else "false",
    }
    head = _head(cli)
    after = None if since is not None else max(0, head - _LATEST)
    for event in _events(cli, query, after, follows=follow):
        cli.line(event, _line(event))


def _head(cli: Cli) -> int:
    """The last number of the log: following nothing from the end tells where the end is."""
    return int(cli.api.get("/v1/events/head")["seq"])


def _events(cli: Cli, query: Query, after: int | None, *, follows: bool) -> Iterator[dict[str, Any]]:
    while True:
        try:
            for seq, event in _parsed(cli.api.lines("/v1/events/stream", {**query, "after": after})):
                after = seq
                if event is not None:
                    yield event
        except Unreachable:
            if not follows:
                raise
        if not follows:
            return
        time.sleep(_AGAIN_AFTER_S)


def _parsed(lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """How far a stream is, each time with its event: blocks of `name: value` lines with an empty one behind each.

    A sign of life has a number too, and no event.
    """
    block: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            block[name] = value
            continue
        if "id" in block:
            try:
                seq = int(block["id"])
                yield seq, {"seq": seq, **json.loads(block["data"])} if "data" in block else None
            except ValueError as error:
                raise CliError("the server sent what is no event; is it a Calibr server?") from error
        block = {}


def _line(event: dict[str, Any]) -> Text:
    explained = {"action": event["type"], "explain": event["payload"]}
    actor, _, identity = str(event["actor"]).partition(":")
    return Text.assemble(
        (f"{event['seq']:>8,} ", FLAT),
        moment(event["at"]),
        (f"  {event['type']:<28}", "cyan" if event["type"] == "price.changed" else ""),
        (f" {event['aggregate_type']} …{short(event['aggregate_id'])[-6:]}", FLAT),
        f"  {f'({identity})' if actor == 'system' else short(identity)}",
        (f"  {told(explained)}", FLAT),
    )
