"""Quantity rules and price breaks: what makes sense by itself, and together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibr_sandbox.markets.quantity_rules import (
    DEFAULT_RULE,
    Rule,
    break_problems,
    rule_problems,
    rule_problems_with_breaks,
)


def _codes(problems: object) -> list[str]:
    return [code for _, code in problems]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("rule", "codes"),
    [
        (DEFAULT_RULE, []),
        (Rule(6, 12, 3), []),
        (Rule(0, 0, 1), ["MINIMUM_IS_LESS_THAN_ONE", "MAXIMUM_IS_LESS_THAN_ONE", "INCREMENT_IS_GREATER_THAN_MINIMUM"]),
        (Rule(1, None, 0), ["INCREMENT_IS_LESS_THAN_ONE"]),
        (Rule(2, None, 3), ["INCREMENT_IS_GREATER_THAN_MINIMUM", "MINIMUM_NOT_A_MULTIPLE_OF_INCREMENT"]),
    ],
)
def test_a_rule_by_itself(rule: Rule, codes: list[str]) -> None:
    assert _codes(rule_problems(rule)) == codes


@given(
    st.builds(
        lambda increment, minimum, more: Rule(increment * minimum, increment * (minimum + more), increment),
        *(st.integers(1, 20), st.integers(1, 20), st.integers(0, 20)),
    ),
    st.integers(1, 2000),
)
def test_a_break_that_fits_a_rule_is_one_that_the_rule_fits(rule: Rule, quantity: int) -> None:
    assert _codes(rule_problems(rule)) == []
    assert bool(_codes(break_problems(quantity, rule))) == bool(_codes(rule_problems_with_breaks(rule, [quantity])))


def test_without_a_maximum_no_break_is_too_high() -> None:
    assert _codes(break_problems(10**9, DEFAULT_RULE)) == []
    assert _codes(rule_problems_with_breaks(DEFAULT_RULE, [1, 10**9])) == []
