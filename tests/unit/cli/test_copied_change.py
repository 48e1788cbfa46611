"""The copy of a plan: its rule gives exactly the planned prices, and its file is one that a store imports."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from calibr.cli.demo.store_check import PlanRow, Shown
from calibr.cli.failures import CliError
from calibr.cli.rehearse.copied import KIND, Copied, Known, copy_plan
from calibr.core.money import read_written, to_minor
from calibr.pricing import Inputs, Item, evaluate, load_document, parse_rules

PLANNED = {
    "kept": ((1999, 2500), (1799, 2500)),
    "without a compare-at": ((1999, None), (1799, None)),
    "cleared": ((1999, 2500), (1799, None)),
    "from the price": ((1999, None), (1799, 1999)),
    "from a price that went up": ((1999, None), (2099, 1999)),
    "a fixed one": ((1999, 2100), (1799, 5000)),
    "another fixed one": ((1999, None), (2500, 6000)),
    "only the compare-at": ((1999, 2500), (1999, None)),
    "for nothing": ((5, None), (0, None)),
}


def plan_of(planned: dict[str, Any], currency: str) -> list[PlanRow]:
    return [
        PlanRow(name, currency, Shown(*before), Shown(*after), "changed") for name, (before, after) in planned.items()
    ]


def copied(planned: dict[str, Any], transform: Any, currency: str = "USD") -> Copied:  # noqa: ANN401 - JSON
    change = {"id": "c", "name": "sale", "plan_root": "ab", "transform": transform}
    products = {name: Known("7" if len(name) < 8 else name, name) for name in planned}
    return copy_plan(change, plan_of(planned, currency), products)


def computed(copy: Copied, sheet: list[dict[str, str]]) -> list[tuple[object, object]]:
    """What the rule of the copy makes of the products in its file."""

    def minor(text: str) -> int | None:
        amount = to_minor(read_written(text), copy.currency) if text else None  # type: ignore[arg-type]
        return amount if isinstance(amount, int) else None

    documents = (copy.rule[part] for part in ("selector", "transform", "guardrails"))
    rules = parse_rules(*(load_document(json.dumps(document)) for document in documents)).bind(copy.currency)
    found = []
    for line in sheet:
        inputs = Inputs(*(minor(line[f]) for f in ("Variant Price", "Variant Compare At Price", "Cost per item")))
        item = Item(inputs, copy.currency, attributes={f"option.{KIND}": line["Option2 Value"].casefold()})
        outcome = evaluate(rules, item).outcome
        assert outcome is not None
        found.append((outcome.after_amount, outcome.after_compare_at))
    return found


def sheet_of(copy: Copied, path: Path) -> list[dict[str, str]]:
    copy.write_csv(path)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD"])
def test_the_rule_of_a_copy_gives_exactly_the_planned_prices(tmp_path: Path, currency: str) -> None:
    copy = copied(PLANNED, {"cases": []}, currency)
    sheet = sheet_of(copy, tmp_path / "catalog.csv")

    assert computed(copy, sheet) == [after for _, after in PLANNED.values()]
    assert [line["Title"] for line in sheet] == list(PLANNED)
    assert len({line["Variant SKU"] for line in sheet}) == len(PLANNED)
    assert sheet[0]["Handle"] == sheet[2]["Handle"] == "g7"  # variants of one product stay so


def test_a_rule_for_all_compare_at_prices_is_copied_however_many_amounts_it_gives(tmp_path: Path) -> None:
    planned = {str(n): ((1000 + n, None), (900 + n, 2 * (900 + n))) for n in range(60)}
    copy = copied(planned, {"price": [], "compare_at": {"percent_above": "100"}})

    assert computed(copy, sheet_of(copy, tmp_path / "catalog.csv")) == [after for _, after in planned.values()]


def test_what_cannot_be_copied_exactly_is_counted(tmp_path: Path) -> None:
    planned = {str(n): ((1000, None), (900, 5000 + n)) for n in range(60)}
    copy = copied(planned, {"cases": []})
    after = computed(copy, sheet_of(copy, tmp_path / "catalog.csv"))
    names = ("unit_amount", "compare_at")
    items = [
        {
            "sku": row.sku,
            "verdict": "changed",
            "before": {"unit_amount": 1000, "compare_at": None},
            "after": dict(zip(names, pair, strict=True)),
        }
        for row, pair in zip(copy.rows, after, strict=True)
    ]

    assert copy.differing(items) == 20
    assert copy.differing(items[:30]) == 30


def test_products_that_no_store_sells_are_left_out_and_counted() -> None:
    plan = plan_of(PLANNED, "USD")
    change = {"id": "c", "name": "sale", "plan_root": "ab", "transform": {"price": []}}

    assert copy_plan(change, plan, {"kept": Known("7", "Kept")}).left_out == len(PLANNED) - 1
    with pytest.raises(CliError, match="no store sells the products of sale"):
        copy_plan(change, plan, {})
