"""`calibr user`, `token`, `login`, `logout` and `whoami`: who may do what, and who is asking."""

import sys
from typing import Annotated, Any

from rich.console import Console
from rich.text import Text
from typer import Argument, Option, Typer, prompt

from calibr.cli.amounts import NONE
from calibr.cli.client import Client
from calibr.cli.declare import command, group
from calibr.cli.failures import CliError
from calibr.cli.lookups import find_user, short
from calibr.cli.output import Output
from calibr.cli.profile import DEFAULT_URL, Profile, profile_path, remove_profile, save_profile
from calibr.cli.session import Cli
from calibr.cli.views.table import Cell, Column, moment, table, text

users: Typer = group("user", "People and machines of this tenant.")
tokens: Typer = group("token", "Tokens with which users ask.")

Token = dict[str, Any]


@command(users, "create")
def create_user(
    cli: Cli,
    name: Annotated[str, Argument(help="Unique in this tenant.")],
    role: Annotated[str, Option(help="viewer, author, approver or admin.")],
) -> None:
    """Add a user; a token for it comes from `calibr token create`."""
    made = cli.api.post("/v1/users", {"name": name, "role": role})
    cli.result(made, lambda page: page.print(f"{made['name']}  {made['role']}  {made['id']}"))


@command(users, "list")
def list_users(cli: Cli) -> None:
    """List the users."""
    found = list(cli.api.pages("/v1/users"))
    rows = [[text(u["name"]), text(u["role"]), moment(u["created_at"]), text(u["id"])] for u in found]
    columns = [Column("name", shrink=True), Column("role"), Column("created"), Column("id")]
    cli.result({"items": found}, lambda page: page.print(table(columns, rows)))


@command(tokens, "create")
def create_token(
    cli: Cli,
    name: Annotated[str, Argument(help="What it is for.")],
    user: Annotated[str | None, Option(help="Whose token, by name or id; your own if left out.")] = None,
    scope: Annotated[list[str] | None, Option(help="A right (repeat); all of the role if left out.")] = None,
    days: Annotated[int, Option(help="How long it lives.")] = 90,
    print_token: Annotated[bool, Option("--print-token", help="Print nothing but the token.")] = False,
) -> None:
    """Make a token. Its text is shown once and never again."""
    body: dict[str, object] = {"name": name, "expires_in_days": days}
    if user is not None:
        body["user_id"] = find_user(cli.api, user)["id"]
    if scope:
        body["scopes"] = scope
    made = cli.api.post("/v1/tokens", body)

    def show(page: Console) -> None:
        if print_token:
            page.print(text(made["token"]), soft_wrap=True)
        else:
            _show_token(page, made)

    cli.result(made, show)


@command(tokens, "list")
def list_tokens(cli: Cli) -> None:
    """List the tokens, without their texts."""
    found = list(cli.api.pages("/v1/tokens"))
    columns = [
        Column("name", shrink=True),
        Column("state"),
        Column("expires"),
        Column("last used"),
        Column("rights", shrink=True),
        Column("id"),
    ]
    rows: list[list[Cell]] = [
        [
            text(t["name"]),
            Text("revoked", style="red") if t["revoked_at"] else Text("active", style="green"),
            moment(t["expires_at"])[:10],
            moment(t["last_used_at"]) or NONE,
            " ".join(t["scopes"]),
            text(t["id"]) if cli.page.width >= 140 else short(t["id"]),  # noqa: PLR2004 - a whole id needs the room
        ]
        for t in found
    ]
    cli.result({"items": found}, lambda page: page.print(table(columns, rows)))


@command(tokens, "revoke")
def revoke_token(
    cli: Cli, token_id: Annotated[str, Argument(metavar="ID", help="Id of the token, or the end of it.")]
) -> None:
    """Make a token worthless, at once and for good."""
    matches = [t for t in cli.api.pages("/v1/tokens") if str(t["id"]) == token_id or str(t["id"]).endswith(token_id)]
    if len(matches) != 1 or len(token_id) < 6:  # noqa: PLR2004 - a shorter ending could fit by accident
        raise CliError(f"{len(matches)} tokens have an id that ends in {token_id!r}; give the whole id")
    cli.api.delete(f"/v1/tokens/{matches[0]['id']}")
    cli.result({"id": matches[0]["id"], "revoked": True}, lambda page: page.print(f"{matches[0]['name']} is revoked"))


def whoami(cli: Cli) -> None:
    """Say whose token is in use and what it may do."""
    me: dict[str, Any] = cli.api.get("/v1/me")

    def show(page: Console) -> None:
        page.print(
            Text.assemble((str(me["user"]["name"]), "bold"), f", {me['user']['role']} of {me['tenant']['name']}")
        )
        page.print("may " + " ".join(me["token"]["scopes"]), style="bright_black")

    cli.result(me, show)


def login(
    out: Output,
    url: Annotated[str, Option(envvar="CALIBR_URL", help="Address of the server.")] = DEFAULT_URL,
) -> None:
    """Keep a server and a token for the next commands. The token is asked for, or read from standard input."""
    asked = prompt("token", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    token = str(asked).strip()
    if not token:
        raise CliError("standard input holds no token")
    address = url.rstrip("/")
    client = Client(address, token)
    try:
        me = client.get("/v1/me")
    finally:
        client.close()
    path = save_profile(Profile(address, token))
    told = {"url": address, "user": me["user"], "tenant": me["tenant"], "profile": str(path)}
    out.result(
        told, lambda page: page.print(f"{me['user']['name']} of {me['tenant']['name']} at {address}; kept in {path}")
    )


def logout(out: Output) -> None:
    """Forget the kept token."""
    removed = remove_profile()
    said = f"{profile_path()} is removed" if removed else "no token was kept"
    out.result({"removed": removed}, lambda page: page.print(said))


def _show_token(page: Console, made: Token) -> None:
    page.print(Text.assemble((str(made["name"]), "bold"), f"  until {moment(made['expires_at'])[:10]}  {made['id']}"))
    page.print("may " + " ".join(made["scopes"]), style="bright_black")
    page.print()
    page.print(text(made["token"]) or "the text was shown when it was made", soft_wrap=True)
    page.print("Keep it now: it is never shown again.", style="yellow")
