"""Explain traces: their shape is the published one, and stored numbers are not believed but checked."""

import json
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rule_strategies import RandomRules, inputs, item_pool, random_rules

from calibr.pricing import (
    BoundRules,
    Inputs,
    Item,
    PlanItem,
    TraceMismatch,
    engine_version,
    evaluate,
    explain_item,
    load_document,
    parse_rules,
    plan_item,
)
from calibr.registry import load_registry

IDS = {"product_id": UUID(int=1), "price_list_id": UUID(int=2)}
POOL = item_pool(40, seed=3)


def planned(rules: BoundRules, item: Item) -> PlanItem | None:
    found = evaluate(rules, item)
    return None if found.outcome is None else plan_item(rules, found, item, **IDS)


def demo_rules() -> BoundRules:
    transform = {
        "price": [{"op": "percent", "by": "-10"}, {"op": "ending", "endings": ["0.99"], "per": "1"}],
        "compare_at": {"set": "from_price"},
    }
    guardrails = [{"id": "markup", "rule": "min_markup", "percent": "20"}]
    parts = ({"all": []}, transform, guardrails)
    return parse_rules(*(load_document(json.dumps(part)) for part in parts)).bind("USD")


def demo_item() -> PlanItem:
    item = planned(demo_rules(), Item(Inputs(2000, None, 1600), "USD"))
    assert item is not None
    return item


@given(random_rules(), inputs, st.sampled_from(POOL))
def test_every_trace_has_the_published_shape(random: RandomRules, given_inputs: Inputs, item: Item) -> None:
    rules = random.bind()
    row = planned(rules, replace(item, inputs=given_inputs, currency=rules.currency))
    assume(row is not None)
    assert row is not None

    trace = explain_item(rules, row, engine_version())

    assert load_registry().validate("explain-trace", "1.0.0", json.loads(json.dumps(trace))) == []
    assert list(trace) == [
        "product_id", "price_list_id", "currency", "inputs", "case", "steps", "guardrails", "rounded_again",
        "compare_at", "after", "verdict", "reason", "binding", "violated", "rule_hash", "engine",
    ]  # fmt: skip


def test_a_trace_tells_the_whole_story() -> None:
    item = demo_item()

    trace = explain_item(demo_rules(), item, "calibr-1.0.0+unicode-14.0.0")

    assert item.trace == (1600, 1800, 1799, 1920, 1999)
    assert trace["inputs"] == {"unit_amount": 2000, "compare_at": None, "unit_cost": 1600}
    assert trace["steps"] == [{"op": "percent", "in": 2000, "out": 1800}, {"op": "ending", "in": 1800, "out": 1799}]
    assert trace["guardrails"] == [
        {"id": "markup", "rule": "min_markup", "bound": 1920, "in": 1799, "out": 1920, "result": "clamped"}
    ]
    assert trace["rounded_again"] == {"op": "ending", "mode": "up", "in": 1920, "out": 1999}
    assert trace["compare_at"] == {"in": None, "out": 2000, "why": "from_price"}
    assert trace["after"] == {"unit_amount": 1999, "compare_at": 2000}
    assert (trace["verdict"], trace["binding"]) == ("clamped", "markup")


@pytest.mark.parametrize(
    "change",
    [
        {"trace": (1600, 1800, 1799, 1920, 1998)},
        {"trace": (1500, 1800, 1799, 1920, 1999)},
        {"trace": (1600, 1800, 1799)},
        {"trace": (None, 1800, 1799, 1920, 1999)},
        {"before_amount": 2001},
        {"after_amount": 1998},
        {"after_compare_at": None},
        {"verdict": "changed"},
        {"reason": "guardrail"},
        {"binding": None},
        {"violated": "markup"},
    ],
    ids="-".join,
)
def test_a_stored_value_that_was_changed_is_noticed(change: dict[str, object]) -> None:
    with pytest.raises(TraceMismatch):
        explain_item(demo_rules(), replace(demo_item(), **change), engine_version())  # type: ignore[arg-type]


def test_a_branch_that_the_rules_do_not_have_is_noticed() -> None:
    cases = {"cases": [{"when": {"all": []}, "price": []}]}
    parts = (load_document(json.dumps(part)) for part in ({"all": []}, cases, []))
    rules = parse_rules(*parts).bind("USD")
    item = planned(rules, Item(Inputs(2000, None, None), "USD"))
    assert item is not None
    assert item.trace == (None, 0)

    for index in (None, 1, -1):
        with pytest.raises(TraceMismatch):
            explain_item(rules, replace(item, trace=(None, index)), engine_version())


def test_an_item_without_an_outcome_has_no_row() -> None:
    rules = demo_rules()
    nothing = evaluate(
        replace(rules, selector=parse_rules({"any": []}, {"price": []}, []).bind("USD").selector), POOL[0]
    )

    with pytest.raises(ValueError, match="has no row"):
        plan_item(rules, nothing, POOL[0], **IDS)


def test_the_engine_is_named_with_its_unicode_version() -> None:
    assert engine_version().startswith("calibr-1.0.0+unicode-")
    assert set(engine_version()) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-")
