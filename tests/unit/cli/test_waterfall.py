"""The explain trace as a waterfall."""

import io

from rich.console import Console

from calibr.cli.waterfall import Trace, outcome, waterfall

RULE = {
    "transform": {
        "price": [{"op": "percent", "by": "-10"}, {"op": "ending", "endings": ["0.99"], "per": "1"}],
        "compare_at": {"set": "from_price"},
    },
    "guardrails": [{"id": "markup", "rule": "min_markup", "percent": "20", "if_missing": "skip"}],
}


def a_trace(**changed: object) -> Trace:
    return {
        "currency": "USD",
        "inputs": {"unit_amount": 4900, "compare_at": None, "unit_cost": 3000},
        "case": None,
        "steps": [
            {"op": "percent", "in": 4900, "out": 4410},
            {"op": "ending", "in": 4410, "out": 4399},
        ],
        "guardrails": [
            {"id": "markup", "rule": "min_markup", "bound": 3600, "in": 4399, "out": 4399, "result": "pass"}
        ],
        "rounded_again": None,
        "compare_at": {"in": None, "out": 4900, "why": "from_price"},
        "after": {"unit_amount": 4399, "compare_at": 4900},
        "verdict": "changed",
        "reason": None,
        "binding": None,
        "violated": None,
        **changed,
    }


def drawn(trace: Trace, *, bars: bool = True) -> list[str]:
    page = Console(file=io.StringIO(), width=110, highlight=False)
    page.print(waterfall(trace, RULE, bars=bars))
    for line in outcome(trace):
        page.print(line)
    stream = page.file
    assert isinstance(stream, io.StringIO)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_every_station_stands_in_its_order_with_its_amount() -> None:
    lines = drawn(a_trace(), bars=False)

    assert [line.split("  ")[0] for line in lines[:5]] == [
        "price in force",
        "-10 %",
        "to the nearest price ending in 0.99 per 1",
        "at least 20 % above cost (36.00)",
        "new price",
    ]
    assert "49.00" in lines[0]
    assert lines[1].endswith("-4.90")
    assert lines[2].endswith("-0.11")
    assert lines[3].endswith("passes")
    assert lines[4].endswith("-10.2 %")


def test_the_outcome_tells_compare_at_margin_and_verdict() -> None:
    lines = drawn(a_trace())[-3:]

    assert lines == [
        "compare-at — → 49.00: the old price, since the price falls",
        "margin 38.8 % → 31.8 % on a cost of 30.00",
        "verdict changed",
    ]


def test_a_guardrail_that_moved_the_price_shows_by_how_much() -> None:
    moved = {"id": "markup", "rule": "min_markup", "bound": 4600, "in": 4399, "out": 4600, "result": "clamped"}
    trace = a_trace(
        guardrails=[moved],
        rounded_again={"op": "ending", "mode": "up", "in": 4600, "out": 4699},
        after={"unit_amount": 4699, "compare_at": 4900},
        verdict="clamped",
        binding="markup",
    )

    lines = drawn(trace, bars=False)

    assert lines[3].split("  ")[0] == "at least 20 % above cost (46.00)"
    assert lines[3].endswith("+2.01")
    assert lines[4].startswith("rounded again (up)")
    assert lines[-1] == "verdict clamped, bound by markup"


def test_a_blocked_item_keeps_its_price_and_says_why() -> None:
    trace = a_trace(
        steps=[{"op": "from_cost", "in": 4900, "out": None}],
        guardrails=[
            {"id": "markup", "rule": "min_markup", "bound": None, "in": None, "out": None, "result": "not_reached"}
        ],
        compare_at={"in": None, "out": None, "why": None},
        after={"unit_amount": 4900, "compare_at": None},
        verdict="blocked",
        reason="missing_cost",
    )

    lines = drawn(trace, bars=False)

    assert any(line.startswith("price stays") for line in lines)
    assert lines[-1] == "verdict blocked: missing cost"


def test_the_bars_fall_with_the_price() -> None:
    lines = drawn(a_trace())

    assert lines[0].count("█") > lines[1].count("█")
    assert "░" in lines[1]
