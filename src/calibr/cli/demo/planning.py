"""The rule and its preview: in words and as JSON, then counts, money, histogram, first rows and one explanation."""

import json
from collections.abc import Mapping
from typing import Any, Final

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from calibr.cli.amounts import NONE, amount, counted
from calibr.cli.demo.scene import Scene
from calibr.cli.failures import FAILED, CliError
from calibr.cli.histogram import FLAT
from calibr.cli.progress import Point, follow
from calibr.cli.rule_words import rule_lines
from calibr.cli.views import summary
from calibr.cli.views.items import change_cell, moved, verdict_cell
from calibr.cli.views.table import Cell, Column, FittedTable, table, text
from calibr.cli.waterfall import outcome, waterfall

Json = dict[str, Any]

_FIRST_ROWS: Final = 8
_WIDE: Final = 100
_TRANSFORM: Final[Json] = {
    "price": [{"op": "percent", "by": "-10"}, {"op": "ending", "endings": ["0.99"], "per": "1.00"}],
    "compare_at": {"set": "from_price"},
}
_GUARDRAILS: Final[list[Json]] = [
    {"id": "20-above-cost", "rule": "min_markup", "percent": "20", "if_missing": "skip"},
]


def plan(scene: Scene) -> None:
    """Preview the rule on the most frequent tag; on everything where that would write nothing."""
    for selector, name in _candidates(scene):
        rule = {"selector": selector, "transform": _TRANSFORM, "guardrails": _GUARDRAILS}
        _tell_rule(scene, rule, name)
        with scene.narrator.section("preview", "The preview: nothing is written yet"):
            scene.change = _preview(scene, scene.people.author.api.post("/v1/price-changes", {"name": name, **rule}))
            _tell_summary(scene, scene.change["summary"])
        if scene.change["summary"]["to_write"] or selector == {"all": []}:
            break
        scene.narrator.say(("That would write nothing, so the rule is tried on the whole catalog.", "yellow"))
        scene.people.author.api.post(f"/v1/price-changes/{scene.change['id']}/cancel", {"reason": "nothing to write"})
    found = scene.change["summary"]
    scene.measured.previewed = {
        "selected": found["selected"],
        "up": found["directions"]["up"],
        "down": found["directions"]["down"],
        "unchanged": found["verdicts"]["unchanged"],
        "clamped": found["verdicts"]["clamped"],
        "blocked": found["verdicts"]["blocked"],
    }


def show_rows(scene: Scene) -> None:
    """The first rows of the plan, and why one price is what it is."""
    with scene.narrator.section("rows", "Row by row, and why"):
        api = scene.people.author.api
        path = f"/v1/price-changes/{scene.change['id']}/items"
        first = list(api.pages(path, limit=_FIRST_ROWS))
        scene.narrator.show(_rows(scene, first))
        if chosen := _to_explain(scene, first):
            trace = api.get(f"{path}/{chosen['price_list_id']}/{chosen['product_id']}/explain")
            _tell_why(scene, chosen, trace)


def _candidates(scene: Scene) -> list[tuple[Json, str]]:
    everything: tuple[Json, str] = ({"all": []}, "ten-percent-off-everything")
    if not scene.tags:
        return [everything]
    tag = scene.tags[0][0]
    return [({"field": "product.tags", "op": "has_any", "value": [tag]}, f"ten-percent-off-{tag}"), everything]


def _tell_rule(scene: Scene, rule: Json, name: str) -> None:
    tell = scene.narrator
    with tell.section("rule", "A rule"):
        if scene.tags and rule["selector"] != {"all": []}:
            tag, count = scene.tags[0]
            tell.say(
                f'The most frequent tag is "{tag}", on {count:,} products. The author writes the change ',
                (name, "bold"),
                ":",
            )
        elif not scene.tags:
            tell.say(
                "No product has a tag, so the rule is for the whole catalog. The author writes ", (name, "bold"), ":"
            )
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(style=FLAT)
        grid.add_column()
        for heading, words in rule_lines(rule):
            grid.add_row(heading, Text(words))
        tell.show(Padding(grid, (0, 0, 0, 2)))
        tell.say(("The same as JSON, which is what is stored, hashed and approved:", FLAT))
        for part, document in rule.items():
            tell.draw(Padding(Text(f"{part}: {json.dumps(document)}", style="cyan"), (0, 0, 0, 2)))


