"""Leads a person through connecting a Shopify store, one question at a time; a script answers by options instead."""

import getpass
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from rich.console import Console
from rich.prompt import Prompt
from rich.text import Text

from calibr.cli.failures import CliError

DASHBOARD: Final = "https://dev.shopify.com/dashboard"
CALLBACK: Final = "/v1/oauth/callback"


class Method(StrEnum):
    """How Calibr gets its access token."""

    CLIENT_CREDENTIALS = "client-credentials"
    AUTHORIZATION_CODE = "authorization-code"
    TOKEN = "token"  # noqa: S105 - a name

    @property
    def wire(self) -> str:
        """As the API writes it."""
        return self.value.replace("-", "_")


SECRET_NAMES: Final[Mapping[Method, str]] = {
    Method.CLIENT_CREDENTIALS: "client secret",
    Method.AUTHORIZATION_CODE: "client secret",
    Method.TOKEN: "access token",
}


@dataclass(frozen=True, slots=True)
class Answers:
    """What it takes to connect a store; None is not answered yet."""

    name: str | None = None
    shop_url: str | None = None
    method: Method | None = None
    client_id: str | None = None
    secret: str | None = field(default=None, repr=False)
    api_version: str | None = None

    def missing(self) -> list[str]:
        """The options that a script has to give, in the order of the questions."""
        wanted = [] if self.name else ["--name NAME"]
        wanted += [] if self.shop_url else ["--shop-url URL"]
        if self.method is None:
            return [*wanted, "--method, --token-stdin or --token-env NAME"]
        if self.method is not Method.TOKEN and not self.client_id:
            wanted.append("--client-id ID")
        if not self.secret:
            kind = "token" if self.method is Method.TOKEN else "secret"
            wanted.append(f"--{kind}-stdin or --{kind}-env NAME")
        return wanted

    def body(self) -> dict[str, object]:
        """What makes the connection."""
        config: dict[str, object] = {"shop_url": store_address(self.shop_url or "")}
        if self.api_version is not None:
            config["api_version"] = self.api_version
        if self.method is not Method.TOKEN:
            config["auth"] = {"method": (self.method or Method.TOKEN).wire, "client_id": self.client_id}
        secrets = {(SECRET_NAMES[self.method or Method.TOKEN]).replace(" ", "_"): self.secret}
        return {"kind": "shopify", "name": self.name, "config": config, "secrets": secrets}


def store_address(written: str) -> str:
    """The address of a store that may be written by its name alone."""
    written = written.strip()
    if "://" in written or not written:
        return written
    host = written.rstrip("/")
    return f"https://{host}" if "." in host else f"https://{host}.myshopify.com"


def is_conversation() -> bool:
    """Whether a person sits at a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def complete(answers: Answers, page: Console, server_url: str, scopes: Mapping[str, str]) -> Answers:
    """Ask for what is missing, with what has to be done in between."""
    try:
        answers = _which_store(answers, page)
        answers = _which_method(answers, page)
        if answers.method is Method.TOKEN:
            return _pasted(answers, page)
        return _app(answers, page, server_url, scopes)
    except EOFError:
        raise CliError("the terminal was closed before all questions were answered") from None


def _which_store(answers: Answers, page: Console) -> Answers:
    if not answers.shop_url:
        _step(page, "Which store?", "Its address in the admin: my-store or my-store.myshopify.com.")
        answers = replace(answers, shop_url=store_address(_ask(page, "store")))
    if not answers.name:
        known = (answers.shop_url or "").partition("://")[2].partition(".")[0]
        _step(page, "What will you call it in Calibr?")
        answers = replace(answers, name=_ask(page, "name", default=known or None))
    return answers


def _which_method(answers: Answers, page: Console) -> Answers:
    if answers.method is not None:
        return answers
    _step(
        page,
        "How will Calibr be let in?",
        "client-credentials  your own app, for a store of your own organization (the usual way)",
        "authorization-code  an app for somebody else's store: its owner agrees in the browser",
        "token               an access token of a custom app that was made in the store's admin before 2026",
    )
    chosen = _ask(page, "method", default=Method.CLIENT_CREDENTIALS, choices=[method.value for method in Method])
    return replace(answers, method=Method(chosen))


def _pasted(answers: Answers, page: Console) -> Answers:
    if answers.secret:
        return answers
    _step(
        page,
        "The access token",
        "In the store's admin: Settings > Apps and sales channels > Develop apps > your app > API credentials.",
    )
    return replace(answers, secret=_ask_secret("access token"))


def _app(answers: Answers, page: Console, server_url: str, scopes: Mapping[str, str]) -> Answers:
    if not answers.client_id or not answers.secret:
        _show_app(page, answers.method or Method.CLIENT_CREDENTIALS, server_url, scopes)
    if not answers.client_id:
        answers = replace(answers, client_id=_ask(page, "client id"))
    if not answers.secret:
        answers = replace(answers, secret=_ask_secret("client secret"))
    return answers


def _show_app(page: Console, method: Method, server_url: str, scopes: Mapping[str, str]) -> None:
    steps = [
        f"1. Open {DASHBOARD} and choose Apps > Create app > Start from Dev Dashboard.",
        "2. In its first version, give these scopes, and then Release it:",
        f"     {','.join(scopes)}",
        *(f"       {scope:<16} {purpose}" for scope, purpose in scopes.items()),
    ]
    if method is Method.AUTHORIZATION_CODE:
        steps.append(f"   and this redirect URL (of CALIBR_PUBLIC_URL, if that is set): {server_url}{CALLBACK}")
        steps.append("3. Settings: copy the client id and the client secret.")
    else:
        steps.append("3. Home > Install app: choose the store.")
        steps.append("4. Settings: copy the client id and the client secret.")
    _step(page, "An app of your own", *steps)


def _step(page: Console, title: str, *lines: str) -> None:
    page.print()
    page.print(Text(title, style="bold"))
    for line in lines:
        page.print(Text(line), soft_wrap=True)


def _ask(page: Console, label: str, *, default: str | None = None, choices: list[str] | None = None) -> str:
    while True:
        given = Prompt.ask(Text(f"  {label}"), console=page, default=default, choices=choices)
        if given and given.strip():
            return given.strip()


def _ask_secret(label: str) -> str:
    while True:
        given = getpass.getpass(f"  {label} (not shown): ").strip()
        if given:
            return given
