"""The commands, one module per group, and the application that holds them."""

from collections.abc import Callable
from typing import Annotated

from typer import Option, Typer

from calibr.cli.commands import sandbox


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

    for module in (sandbox,):
        app.add_typer(module.app)
    return app
