"""The `query:` argument of products and variants: `field:value` terms joined by AND.

Only the fields below are known. Shopify ignores an unknown field with a warning; the sandbox refuses it,
because a filter that silently selects everything hides mistakes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from calibr_sandbox.ids import INVENTORY_ITEM_SHIFT

_TERM: Final = re.compile(r"""\s*(?:AND\s+)?(?P<field>[a-z_]+):(?P<op><=|>=|<|>)?(?P<value>"[^"]*"|'[^']*'|\S+)""")


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


def parse_search(query: str | None, fields: dict[str, Callable[[str, str], Filter]]) -> Filter:
    """Compile a search query to SQL. Raises SearchError naming the field or the rest that is not understood."""
    found, position, text = EVERYTHING, 0, (query or "").rstrip()
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None:
            raise SearchError(f"The sandbox cannot read the search query from here: {text[position:]!r}")
        build = fields.get(match["field"])
        if build is None:
            raise SearchError(f"The sandbox cannot search by `{match['field']}`; it knows {', '.join(sorted(fields))}")
        value = match["value"]
        unquoted = value[1:-1] if value[0] in "\"'" and len(value) > 1 else value
        found = found.and_also(build(match["op"] or "=", unquoted))
        position = match.end()
    return found
