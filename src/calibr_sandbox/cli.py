"""The commands `serve`, `load`, `generate`, `journal` and `faults`. No logic of their own.

Standard output carries JSON only; what is wrong with the input goes to standard error, with exit status 2.
"""

import argparse
import os
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import orjson

from calibr_sandbox.catalog_writer import store_products
from calibr_sandbox.config import (
    DEFAULT_CLIENT_ID,
    DEFAULT_CLIENT_SECRET,
    DEFAULT_SCOPES,
    DEFAULT_TOKEN,
    DEFAULT_WEBHOOK_SPEED,
    PLANS,
    SHOP_DOMAIN,
    SandboxConfig,
)
from calibr_sandbox.csv_load import load_csv
from calibr_sandbox.fault_file import PRESETS, as_document, read_rules
from calibr_sandbox.faults import FaultRule
from calibr_sandbox.generate import CatalogSpec, generate_products
from calibr_sandbox.journal import stream_file
from calibr_sandbox.markets.seeds import MarketSpec, read_markets, store_markets
from calibr_sandbox.server import serve
from calibr_sandbox.serving import Addresses, Ports
from calibr_sandbox.store import Store
from calibr_sandbox.versions import OLDEST_VERSION

_MARKETS_HELP = "markets with price lists, such as EU:EUR,UK:GBP:-5 (NAME:CURRENCY or NAME:CURRENCY:PERCENT)"


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except BrokenPipeError:
        # Whoever read our output has enough of it; Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, sqlite3.Error) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="calibr-sandbox", description="A stand-in for the Shopify Admin API.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shop = argparse.ArgumentParser(add_help=False)
    shop.add_argument("--db", type=Path, required=True, help="the file that holds the shop; created if absent")
    shop.add_argument("--currency", default="USD", help="the shop's currency when the file is created (USD)")
    serving = commands.add_parser("serve", parents=[shop], help="serve the shop until SIGTERM")
    _add_serving_options(serving)
    loading = commands.add_parser("load", parents=[shop], help="load a Shopify product CSV")
    loading.add_argument("--csv", type=Path, required=True, help="the product CSV")
    loading.set_defaults(command=_load)
    generating = commands.add_parser("generate", parents=[shop], help="generate a catalog from a seed")
    generating.add_argument("--products", type=int, required=True, help="how many variants")
    generating.add_argument("--seed", type=int, default=1, help="the seed (1)")
    generating.add_argument("--markets", help=_MARKETS_HELP)
    generating.set_defaults(command=_generate)
    telling = commands.add_parser("journal", help="print every write of a shop, one JSON line each")
    telling.add_argument("--db", type=Path, required=True, help="the file that holds the shop")
    telling.add_argument("--after", type=int, default=0, help="only those after this sequence number (0)")
    telling.set_defaults(command=_journal)
    showing = commands.add_parser("faults", help="print a named set of faults, to start a fault file from")
    showing.add_argument("name", nargs="?", choices=list(PRESETS), default="default", help="the set (default)")
    showing.set_defaults(command=_show_faults)
    return parser


def _add_serving_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=0, help="the port on the loopback address; 0 takes a free one")
    parser.add_argument("--plan", default="plus", help=f"the rate limits: {', '.join(PLANS)} (plus)")
    parser.add_argument("--token", action="append", help=f"an access token, may be repeated ({DEFAULT_TOKEN})")
    parser.add_argument(
        "--scope", action="append", help=f"a granted scope, may be repeated ({', '.join(DEFAULT_SCOPES)})"
    )
    content = parser.add_mutually_exclusive_group()
    content.add_argument("--csv", type=Path, help="load this product CSV if the shop is empty")
    content.add_argument("--products", type=int, help="generate this many variants if the shop is empty")
    parser.add_argument("--markets", help=f"{_MARKETS_HELP}; with --csv or --products")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the catalog and of the order of bulk results")
    parser.add_argument(
        "--bulk-delay", type=float, default=0.2, help="seconds a bulk operation is CREATED, then RUNNING"
    )
    parser.add_argument("--faults", help="a JSON file of fault rules, or `default` for a bad day")
    parser.add_argument("--webhook-secret", help="what webhooks are signed with (the client secret)")
    parser.add_argument(
        "--webhook-speed",
        type=float,
        default=DEFAULT_WEBHOOK_SPEED,
        help=f"what the four hours of a webhook's retries are divided by ({DEFAULT_WEBHOOK_SPEED:.0f})",
    )
    parser.add_argument("--oldest-version", default=OLDEST_VERSION, help="earlier API versions fall to this one")
    parser.add_argument(
        "--bulk-lines-per-s", type=float, default=0.0, help="lines of a bulk mutation per second (0: as fast as it can)"
    )
    parser.add_argument("--time-factor", type=float, default=1.0, help="how many times as fast time runs (1)")
    _add_app_options(parser)
    _add_tls_options(parser)
    parser.set_defaults(command=_serve)


