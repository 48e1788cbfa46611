"""`calibr demo`."""

from pathlib import Path
from typing import Annotated

from typer import Option

from calibr.cli.commands.sandbox import StorePlan
from calibr.cli.output import Output


def demo(
    out: Output,
    leave: Annotated[
        bool, Option("--exit", help="End after the job instead of keeping server and store running.")
    ] = False,
    catalog: Annotated[Path | None, Option(help="A Shopify product CSV instead of a generated catalog.")] = None,
    products: Annotated[int, Option(min=1, help="How many products to generate.")] = 2000,
    plan: Annotated[StorePlan, Option(help="The store's rate limits; standard shows the slow one.")] = StorePlan.PLUS,
    seed: Annotated[int, Option(help="The same seed gives the same catalog.")] = 1,
) -> None:
    """The main job end to end on a sandbox store: ingest, preview, approve, apply, verify, roll back.

    Everything runs on this host in a directory that is gone afterwards.
    """
    from calibr.cli.demo import Wish, tell  # noqa: PLC0415 - the server's libraries would slow every other command

    tell(out, Wish(leave=leave, catalog=catalog, products=products, plan=plan, seed=seed))
