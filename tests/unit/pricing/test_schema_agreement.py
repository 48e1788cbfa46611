"""What the published schemas refuse, we refuse with `schema`; what we accept, they accept."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rule_strategies import RandomRules, document, random_rules

from calibr.core.canonical import canonical_json
from calibr.core.written_json import Json, load_written
from calibr.pricing import DocumentError, parse_rules
from calibr.registry import load_registry

SUBJECTS = ("selector", "transform", "guardrail")

junk = st.sampled_from(
    [
        "null",
        "true",
        "0",
        '""',
        '"x"',
        '"-1"',
        '"1.5"',
        "[]",
        "{}",
        '["x"]',
        '{"op": "set"}',
        '"keep"',
        '"block"',
        "[[]]",
    ]
).map(load_written)
names = st.sampled_from(
    ["op", "by", "to", "value", "field", "rule", "percent", "amount", "action", "set", "when", "x", "all"]
)


def is_valid_by_schema(documents: list[Json]) -> bool:
    plain = [json.loads(canonical_json(part)) for part in documents]
    return all(load_registry().is_valid(subject, "1.0.0", part) for subject, part in zip(SUBJECTS, plain, strict=True))


def places(value: object) -> list[Any]:
    """Every object and list inside a document."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [found for member in inner for found in places(member)] + ([value] if isinstance(value, dict | list) else [])


@given(random_rules())
def test_valid_documents_match_the_schemas(random: RandomRules) -> None:
    assert is_valid_by_schema([document(part) for part in random.documents])


@given(random_rules(), st.data())
def test_a_document_that_a_schema_refuses_is_refused(random: RandomRules, data: st.DataObject) -> None:
    documents = [document(part) for part in random.documents]
    for _ in range(data.draw(st.integers(1, 3))):
        damage(documents, data)

    fault = answered_fault(documents)

    if not is_valid_by_schema(documents):
        assert fault is not None
        assert fault.startswith(("schema $.selector", "schema $.transform", "schema $.guardrails"))


def answered_fault(documents: list[Json]) -> str | None:
    try:
        parse_rules(*documents)
    except DocumentError as error:
        return f"{error.fault_code} {error.path}"
    return None


def damage(documents: list[Any], data: st.DataObject) -> None:
    """Replace, add or drop one member of one object or list."""
    place = data.draw(st.sampled_from(places(documents)))
    if isinstance(place, list):
        position = data.draw(st.integers(0, len(place)))
        if place is documents:
            position = min(position, len(place) - 1)
        place[position : position + 1] = [data.draw(junk)]
    elif place and data.draw(st.booleans()):
        del place[data.draw(st.sampled_from(sorted(place)))]
    else:
        place[data.draw(st.one_of(names, st.sampled_from(sorted(place) or ["op"])))] = data.draw(junk)


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("selector", '{"field": "price.age_days", "op": "lt", "value": -1}'),
        ("selector", '{"field": "product.vendor", "op": "lt", "value": "a"}'),
        ("selector", '{"field": "margin.percent", "op": "gt", "value": "1.00001"}'),
        ("selector", "{}"),
        ("transform", '{"price": [{"op": "set", "to": "-1"}]}'),
        ("transform", '{"price": [{"op": "clamp"}]}'),
        ("transform", '{"cases": []}'),
        ("guardrail", '[{"id": "a b", "rule": "not_below_cost"}]'),
        ("guardrail", '[{"id": "a", "rule": "floor", "percent": "5"}]'),
    ],
)
def test_the_schemas_themselves_refuse(subject: str, text: str) -> None:
    parts: dict[str, Json] = {"selector": {"all": []}, "transform": {"price": []}, "guardrail": []}
    parts[subject] = load_written(text)

    assert not load_registry().is_valid(subject, "1.0.0", json.loads(text))
    with pytest.raises(DocumentError):
        parse_rules(*(parts[name] for name in SUBJECTS))