def _preview(scene: Scene, change: Json) -> Json:
    api = scene.people.author.api
    last: Json = api.post(f"/v1/price-changes/{change['id']}/preview")

    def look() -> Point:
        nonlocal last
        last = api.get(f"/v1/price-changes/{change['id']}")
        over = last["state"] != "previewing"
        items = (last["summary"] or {}).get("items", 0) if over else 0
        return Point(items, None, over)

    follow(scene.narrator.notes, "computing the plan", look)
    if last["state"] != "previewed":
        raise CliError(f"the preview failed: {(last['error'] or {}).get('message', last['state'])}", FAILED)
    return last


def _tell_summary(scene: Scene, found: Mapping[str, Any]) -> None:
    tell = scene.narrator
    tell.say(
        (f"{found['selected']:,}", "bold"), f" selected of {counted(len(scene.products), 'product')}, ",
        (counted(found["to_write"], "price"), "bold"), " to be written.",
    )  # fmt: skip
    tell.show(summary.counts(found))
    tell.show(summary.money(found))
    tell.say(("How far prices move:", FLAT))
    tell.draw(*summary.bars(found, min(tell.width, _WIDE)), "")
    tell.draw(*summary.held_back(found), *summary.estimate(found))


def _rows(scene: Scene, items: list[Json]) -> FittedTable:
    wide = scene.narrator.width >= _WIDE
    columns = [Column("product", shrink=True), Column("cost", "right"), Column("price", "right"), Column("", "right")]
    if wide:
        columns = [Column("SKU"), *columns, Column("compare-at", "right")]
    columns += [Column("verdict"), Column("bound by")]
    return table(columns, [_row(scene, item, wide=wide) for item in items])


def _row(scene: Scene, item: Json, *, wide: bool) -> list[Cell]:
    product = scene.products[str(item["product_id"])]
    before, after, currency = item["before"], item["after"], str(item["currency"])
    cells: list[Cell] = [
        scene.named(item),
        amount(product.unit_cost, currency),
        moved(before["unit_amount"], after["unit_amount"], currency),
        change_cell(before["unit_amount"], after["unit_amount"]),
    ]
    if wide:
        compare_at = moved(before["compare_at"], after["compare_at"], currency)
        cells = [text(item["sku"]) or NONE, *cells, compare_at]
    return [*cells, verdict_cell(item), text(item["binding"])]


def _to_explain(scene: Scene, first: list[Json]) -> Json | None:
    """A clamped item if there is one, since it has the most to tell; else one with a known cost."""
    path = f"/v1/price-changes/{scene.change['id']}/items"
    clamped = list(scene.people.author.api.pages(path, {"verdict": "clamped"}, limit=1))
    costed = [item for item in first if scene.products[str(item["product_id"])].unit_cost is not None]
    return next(iter([*clamped, *costed, *first]), None)


def _tell_why(scene: Scene, item: Json, trace: Json) -> None:
    tell = scene.narrator
    product = scene.products[str(item["product_id"])]
    cost = amount(product.unit_cost, str(item["currency"]))
    tell.say(
        "Why does ", (scene.named(item), "bold"), f" ({text(item['sku']) or 'no SKU'}, cost {cost}) get this price?"
    )
    tell.show(Padding(waterfall(trace, scene.change, bars=tell.width >= _WIDE), (0, 0, 0, 2)))
    tell.draw(*(Padding(line, (0, 0, 0, 2)) for line in outcome(trace)))
