"""Keyset pages. A cursor is opaque to clients: base64url of the name of the list and the key of the last row."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Generic, TypeVar
from uuid import UUID

import orjson
from fastapi import Query

from calibr.core.errors import Fault, Invalid

MAX_LIMIT: Final = 500
DEFAULT_LIMIT: Final = 100
MAX_CURSOR_LENGTH: Final = 2048
INTEGER_BITS: Final = 63

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows of a page.")]
After = Annotated[
    str | None, Query(max_length=MAX_CURSOR_LENGTH, description="`next` of the page before; left out: the first page.")
]
Filter = Annotated[str | None, Query(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
"""A text to look for."""
T = TypeVar("T")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Page(Generic[V]):
    """Some rows, and the cursor of the page after them (null: there is none)."""

    items: list[V]
    next: str | None


@dataclass(frozen=True, slots=True)
class Keyset:
    """The key of one list: its name, so that a cursor of another list is refused, and the types of its columns."""

    name: str
    types: tuple[type[UUID] | type[str] | type[int], ...]

    def encode(self, key: Sequence[UUID | str | int]) -> str:
        """The cursor after the row with this key."""
        raw = orjson.dumps([self.name, *key])
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def decode(self, cursor: str) -> tuple[UUID | str | int, ...]:
        """The key. Raises Invalid `request.cursor` for anything that `encode` did not make for this list."""
        try:
            parts = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
            name, *values = parts
            if name != self.name or len(values) != len(self.types):
                raise _not_a_cursor(cursor)
            return tuple(_typed(value, kind) for value, kind in zip(values, self.types, strict=True))
        except (ValueError, TypeError):
            raise _not_a_cursor(cursor) from None

    def first(self, cursor: str) -> UUID:
        """The first column of the key, which is an id."""
        value = self.decode(cursor)[0]
        assert isinstance(value, UUID)  # noqa: S101 - `types` says so
        return value

    def first_number(self, cursor: str) -> int:
        """The first column of the key, which is a number."""
        value = self.decode(cursor)[0]
        assert isinstance(value, int)  # noqa: S101 - `types` says so
        return value

    def page(
        self, rows: Sequence[T], limit: int, *, view: Callable[[T], V], key: Callable[[T], Sequence[UUID | str | int]]
    ) -> Page[V]:
        """The page of `rows`, which were asked for with `limit + 1` to see whether there are more."""
        shown = rows[:limit]
        more = len(rows) > limit
        return Page([view(row) for row in shown], self.encode(key(shown[-1])) if more else None)


def _typed(value: object, kind: type[UUID] | type[str] | type[int]) -> UUID | str | int:
    if kind is UUID and isinstance(value, str):
        return UUID(value)
    if kind is str and isinstance(value, str):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= INTEGER_BITS:
        return value
    raise TypeError


def _not_a_cursor(cursor: str) -> Invalid:
    rule = "the `next` of a page of this list"
    fault = Fault(path="query.after", value=ascii(cursor[:80]), rule=rule)
    return Invalid("request.cursor", f"query.after is {fault.value}: it must be {rule}.", faults=(fault,))
