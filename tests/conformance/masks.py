"""Compares two answers: what a store makes up anew each time (ids, times, cursors, addresses, costs) is masked."""

import json
import re
from collections.abc import Iterator
from typing import Any

from scope import reason_out_of_scope

_GID = re.compile(r"gid://shopify/(\w+)/[\w-]+(\?[\w=&-]*)?")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(-\d+)?")
_RANDOM = re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b")
_TEMPORARY = re.compile(r"\btmp/\d+/")
_URL = re.compile(r"https?://\S+")
_CURSORS = frozenset({"cursor", "startCursor", "endCursor"})
_SIGNED = frozenset({"x-goog-date", "x-goog-credential", "x-goog-signature", "signature", "policy"})
_ROOT = re.compile(r"\{\s*(\w+)")
_BYTES = "fileSize"
_COUNTS = ("objectCount", "rootObjectCount")


def differences(theirs: object, ours: object) -> list[str]:
    """List the paths at which two answers differ, with both values."""
    return list(_compare(mask(theirs), mask(ours), ""))


def mask(value: object, key: str = "") -> object:
    """Put a mark in place of everything that no two stores share."""
    if isinstance(value, dict):
        return _mask_object(value)
    if isinstance(value, list):
        return [mask(item) for item in value]
    if isinstance(value, str):
        return "<cursor>" if key in _CURSORS else mask_text(value)
    return value


def mask_text(text: str) -> str:
    """Mask the ids, times and addresses in a text."""
    if _URL.fullmatch(text):
        return "<url>"
    for pattern, mark in (
        (_GID, r"gid://shopify/\1/#"),
        (_TIME, "<time>"),
        (_UUID, "<uuid>"),
        (_TEMPORARY, "tmp/#/"),
        (_RANDOM, "<hex>"),
    ):
        text = pattern.sub(mark, text)
    return _URL.sub("<url>", text)


def _mask_object(value: dict[str, Any]) -> dict[str, Any]:
    if value.get("name") in _SIGNED and isinstance(value.get("value"), str):
        return {**value, "value": "<signed>"}
    masked = {key: mask(item, key) for key, item in value.items() if key not in {"requestId", "cost"}}
    if "legacyResourceId" in masked:
        masked["legacyResourceId"] = "#"
    _mask_progress(masked)
    return masked


def _mask_progress(operation: dict[str, Any]) -> None:
    """How far an unfinished operation is, and how long the ids in a file are, is no two stores' alike."""
    if isinstance(operation.get(_BYTES), str):
        operation[_BYTES] = "<bytes>"
    root = _ROOT.search(operation["query"]) if isinstance(operation.get("query"), str) else None
    if root is not None and reason_out_of_scope(root[1]) is not None:
        # What the store had of orders or customers, which the sandbox has none of.
        operation.update({name: "<count>" for name in (*_COUNTS, _BYTES, "url") if name in operation})
    if operation.get("status") in {"RUNNING", "CANCELING", "CANCELED"}:
        for name in _COUNTS:
            if name in operation:
                operation[name] = "<count>"


def _compare(theirs: object, ours: object, path: str) -> Iterator[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in dict.fromkeys([*theirs, *ours]):
            yield from _compare(theirs.get(key), ours.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(theirs, list) and isinstance(ours, list):
        if len(theirs) != len(ours):
            yield f"{path}: {len(theirs)} items, here {len(ours)}"
        for place, (left, right) in enumerate(zip(theirs, ours, strict=False)):
            yield from _compare(left, right, f"{path}[{place}]")
    elif theirs != ours:
        yield f"{path}: {_short(theirs)}, here {_short(ours)}"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:117] + "..."
