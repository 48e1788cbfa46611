"""`calibr connect shopify` and `calibr connections authorize`: how a store lets Calibr in, at first and again."""

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from typer import Option, Typer

from calibr.cli.commands.connections import LET_IN_AGAIN, Store, connections, refuse_unhealthy, show_connection
from calibr.cli.connect_guide import SECRET_NAMES, Answers, Method, complete, is_conversation
from calibr.cli.declare import command, group
from calibr.cli.failures import FAILED, CliError
from calibr.cli.lookups import find_connection
from calibr.cli.session import Cli

connect: Typer = group("connect", "Connect a store.")

Connection = dict[str, Any]
_POLL_S: Final = 1.0
_CONSENT_S: Final = 600.0


Wait = Annotated[bool, Option("--wait/--no-wait", help="Wait for the owner to agree (authorization-code).")]


@dataclass(slots=False)
class Shop:
    """Which store, and how it lets Calibr in."""

    name: Annotated[str | None, Option(help="How you will call it.")] = None
    shop_url: Annotated[
        str | None, Option(help="https://your-store.myshopify.com, or your-store, or a sandbox on this host.")
    ] = None
    method: Annotated[Method | None, Option(help="How Calibr is let in.")] = None
    client_id: Annotated[str | None, Option(help="The app's client id, for the methods that have an app.")] = None
    api_version: Annotated[str | None, Option(help="Version of the Admin API.")] = None


@dataclass(slots=False)
class Credentials:
    """Where the secret comes from. It is never an argument: those are visible to others."""

    token_stdin: Annotated[bool, Option("--token-stdin", help="Read the access token from standard input.")] = False
    token_env: Annotated[str | None, Option(help="Read the access token from this environment variable.")] = None
    secret_stdin: Annotated[bool, Option("--secret-stdin", help="Read the client secret from standard input.")] = False
    secret_env: Annotated[str | None, Option(help="Read the client secret from this environment variable.")] = None

    def kind(self) -> str | None:
        """`token` or `secret`, whichever is given; None if neither is."""
        given = [
            kind
            for kind, ways in (
                ("token", (self.token_stdin, self.token_env is not None)),
                ("secret", (self.secret_stdin, self.secret_env is not None)),
            )
            for way in ways
            if way
        ]
        if len(given) > 1:
            raise CliError("give one of --token-stdin, --token-env, --secret-stdin and --secret-env")
        return given[0] if given else None

    def read(self) -> str | None:
        """The secret; None if no option says where it is."""
        kind = self.kind()
        if kind is None:
            return None
        named = "access token" if kind == "token" else "client secret"
        variable = self.token_env if kind == "token" else self.secret_env
        if variable is None:
            secret = sys.stdin.readline().strip()
            if not secret:
                raise CliError(f"--{kind}-stdin: standard input holds no {named}")
            return secret
        secret = os.environ.get(variable, "").strip()
        if not secret:
            raise CliError(f"--{kind}-env: the environment variable {variable} is not set or empty")
        return secret


@command(connect, "shopify")
def connect_shopify(cli: Cli, shop: Shop, credentials: Credentials, wait: Wait = True) -> None:
    """Connect a Shopify store and check it. On a terminal it asks for what is not given, and says where to click."""
    answers = _answered(cli, shop, credentials)
    made = cli.api.post("/v1/connections", answers.body())
    if answers.method is Method.AUTHORIZATION_CODE:
        made = _consented(cli, made, wait=wait)
        if made.get("authorize_url"):
            cli.result(made, lambda page: page.print(f"{made['name']} waits for the owner of the store"))
            return
    _show_checked(cli, made)


