"""The reference page names every word of the rule language, and its example is a valid rule."""

import json
import re
from pathlib import Path

from calibr.pricing import Direction, Reason, Verdict, load_document, parse_rules
from calibr.pricing.guardrails import _RULES
from calibr.pricing.selector.leaves import _operators_of
from calibr.pricing.selector.numbers import AMOUNT_FIELDS
from calibr.pricing.selector.text import TEXT_FIELDS
from calibr.pricing.steps_reading import _READERS
from calibr.pricing.vocabulary import GuardrailResult, Mode, Why

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "rules.md").read_text("utf-8")
FIELDS = (*TEXT_FIELDS, *AMOUNT_FIELDS, "product.tags", "price.age_days", "margin.percent")


def test_every_word_is_on_the_page() -> None:
    words = {*Direction, *Reason, *Verdict, *GuardrailResult, *Mode, *Why, *FIELDS}

    assert [word for word in sorted(words) if f"`{word}`" not in PAGE] == []


def test_every_step_and_rule_is_on_the_page() -> None:
    assert [op for op in _READERS if f'"op": "{op}"' not in PAGE] == []
    assert [rule for rule in _RULES if f'"rule": "{rule}"' not in PAGE] == []


def test_every_field_is_listed_with_its_operators() -> None:
    rows = {line.split("|")[1]: line for line in PAGE.splitlines() if line.startswith("| `")}

    for field in FIELDS:
        [row] = [line for names, line in rows.items() if f"`{field}`" in names]
        assert [op for op in _operators_of(field) or () if f"`{op}`" not in row] == [], field


def test_the_example_is_a_valid_rule() -> None:
    [example] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    parts = json.loads(example)

    rules = parse_rules(*(load_document(json.dumps(parts[name])) for name in ("selector", "transform", "guardrails")))

    assert rules.bind("USD").not_applied == ()
