"""Reads one recording: which requests a real store was asked, in their order, and what it answered.

Recordings come in many shapes. A request is any object that holds an answer (`data` or `errors`, itself or under
`response`, `payload`, `body`); its query and variables stand in it, in an object around it, or beside another request
with the same root fields. Answers without a request are evidence of what the store held.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

Json = dict[str, Any]

_VERSION = re.compile(r"\d{4}-(?:01|04|07|10)")
_LAST = "cleanup"
_FIRST = "setup"
_UPSTREAM = "upstreamCalls"


@dataclass(frozen=True)
class Step:
    """A request with its recorded answer. `query` is None where none was recorded; then it is evidence, or rebuilt."""

    path: str
    query: str | None
    variables: Json | None
    body: Json
    hint: tuple[str, ...] = ()
    """The root fields of an answer without data, told by a request with the same variables."""
    role: str = "case"
    """`setup`, `case`, `cleanup`, or `upstream`: what the recorder read of the store for its own use."""

    @property
    def roots(self) -> list[str]:
        """The keys of the answer's data."""
        data = self.body.get("data")
        return list(data) if isinstance(data, dict) else list(self.hint)


@dataclass(frozen=True)
class Upload:
    """A file that was sent to the last staged target; its text where it was recorded, otherwise its size."""

    path: str
    text: str | None
    size: int | None
    status: int


@dataclass(frozen=True)
class Result:
    """The lines of a finished bulk operation."""

    path: str
    lines: list[Json]


Event = Step | Upload | Result


@dataclass(frozen=True)
class Recording:
    """What one file holds, in the order in which it happened."""

    name: str
    version: str
    """The version of the API that was asked."""
    events: list[Event]
    upstream: list[Step]


def read_recording(path: Path, name: str) -> Recording:
    """Read a file. Raises ValueError when it is no JSON object."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path}: not a JSON object")  # noqa: TRY004 - input
    _put_documents(content, path.resolve().parents)
    upstream = [
        step
        for place, call in enumerate(content.get(_UPSTREAM) or [])
        if (step := _step(call, f"{_UPSTREAM}[{place}]", "upstream", _Around())) is not None
    ]
    events = _without_copies(list(_walk(content, "", "case", _Around())))
    version = content.get("apiVersion") or next(iter(_VERSION.findall(str(path))), "2026-04")
    return Recording(name, version, _with_queries(events, upstream), upstream)


def _without_copies(events: list[Event]) -> list[Event]:
    """Leave out calls that are told twice: a clean-up that a case was, an answer at the top that a later step gave."""
    kept: list[Event] = []
    for place, event in enumerate(events):
        if isinstance(event, Step):
            others = events[:place] if event.role == "cleanup" else events[place + 1 :] if event.path == "data" else []
            told = [other.body for other in others if isinstance(other, Step)]
            if any(_is_copy(event.body, body, whole=event.path != "data") for body in told):
                continue
        kept.append(event)
    return kept


def _is_copy(left: Json, right: Json, *, whole: bool) -> bool:
    """Whether two answers are one: the state of the bucket in them, where it was recorded, is no two calls' alike."""
    is_told = "extensions" in left and "extensions" in right
    return (left == right and is_told) if whole else left.get("data") == right.get("data")


def _put_documents(node: Any, folders: Sequence[Path]) -> None:  # noqa: ANN401 - any JSON
    """Put in the documents that a recording names by a path, where they stand in a folder around it."""
    if isinstance(node, dict):
        named = node.get("documentPath")
        found = [folder / named for folder in folders if (folder / named).is_file()] if isinstance(named, str) else []
        if found:
            node.setdefault("query", found[0].read_text(encoding="utf-8"))
    for item in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _put_documents(item, folders)


@dataclass(frozen=True)
class _Around:
    """What an object may take from those around it."""

    queries: tuple[str, ...] = ()
    text: str | None = None

    def within(self, node: Json) -> "_Around":
        query = _own_query(node)
        text = next(
            (node[key] for key in ("uploadContent", "content", "jsonl") if isinstance(node.get(key), str)), None
        )
        return _Around((query, *self.queries) if query else self.queries, self.text if text is None else text)


