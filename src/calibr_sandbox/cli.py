"""The commands: `serve`, `load`, `generate`. No logic of their own."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import orjson
import typer

from calibr_sandbox.catalog_writer import store_products
from calibr_sandbox.config import DEFAULT_SCOPES, DEFAULT_TOKEN, SandboxConfig
from calibr_sandbox.csv_load import load_csv
from calibr_sandbox.generate import CatalogSpec, generate_products
from calibr_sandbox.server import serve as run_server
from calibr_sandbox.store import Store

app = typer.Typer(help="A stand-in for the Shopify Admin API.", no_args_is_help=True, add_completion=False)

Db = Annotated[Path, typer.Option("--db", help="The file that holds the shop; created if it does not exist.")]
Currency = Annotated[str, typer.Option(help="The shop's currency when the file is created.")]
Seed = Annotated[int, typer.Option(help="The seed of the catalog and of the order of bulk results.")]
CsvFile = Annotated[Path | None, typer.Option("--csv", help="Load this product CSV if the shop is empty.")]
Size = Annotated[int | None, typer.Option("--products", help="Generate this many variants if the shop is empty.")]


@app.command()
def serve(  # noqa: PLR0913, PLR0917 - one parameter per option
    db: Db,
    port: Annotated[int, typer.Option(help="0 takes a free port.")] = 0,
    plan: Annotated[str, typer.Option(help="standard, advanced, plus or enterprise.")] = "plus",
    token: Annotated[list[str] | None, typer.Option(help="An access token; may be given more than once.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="A granted scope; may be given more than once.")] = None,
    csv: CsvFile = None,
    products: Size = None,
    seed: Seed = 1,
    currency: Currency = "USD",
    bulk_delay: Annotated[float, typer.Option(help="Seconds a bulk operation waits, twice.")] = 0.2,
) -> None:
    """Serve the shop until SIGTERM; prints one JSON line with the URL when ready."""
    try:
        config = SandboxConfig(
            db=db,
            plan=plan,
            tokens=tuple(token or (DEFAULT_TOKEN,)),
            currency=currency,
            scopes=tuple(scope or DEFAULT_SCOPES),
            bulk_delay_s=bulk_delay,
            seed=seed,
        )
    except ValueError as error:
        _fail(str(error))
    loaded = _fill(config, csv, products)
    run_server(config, port, lambda url: _print({"event": "ready", "url": url, **loaded}))


@app.command()
def load(
    db: Db,
    csv: Annotated[Path, typer.Option("--csv", help="The product CSV.")],
    currency: Currency = "USD",
) -> None:
    """Load a Shopify product CSV; prints counts and the rows it skipped as JSON."""
    with _opened(db, currency) as store:
        _print(asdict(load_csv(store, csv)))


@app.command()
def generate(
    db: Db,
    products: Annotated[int, typer.Option("--products", help="How many variants.")],
    seed: Seed = 1,
    currency: Currency = "USD",
) -> None:
    """Generate a catalog from a seed; prints counts as JSON."""
    with _opened(db, currency) as store:
        _print(asdict(store_products(store, generate_products(CatalogSpec(products, seed, store.currency)))))


def _fill(config: SandboxConfig, csv: Path | None, products: int | None) -> dict[str, object]:
    """Fill an empty shop from a file or a seed; a shop that has products is left as it is."""
    with _opened(config.db, config.currency) as store:
        if store.fetch_one("SELECT 1 FROM product LIMIT 1") is not None:
            return {"loaded": None}
        if csv is not None:
            return {"loaded": asdict(load_csv(store, csv))}
        if products is not None:
            spec = CatalogSpec(products, config.seed, store.currency)
            return {"loaded": asdict(store_products(store, generate_products(spec)))}
    return {"loaded": None}


@contextmanager
def _opened(db: Path, currency: str) -> Iterator[Store]:
    """Open the shop for one command; what is wrong with the input ends it with a sentence."""
    try:
        with closing(Store(db, currency)) as store:
            yield store
    except (ValueError, OSError, sqlite3.Error) as error:
        _fail(str(error))


def _print(value: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.flush()


def _fail(message: str) -> NoReturn:
    sys.stderr.write(f"error: {message}\n")
    raise typer.Exit(2)
