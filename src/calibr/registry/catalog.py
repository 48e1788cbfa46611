"""The schemas of the project: found in files, compiled once per process, used to judge documents."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from calibr.core.errors import Fault, NotFound

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_VALUE_LIMIT = 200

Subject = str
Version = str


@dataclass(frozen=True, slots=True)
class Registry:
    """All schemas by subject (such as `selector` or `event/price.observed`) and semantic version."""

    _documents: dict[tuple[Subject, Version], dict[str, Any]]
    _validators: dict[tuple[Subject, Version], jsonschema_rs.Validator]

    def subjects(self) -> dict[Subject, list[Version]]:
        """Return the versions of each subject, oldest first."""
        found: dict[Subject, list[Version]] = {}
        for subject, version in sorted(self._documents, key=lambda key: (key[0], _order(key[1]))):
            found.setdefault(subject, []).append(version)
        return found

    def document(self, subject: Subject, version: Version) -> dict[str, Any]:
        """Return a schema. Raises NotFound `schema.unknown`."""
        self._require(subject, version)
        return self._documents[subject, version]

    def is_valid(self, subject: Subject, version: Version, document: object) -> bool:
        """Say whether a document matches. Raises NotFound `schema.unknown`."""
        return self._require(subject, version).is_valid(document)

    def validate(self, subject: Subject, version: Version, document: object) -> list[Fault]:
        """Return what is wrong with a document, nothing when it matches. Raises NotFound `schema.unknown`."""
        validator = self._require(subject, version)
        if validator.is_valid(document):
            return []
        return [_fault(error) for error in validator.iter_errors(document)]

    def _require(self, subject: Subject, version: Version) -> jsonschema_rs.Validator:
        validator = self._validators.get((subject, version))
        if validator is None:
            raise NotFound("schema.unknown", f"There is no schema {subject} {version}.")
        return validator


def read_registry(folder: Path) -> Registry:
    """Read and compile all `<subject>/<version>.json` below a folder.

    Raises ValueError when a file is no JSON Schema, or its `$id` is not that of its place: whoever wrote it erred.
    """
    documents = dict(_documents(folder))
    shared = jsonschema_rs.Registry([(str(document["$id"]), document) for document in documents.values()])
    validators: dict[tuple[Subject, Version], jsonschema_rs.Validator] = {}
    for (subject, version), document in documents.items():
        try:
            validators[subject, version] = jsonschema_rs.validator_for(document, registry=shared, validate_formats=True)
        except (ValueError, jsonschema_rs.ReferencingError) as err:
            raise ValueError(f"{folder / subject / version}.json: {err}") from err
    return Registry(documents, validators)


@cache
def load_registry() -> Registry:
    """Return the registry of this program, read on first use."""
    return read_registry(schema_folder())


def schema_folder() -> Path:
    """Return the folder of the schemas: inside the installed package, or `schemas/` of the repository."""
    packed = Path(__file__).parent / "schemas"
    return packed if packed.is_dir() else Path(__file__).parents[3] / "schemas"


def schema_id(subject: Subject, version: Version) -> str:
    """Return the `$id` that a schema must have: a name, not an address, since it is the same wherever it is served."""
    return f"urn:calibr:{subject.replace('/', ':')}:{version}"


def _documents(folder: Path) -> Iterator[tuple[tuple[Subject, Version], dict[str, Any]]]:
    for path in sorted(folder.rglob("*.json")):
        subject, version = path.parent.relative_to(folder).as_posix(), path.stem
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as err:
            raise ValueError(f"{path}: {err}") from err
        if _VERSION.fullmatch(version) is None:
            raise ValueError(f"{path}: the name of a schema is its semantic version.")
        if document.get("$id") != schema_id(subject, version):
            raise ValueError(f"{path}: $id must be {schema_id(subject, version)}.")
        yield (subject, version), document


def _order(version: Version) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _fault(error: jsonschema_rs.ValidationError) -> Fault:
    value = json.dumps(error.instance, ensure_ascii=False)
    return Fault(json_path(error.instance_path), value[:_VALUE_LIMIT], error.message)


def json_path(parts: list[str | int]) -> str:
    """Return the JSON path of a place, `$` for the whole document."""
    steps = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return "$" + "".join(steps)
