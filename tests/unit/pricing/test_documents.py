"""Bad documents: which fault is answered, and where."""

import json
from typing import Any

import pytest

from calibr.core.errors import Invalid
from calibr.core.written_json import Json
from calibr.pricing import DocumentError, Rules, load_document, parse_rules

EVERYTHING = {"all": []}
KEEP: dict[str, Any] = {"price": []}


def parse(selector: object = EVERYTHING, transform: object = KEEP, guardrails: object = ()) -> Rules:
    return parse_rules(*(written(part) for part in (selector, transform, guardrails)))


def written(value: object) -> Json:
    return load_document(json.dumps(value))


def fault_of(*documents: object) -> tuple[str, str]:
    with pytest.raises(DocumentError) as caught:
        parse(*documents).bind("USD")
    error = caught.value
    assert error.code == f"document.{error.fault_code}"
    assert error.message.startswith(error.path)
    return error.fault_code.value, error.path


def leaf(value: object, field: str = "price.unit_amount", op: str = "lt") -> dict[str, object]:
    return {"field": field, "op": op, "value": value}


def steps(*listed: object) -> dict[str, object]:
    return {"price": list(listed)}


def floor(amount: object, **members: object) -> dict[str, object]:
    return {"id": "f", "rule": "floor", "amount": amount, **members}


@pytest.mark.parametrize(
    ("documents", "path"),
    [
        (({"all": [EVERYTHING, {"any": [leaf("x")]}]},), "$.selector.all[1].any[0].value"),
        (({"not": None},), "$.selector.not"),
        (({"all": [], "any": []},), "$.selector.any"),
        (({"skus": ["a", " "]},), "$.selector.skus[1]"),
        (({"skus": ["a", "\ud800"]},), "$.selector.skus[1]"),
        ((leaf(["a", 5], "product.vendor", "in"),), "$.selector.value[1]"),
        ((leaf(["5.00", "4.99"], op="between"),), "$.selector.value[1]"),
        ((leaf({"amount": "5", "currency": "XAU"}),), "$.selector.value.currency"),
        ((leaf({"currency": "USD"}),), "$.selector.value.amount"),
        ((leaf([1, "a"], "product.attributes.x", "in"),), "$.selector.value[1]"),
        ((leaf("a", "product.attributes.", "eq"),), "$.selector.field"),
        ((leaf("a", "product.attributes.a\0", "eq"),), "$.selector.field"),
        ((leaf("a\0", "product.vendor", "eq"),), "$.selector.value"),
        ((leaf(value=True, field="product.attributes.x", op="eq"),), "$.selector.value"),
        ((leaf("5", "product.attributes.x", "lt"),), "$.selector.value"),
        (({"field": "price.unit_amount", "op": "lt"},), "$.selector.value"),
        ((EVERYTHING, steps({"op": "clamp", "min": "2", "max": "1.99"})), "$.transform.price[0].max"),
        ((EVERYTHING, steps({"op": "clamp"})), "$.transform.price[0]"),
        ((EVERYTHING, steps({"op": "set", "to": "1", "a b": 1})), "$.transform.price[0]['a b']"),
        ((EVERYTHING, steps({"op": "ending", "endings": ["0.5", "1"], "per": "1"})), "$.transform.price[0].endings[1]"),
        ((EVERYTHING, steps({"op": "round", "to": "1"}, {"op": "set", "to": "1"})), "$.transform.price[0]"),
        ((EVERYTHING, {"cases": [{"when": EVERYTHING, "price": []}], "otherwise": None}), "$.transform.otherwise"),
        ((EVERYTHING, {**KEEP, "allow_zero": 1}), "$.transform.allow_zero"),
        ((EVERYTHING, {**KEEP, "compare_at": {"set": "1", "otherwise": "keep"}}), "$.transform.compare_at.otherwise"),
        ((EVERYTHING, KEEP, [floor("1"), floor("2")]), "$.guardrails[1].id"),
        ((EVERYTHING, KEEP, [floor("1"), floor(2)]), "$.guardrails[1].id"),
        ((EVERYTHING, KEEP, [floor("1", action=None)]), "$.guardrails[0].action"),
        ((EVERYTHING, KEEP, [floor("1", id="a b")]), "$.guardrails[0].id"),
        ((EVERYTHING, KEEP, {}), "$.guardrails"),
        ((EVERYTHING, KEEP, None), "$.guardrails"),
    ],
)
def test_the_place_of_a_fault_is_named(documents: tuple[object, ...], path: str) -> None:
    assert fault_of(*documents) == ("schema", path)


def test_the_first_fault_of_the_documents_is_answered() -> None:
    bad_step = steps({"op": "percent", "by": "-100"}, {"op": "x"})

    assert fault_of(leaf(5), bad_step, [{}]) == ("schema", "$.selector.value")
    assert fault_of(EVERYTHING, bad_step, [{}]) == ("schema", "$.transform.price[0].by")
    assert fault_of(EVERYTHING, KEEP, [{}]) == ("schema", "$.guardrails[0].id")


def test_schema_comes_before_precision_and_precision_before_range() -> None:
    too_large, too_precise = leaf("99999999999"), floor("0.001")

    assert fault_of(too_large, KEEP, [too_precise, {}]) == ("schema", "$.guardrails[1].id")
    assert fault_of(too_large, KEEP, [too_precise]) == ("amount_precision", "$.guardrails[0].amount")
    assert fault_of(too_large, KEEP, [floor("1")]) == ("amount_out_of_range", "$.selector.value")


