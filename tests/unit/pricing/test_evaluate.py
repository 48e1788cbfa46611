"""One item in Python: laws that hold for every rule, and the cases that are easily got wrong."""

import json
from typing import Any

from hypothesis import given
from rule_strategies import RandomRules, inputs, random_rules

from calibr.core.money import MAX_MINOR
from calibr.pricing import BoundRules, Direction, Inputs, Item, Outcome, Verdict, evaluate, load_document, parse_rules
from calibr.pricing.evaluate import price
from calibr.pricing.guardrails import Kind
from calibr.pricing.vocabulary import Action, IfMissing


def bound(transform: object, guardrails: object = (), selector: object = None, currency: str = "USD") -> BoundRules:
    parts = ({"all": []} if selector is None else selector, transform, guardrails)
    return parse_rules(*(load_document(json.dumps(part)) for part in parts)).bind(currency)


def outcome_of(
    rules: BoundRules, before: int | None, compare_at: int | None = None, cost: int | None = None
) -> Outcome:
    return price(rules, 0, Inputs(before, compare_at, cost))


def steps(*listed: object, **members: object) -> dict[str, Any]:
    return {"price": list(listed), **members}


@given(random_rules(), inputs)
def test_no_price_that_breaks_an_amount_rule_is_ever_proposed(random: RandomRules, given_inputs: Inputs) -> None:
    rules = random.bind()
    for index in range(len(rules.transform.branches)):
        outcome = price(rules, index, given_inputs)
        if outcome.verdict is Verdict.BLOCKED:
            continue
        assert outcome.after_amount is not None
        for rule in rules.guardrails:
            bound_ = rule.limit.bound(given_inputs) if rule.limit else None
            assert rule.limit is None or not rule.limit.is_broken_by(outcome.after_amount, bound_)
            missing = rule.needs_cost and given_inputs.unit_cost is None
            assert not (missing and rule.if_missing is IfMissing.BLOCK)


@given(random_rules(), inputs)
def test_a_proposed_price_is_a_legal_amount_and_a_blocked_item_keeps_what_it_had(
    random: RandomRules, given_inputs: Inputs
) -> None:
    outcome = price(random.bind(), 0, given_inputs)

    before = (given_inputs.unit_amount, given_inputs.compare_at)
    after = (outcome.after_amount, outcome.after_compare_at)
    if outcome.verdict is Verdict.BLOCKED:
        assert after == before
        assert outcome.reason is not None
        assert outcome.direction is Direction.NONE
    else:
        assert all(amount is None or 0 <= amount <= MAX_MINOR for amount in after)
        assert outcome.reason is None
        assert outcome.violated is None
        assert (outcome.verdict is Verdict.UNCHANGED) == (after == before)


@given(random_rules(), inputs)
def test_clamped_means_that_a_guardrail_is_named(random: RandomRules, given_inputs: Inputs) -> None:
    rules = random.bind()

    outcome = price(rules, 0, given_inputs)

    if outcome.verdict is Verdict.CLAMPED:
        assert outcome.binding is not None
    if outcome.verdict is Verdict.CHANGED:
        assert outcome.binding is None
    assert outcome.binding is None or outcome.binding in {rule.id for rule in rules.guardrails}


@given(random_rules(), inputs)
def test_the_check_holds_for_what_is_proposed(random: RandomRules, given_inputs: Inputs) -> None:
    rules = random.bind()

    outcome = price(rules, 0, given_inputs)

    checks = any(rule.kind is Kind.CHECK for rule in rules.guardrails)
    if checks and outcome.verdict is not Verdict.BLOCKED and outcome.after_compare_at is not None:
        assert outcome.after_amount is not None
        assert outcome.after_compare_at > outcome.after_amount


@given(random_rules(), inputs)
def test_the_trace_of_steps_and_guardrails_hangs_together(random: RandomRules, given_inputs: Inputs) -> None:
    rules = random.bind()

    outcome = price(rules, 0, given_inputs)

    amounts = [given_inputs.unit_amount, *(step.amount_out for step in outcome.steps)]
    assert [step.amount_in for step in outcome.steps] == amounts[: len(outcome.steps)]
    assert [trace.id for trace in outcome.guardrails] == [rule.id for rule in rules.guardrails]
    for rule, trace in zip(rules.guardrails, outcome.guardrails, strict=True):
        moved = trace.amount_in != trace.amount_out
        assert not moved or (rule.action is Action.CLAMP and trace.amount_out == trace.bound)


def test_every_step_is_rounded_before_the_next() -> None:
    rules = bound(steps({"op": "percent", "by": "1.5"}, {"op": "percent", "by": "1.5"}))

    assert [step.amount_out for step in outcome_of(rules, 101).steps] == [103, 105]


def test_rounding_again_goes_the_way_of_the_rule_that_bound_last() -> None:
    ending = {"op": "ending", "endings": ["0.99"], "per": "1"}
    floor = [{"id": "f", "rule": "floor", "amount": "25.50"}]
    ceiling = [{"id": "c", "rule": "ceiling", "amount": "25.50"}]

    lifted = outcome_of(bound(steps({"op": "percent", "by": "-50"}, ending), floor), 2000)
    capped = outcome_of(bound(steps({"op": "percent", "by": "50"}, ending), ceiling), 2000)

    assert (lifted.after_amount, capped.after_amount) == (2599, 2499)
    assert lifted.rounded_again is not None
    assert (lifted.rounded_again.mode, lifted.rounded_again.amount_in) == ("up", 2550)


