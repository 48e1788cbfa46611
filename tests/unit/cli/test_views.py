"""How plans, changes and the audit trail look."""

import io
import re
from typing import Any

from rich.console import Console, RenderableType

from calibr.cli.views.audit import audit_table, told
from calibr.cli.views.change import changes_table, show_change
from calibr.cli.views.items import items_table, moved
from calibr.cli.views.summary import bars, counts, held_back, money, whole

SUMMARY: dict[str, Any] = {
    "selected": 1200,
    "left": 0,
    "selected_as_missing": 2,
    "items": 1200,
    "to_write": 1100,
    "verdicts": {"changed": 1000, "clamped": 100, "unchanged": 60, "blocked": 40},
    "directions": {"up": 10, "down": 1090, "none": 100},
    "reasons": {"missing_cost": 40},
    "bound_by": {"markup": 100},
    "currencies": [
        {
            "currency": "USD",
            "items": 1160,
            "before_total": 12_345_600,
            "after_total": 11_111_100,
            "delta": -1_234_500,
            "margin": {"items": 900, "before": 5_000_000, "after": 4_000_000, "delta": -1_000_000},
        }
    ],
    "histogram": [
        {"from_bp": None, "to_bp": -5000, "items": 0},
        {"from_bp": -1500, "to_bp": -1000, "items": 800},
        {"from_bp": -1000, "to_bp": -250, "items": 0},
        {"from_bp": 0, "to_bp": 0, "items": 60},
        {"from_bp": 1, "to_bp": 250, "items": 10},
        {"from_bp": 5000, "to_bp": None, "items": 0},
    ],
    "top_movers": {"up": [], "down": []},
    "not_applied": [
        {"price_list_id": "l", "currency": "EUR", "kind": "guardrail", "path": "$", "name": "floor", "meant_for": "USD"}
    ],
    "rounded_past_guardrail": 3,
    "reversibility": {"items": 1100, "note": ""},
    "eta": [{"connection_id": "c", "calls": 12, "points": 340, "seconds": 5}],
}

ITEM: dict[str, Any] = {
    "price_list_id": "l",
    "product_id": "018f0000-0000-7000-8000-00000000abcd",
    "sku": "SHI-1",
    "title": "A very long title of a shirt that does not fit into a narrow terminal at all",
    "currency": "USD",
    "before": {"unit_amount": 4900, "compare_at": None},
    "after": {"unit_amount": 4399, "compare_at": 4900},
    "verdict": "clamped",
    "reason": None,
    "binding": "markup",
    "violated": None,
    "state": "applied",
    "observed": None,
}

CHANGE: dict[str, Any] = {
    "id": "018f0000-0000-7000-8000-0123456789ab",
    "name": "summer",
    "state": "partially_applied",
    "revision": 2,
    "created_at": "2026-11-24T10:11:12.123456Z",
    "created_by": "u1",
    "submitted_at": None,
    "submitted_by": None,
    "approved_at": None,
    "approved_by": None,
    "apply_started_at": None,
    "applied_by": None,
    "finished_at": None,
    "plan_root": "ab" * 32,
    "rollback_of": None,
    "retry_of": None,
    "rollbacks": [],
    "reason": None,
    "error": None,
    "selector": {"all": []},
    "transform": {"price": [{"op": "percent", "by": "-10"}]},
    "guardrails": [],
    "summary": SUMMARY,
    "progress": {"to_write": 1100, "done": 1100, "counts": {"applied": 1097, "drifted": 3, "skipped": 100}},
}


def a_page(width: int = 100) -> Console:
    return Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)


def written(page: Console) -> str:
    assert isinstance(page.file, io.StringIO)
    return page.file.getvalue()


def drawn(drawing: RenderableType, width: int = 100) -> list[str]:
    page = a_page(width)
    page.print(drawing)
    return [line.rstrip() for line in written(page).splitlines()]


def test_the_counts_have_their_share_of_the_plan() -> None:
    lines = drawn(counts(SUMMARY))

    assert lines[0].split() == ["changed", "1,000", "83", "%", "down", "1,090", "91", "%"]
    assert lines[3].split() == ["blocked", "40", "3", "%"]


def test_money_is_summed_in_major_units() -> None:
    lines = drawn(money(SUMMARY))

    assert "123,456.00" in lines[2]
    assert "-12,345.00" in lines[2]
    assert "-10.0 %" in lines[2]
    assert "margin of 900 with a cost" in lines[3]


def test_empty_ends_of_the_histogram_are_left_out_and_gaps_are_kept() -> None:
    lines = [line.plain for line in bars(SUMMARY, 60)]

    assert [line.split("│")[0].strip() for line in lines] == [
        "-15 to -10 %",
        "-10 to -2.5 %",
        "stays",
        "+0.01 to +2.5 %",
    ]


def test_everything_that_was_held_back_is_told() -> None:
    assert [line.plain for line in held_back(SUMMARY)] == [
        "40 blocked: missing cost",
        "100 bound by guardrail markup",
        "2 selected only because a field has no value",
        "3 moved further by rounding than by their guardrail",
        "guardrail floor is in USD and says nothing in EUR",
    ]


def test_no_line_of_a_summary_is_wider_than_the_page() -> None:
    for width in (80, 120):
        assert all(len(line) <= width for line in drawn(whole(SUMMARY, width), width))


def test_a_narrow_page_cuts_the_title_and_nothing_else() -> None:
    lines = drawn(items_table([ITEM], width=80), 80)

    assert len(lines) == 3
    for whole_cell in ("SHI-1", "49.00 → 43.99", "-10.2 %", "clamped", "markup", "applied"):
        assert whole_cell in lines[2]
    assert "…" in lines[2]


def test_a_price_that_stays_is_one_amount() -> None:
    assert moved(4900, 4900, "USD").plain == "49.00"
    assert moved(4900, None, "USD").plain == "49.00 → —"
    assert moved(0, 10, "JPY").plain == "0 → 10"


def test_a_change_is_shown_with_its_rule_and_its_outcome() -> None:
    page = a_page()

    show_change(page, CHANGE)

    text = written(page)
    assert text.startswith("summer  partially applied  018f0000-0000-7000-8000-0123456789ab")
    assert "2026-11-24 10:11:12 by u1" in text
    assert re.search(r"products +everything", text)
    assert "1,097 applied   100 skipped   3 drifted" in text


def test_a_list_shows_the_end_of_an_id_where_there_is_no_room() -> None:
    assert any(
        "0123456789ab" in line and "018f0000" not in line for line in drawn(changes_table([CHANGE], width=80), 80)
    )
    assert any("018f0000-0000" in line for line in drawn(changes_table([CHANGE], width=120), 120))


def test_the_audit_trail_names_people_and_says_what_moved() -> None:
    entry = {
        "seq": 7,
        "created_at": "2026-11-24T10:11:12.123456Z",
        "actor": "user:u1",
        "action": "price_change.item_drifted",
        "entity": "product",
        "entity_id": "018f0000-0000-7000-8000-00000000abcd",
        "explain": {
            "currency": "USD",
            "before": {"unit_amount": 100, "compare_at": None},
            "after": {"unit_amount": 90, "compare_at": None},
            "observed": {"unit_amount": 555, "compare_at": None},
        },
    }

    line = drawn(audit_table([entry], {"u1": "Ada"}, width=120), 120)[2]

    assert "Ada" in line
    assert "1.00 → 0.90, store shows 5.55" in line
    assert told({**entry, "explain": {"counts": {"applied": 3, "drifted": 0}}}) == "3 applied"