def _walk(node: object, path: str, role: str, around: _Around) -> Iterator[Event]:
    if isinstance(node, list):
        for place, item in enumerate(node):
            yield from _walk(item, f"{path}[{place}]", role, around)
    if not isinstance(node, dict):
        return
    step = _step(node, path or "data", role, around)
    if step is not None:
        yield step
        if step.path != "data":
            return
    inner = around.within(node)
    found = _upload(node, path, inner) or _result(node, path)
    if found is not None:
        yield found
        return
    for key in sorted(node, key=_turn):
        if key not in {"response", "data", "extensions", "variables", _UPSTREAM}:
            yield from _walk(node[key], f"{path}/{key}".lstrip("/"), _role(key, role), inner)


def _turn(key: str) -> int:
    return {_FIRST: 0, _LAST: 2}.get(key, 1)


def _role(key: str, role: str) -> str:
    lowered = key.lower()
    if _LAST in lowered:
        return "cleanup"
    return "setup" if lowered == _FIRST else role


def _step(node: Json, path: str, role: str, around: _Around) -> Step | None:
    body = _body(node)
    if body is None:
        return None
    sent = (part.get(key) for part in _parts(node) for key in ("variables", "requestVariables"))
    variables = next((found for found in sent if isinstance(found, dict) and found), None)
    query = _own_query(node)
    if query is not None:
        variables = variables or {}
    elif around.queries and variables is not None:
        query = next((text for text in around.queries if _asks_for(text, body)), None)
    return Step(path, query, variables, body, role=role)


def _body(node: Json) -> Json | None:
    response = node.get("response", node)
    if not isinstance(response, dict):
        return None
    for part in (response, response.get("payload"), response.get("body")):
        # A body of its own that is text holds the lines of a bulk result.
        candidate = _parsed(part) if "response" in node else part
        if isinstance(candidate, dict) and ("errors" in candidate or _is_data(candidate)):
            return candidate
    return None


def _is_data(candidate: Json) -> bool:
    return "data" in candidate and (candidate["data"] is None or isinstance(candidate["data"], dict))


def _parts(node: Json) -> list[Json]:
    """The objects that may hold a request's text and variables: itself, its `request`, the body of that."""
    request = _parsed(node.get("request"))
    body = _parsed(request.get("body")) if isinstance(request, dict) else None
    return [part for part in (node, request, body) if isinstance(part, dict)]


def _parsed(part: Any) -> Any:  # noqa: ANN401 - any JSON
    """A body that was kept as text, as JSON."""
    if not isinstance(part, str) or not part.startswith("{"):
        return part
    try:
        return json.loads(part)
    except json.JSONDecodeError:
        return part


def _own_query(node: Json) -> str | None:
    texts = (part.get(key) for part in _parts(node) for key in ("query", "document", "graphql"))
    return next((text for text in texts if isinstance(text, str) and "{" in text), None)


def _asks_for(query: str, body: Json) -> bool:
    data = body.get("data")
    return all(key in query for key in data) if isinstance(data, dict) else True


def _upload(node: Json, path: str, around: _Around) -> Upload | None:
    """An upload is told by the status and the text that a storage answers with."""
    if not isinstance(node.get("body"), str) or not isinstance(node.get("status"), int):
        return None
    if "upload" not in path.lower():
        return None
    size = node.get("sizeBytes")
    return Upload(path, around.text, size if isinstance(size, int) else None, node["status"])


def _result(node: Json, path: str) -> Result | None:
    if isinstance(node.get("records"), list):
        return Result(path, [record for record in node["records"] if isinstance(record, dict)])
    if not isinstance(node.get("body"), str) or not node["body"].startswith("{"):
        return None
    return Result(path, [json.loads(line) for line in node["body"].splitlines() if line])


def _with_queries(events: list[Event], upstream: list[Step]) -> list[Event]:
    """Lend a query to requests that were recorded without one, from a request with the same root fields."""
    lenders = [*(event for event in events if isinstance(event, Step)), *upstream]
    return [_lent(event, lenders) if isinstance(event, Step) else event for event in events]


def _same(step: Step, lender: Step) -> bool:
    return set(step.variables or {}) == set(lender.variables or {})


def _lent(step: Step, lenders: list[Step]) -> Step:
    if step.query is not None:
        return step
    if not step.roots:
        alike = (lender for lender in lenders if lender.roots and step.variables and _same(step, lender))
        return next((replace(step, query=found.query, hint=tuple(found.roots)) for found in alike), step)
    for lender in lenders:
        if lender.query is None or lender.roots != step.roots:
            continue
        if step.variables is None and lender.role == "upstream":
            return replace(step, query=lender.query, variables=lender.variables)
        if step.variables is not None and _same(step, lender):
            return replace(step, query=lender.query)
    return step
