"""Pages of connections: first/last, after/before, cursors."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from calibr_sandbox.catalog import Key, Slice
from calibr_sandbox.errors import BadRequestError
from calibr_sandbox.rows import VariantRow

_NUMBERS_END: Final = 1 << 63


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
    key: Callable[[Any], Key]
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
    key: Callable[[Any], Key],
    fetch: Callable[[Slice], Sequence[Any]],
    *,
    is_text: bool = False,
) -> Page:
    """Fetch one page, one row more than asked to see whether the list goes on. `is_text`: it is sorted by a text."""
    if arguments.first is None and arguments.last is None:
        raise BadRequestError("you must provide one of first or last")
    if arguments.first is not None and arguments.last is not None:
        raise BadRequestError("providing both first and last is not supported")
    size = arguments.first if arguments.first is not None else arguments.last or 0
    from_end = arguments.last is not None
    after, before = (_parse_cursor(text, is_text=is_text) for text in (arguments.after, arguments.before))
    rows = fetch(Slice(size + 1, after, before, reverse=arguments.reverse, from_end=from_end))
    more = len(rows) > size
    if from_end:
        return Page(rows[1:] if more else rows, key, has_next=before is not None, has_previous=more)
    return Page(rows[:size], key, has_next=more, has_previous=after is not None)


def cursor(key: Key) -> str:
    """Name a place: the id comes last in a key, what it is sorted by first."""
    return base64.b64encode(orjson.dumps({"last_id": key[-1], "last_value": str(key[0])})).decode()


def _parse_cursor(text: str | None, *, is_text: bool) -> Key | None:
    if text is None:
        return None
    try:
        parsed = orjson.loads(base64.b64decode(text, validate=True))
        value, number = parsed["last_value"], int(parsed["last_id"])
        key: Key = (str(value) if is_text else int(value), number)
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise BadRequestError(f"Invalid cursor for current pagination sort: {text!r}") from error
    if not all(0 <= part < _NUMBERS_END for part in key if isinstance(part, int)):
        raise BadRequestError(f"Invalid cursor for current pagination sort: {text!r}")
    return key


def by_id(row: Any) -> Key:  # noqa: ANN401 - rows of several types have an id
    """Place a row by its id."""
    return (row.id, row.id)


def by_position(row: VariantRow) -> Key:
    """Place a variant by its position in its product."""
    return (row.position, row.id)
