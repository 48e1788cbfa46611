"""The two back ends give the same answer for every rule and every item."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given, settings
from rule_pool import PRICE_LIST_ID, Pool
from rule_strategies import RandomRules, random_rules

from calibr.pricing import (
    BoundRules,
    Direction,
    Evaluation,
    Item,
    Outcome,
    PlanItem,
    Reason,
    Verdict,
    compile_plan,
    engine_version,
    evaluate,
    explain_item,
    parse_rules,
    plan_item,
)

COLUMNS = PlanItem.__slots__
TALLIES = (*Verdict, *(f"blocked_{reason}" for reason in Reason), "up", "down", "after_total", "rounded_far")


def evaluated(rules: BoundRules, pool: Pool) -> dict[UUID, tuple[Item, Evaluation]]:
    items = {key: replace(item, currency=rules.currency) for key, item in pool.items.items()}
    return {key: (item, evaluate(rules, item)) for key, item in items.items()}


def tally(outcomes: list[Outcome]) -> dict[str, int]:
    """Count outcomes as the summary does."""
    found = dict.fromkeys(TALLIES, 0)
    for outcome in outcomes:
        found[outcome.verdict] += 1
        if outcome.reason is not None:
            found[f"blocked_{outcome.reason}"] += 1
            continue
        found["up"] += outcome.direction is Direction.UP
        found["down"] += outcome.direction is Direction.DOWN
        found["after_total"] += outcome.after_amount or 0
        again = outcome.rounded_again
        moved = 0 if again is None or outcome.stepped is None else abs(again.amount_in - outcome.stepped)
        found["rounded_far"] += again is not None and abs(again.amount_out - again.amount_in) > moved
    return found


def compiled(rules: BoundRules, pool: Pool) -> dict[UUID, PlanItem]:
    rows = pool.session.execute(compile_plan(rules, pool.source(rules.currency)).items).mappings()
    found = {}
    for row in rows:
        values = {name: row[name] for name in COLUMNS}
        found[row["product_id"]] = PlanItem(**{**values, "trace": tuple(row["trace"])})
    return found


@settings(max_examples=settings.default.max_examples // 2)
@given(random=random_rules())
def test_every_item_has_the_same_row_and_every_trace_can_be_explained(pool: Pool, random: RandomRules) -> None:
    rules = random.bind()
    expected = {
        key: plan_item(rules, found, item, product_id=key, price_list_id=PRICE_LIST_ID)
        for key, (item, found) in evaluated(rules, pool).items()
        if found.outcome is not None
    }

    rows = compiled(rules, pool)

    assert rows.keys() == expected.keys()
    for key, row in rows.items():
        assert row == expected[key]
        assert explain_item(rules, row, engine_version())["verdict"] == row.verdict


@settings(max_examples=settings.default.max_examples // 2)
@given(random=random_rules())
def test_the_summary_counts_what_evaluate_finds(pool: Pool, random: RandomRules) -> None:
    rules = random.bind()
    found = [answer for _, answer in evaluated(rules, pool).values() if answer.selected]
    outcomes = [answer.outcome for answer in found if answer.outcome is not None]
    plan = compile_plan(rules, pool.source(rules.currency))

    summary = dict(pool.session.execute(plan.summary).mappings().one())

    assert summary["selected"] == len(found)
    assert summary["left"] == sum(answer.left for answer in found)
    assert summary["selected_as_missing"] == sum(answer.selected_as_missing for answer in found)
    assert summary["items"] == len(outcomes)
    assert {name: summary[name] for name in TALLIES} == tally(outcomes)
    counts = dict(pool.session.execute(plan.counts).mappings().one())
    assert counts == {name: summary[name] for name in ("selected", "left", "selected_as_missing")}


def test_a_plan_is_refused_for_a_price_list_of_another_currency(pool: Pool) -> None:
    rules = parse_rules({"all": []}, {"price": []}, []).bind("USD")

    with pytest.raises(ValueError, match="rules for USD cannot read a price list in JPY"):
        compile_plan(rules, pool.source("JPY"))
