"""`calibr products`: what is sold, at which price and cost."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from typer import Option

from calibr.cli.amounts import NONE, amount, margin_percent
from calibr.cli.session import Cli
from calibr.cli.views.table import Column, FittedTable, table, text

Product = Mapping[str, Any]

_WIDE = 130


def products(
    cli: Cli,
    sku: Annotated[str | None, Option(help="Only those with this SKU.")] = None,
    title: Annotated[str | None, Option(help="Only those whose title begins like this.")] = None,
    tag: Annotated[str | None, Option(help="Only those with this tag.")] = None,
    limit: Annotated[int, Option(min=1, help="At most this many rows.")] = 50,
) -> None:
    """List products with their price in force, compare-at price, cost and margin."""
    found = list(cli.api.pages("/v1/products", {"sku": sku, "title": title, "tag": tag}, limit=limit))
    cli.result({"items": found}, lambda page: page.print(_table(found, wide=page.width >= _WIDE)))


def options_of(product: Product) -> str:
    """The options of a product, such as `Navy / M`."""
    attributes = product.get("attributes") or {}
    values = [str(value) for name, value in attributes.items() if str(name).startswith("option.")]
    return "" if values in ([], ["Default Title"]) else " / ".join(values)


def _table(found: Sequence[Product], *, wide: bool) -> FittedTable:
    columns = [
        Column("SKU", shrink=True),
        Column("product", shrink=True),
        Column("price", "right"),
        Column("", "left"),
        Column("compare-at", "right"),
        Column("cost", "right"),
        Column("margin", "right"),
    ]
    if wide:
        columns += [Column("vendor", shrink=True), Column("tags", shrink=True), Column("id")]
    return table(columns, [row for product in found for row in _rows(product, wide=wide)])


def _rows(product: Product, *, wide: bool) -> list[list[str]]:
    """One row per price list that the product is on."""
    cost = product["cost"]
    rows = []
    for price in product["prices"] or [None]:
        currency = str(price["currency"]) if price else ""
        own_cost = cost["unit_cost"] if cost and cost["currency"] == currency else None
        unit_amount = price["unit_amount"] if price else None
        row = [
            text(product["sku"]) or NONE,
            " ".join(part for part in (text(product["title"]), options_of(product)) if part),
            amount(unit_amount, currency),
            currency,
            amount(price["compare_at"] if price else None, currency),
            amount(own_cost, currency),
            margin_percent(unit_amount, own_cost),
        ]
        rows.append([*row, text(product["vendor"]), ", ".join(product["tags"]), str(product["id"])] if wide else row)
    return rows
