"""The commands, one module per group, and the application that holds them."""

from collections.abc import Callable
from typing import Annotated, Final

from typer import Option, Typer

from calibr.cli.commands import (
    access,
    catalog,
    changes,
    connect,
    connections,
    demo,
    drift,
    events,
    look,
    price_lists,
    rehearse,
    rules,
    sandbox,
    server,
    subscriptions,
)
from calibr.cli.declare import command

START: Final = "Start here"
WORK: Final = "Prices"
STORES: Final = "Stores"
EVENTS: Final = "Events"
HOST: Final = "This installation"
PEOPLE: Final = "People"


def build(version: Callable[[bool], None]) -> Typer:
    """Assemble the application; `version` prints the version and ends."""
    app = Typer(
        name="calibr",
        help="A pricing control plane: preview, approve, apply, verify, roll back.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def about(
        _version: Annotated[
            bool, Option("--version", callback=version, is_eager=True, help="Show the version.")
        ] = False,
    ) -> None:
        pass

    command(app, "demo", panel=START)(demo.demo)
    app.add_typer(sandbox.app, rich_help_panel=START)
    command(app, "rehearse", panel=START)(rehearse.rehearse)
    app.add_typer(changes.build(), rich_help_panel=WORK)
    command(app, "products", panel=WORK)(catalog.products)
    app.add_typer(price_lists.app, rich_help_panel=WORK)
    command(app, "markets", panel=WORK)(price_lists.markets)
    command(app, "market-prices", panel=WORK)(price_lists.market_prices)
    app.add_typer(rules.app, rich_help_panel=WORK)
    app.add_typer(drift.app, rich_help_panel=WORK)
    app.add_typer(look.audit, rich_help_panel=WORK)
    app.add_typer(look.schemas, rich_help_panel=WORK)
    app.add_typer(events.app, rich_help_panel=EVENTS)
    app.add_typer(subscriptions.app, rich_help_panel=EVENTS)
    app.add_typer(connect.connect, rich_help_panel=STORES)
    app.add_typer(connections.connections, rich_help_panel=STORES)
    command(app, "sync", panel=STORES)(connections.sync)
    command(app, "serve", panel=HOST)(server.serve)
    command(app, "worker", panel=HOST)(server.worker)
    command(app, "migrate", panel=HOST)(server.migrate)
    command(app, "doctor", panel=HOST)(server.doctor)
    app.add_typer(server.tenants, rich_help_panel=HOST)
    app.add_typer(access.users, rich_help_panel=PEOPLE)
    app.add_typer(access.tokens, rich_help_panel=PEOPLE)
    command(app, "login", panel=PEOPLE)(access.login)
    command(app, "logout", panel=PEOPLE)(access.logout)
    command(app, "whoami", panel=PEOPLE)(access.whoami)
    return app
