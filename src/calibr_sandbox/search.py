"""The `query:` argument: `field:value` terms joined by AND, OR and NOT (or `-`), with parentheses.

Only the fields below are known. Shopify ignores an unknown field with a warning; the sandbox refuses it,
because a filter that silently selects everything hides mistakes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from calibr_sandbox.ids import INVENTORY_ITEM_SHIFT

_TERM: Final = re.compile(r"""(?P<field>[a-z_]+):(?P<op><=|>=|<|>)?(?P<value>"[^"]*"|'[^']*'|[^\s()]+)""")
_SPACE: Final = re.compile(r"\s*")
_AND: Final = re.compile(r"AND(?=[\s(])")
_OR: Final = re.compile(r"OR(?=[\s(])")
_NOT: Final = re.compile(r"NOT(?=[\s(])|-")
_DEEPEST: Final = 20


_MAX_DIGITS: Final = 18
"""What a whole number of SQLite surely holds."""


class SearchError(ValueError):
    """The query cannot be understood."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition in SQL over `p` (product) and `v` (variant), with its parameters."""

    sql: str = "1"
    parameters: tuple[Any, ...] = ()

    def and_also(self, other: "Filter") -> "Filter":
        """Join two conditions."""
        return Filter(f"{self.sql} AND {other.sql}", self.parameters + other.parameters)


EVERYTHING: Final = Filter()
Fields = dict[str, Callable[[str, str], Filter]]
"""How each field that a list can be searched by becomes a condition."""


def _text(column: str) -> Callable[[str, str], Filter]:
    return lambda _operator, value: Filter(f"{column} = ? COLLATE NOCASE", (value,))


def _number(column: str) -> Callable[[str, str], Filter]:
    def build(operator: str, value: str) -> Filter:
        if not value.isdecimal() or len(value) > _MAX_DIGITS:
            raise SearchError(f"{value!r} is not a number")
        return Filter(f"{column} {operator} ?", (int(value),))

    return build


def _time(column: str, field: str) -> Callable[[str, str], Filter]:
    def build(operator: str, value: str) -> Filter:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise SearchError(f"Invalid timestamp for query filter `{field}`.") from error
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return Filter(f"{column} {operator} ?", (int(aware.timestamp()),))

    return build


def _tag(_operator: str, value: str) -> Filter:
    sql = "EXISTS (SELECT 1 FROM json_each(p.tags) t WHERE t.value = ? COLLATE NOCASE)"
    return Filter(sql, (value,))


def _sku(_operator: str, value: str) -> Filter:
    sql = "EXISTS (SELECT 1 FROM variant s WHERE s.product_id = p.id AND s.sku = ? COLLATE NOCASE)"
    return Filter(sql, (value,))


_SHARED: Final = {"vendor": _text("p.vendor"), "product_type": _text("p.product_type"), "tag": _tag}
PRODUCT_FIELDS: Final = _SHARED | {
    "id": _number("p.id"),
    "handle": _text("p.handle"),
    "title": _text("p.title"),
    "sku": _sku,
    "status": _text("p.status"),
    "created_at": _time("p.created_at", "created_at"),
    "updated_at": _time("p.updated_at", "updated_at"),
}
VARIANT_FIELDS: Final = _SHARED | {
    "id": _number("v.id"),
    "product_id": _number("v.product_id"),
    "product_status": _text("p.status"),
    "sku": _text("v.sku"),
    "title": _text("v.title"),
    "updated_at": _time("v.updated_at", "updated_at"),
}
INVENTORY_FIELDS: Final = {
    "id": _number(f"v.id + {INVENTORY_ITEM_SHIFT}"),
    "sku": _text("v.sku"),
    "created_at": _time("v.created_at", "created_at"),
    "updated_at": _time("v.updated_at", "updated_at"),
}


def _contains(column: str) -> Callable[[str, str], Filter]:
    """A title is found by any part of it."""
    return lambda _operator, value: Filter(f"instr(lower({column}), lower(?)) > 0", (value,))


def _holding(operator: str, value: str) -> Filter:
    found = _number("h.product_id")(operator, value)
    sql = f"EXISTS (SELECT 1 FROM collection_member h WHERE h.collection_id = k.id AND {found.sql})"  # noqa: S608
    return Filter(sql, found.parameters)


