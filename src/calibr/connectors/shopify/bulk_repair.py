"""Makes a bulk file readable that holds lone surrogates, which JSON may escape and no Unicode text may hold."""

import json
import re
from pathlib import Path
from typing import Any, Final

from calibr.connectors.port import CatalogFinding
from calibr.connectors.port.odd_values import shown

_ESCAPED: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_LONE: Final = re.compile("[\ud800-\udfff]")
_RULE: Final = "it holds a lone surrogate"
_RENAMED: Final = {"productType": "product_type", "selectedOptions": "attributes"}


def make_readable(path: Path) -> list[CatalogFinding]:
    """Put null in place of each text that holds a lone surrogate; return what was found. No finding, no change."""
    findings: list[CatalogFinding] = []
    copy = path.with_name(f"{path.name}.readable")
    with path.open("rb") as source, copy.open("wb") as target:
        for line in source:
            cleaned, found = _cleaned(line)
            target.write(cleaned)
            findings.extend(found)
    if findings:
        copy.replace(path)
    else:
        copy.unlink()
    return findings


def _cleaned(line: bytes) -> tuple[bytes, list[CatalogFinding]]:
    """Return the line without what cannot be read, and what that was."""
    parsed = _parsed(line) if _ESCAPED.search(line) else None
    if not isinstance(parsed, dict):
        return line, []
    texts: list[tuple[str, str]] = []
    cleaned = {key: _without_lone(value, key, texts) for key, value in parsed.items()}
    who = shown(str(parsed.get("id", "")).rpartition("/")[2])
    found = [CatalogFinding(who, _RENAMED.get(key, key), shown(text), _RULE) for key, text in texts]
    return (json.dumps(cleaned).encode() + b"\n" if found else line), found


def _parsed(line: bytes) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(line)
    except ValueError:
        return None  # it stays as it is, and is refused


def _without_lone(value: Any, key: str, texts: list[tuple[str, str]]) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, str) and _LONE.search(value):
        texts.append((key, value))
        return None
    if isinstance(value, list):
        return [_without_lone(each, key, texts) for each in value]
    if isinstance(value, dict):
        return {name: _without_lone(each, key, texts) for name, each in value.items()}
    return value