@command(connections, "authorize")
def authorize(cli: Cli, name: Store, credentials: Credentials, wait: Wait = True) -> None:
    """Let Calibr in again: with another token or client secret, or by the consent of the store's owner."""
    found = find_connection(cli.api, name)
    method = Method(str((found["config"].get("auth") or {}).get("method", "token")).replace("_", "-"))
    kind = credentials.kind()
    wanted = "token" if method is Method.TOKEN else "secret"
    if kind not in {None, wanted} or (kind is None and method is Method.TOKEN):
        needed = f"--{wanted}-stdin or --{wanted}-env NAME"
        raise CliError(f"{name} is authorized by {method}: give its {SECRET_NAMES[method]} by {needed}")
    if (secret := credentials.read()) is not None:
        secrets = {SECRET_NAMES[method].replace(" ", "_"): secret}
        cli.api.post(f"/v1/connections/{found['id']}/secrets", {"secrets": secrets})
    if method is Method.AUTHORIZATION_CODE:
        found = _consented(cli, found, wait=wait)
        if found.get("authorize_url"):
            cli.result(found, lambda page: page.print(f"{name}: run `calibr connections check` once the owner agreed"))
            return
    _show_checked(cli, found)


def _method(chosen: Method | None, client_id: str | None, credentials: Credentials) -> Method | None:
    """The method that the options mean: a pasted token is one by itself, and an app needs a client id."""
    kind = credentials.kind()
    method = chosen or (Method.TOKEN if kind == "token" else Method.CLIENT_CREDENTIALS if client_id or kind else None)
    if method is not None and kind not in {None, "token" if method is Method.TOKEN else "secret"}:
        raise CliError(
            f"--method {method} takes its {SECRET_NAMES[method]}; --{kind}-stdin and --{kind}-env give another thing"
        )
    if method is Method.TOKEN and client_id:
        raise CliError("--client-id belongs to an app; --method token has none")
    return method


def _answered(cli: Cli, shop: Shop, credentials: Credentials) -> Answers:
    method = _method(shop.method, shop.client_id, credentials)
    secret = credentials.read()
    answers = Answers(shop.name, shop.shop_url, method, shop.client_id, secret, shop.api_version)
    if answers.missing() and is_conversation() and not cli.as_json:
        answers = complete(answers, cli.notes, cli.api.url, _scopes())
    if missing := answers.missing():
        raise CliError(f"nothing is asked without a terminal or with --json; give {', '.join(missing)}")
    return answers


def _scopes() -> Mapping[str, str]:
    from calibr.connectors.shopify.scopes import REQUIRED_SCOPES  # noqa: PLC0415 - would slow every other command

    return REQUIRED_SCOPES


def _consented(cli: Cli, connection: Connection, *, wait: bool) -> Connection:
    """Show where the owner has to go, and wait until they agreed; without that, the answer holds the address."""
    asked = cli.api.post(f"/v1/connections/{connection['id']}/authorize")
    if asked["authorize_url"] is None:
        raise CliError("the answer of the server was lost on the way; ask again", FAILED, "cli.unreachable")
    cli.notes.print("The owner of the store agrees here, within ten minutes:")
    cli.notes.print(f"  {asked['authorize_url']}", soft_wrap=True)
    cli.notes.print(f"(The app must list this redirect URL: {asked['redirect_uri']})", soft_wrap=True)
    if not wait or connection["state"] not in LET_IN_AGAIN:
        return {**connection, **{key: asked[key] for key in ("authorize_url", "redirect_uri", "expires_at")}}
    until = time.monotonic() + _CONSENT_S
    while time.monotonic() < until:
        found = cli.api.get(f"/v1/connections/{connection['id']}")
        if found["state"] not in LET_IN_AGAIN:
            return found
        time.sleep(_POLL_S)
    again = f"calibr connections authorize {connection['name']}"
    raise CliError(f"nobody agreed within ten minutes; begin again with `{again}`", FAILED, "connection.pending")


def _show_checked(cli: Cli, connection: Connection) -> None:
    checked = cli.api.post(f"/v1/connections/{connection['id']}/check")
    cli.result(checked, lambda page: show_connection(page, checked))
    refuse_unhealthy(checked)
