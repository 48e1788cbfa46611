"""`calibr sandbox`: a store for trying things out. It runs as a process of its own; this only starts it."""

import json
import os
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx2
from rich.console import Console
from typer import Argument, Exit, Option, Typer

from calibr.cli.declare import command, group
from calibr.cli.failures import FAILED, REFUSED, CliError
from calibr.cli.output import Output
from calibr.cli.signals import held_back
from calibr.cli.views.table import Column, table

app: Typer = group("sandbox", "A stand-in store with Shopify's Admin API, to try things out.")


class StorePlan(StrEnum):
    """What a store pays for: its rate limits."""

    STANDARD = "standard"
    ADVANCED = "advanced"
    PLUS = "plus"
    ENTERPRISE = "enterprise"


Db = Annotated[
    Path | None, Option("--db", help="File that holds the store; sandbox.db in the data directory if left out.")
]
Currency = Annotated[str, Option(help="The store's currency when the file is created.")]
Seed = Annotated[int, Option(help="The seed of a generated catalog.")]
TOKEN = "shpat_sandbox"  # noqa: S105 - the well-known token of a server that holds no secrets


@command(app, "serve")
def serve(
    out: Output,
    db: Db = None,
    port: Annotated[int, Option(help="0 takes a free port.")] = 0,
    plan: Annotated[StorePlan, Option(help="The store's rate limits.")] = StorePlan.PLUS,
    seed: Seed = 1,
    faults: Annotated[
        str | None, Option(help="A JSON file of faults, or `default` for a bad day: lost answers, 429, 5xx, delays.")
    ] = None,
) -> None:
    """Serve the store until Ctrl-C."""
    arguments = ["serve", "--db", str(_file(db)), "--port", str(port), "--plan", plan, "--seed", str(seed)]
    arguments += ["--faults", faults] if faults is not None else []
    process: subprocess.Popen[bytes] | None = None
    try:
        with held_back():
            process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "calibr_sandbox", *arguments], stdout=subprocess.PIPE, start_new_session=True
            )
        line = process.stdout.readline() if process.stdout else b""
        if line:
            ready = {**json.loads(line), "access_token": TOKEN}
            out.result(ready, lambda page: _show_ready(page, ready))
        code = process.wait()
    except KeyboardInterrupt:
        code = 0  # the way to end it
    finally:
        if process is not None:
            _end(process)
    if code:
        raise Exit(REFUSED if code == REFUSED else FAILED)


@command(app, "load")
def load(
    out: Output,
    csv: Annotated[Path, Option("--csv", help="A product CSV as Shopify exports it.")],
    db: Db = None,
    currency: Currency = "USD",
) -> None:
    """Load products from a CSV file and list the rows that were skipped."""
    loaded = _run(["load", "--db", str(_file(db)), "--csv", str(csv), "--currency", currency])
    out.result(loaded, lambda page: _show_loaded(page, loaded))


@command(app, "generate")
def generate(
    out: Output,
    products: Annotated[int, Option("--products", help="How many products (variants) to make.")] = 2000,
    db: Db = None,
    seed: Seed = 1,
    currency: Currency = "USD",
) -> None:
    """Generate a catalog from a seed: the same seed gives the same catalog."""
    arguments = ["--products", str(products), "--seed", str(seed), "--currency", currency]
    loaded = _run(["generate", "--db", str(_file(db)), *arguments])
    out.result(loaded, lambda page: _show_loaded(page, loaded))


@command(app, "edit")
def edit(
    out: Output,
    variant: Annotated[str, Argument(help="The store's own number of a variant (`channel_refs` of a product).")],
    price: Annotated[str, Option(help="The new price, such as 19.99.")],
    shop_url: Annotated[str, Option(help="Where the sandbox store is.")],
) -> None:
    """Change a price in the store by hand, as somebody else would, to see what Calibr makes of it."""
    address = f"{shop_url.rstrip('/')}/sandbox/variants/{quote(variant, safe='')}"
    try:
        answer = httpx2.post(address, json={"price": price}, trust_env=False)
        edited = answer.json()
    except (httpx2.TransportError, httpx2.InvalidURL, ValueError) as error:
        raise CliError(f"no sandbox store answers at {shop_url}", FAILED, "cli.unreachable") from error
    if answer.is_error:
        raise CliError(str(edited.get("error", answer.status_code)))
    out.result(edited, lambda page: page.print(f"variant {variant} now costs {edited['price']}"))


def _file(chosen: Path | None) -> Path:
    if chosen is not None:
        return chosen
    from calibr.settings import Settings  # noqa: PLC0415 - its libraries would slow every other command

    data_dir = Settings.load().data_dir
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
    return data_dir / "sandbox.db"


def _run(arguments: list[str]) -> dict[str, Any]:
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "calibr_sandbox", *arguments], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        said = done.stderr.strip().removeprefix("error: ")
        raise CliError(said or f"the sandbox ended with {done.returncode}", done.returncode or FAILED)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
    process.wait()


def _show_ready(page: Console, ready: dict[str, Any]) -> None:
    page.print(f"sandbox store   {ready['url']}")
    page.print(f"access token    {TOKEN}")
    page.print(
        f"connect it:     echo {TOKEN} | calibr connect shopify --name sandbox --shop-url {ready['url']} --token-stdin"
    )
    page.print("Ctrl-C ends it.", style="bright_black")


def _show_loaded(page: Console, loaded: dict[str, Any]) -> None:
    page.print(f"{loaded['variants']:,} variants of {loaded['products']:,} products stored")
    skipped = loaded.get("skipped") or []
    if skipped:
        page.print(f"{len(skipped):,} rows skipped:")
        rows = [[f"{row['line']:,}", str(row["reason"])] for row in skipped]
        page.print(table([Column("line", "right"), Column("reason", shrink=True)], rows))
