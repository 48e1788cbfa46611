"""The half of staging that Python does: what SQL cannot normalize, each distinct value once, in bounded batches."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import duckdb

from calibr.connectors.port.staging_sql import MAX_KEY_CHARACTERS
from calibr.core.attributes import normalize_attributes
from calibr.core.text import TextRefused, normalize
from calibr.core.written_json import Json, JsonNumber

MAX_SHOWN: Final = 200
_BATCH: Final = 20_000
_MAX_KEY_BYTES: Final = 1_000
_BEYOND: Final = "must be a number that others can read, between 1e-307 and 1e308"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A part of a value that was refused: the attribute's name (or nothing), the text and the rule."""

    name: str
    text: str
    rule: str


@dataclass(frozen=True, slots=True)
class Treated:
    """What is kept of a value as it was given, and its normal form, both as PostgreSQL reads them."""

    kept: str | None
    normal: str | None
    refused: tuple[Refusal, ...] = ()


def shown(text: str) -> str:
    """Return the text in a form that can be stored and shown to a person: bounded, and without what was refused."""
    storable = text[:MAX_SHOWN].encode("utf-8", "backslashreplace").decode("utf-8")
    return storable.replace("\0", "\\u0000")


def treat_text(text: str) -> Treated:
    """Treat one text of any length."""
    try:
        return Treated(text, normalize(text))
    except TextRefused as refusal:
        return Treated(None, None, (Refusal("", text, str(refusal)),))


def treat_key(text: str) -> Treated:
    """Treat a text that stands in an index, whose rows are bounded."""
    if len(text) > MAX_KEY_CHARACTERS:
        return Treated(None, None, (Refusal("", text, f"must have at most {MAX_KEY_CHARACTERS} characters"),))
    treated = treat_text(text)
    if treated.normal is not None and len(treated.normal.encode()) > _MAX_KEY_BYTES:
        return Treated(None, None, (Refusal("", text, f"must have at most {_MAX_KEY_BYTES} bytes in normal form"),))
    return treated


def treat_tags(json_list: str) -> Treated:
    """Treat a list of texts; a refused one is left out, and so is one that is empty in normal form."""
    treated = [treat_text(tag) for tag in json.loads(json_list) if tag is not None]
    return Treated(
        _array_literal(each.kept for each in treated if each.kept is not None),
        _array_literal(each.normal for each in treated if each.normal is not None),
        tuple(refusal for each in treated for refusal in each.refused),
    )


def treat_attributes(json_object: str) -> Treated:
    """Treat a JSON object; of a name that repeats, the last value counts, as for jsonb."""
    raw: dict[str, Json] = json.loads(json_object, parse_int=JsonNumber, parse_float=JsonNumber)
    counted, refused = normalize_attributes(raw)
    refused |= {
        name: _BEYOND for name, value in raw.items() if isinstance(value, JsonNumber) and not value.is_interoperable
    }
    return Treated(
        _object_literal({name: value for name, value in raw.items() if name not in refused}),
        _object_literal(counted),
        tuple(Refusal(name, str(raw[name]), rule) for name, rule in refused.items()),
    )


TREATMENTS: Final[dict[str, Callable[[str], Treated]]] = {
    "text": treat_text,
    "key": treat_key,
    "tags": treat_tags,
    "attributes": treat_attributes,
    "group_attributes": treat_attributes,
}


def treat_odd_values(workspace: duckdb.DuckDBPyConnection, sources: Iterable[tuple[str, str]]) -> None:
    """Fill the tables `odd` and `odd_refused` with the distinct values of each source: `(kind, query of one column)`.

    Call it once per kind with all its columns in one query, so that no value is treated twice.
    """
    workspace.execute("create table if not exists odd(kind varchar, value varchar, kept varchar, normal varchar)")
    workspace.execute(
        "create table if not exists odd_refused(kind varchar, value varchar, name varchar, shown varchar, rule varchar)"
    )
    for kind, query in sources:
        for values in _batches(workspace, f"select distinct v from ({query}) q(v) where v is not null"):  # noqa: S608 - our own query
            treated = [TREATMENTS[kind](value) for value in values]
            _store(workspace, kind, values, treated)


def _batches(workspace: duckdb.DuckDBPyConnection, query: str) -> Iterator[list[str]]:
    with workspace.cursor() as reader:
        reader.execute(query)
        while rows := reader.fetchmany(_BATCH):
            yield [value for (value,) in rows]


def _store(workspace: duckdb.DuckDBPyConnection, kind: str, values: list[str], treated: list[Treated]) -> None:
    columns = [values, [each.kept for each in treated], [each.normal for each in treated]]
    workspace.execute(
        "insert into odd select $1, unnest($2::varchar[]), unnest($3::varchar[]), unnest($4::varchar[])",
        [kind, *columns],
    )
    refused = [
        (value, r.name, shown(r.text), r.rule)
        for value, each in zip(values, treated, strict=True)
        for r in each.refused
    ]
    if refused:
        parts: list[Any] = [list(part) for part in zip(*refused, strict=True)]
        workspace.execute(
            "insert into odd_refused select $1, unnest($2::varchar[]), unnest($3::varchar[]), unnest($4::varchar[]),"
            " unnest($5::varchar[])",
            [kind, *parts],
        )


def _array_literal(texts: Iterable[str]) -> str:
    quoted = ('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts)
    return "{" + ",".join(quoted) + "}"


def _object_literal(values: dict[str, Any]) -> str:
    return "{" + ",".join(f"{_json(name)}:{_json(value)}" for name, value in values.items()) + "}"


def _json(value: object) -> str:
    return value.text if isinstance(value, JsonNumber) else json.dumps(value, ensure_ascii=False)
