"""What is copied of a real change for its rehearsal: its products, their prices, and the prices that it writes.

The rules of the change are not computed again: they look at costs and attributes that the copy does not have, and the
plan is what people approved. The copy has another rule that gives exactly the planned prices, and the rehearsal
compares its plan with the other one row by row.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from calibr.cli.client import Client
from calibr.cli.demo.store_check import PlanRow, Shown, read_plan
from calibr.cli.failures import CliError
from calibr.cli.lookups import find_change
from calibr.core.money import format_minor

Json = dict[str, Any]
Planned = tuple[Shown, Shown]
"""A price before and after, each with its compare-at price."""

KIND: Final = "Compare-at"
_WRITTEN: Final = frozenset({"changed", "clamped"})
_MOST_AMOUNTS: Final = 40
_KEEP, _CLEAR, _FROM_PRICE, _SAME_RULE = "keep", "clear", "from price", "same rule"
_HEADER: Final = (
    "Handle", "Title", "Option1 Name", "Option1 Value", "Option2 Name", "Option2 Value", "Variant SKU", "Variant Price",
    "Variant Compare At Price", "Cost per item",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a product: the store's number of its group, and its title."""

    group: str
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """One item of the plan with what the store knows of its product. The SKU is a number of ours."""

    sku: str
    group: str
    title: str
    planned: Planned
    kind: str


@dataclass(frozen=True, slots=True)
class Copied:
    """A change to rehearse. `left_out`: items of the plan whose product no store sells any more."""

    change_id: str
    name: str
    plan_root: str
    currency: str
    rows: tuple[Row, ...] = field(repr=False)
    transform: Json
    left_out: int

    @property
    def rule(self) -> Json:
        """The rule that gives the planned prices on the copy, whose costs are the planned prices."""
        return {"selector": {"all": []}, "transform": self.transform, "guardrails": []}

    def write_csv(self, path: Path) -> None:
        """Write the products as a store imports them. Products of one group stay together: they share calls."""
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_HEADER)
            writer.writerows(self._line(row) for row in self.rows)

    def differing(self, computed: Iterable[Json]) -> int:
        """How many of the plan's rows the rehearsed plan does not have exactly so; `computed` are its items."""
        wanted = {row.sku: row.planned for row in self.rows}
        same = sum(
            item["verdict"] in _WRITTEN
            and wanted.get(str(item["sku"])) == (_shown(item["before"]), _shown(item["after"]))
            for item in computed
        )
        return len(wanted) - same

    def _line(self, row: Row) -> list[str]:
        before, after = row.planned
        compare_at = "" if before.compare_at is None else format_minor(before.compare_at, self.currency)
        price, planned = (format_minor(amount, self.currency) for amount in (before.unit_amount, after.unit_amount))
        return [
            row.group, row.title, "Item", row.sku, KIND, row.kind, row.sku, price, compare_at, planned,
        ]  # fmt: skip


def copy_change(api: Client, reference: str) -> Copied:
    """Read a change with a plan. Raises CliError for one that has none, that writes nothing, or to several lists."""
    change = find_change(api, reference)
    if change["plan_root"] is None:
        raise CliError(f"{change['name']} is {change['state']} and has no plan to rehearse; preview it first")
    if len(change["price_list_ids"]) != 1:
        number = len(change["price_list_ids"])
        raise CliError(f"{change['name']} is for {number} price lists; a rehearsal has one store with one price list")
    plan = [
        row for row in read_plan(api.lines(f"/v1/price-changes/{change['id']}/plan.txt")) if row.verdict in _WRITTEN
    ]
    if not plan:
        raise CliError(f"the plan of {change['name']} writes no price")
    products = _products(api, str(change["price_list_ids"][0]), {row.product_id for row in plan})
    return copy_plan(change, plan, products)


