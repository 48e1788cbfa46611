"""`calibr price-lists` and `calibr markets`: where a store has other prices than its base prices."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from typer import Argument, Option, Typer

from calibr.cli.amounts import NONE, amount
from calibr.cli.declare import command, group
from calibr.cli.failures import FAILED, CliError
from calibr.cli.lookups import find_connection, find_product
from calibr.cli.progress import Point, follow
from calibr.cli.session import Cli
from calibr.cli.views.table import Cell, Column, FittedTable, moment, table, text

Row = Mapping[str, Any]

app: Typer = group("price-lists", "Price lists of stores: base prices, and those beside them.")
_PPM_OF_A_PERCENT: Final = 10_000
_FOR: Final = {None: "everybody", "market": "markets", "company": "companies", "app": "an app", "nobody": "nobody"}


@command(app, "list")
def list_all(cli: Cli) -> None:
    """List price lists: for whom they are, and how a price that is not fixed follows the base price."""
    found = list(cli.api.pages("/v1/price-lists"))
    stores = {row["id"]: str(row["name"]) for row in cli.api.pages("/v1/connections")}
    cli.result({"items": found}, lambda page: page.print(_lists(found, stores)))


@command(app, "read")
def read(
    cli: Cli,
    connection: Annotated[str, Argument(help="The connection, by name or id.")],
    wait: Annotated[bool, Option("--wait/--no-wait", help="Wait until they are read.")] = True,
) -> None:
    """Have a store's price lists and markets read now. The worker reads them every half an hour anyway."""
    store = find_connection(cli.api, connection)
    path = f"/v1/connections/{store['id']}/price-lists"
    before = cli.api.get(path)
    state = cli.api.post(f"{path}/read", {})
    if wait:
        state = _until_read(cli, path, before)
        if state["problem"]:
            raise CliError(f"the price lists of {store['name']} were not read: {state['problem']}", FAILED)
    cli.result(state, lambda page: page.print(f"read at {moment(state['read_at'])}" if wait else "asked for"))


def markets(cli: Cli) -> None:
    """List the markets of stores: countries, currency, and the price lists in force there."""
    found = list(cli.api.pages("/v1/markets"))
    names = {row["id"]: str(row["name"]) for row in cli.api.pages("/v1/price-lists")}
    cli.result({"items": found}, lambda page: page.print(_markets(found, names)))


def market_prices(cli: Cli, product: Annotated[str, Argument(help="SKU or id of a product.")]) -> None:
    """Ask the stores what buyers in each market pay for a product now."""
    chosen = find_product(cli.api, product)
    found = list(cli.api.pages(f"/v1/products/{chosen['id']}/market-prices"))
    columns = [
        Column("market", shrink=True),
        Column("country"),
        Column("price", "right"),
        Column("compare-at", "right"),
    ]
    rows: list[list[Cell]] = [
        [
            text(row["market"]),
            str(row["country"]),
            f"{amount(row['unit_amount'], row['currency'])} {row['currency']}",
            amount(row["compare_at"], row["currency"]),
        ]
        for row in found
    ]
    cli.result({"items": found}, lambda page: page.print(table(columns, rows)))


def _until_read(cli: Cli, path: str, before: Row) -> dict[str, Any]:
    last: dict[str, Any] = {}

    def look() -> Point:
        last.update(cli.api.get(path))
        is_over = last["problem"] or (last["read_at"] or "") > (last["begun_at"] or "")
        return Point(0, None, last["begun_at"] != before["begun_at"] and bool(is_over))

    follow(cli.notes, "reading price lists", look)
    return last


def _lists(found: Sequence[Row], stores: Mapping[str, str]) -> FittedTable:
    columns = [Column("name", shrink=True), Column("store", shrink=True), Column("for"), Column("currency")]
    columns += [Column("follows base", "right"), Column("read at"), Column("id")]
    return table(columns, [_list(row, stores) for row in found])


def _list(row: Row, stores: Mapping[str, str]) -> list[Cell]:
    return [
        text(row["name"]),
        text(stores.get(str(row["connection_id"]))),
        _FOR.get(row["audience"], str(row["audience"])) if row["active"] else "not in use",
        str(row["currency"]),
        _adjustment(row["adjustment_ppm"]),
        moment(row["read_at"])[:16] if row["read_at"] else NONE,
        str(row["id"])[-12:],
    ]


def _adjustment(ppm: int | None) -> str:
    if ppm is None:
        return NONE
    whole, rest = divmod(abs(ppm), _PPM_OF_A_PERCENT)
    sign = "-" if ppm < 0 else "+"
    return f"{sign}{whole}" + (f".{rest:04d}".rstrip("0") if rest else "") + " %"


def _markets(found: Sequence[Row], names: Mapping[str, str]) -> FittedTable:
    columns = [Column("market", shrink=True), Column("state"), Column("currency"), Column("price lists", shrink=True)]
    columns.append(Column("countries", shrink=True))
    rows: list[list[Cell]] = [
        [
            text(row["name"]),
            "active" if row["active"] else "not active",
            str(row["currency"]),
            ", ".join(names.get(str(each), str(each)) for each in row["price_list_ids"]) or "base prices",
            ", ".join(row["countries"]),
        ]
        for row in found
    ]
    return table(columns, rows)
