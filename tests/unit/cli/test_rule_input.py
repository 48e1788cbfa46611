"""Rules from a file and from options."""

from pathlib import Path

import orjson
import pytest

from calibr.cli.client import encode
from calibr.cli.failures import CliError
from calibr.cli.rule_input import RuleOptions, read_rule


def test_options_make_the_documents() -> None:
    options = RuleOptions(
        tag=["sale"],
        vendor=["Acme"],
        percent="-10",
        ending=["0.99"],
        compare_at="old-price",
        min_markup="20",
        floor="5",
    )

    assert options.documents() == {
        "selector": {
            "all": [
                {"field": "product.tags", "op": "has_any", "value": ["sale"]},
                {"field": "product.vendor", "op": "in", "value": ["Acme"]},
            ]
        },
        "transform": {
            "price": [
                {"op": "percent", "by": "-10"},
                {"op": "ending", "endings": ["0.99"], "per": "1"},
            ],
            "compare_at": {"set": "from_price"},
        },
        "guardrails": [
            {"id": "floor", "rule": "floor", "amount": "5"},
            {"id": "min-markup", "rule": "min_markup", "percent": "20", "if_missing": "skip"},
        ],
    }


def test_the_whole_catalog_must_be_said() -> None:
    with pytest.raises(CliError, match="--everything for the whole catalog"):
        RuleOptions(percent="-10").documents()

    assert RuleOptions(everything=True, percent="-10").documents()["selector"] == {"all": []}


def test_everything_and_something_exclude_each_other() -> None:
    with pytest.raises(CliError, match="--everything excludes"):
        RuleOptions(everything=True, tag=["a"], percent="1").documents()


def test_a_rule_that_changes_nothing_is_refused() -> None:
    with pytest.raises(CliError, match="say what changes"):
        RuleOptions(everything=True).documents()


def test_a_file_and_options_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="leave out --tag, --set"):
        RuleOptions(rule=tmp_path / "r.json", tag=["a"], set_to="1").documents()


def test_numbers_of_a_file_keep_their_written_form(tmp_path: Path) -> None:
    file = tmp_path / "rule.json"
    leaf = '{"field": "product.attributes.weight", "op": "eq", "value": 1.50}'
    file.write_text(f'{{"selector": {leaf}, "transform": {{"price": []}}}}')

    sent = encode(read_rule(file))

    assert b'"value":1.50' in sent
    assert orjson.loads(sent)["guardrails"] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "must hold one JSON object"),
        ('{"selector": {}}', "lacks transform"),
        ('{"selector": {}, "transform": {}, "rules": []}', "does not know rules"),
        ('{"selector": {}, "selector": {}, "transform": {}}', "occurs twice"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "rule.json"
    file.write_text(text)

    with pytest.raises(CliError, match=said) as refused:
        read_rule(file)

    assert str(file) in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CliError, match=r"none\.json: No such file"):
        read_rule(tmp_path / "none.json")
