"""Schemas: found by subject and version, judged at load, and used to judge documents."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from calibr.core.errors import NotFound
from calibr.registry import load_registry, read_registry, schema_folder, schema_id

THING = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "parts": {"type": "array", "items": {"type": "integer"}},
    },
}


def _write(folder: Path, subject: str, version: str, **schema: Any) -> Path:  # noqa: ANN401 - JSON
    path = folder / subject / f"{version}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"$id": schema_id(subject, version)} | schema))
    return path


def test_subjects_and_versions_come_in_order(tmp_path: Path) -> None:
    for version in ("1.10.0", "1.9.0", "1.0.0"):
        _write(tmp_path, "event/thing.made", version, **THING)
    _write(tmp_path, "envelope", "2.0.0")

    registry = read_registry(tmp_path)

    assert registry.subjects() == {"envelope": ["2.0.0"], "event/thing.made": ["1.0.0", "1.9.0", "1.10.0"]}
    assert registry.document("envelope", "2.0.0")["$id"] == "urn:calibr:envelope:2.0.0"


def test_each_fault_has_its_place_value_and_rule(tmp_path: Path) -> None:
    _write(tmp_path, "thing", "1.0.0", **THING)

    faults = read_registry(tmp_path).validate("thing", "1.0.0", {"id": "x", "parts": [1, "two"], "more": None})

    assert sorted((fault.path, fault.value) for fault in faults) == [
        ("$", '{"id": "x", "more": null, "parts": [1, "two"]}'),
        ("$.id", '"x"'),
        ("$.parts[1]", '"two"'),
    ]
    assert {fault.rule for fault in faults} == {
        "Additional properties are not allowed ('more' was unexpected)",
        '"x" is not a "uuid"',
        '"two" is not of type "integer"',
    }


def test_a_schema_may_refer_to_another(tmp_path: Path) -> None:
    _write(tmp_path, "thing", "1.0.0", **THING)
    _write(tmp_path, "box", "1.0.0", properties={"thing": {"$ref": schema_id("thing", "1.0.0")}})
    registry = read_registry(tmp_path)

    assert not registry.is_valid("box", "1.0.0", {"thing": {}})
    assert registry.is_valid("box", "1.0.0", {"thing": {"id": "01234567-89ab-7def-8123-456789abcdef"}})


@pytest.mark.parametrize("subject", ["thing", "event/thing.unmade"])
def test_what_is_unknown_is_said(tmp_path: Path, subject: str) -> None:
    registry = read_registry(tmp_path)

    for ask in (registry.document, lambda *key: registry.validate(*key, {})):
        with pytest.raises(NotFound, match=f"no schema {subject} 1.0.0"):
            ask(subject, "1.0.0")


def test_a_file_at_fault_is_named(tmp_path: Path) -> None:
    named_badly = _write(tmp_path / "a", "thing", "1.0")
    with pytest.raises(ValueError, match=f"{named_badly}: the name of a schema is its semantic version"):
        read_registry(tmp_path / "a")

    placed_badly = _write(tmp_path / "b", "thing", "1.0.0", **{"$id": "urn:calibr:other:1.0.0"})
    with pytest.raises(ValueError, match=f"{placed_badly}: \\$id must be urn:calibr:thing:1.0.0"):
        read_registry(tmp_path / "b")

    broken = _write(tmp_path / "c", "thing", "1.0.0", type="objekt")
    with pytest.raises(ValueError, match=f"{broken}: .*objekt"):
        read_registry(tmp_path / "c")

    no_json = _write(tmp_path / "d", "thing", "1.0.0")
    no_json.write_text("{")
    with pytest.raises(ValueError, match=f"{no_json}: "):
        read_registry(tmp_path / "d")


def test_our_own_schemas_load_and_follow_their_dialect() -> None:
    registry = load_registry()

    assert "envelope" in registry.subjects()
    assert registry is load_registry()
    for subject, versions in registry.subjects().items():
        for version in versions:
            document = registry.document(subject, version)
            assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema", subject
            jsonschema_rs.meta.validate(document)


def test_an_event_says_exactly_what_it_carries() -> None:
    registry = load_registry()
    events = {subject for subject in registry.subjects() if subject.startswith("event/")}

    for subject in events:
        for version in registry.subjects()[subject]:
            document = registry.document(subject, version)
            assert document["type"] == "object", subject
            assert document["additionalProperties"] is False, subject
            assert document["description"], subject
    assert all(path.parent.parent.name == "event" for path in (schema_folder() / "event").rglob("*.json"))