MARKET_FIELDS: Final = {
    "id": _number("m.id"),
    "name": _contains("m.name"),
    "status": _text("m.status"),
}
CATALOG_FIELDS: Final = {
    "id": _number("c.id"),
    "title": _contains("c.title"),
    "status": _text("c.status"),
}
COLLECTION_FIELDS: Final = {
    "id": _number("k.id"),
    "handle": _text("k.handle"),
    "title": _contains("k.title"),
    "updated_at": _time("k.updated_at", "updated_at"),
    "product_id": _holding,
}
WEBHOOK_FIELDS: Final = {
    "id": _number("w.id"),
    "created_at": _time("w.created_at", "created_at"),
    "updated_at": _time("w.updated_at", "updated_at"),
}
PRICE_FIELDS: Final = {"product_id": _number("v.product_id"), "variant_id": _number("v.id")}
BULK_FIELDS: Final = {
    "id": _number("id"),
    "status": _text("status"),
    "operation_type": _text("type"),
    "created_at": _time("created_at", "created_at"),
}


def parse_search(query: str | None, fields: Fields) -> Filter:
    """Compile a search query to SQL. Raises SearchError naming the field or the rest that is not understood."""
    if not (query or "").strip():
        return EVERYTHING
    return _Reader((query or "").rstrip(), fields).read()


class _Reader:
    """Reads one query: OR binds least, then AND, which may be left out, then NOT."""

    def __init__(self, text: str, fields: Fields) -> None:
        self._text = text
        self._fields = fields
        self._position = 0
        self._depth = 0

    def read(self) -> Filter:
        found = self._any()
        if self._position < len(self._text):
            raise self._unreadable()
        return EVERYTHING.and_also(found)

    def _any(self) -> Filter:
        parts = [self._all()]
        while self._take(_OR):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else _joined(parts, " OR ")

    def _all(self) -> Filter:
        found = self._one()
        while self._take(_AND) or self._goes_on():
            found = found.and_also(self._one())
        return found

    def _one(self) -> Filter:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise SearchError(f"The sandbox reads searches up to {_DEEPEST} levels deep")
        try:
            if self._take(_NOT):
                part = self._one()
                return Filter(f"NOT ({part.sql})", part.parameters)
            return self._group() if self._peek("(") else self._term()
        finally:
            self._depth -= 1

    def _group(self) -> Filter:
        self._position += 1
        part = self._any()
        if not self._peek(")"):
            raise self._unreadable()
        self._position += 1
        return Filter(f"({part.sql})", part.parameters)

    def _term(self) -> Filter:
        match = _TERM.match(self._text, self._skip_space())
        if match is None:
            raise self._unreadable()
        build = self._fields.get(match["field"])
        if build is None:
            known = ", ".join(sorted(self._fields))
            raise SearchError(f"The sandbox cannot search by `{match['field']}`; it knows {known}")
        self._position = match.end()
        value = match["value"]
        unquoted = value[1:-1] if value[0] in "\"'" and len(value) > 1 else value
        return build(match["op"] or "=", unquoted)

    def _goes_on(self) -> bool:
        """Whether a term follows without a word between."""
        start = self._skip_space()
        return start < len(self._text) and self._text[start] != ")" and not _OR.match(self._text, start)

    def _take(self, word: re.Pattern[str]) -> bool:
        match = word.match(self._text, self._skip_space())
        if match is not None:
            self._position = match.end()
        return match is not None

    def _peek(self, sign: str) -> bool:
        return self._text.startswith(sign, self._skip_space())

    def _skip_space(self) -> int:
        match = _SPACE.match(self._text, self._position)
        self._position = match.end() if match else self._position
        return self._position

    def _unreadable(self) -> SearchError:
        return SearchError(f"The sandbox cannot read the search query from here: {self._text[self._position :]!r}")


def _joined(parts: list[Filter], word: str) -> Filter:
    sql = word.join(f"({part.sql})" for part in parts)
    return Filter(f"({sql})", tuple(value for part in parts for value in part.parameters))
