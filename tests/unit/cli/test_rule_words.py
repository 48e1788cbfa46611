"""Rules told in words."""

import pytest

from calibr.cli.rule_words import guardrail_words, rule_lines, selector_words, step_words


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ({"all": []}, "everything"),
        ({"any": []}, "nothing"),
        ({"field": "product.tags", "op": "has_any", "value": ["sale", "new"]}, 'the tags include "sale" or "new"'),
        ({"not": {"field": "cost.unit_cost", "op": "is_null"}}, "not the cost is missing"),
        ({"field": "price.unit_amount", "op": "between", "value": ["5", "9.99"]}, "the price is between 5 and 9.99"),
        ({"skus": ["A", "B"]}, "the SKU is A or B"),
        ({"skus": list("ABCD")}, "the SKU is one of 4 listed"),
        (
            {
                "all": [
                    {"field": "product.vendor", "op": "eq", "value": "Acme"},
                    {"any": [{"field": "margin.percent", "op": "gt", "value": "40"}, {"any": []}]},
                ]
            },
            'the vendor is "Acme" and (the margin in percent is above "40" or nothing)',
        ),
        ({"field": "product.attributes.option.Size", "op": "eq", "value": "M"}, "the attribute 'option.Size' is \"M\""),
        ({"strange": 1}, '{"strange": 1}'),
    ],
)
def test_a_selector_reads_as_a_sentence(selector: object, words: str) -> None:
    assert selector_words(selector) == words


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"op": "percent", "by": "-10"}, "-10 %"),
        ({"op": "percent", "by": "5"}, "+5 %"),
        ({"op": "amount", "by": {"amount": "-1.50", "currency": "USD"}}, "-1.50 USD"),
        ({"op": "set", "to": "9.99"}, "set to 9.99"),
        ({"op": "from_cost", "markup": "40"}, "cost plus 40 %"),
        ({"op": "from_cost", "margin": "40"}, "from cost, at a margin of 40 %"),
        ({"op": "from_compare_at", "by": "-20"}, "compare-at -20 %"),
        ({"op": "clamp", "min": "1", "max": "9"}, "at least 1 and at most 9"),
        ({"op": "round", "to": "0.05", "mode": "up"}, "to the next higher multiple of 0.05"),
        ({"op": "ending", "endings": ["0.99"], "per": "1"}, "to the nearest price ending in 0.99 per 1"),
    ],
)
def test_a_step_reads_as_an_order(step: object, words: str) -> None:
    assert step_words(step) == words


def test_a_guardrail_says_what_happens_without_a_cost() -> None:
    declared = {"id": "a", "rule": "min_markup", "percent": "20"}

    assert guardrail_words(declared) == "at least 20 % above cost; blocks without a cost"
    assert guardrail_words({**declared, "if_missing": "skip"}).endswith("skipped where the cost is unknown")
    assert "the item is blocked" in guardrail_words({"id": "b", "rule": "floor", "amount": "5", "action": "block"})


def test_a_rule_with_cases_says_where_each_applies() -> None:
    rule = {
        "selector": {"all": []},
        "transform": {
            "cases": [
                {"when": {"field": "product.vendor", "op": "eq", "value": "A"}, "price": [{"op": "set", "to": "1"}]}
            ],
            "otherwise": {"price": [], "compare_at": "clear"},
        },
        "guardrails": [],
    }

    assert rule_lines(rule) == [
        ("products", "everything"),
        ("where", 'the vendor is "A"'),
        ("price", "set to 1"),
        ("compare-at", "stays as it is"),
        ("else", "as follows"),
        ("price", "stays as it is"),
        ("compare-at", "is cleared"),
    ]