def _add_app_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shop-domain", default=SHOP_DOMAIN, help=f"the shop's name ({SHOP_DOMAIN})")
    parser.add_argument("--client-id", default=DEFAULT_CLIENT_ID, help=f"the app's client id ({DEFAULT_CLIENT_ID})")
    parser.add_argument("--client-secret", default=DEFAULT_CLIENT_SECRET, help="its secret, which signs webhooks too")
    parser.add_argument(
        "--redirect-url", action="append", default=[], help="where the app may be sent back to, may be repeated (any)"
    )


def _add_tls_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tls", action="store_true", help="serve TLS too, with a proxy that leads there")
    parser.add_argument("--tls-dir", type=Path, help="the folder of the certificates (beside the shop's file)")
    parser.add_argument("--tls-port", type=int, default=0, help="the port of TLS; 0 takes a free one")
    parser.add_argument("--proxy-port", type=int, default=0, help="the port of the proxy; 0 takes a free one")


def _serve(options: argparse.Namespace) -> None:
    config = SandboxConfig(
        db=options.db,
        plan=options.plan,
        tokens=tuple(options.token or (DEFAULT_TOKEN,)),
        currency=options.currency,
        scopes=tuple(options.scope or DEFAULT_SCOPES),
        bulk_delay_s=options.bulk_delay,
        bulk_lines_per_s=options.bulk_lines_per_s,
        seed=options.seed,
        webhook_secret=options.webhook_secret,
        shop_domain=options.shop_domain,
        client_id=options.client_id,
        client_secret=options.client_secret,
        redirect_urls=tuple(options.redirect_url),
        time_factor=options.time_factor,
        oldest_version=options.oldest_version,
        webhook_speed=options.webhook_speed,
    )
    faults = _faults(options.faults)
    loaded = _fill(config, options)
    tls = options.tls_dir or options.db.with_name(f"{options.db.name}.tls") if options.tls else None
    ports = Ports(options.port, options.tls_port, options.proxy_port, tls)
    serve(config, ports, lambda addresses: _print({**_ready(addresses), "loaded": loaded}), faults)


def _ready(addresses: Addresses) -> dict[str, object]:
    told = {name: str(value) for name, value in asdict(addresses).items() if value is not None}
    return {"event": "ready", **told}


def _faults(chosen: str | None) -> Sequence[FaultRule]:
    if chosen is None:
        return ()
    if chosen in PRESETS:
        return PRESETS[chosen]
    try:
        return read_rules(orjson.loads(Path(chosen).read_bytes()))
    except OSError as error:
        raise ValueError(f"--faults {chosen}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise ValueError(f"--faults {chosen}: is no JSON: {error}") from error
    except ValueError as error:
        raise ValueError(f"--faults {chosen}: {error}") from error


def _journal(options: argparse.Namespace) -> None:
    for entry in stream_file(options.db, options.after):
        sys.stdout.write(orjson.dumps(entry).decode() + "\n")
    sys.stdout.flush()


def _show_faults(options: argparse.Namespace) -> None:
    sys.stdout.write(orjson.dumps(as_document(PRESETS[options.name]), option=orjson.OPT_INDENT_2).decode() + "\n")


def _load(options: argparse.Namespace) -> None:
    with _open(options) as store:
        _print(asdict(load_csv(store, options.csv)))


def _generate(options: argparse.Namespace) -> None:
    markets = read_markets(options.markets) if options.markets else ()
    with _open(options) as store:
        spec = CatalogSpec(options.products, options.seed, store.currency)
        _print(asdict(store_products(store, generate_products(spec))) | _with_markets(store, markets))


def _fill(config: SandboxConfig, options: argparse.Namespace) -> dict[str, object] | None:
    """Fill an empty shop from a file or a seed; a shop that has products is left as it is."""
    markets = read_markets(options.markets) if options.markets else ()
    if markets and options.csv is None and options.products is None:
        raise ValueError("--markets: it needs --csv or --products, for the products that the markets sell")
    with closing(Store(config.db, config.currency)) as store:
        if store.fetch_one("SELECT 1 FROM product LIMIT 1") is not None:
            return None
        if options.csv is not None:
            return asdict(load_csv(store, options.csv)) | _with_markets(store, markets)
        if options.products is not None:
            products = generate_products(CatalogSpec(options.products, config.seed, store.currency))
            return asdict(store_products(store, products)) | _with_markets(store, markets)
    return None


def _with_markets(store: Store, markets: Sequence[MarketSpec]) -> dict[str, int]:
    return {"markets": store_markets(store, markets)} if markets else {}


def _open(options: argparse.Namespace) -> closing[Store]:
    return closing(Store(options.db, options.currency))


def _print(value: object) -> None:
    sys.stdout.write(orjson.dumps(value).decode() + "\n")
    sys.stdout.flush()
