"""`calibr change`: a price change from the draft to its rollback."""

from typer import Typer

from calibr.cli.commands.changes import control, draft, look, review
from calibr.cli.declare import group


def build() -> Typer:
    """The group with its commands in the order in which a change meets them."""
    app = group("change", "Write, preview, approve, apply and take back price changes.")
    for module in (draft, look, review, control):
        module.register(app)
    return app