def test_a_lower_rule_that_brings_the_price_back_has_bound_all_the_same() -> None:
    guardrails = [{"id": "f", "rule": "floor", "amount": "17.00"}, {"id": "c", "rule": "ceiling", "amount": "16.00"}]

    outcome = outcome_of(bound(steps({"op": "percent", "by": "-15"}), guardrails), 2000)

    assert (outcome.reason, outcome.binding, outcome.violated) == ("infeasible", "f", "c")
    assert [(g.id, g.amount_in, g.amount_out, g.result) for g in outcome.guardrails] == [
        ("f", 1600, 1700, "clamped"),
        ("c", 1700, 1600, "blocked"),
    ]


def test_a_clamp_can_break_a_block_rule_that_the_request_kept() -> None:
    guardrails = [
        {"id": "b", "rule": "floor", "amount": "10.00", "action": "block"},
        {"id": "c", "rule": "ceiling", "amount": "9.00"},
    ]

    outcome = outcome_of(bound(steps({"op": "set", "to": "12"}), guardrails), 2000)

    assert (outcome.reason, outcome.binding, outcome.violated) == ("infeasible", "c", "b")


def test_results_of_guardrails_that_were_not_reached_say_so() -> None:
    guardrails = [
        {"id": "s", "rule": "not_below_cost", "if_missing": "skip"},
        {"id": "m", "rule": "min_margin", "percent": "10"},
        {"id": "c", "rule": "ceiling", "amount": "9.00"},
    ]

    outcome = outcome_of(bound(KEEP, guardrails), 2000)

    assert [(g.id, g.result, g.amount_in) for g in outcome.guardrails] == [
        ("s", "skipped", 2000),
        ("m", "blocked", 2000),
        ("c", "not_reached", None),
    ]


KEEP = steps()


def test_a_currency_that_does_not_meet_skips_a_guardrail_and_blocks_a_step() -> None:
    foreign = {"amount": "1.00", "currency": "EUR"}
    ceiling = [{"id": "c", "rule": "ceiling", "amount": foreign}]

    skipped = outcome_of(bound(KEEP, ceiling), 2000)
    blocked = outcome_of(bound(steps({"op": "set", "to": foreign})), 2000)

    assert skipped.guardrails[0].result == "skipped"
    assert (blocked.reason, blocked.steps[0].amount_out) == ("currency_mismatch", None)


def test_the_compare_at_says_where_it_comes_from() -> None:
    cut = {"op": "percent", "by": "-10"}
    rise = {"op": "percent", "by": "10"}
    check = [{"id": "k", "rule": "compare_at_above_price"}]

    def why(transform: object, compare_at: int | None, guardrails: object = ()) -> tuple[int | None, str | None]:
        found = outcome_of(bound(transform, guardrails), 1000, compare_at).compare_at
        return found.amount_out, found.why

    assert why(steps(cut, compare_at={"set": "from_price"}), 1500) == (1000, "from_price")
    assert why(steps(cut, compare_at={"set": "highest"}), 1500) == (1500, "highest")
    assert why(steps(rise, compare_at={"set": "highest"}), 1500) == (1500, "otherwise_keep")
    assert why(steps(rise, compare_at={"set": "from_price"}), 1100) == (None, "otherwise_clear")
    assert why(steps(rise, compare_at={"set": "from_price"}), None) == (None, "otherwise_clear")
    assert why(steps(compare_at={"percent_above": "50"}), None) == (1500, "percent_above")
    assert why(steps(compare_at={"set": "9"}), None, check) == (None, "cleared_by_guardrail")
    assert why(steps(compare_at={"set": "9.001"}), 1100) == (None, "set")
    assert why(steps({"op": "amount", "by": "-11"}), 1100) == (1100, None)


def test_selected_because_a_field_is_missing_is_told_from_selected() -> None:
    rules = bound(KEEP, selector={"not": {"field": "cost.unit_cost", "op": "lt", "value": "5"}})

    without_cost = evaluate(rules, Item(Inputs(1000, None, None), "USD"))
    with_cost = evaluate(rules, Item(Inputs(1000, None, 700), "USD"))

    assert (without_cost.selected, without_cost.selected_as_missing) == (True, True)
    assert (with_cost.selected, with_cost.selected_as_missing) == (True, False)


def test_an_item_that_no_case_takes_is_left_alone_even_without_a_price() -> None:
    rules = bound({"cases": [{"when": {"any": []}, "price": []}]})

    assert evaluate(rules, Item(Inputs(None, None, None), "USD")).left


def test_precision_and_range_of_one_step_are_judged_in_that_order() -> None:
    rules = bound(steps({"op": "clamp", "min": "0.001", "max": "99999999999"}))

    assert outcome_of(rules, 1000).reason == "amount_precision"