def test_within_one_code_the_reading_order_of_the_page_decides_and_not_that_of_the_text() -> None:
    shuffled = {"value": "1.001", "op": "lt", "field": "price.unit_amount"}
    guardrail = {"if_missing": "x", "action": "y", "amount": "z", "rule": "floor", "id": "f"}
    cases = {"otherwise": {"price": 1}, "cases": [{"price": 2, "when": 3}]}

    assert fault_of({"any": [shuffled]}) == ("amount_precision", "$.selector.any[0].value")
    assert fault_of(EVERYTHING, KEEP, [guardrail]) == ("schema", "$.guardrails[0].amount")
    assert fault_of(EVERYTHING, cases) == ("schema", "$.transform.cases[0].when")


def test_all_faults_with_the_answered_code_are_listed_in_order() -> None:
    with pytest.raises(DocumentError) as caught:
        parse({"all": [leaf(1), leaf(2)]}, {"price": [{"op": "x"}]}, [floor("1")])

    assert [fault.path for fault in caught.value.faults] == [
        "$.selector.all[0].value",
        "$.selector.all[1].value",
        "$.transform.price[0].op",
    ]


def test_amounts_of_steps_and_of_compare_at_are_no_faults_of_the_document() -> None:
    transform = {"price": [{"op": "set", "to": "0.001"}], "compare_at": {"set": "99999999999"}}

    parse(EVERYTHING, transform).bind("USD")


def test_an_amount_for_another_currency_is_not_judged_and_the_summary_can_name_it() -> None:
    foreign = {"amount": "0.001", "currency": "KWD"}

    rules = parse({"not": leaf(foreign)}, KEEP, [floor(foreign)])

    assert [(n.kind, n.path, n.name, n.meant_for) for n in rules.bind("USD").not_applied] == [
        ("leaf", "$.selector.not", "price.unit_amount", "KWD"),
        ("guardrail", "$.guardrails[0]", "f", "KWD"),
    ]
    assert rules.bind("KWD").not_applied == ()


@pytest.mark.parametrize("days", ["30.0", "3e1", "-1", "1000000000000000000000", '"30"', "true"])
def test_days_are_whole_numbers_written_without_a_point(days: str) -> None:
    selector = load_document(f'{{"field": "price.age_days", "op": "lt", "value": {days}}}')

    with pytest.raises(DocumentError):
        parse_rules(selector, written(KEEP), [])


@pytest.mark.parametrize("number", ["1234567890123456", "1.000000000000000", "1e400", "1e-400"])
def test_numbers_have_at_most_fifteen_digits_and_fit_binary64(number: str) -> None:
    selector = load_document(f'{{"field": "product.attributes.w", "op": "eq", "value": {number}}}')

    with pytest.raises(DocumentError):
        parse_rules(selector, written(KEEP), [])


def test_rules_cannot_be_bound_to_a_currency_without_minor_units() -> None:
    with pytest.raises(Invalid, match="XAU is not an active ISO 4217 currency"):
        parse().bind("XAU")


def nested(depth: int) -> dict[str, object]:
    node: dict[str, object] = {"all": []}
    for _ in range(depth - 1):
        node = {"not": node}
    return node


def test_a_selector_has_at_most_twelve_levels() -> None:
    parse(nested(12))

    assert fault_of(nested(13)) == ("schema", "$.selector" + ".not" * 12)


def test_a_selector_has_at_most_500_nodes() -> None:
    parse({"all": [EVERYTHING] * 499})

    assert fault_of({"all": [EVERYTHING] * 500}) == ("schema", "$.selector.all[499]")


def test_a_selector_has_at_most_100000_skus_over_all_its_lists() -> None:
    half = {"skus": ["a"] * 50_000}
    parse({"any": [half, half]})

    assert fault_of({"any": [half, half, {"skus": ["b"]}]}) == ("schema", "$.selector.any[2].skus")


def test_each_when_has_limits_of_its_own() -> None:
    case = {"when": {"any": [EVERYTHING] * 499}, "price": []}

    parse(EVERYTHING, {"cases": [case, case]})


@pytest.mark.parametrize("text", ["[" * 200_000, '{"not":' * 100_000, "", "{", '{"all": [], "all": []}', "NaN"])
def test_a_text_that_cannot_be_read_is_a_fault_of_the_whole(text: str) -> None:
    with pytest.raises(DocumentError) as caught:
        load_document(text)

    assert (caught.value.fault_code.value, caught.value.path) == ("schema", "$")


def test_what_is_stored_is_canonical_and_reads_back_to_the_same_rules() -> None:
    selector = load_document('{"value": 2.50e2, "op": "eq", "field": "product.attributes.weight"}')
    rules = parse_rules(selector, written(KEEP), [])

    again = parse_rules(
        *(load_document(part) for part in (rules.selector_json, rules.transform_json, rules.guardrails_json))
    )

    assert rules.selector_json == b'{"field":"product.attributes.weight","op":"eq","value":250}'
    assert again.rule_hash == rules.rule_hash
    assert len(rules.rule_hash) == 64
