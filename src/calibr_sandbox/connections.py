"""Pages of connections: first/last, after/before, cursors."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

import orjson

from calibr_sandbox.catalog import Key, Slice
from calibr_sandbox.errors import BadRequestError
from calibr_sandbox.rows import VariantRow

_NUMBERS_END: Final = 1 << 63

Place = tuple[int | str, int]
"""Where a row stands in its list: what the list is sorted by, then the id."""

_Row = TypeVar("_Row")


class PageInfo(NamedTuple):
    """Where a page stands in its list."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one page, and how a row's place in the list is named."""

    rows: Sequence[Any]
    key: Callable[[Any], Place]
    has_next: bool
    has_previous: bool

    def info(self) -> PageInfo:
        """Describe the page."""
        if not self.rows:
            return PageInfo(self.has_next, self.has_previous, None, None)
        start, end = cursor(self.key(self.rows[0])), cursor(self.key(self.rows[-1]))
        return PageInfo(self.has_next, self.has_previous, start, end)

    def edges(self) -> list[tuple[str, Any]]:
        """Pair each row with its cursor."""
        return [(cursor(self.key(row)), row) for row in self.rows]


@dataclass(frozen=True, slots=True)
class PageArguments:
    """The arguments every connection takes."""

    first: int | None = None
    last: int | None = None
    after: str | None = None
    before: str | None = None
    reverse: bool = False


def fetch_page(
    arguments: PageArguments,
    key: Callable[[Any], Place],
    fetch: Callable[[Slice], Sequence[Any]],
    read_cursor: Callable[[str], Any] | None = None,
) -> Page:
    """Fetch one page, one row more than asked to see whether the list goes on."""
    read = read_cursor or _parse_key
    if arguments.first is None and arguments.last is None:
        raise BadRequestError("you must provide one of first or last")
    if arguments.first is not None and arguments.last is not None:
        raise BadRequestError("providing both first and last is not supported")
    size = arguments.first if arguments.first is not None else arguments.last or 0
    from_end = arguments.last is not None
    after = None if arguments.after is None else read(arguments.after)
    before = None if arguments.before is None else read(arguments.before)
    rows = fetch(Slice(size + 1, after, before, reverse=arguments.reverse, from_end=from_end))
    more = len(rows) > size
    if from_end:
        return Page(rows[1:] if more else rows, key, has_next=before is not None, has_previous=more)
    return Page(rows[:size], key, has_next=more, has_previous=after is not None)


def window(rows: Sequence[_Row], arguments: PageArguments, key: Callable[[_Row], Place]) -> Page:
    """Cut one page out of a list that is whole in memory, sorted by `key`."""
    ordered = sorted(rows, key=key, reverse=arguments.reverse)
    places = [key(row) for row in ordered]
    start = 0 if arguments.after is None else _position(places, arguments.after, arguments.reverse) + 1
    stop = len(ordered) if arguments.before is None else _position(places, arguments.before, arguments.reverse)
    cut = ordered[start:stop]

    def fetch(part: Slice) -> Sequence[_Row]:
        return cut[-part.limit :] if part.from_end else cut[: part.limit]

    return fetch_page(arguments, key, fetch, read_cursor=parse_place)


def page_arguments(arguments: dict[str, Any]) -> PageArguments:
    """Take the arguments of a page out of those of a field."""
    return PageArguments(
        arguments.get("first"),
        arguments.get("last"),
        arguments.get("after"),
        arguments.get("before"),
        bool(arguments.get("reverse")),
    )


def _position(places: Sequence[Place], text: str, is_reversed: bool) -> int:  # noqa: FBT001
    """Where the row of a cursor stands; for a row that is gone, where it would stand, less one."""
    value, number = parse_place(text)
    for index, place in enumerate(places):
        if place[1] == number:
            return index
    if places and isinstance(places[0][0], int):
        sought: Place = _parse_key(text)
    else:
        sought = (value, number)
    later = [index for index, place in enumerate(places) if (place > sought) is not is_reversed]
    return later[0] - 1 if later else len(places) - 1


def cursor(key: Place) -> str:
    """Name a place: the id comes last in a key, what it is sorted by first."""
    return base64.b64encode(orjson.dumps({"last_id": key[-1], "last_value": str(key[0])})).decode()


def _parse_key(text: str) -> Key:
    value, number = parse_place(text)
    if not value.removeprefix("-").isdecimal() or abs(int(value)) >= _NUMBERS_END:
        raise _bad_cursor(text)
    return (int(value), number)


def parse_place(text: str) -> tuple[str, int]:
    """Read the cursor of a list that is sorted by a text. Raises BadRequestError."""
    try:
        parsed = orjson.loads(base64.b64decode(text, validate=True))
        value, number = str(parsed["last_value"]), int(parsed["last_id"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise _bad_cursor(text) from error
    if not 0 <= number < _NUMBERS_END:
        raise _bad_cursor(text)
    return (value, number)


def _bad_cursor(text: str) -> BadRequestError:
    return BadRequestError(f"Invalid cursor for current pagination sort: {text!r}")


def by_id(row: Any) -> Key:  # noqa: ANN401 - rows of several types have an id
    """Place a row by its id."""
    return (row.id, row.id)


def by_position(row: VariantRow) -> Key:
    """Place a variant by its position in its product."""
    return (row.position, row.id)
