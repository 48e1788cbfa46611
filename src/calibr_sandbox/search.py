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

_TERM: Final = re.compile(r"""(?P<field>[a-z_]+[0-9]?):(?P<op><=|>=|<|>)?(?P<value>"[^"]*"|'[^']*'|[^\s()]+)""")
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
    """A text whatever its case; `red*` is any that begins so, `*` any at all."""

    def build(_operator: str, value: str) -> Filter:
        if value == "*":
            return Filter(f"coalesce({column}, '') <> ''")
        if value.endswith("*"):
            start = value[:-1]
            return Filter(f"lower(substr({column}, 1, ?)) = lower(?)", (len(start), start))
        return Filter(f"{column} = ? COLLATE NOCASE", (value,))

    return build


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


def _signed(column: str) -> Callable[[str, str], Filter]:
    """A whole number that may be below zero."""

    def build(operator: str, value: str) -> Filter:
        if not value.removeprefix("-").isdecimal() or len(value) > _MAX_DIGITS:
            raise SearchError(f"{value!r} is not a number")
        return Filter(f"{column} {operator} ?", (int(value),))

    return build


def _flag(sql: str) -> Callable[[str, str], Filter]:
    """Yes or no."""

    def build(_operator: str, value: str) -> Filter:
        if value.lower() not in {"true", "false"}:
            raise SearchError(f"{value!r} is neither true nor false")
        return Filter(f"({sql}) = ?", (int(value.lower() == "true"),))

    return build


def _some(tables: str, joined: str, find: Callable[[str, str], Filter]) -> Callable[[str, str], Filter]:
    """Whether there is a row of other tables for which a condition holds."""

    def build(operator: str, value: str) -> Filter:
        found = find(operator, value)
        return Filter(f"EXISTS (SELECT 1 FROM {tables} WHERE {joined} AND {found.sql})", found.parameters)  # noqa: S608

    return build


def _product_ids(_operator: str, value: str) -> Filter:
    numbers = value.split(",")
    if not all(number.isdecimal() and len(number) <= _MAX_DIGITS for number in numbers):
        raise SearchError(f"{value!r} is no list of numbers")
    return Filter(f"v.product_id IN ({','.join('?' * len(numbers))})", tuple(map(int, numbers)))


def _not_tagged(operator: str, value: str) -> Filter:
    found = _tag(operator, value)
    return Filter(f"NOT {found.sql}", found.parameters)


def _tag(_operator: str, value: str) -> Filter:
    sql = "EXISTS (SELECT 1 FROM json_each(p.tags) t WHERE t.value = ? COLLATE NOCASE)"
    return Filter(sql, (value,))


_SHARED: Final = {
    "vendor": _text("p.vendor"),
    "product_type": _text("p.product_type"),
    "tag": _tag,
    "tag_not": _not_tagged,
}
_OWN: Final = ("variant s", "s.product_id = p.id")
_STOCK: Final = "coalesce(json_extract({0}.extra, '$.inventoryQuantity'), 0)"
_REDUCED: Final = (
    "EXISTS (SELECT 1 FROM variant s WHERE s.product_id = p.id"
    " AND (length(s.compare_at_price), s.compare_at_price) > (length(s.price), s.price))"
)
"""Amounts of a shop have the same decimals: the longer text is more, of two as long the later one."""
PRODUCT_FIELDS: Final = _SHARED | {
    "barcode": _some(*_OWN, _text("s.barcode")),
    "collection_id": _some("collection_member h", "h.product_id = p.id", _number("h.collection_id")),
    "is_price_reduced": _flag(_REDUCED),
    "variant_id": _some(*_OWN, _number("s.id")),
    "variant_title": _some(*_OWN, _text("s.title")),
    "id": _number("p.id"),
    "handle": _text("p.handle"),
    "title": _text("p.title"),
    "sku": _some(*_OWN, _text("s.sku")),
    "status": _text("p.status"),
    "created_at": _time("p.created_at", "created_at"),
    "updated_at": _time("p.updated_at", "updated_at"),
}
VARIANT_FIELDS: Final = _SHARED | {
    "barcode": _text("v.barcode"),
    "collection": _some("collection_member h", "h.product_id = v.product_id", _number("h.collection_id")),
    "inventory_quantity": _signed(_STOCK.format("v")),
    **{f"option{place}": _text(f"json_extract(v.option_values, '$[{place - 1}]')") for place in (1, 2, 3)},
    "product_ids": _product_ids,
    "taxable": _flag("coalesce(json_extract(v.extra, '$.taxable'), 1)"),
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


MARKET_FIELDS: Final = {
    "id": _number("m.id"),
    "name": _contains("m.name"),
    "status": _text("m.status"),
}
_APPLIED: Final = "catalog_context x"
_TO_LOCATION: Final = "x.catalog_id = c.id AND c.kind = 'COMPANY_LOCATION'"
CATALOG_FIELDS: Final = {
    "company_id": _some(
        f"{_APPLIED} JOIN company_location l ON l.id = x.context_id", _TO_LOCATION, _number("l.company_id")
    ),
    "company_location_id": _some(_APPLIED, _TO_LOCATION, _number("x.context_id")),
    "market_id": _some(_APPLIED, "x.catalog_id = c.id AND c.kind = 'MARKET'", _number("x.context_id")),
    "id": _number("c.id"),
    "title": _contains("c.title"),
    "status": _text("c.status"),
}
COLLECTION_FIELDS: Final = {
    "id": _number("k.id"),
    "handle": _text("k.handle"),
    "title": _contains("k.title"),
    "updated_at": _time("k.updated_at", "updated_at"),
    "product_id": _some("collection_member h", "h.collection_id = k.id", _number("h.product_id")),
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