def copy_plan(change: Json, plan: Sequence[PlanRow], products: Mapping[str, Known]) -> Copied:
    """Make a copy of the rows of a plan that write something. Raises CliError where none of its products is known."""
    copied = [(row, products[row.product_id]) for row in plan if row.product_id in products]
    if not copied:
        raise CliError(f"no store sells the products of {change['name']} any more")
    currency, rule = plan[0].currency, _simple_compare_at(change["transform"])
    kinds = _kinds([row for row, _ in copied], currency, rule)
    rows = tuple(
        Row(f"R{number:07d}", f"g{known.group}", known.title, _planned(row), kind)
        for number, ((row, known), kind) in enumerate(zip(copied, kinds, strict=True), start=1)
    )
    return Copied(
        change_id=str(change["id"]),
        name=str(change["name"]),
        plan_root=str(change["plan_root"]),
        currency=currency,
        rows=rows,
        transform={"cases": list(_cases(sorted({row.kind for row in rows}), rule))},
        left_out=len(plan) - len(rows),
    )


def _products(api: Client, price_list_id: str, wanted: set[str]) -> dict[str, Known]:
    """Group and title of each product, at the connection of the price list."""
    lists = {str(row["id"]): str(row["connection_id"]) for row in api.pages("/v1/price-lists")}
    found = {}
    for product in api.pages("/v1/products"):
        refs = [ref for ref in product["channel_refs"] if ref["connection_id"] == lists.get(price_list_id)]
        if refs and str(product["id"]) in wanted:
            title = str(product["title"] or "").strip() or "without a title"
            found[str(product["id"])] = Known(str(refs[0]["group_external_id"]), title)
    return found


def _planned(row: PlanRow) -> Planned:
    if row.before is None or row.after is None:
        raise CliError(f"the plan of product {row.product_id} has no amounts")
    return row.before, row.after


def _simple_compare_at(transform: Mapping[str, Any]) -> object:
    """What the rule of the change says of compare-at prices, where it says one thing of all; None elsewhere.

    It depends on nothing but prices, so that it means the same on the copy.
    """
    return None if "cases" in transform else transform.get("compare_at", "keep")


def _kinds(rows: list[PlanRow], currency: str, rule: object) -> list[str]:
    """How the compare-at price of each row comes about. Too many different amounts cannot be told to a rule."""
    kinds = [_kind(*_planned(row), currency, rule) for row in rows]
    known = {_KEEP, _CLEAR, _FROM_PRICE, _SAME_RULE}
    amounts = [kind for kind, _ in Counter(kind for kind in kinds if kind not in known).most_common(_MOST_AMOUNTS)]
    return [kind if kind in known or kind in amounts else _KEEP for kind in kinds]


def _kind(before: Shown, after: Shown, currency: str, rule: object) -> str:
    if after.compare_at == before.compare_at:
        return _KEEP
    if after.compare_at is None:
        return _CLEAR
    if after.compare_at == before.unit_amount and after.unit_amount < before.unit_amount:
        return _FROM_PRICE
    return format_minor(after.compare_at, currency) if rule is None else _SAME_RULE


def _cases(kinds: list[str], rule: object) -> Iterator[Json]:
    """One case for each way to a compare-at price; the price is the cost, which is the planned price."""
    meanings: dict[str, object] = {
        _KEEP: "keep", _CLEAR: "clear", _FROM_PRICE: {"set": "from_price", "otherwise": "keep"}, _SAME_RULE: rule,
    }  # fmt: skip
    for kind in kinds:
        yield {
            "when": {"field": f"product.attributes.option.{KIND}", "op": "eq", "value": kind},
            "price": [{"op": "from_cost", "markup": "0"}],
            "compare_at": meanings.get(kind, {"set": kind}),
            "allow_zero": True,
        }


def _shown(amounts: Mapping[str, int | None]) -> Shown | None:
    price = amounts["unit_amount"]
    return None if price is None else Shown(price, amounts["compare_at"])
