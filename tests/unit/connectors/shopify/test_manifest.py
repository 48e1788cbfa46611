"""The manifest and the checklist agree with the code and with the tests that they name."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path

from calibr.connectors.shopify import KIND, ShopifyConnector
from calibr.connectors.shopify.batches import MAX_ARRAY
from calibr.connectors.shopify.config import API_VERSIONS, DEFAULT_API_VERSION
from calibr.connectors.shopify.costs import MAX_CALL_COST
from calibr.connectors.shopify.scopes import REQUIRED_SCOPES

PACKAGE = files("calibr.connectors.shopify")
ROOT = Path(__file__).parents[4]
Rule = dict[str, str]


def read_checklist(text: str) -> dict[str, dict[str, Rule]]:
    """Read the one shape that the checklist has: grade, rule, and its fields, each two spaces further in."""
    grades: dict[str, dict[str, Rule]] = {}
    grade: dict[str, Rule] = {}
    rule: Rule = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"(?P<indent>(?:  ){0,2})(?P<key>[a-z_]+):(?: (?P<value>\S.*))?", line)
        assert match, f"line {number} is not of the checklist's shape: {line!r}"
        depth, value = len(match["indent"]) // 2, match["value"]
        assert (value is not None) == (depth == 2), f"line {number}: {line!r}"
        if depth == 0:
            grade = grades.setdefault(match["key"], {})
        elif depth == 1:
            rule = grade.setdefault(match["key"], {})
        else:
            rule[match["key"]] = value
    return grades


def test_the_manifest_says_what_the_code_does() -> None:
    manifest = tomllib.loads((PACKAGE / "manifest.toml").read_text())

    assert manifest["kind"] == KIND
    assert manifest["api_version"] == DEFAULT_API_VERSION
    assert tuple(manifest["api_versions"]) == API_VERSIONS
    assert set(manifest["capabilities"]) == {capability.value for capability in ShopifyConnector.capabilities}
    assert manifest["scopes"]["required"] == dict(REQUIRED_SCOPES)
    assert manifest["limits"] == {
        "rows_per_call": MAX_ARRAY, "rows_per_group_call": MAX_ARRAY, "points_per_call": MAX_CALL_COST,
    }  # fmt: skip


def test_the_checklist_is_graded_and_each_gap_has_its_reason() -> None:
    grades = read_checklist((PACKAGE / "quality.yaml").read_text())

    assert list(grades) == ["bronze", "silver", "gold"]
    for name, rule in ((name, rule) for grade in grades.values() for name, rule in grade.items()):
        assert rule["status"] in {"done", "todo", "exempt"}, name
        assert ("proof" in rule) == (rule["status"] == "done"), name
        assert ("comment" in rule) == (rule["status"] != "done"), name


def test_what_is_done_has_a_test_that_exists() -> None:
    grades = read_checklist((PACKAGE / "quality.yaml").read_text())
    proofs = {rule["proof"] for grade in grades.values() for rule in grade.values() if "proof" in rule}

    assert {proof for proof in proofs if not (ROOT / proof).is_file()} == set()


def test_the_lowest_grade_has_no_gap() -> None:
    bronze = read_checklist((PACKAGE / "quality.yaml").read_text())["bronze"]

    assert {name for name, rule in bronze.items() if rule["status"] != "done"} == set()
