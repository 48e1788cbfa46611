"""The commands: `serve`, `load`, `generate`. No logic of their own."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer

from calibr_sandbox.catalog_writer import store_products
from calibr_sandbox.config import DEFAULT_SCOPES, DEFAULT_TOKEN, SandboxConfig
from calibr_sandbox.csv_load import CsvError, load_csv
from calibr_sandbox.generate import CatalogSpec, generate_products
from calibr_sandbox.schema import currencies
from calibr_sandbox.server import serve as run_server
from calibr_sandbox.store import Store

app = typer.Typer(help="A stand-in for the Shopify Admin API.", no_args_is_help=True, add_completion=False)

Db = Annotated[Path, typer.Option("--db", help="The file that holds the shop; created if it does not exist.")]
Currency = Annotated[str, typer.Option(help="The shop's currency when the file is created.")]
Seed = Annotated[int, typer.Option(help="The seed of the catalog and of the order of bulk results.")]
CsvFile = Annotated[Path | None, typer.Option("--csv", help="Load this product CSV if the shop is empty.")]
Size = Annotated[int | None, typer.Option("--products", help="Generate this many variants if the shop is empty.")]


@app.command()
def serve(  # noqa: PLR0913 - one parameter per option
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
            currency=_known(currency),
            scopes=tuple(scope or DEFAULT_SCOPES),
            bulk_delay_s=bulk_delay,
            seed=seed,
        )
        loaded = _fill(config, csv, products)
    except (ValueError, OSError) as error:
        _fail(str(error))
    run_server(config, port, lambda url: _print({"event": "ready", "url": url, **loaded}))


@app.command()
def load(
    db: Db,
    csv: Annotated[Path, typer.Option("--csv", help="The product CSV.")],
    currency: Currency = "USD",
) -> None:
    """Load a Shopify product CSV; prints counts and the rows it skipped as JSON."""
    store = Store(db, _known(currency))
    try:
        _print(asdict(load_csv(store, csv)))
    except (CsvError, OSError) as error:
        _fail(str(error))
    finally:
        store.close()


@app.command()
def generate(
    db: Db,
    products: Annotated[int, typer.Option("--products", help="How many variants.")],
    seed: Seed = 1,
    currency: Currency = "USD",
) -> None:
    """Generate a catalog from a seed; prints counts as JSON."""
    store = Store(db, _known(currency))
    try:
        _print(asdict(store_products(store, generate_products(CatalogSpec(products, seed, store.currency)))))
    except ValueError as error:
        _fail(str(error))
    finally:
        store.close()


def _fill(config: SandboxConfig, csv: Path | None, products: int | None) -> dict[str, object]:
    """Fill an empty shop from a file or a seed; a shop that has products is left as it is."""
    store = Store(config.db, config.currency)
    try:
        if store.fetch_one("SELECT 1 FROM product LIMIT 1") is not None:
            return {"loaded": None}
        if csv is not None:
            return {"loaded": asdict(load_csv(store, csv))}
        if products is None:
            return {"loaded": None}
        spec = CatalogSpec(products, config.seed, store.currency)
        return {"loaded": asdict(store_products(store, generate_products(spec)))}
    finally:
        store.close()


def _known(currency: str) -> str:
    known = currencies()
    if currency not in known:
        message = f"currency: {currency!r} is unknown; known are {', '.join(known)}"
        raise typer.BadParameter(message)
    return currency


def _print(value: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.flush()


def _fail(message: str) -> None:
    sys.stderr.write(f"error: {message}\n")
    raise typer.Exit(2)
