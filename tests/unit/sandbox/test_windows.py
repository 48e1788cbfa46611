"""Pages of lists that are whole in memory: put together they are the list, however it is sorted and cut."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibr_sandbox.connections import Page, PageArguments, Place, by_id, cursor, window
from calibr_sandbox.errors import BadRequestError


class Row(NamedTuple):
    id: int
    name: str


def _by_name(row: Row) -> Place:
    return (row.name, row.id)


rows = st.lists(st.builds(Row, st.integers(0, 10**12), st.sampled_from("aäbZ9")), unique_by=lambda row: row.id)


@given(rows, st.integers(1, 4), st.booleans())
def test_pages_forward_are_the_whole_list_in_order(found: list[Row], size: int, is_reversed: bool) -> None:  # noqa: FBT001
    seen: list[Row] = []
    after = None
    while True:
        page = window(found, PageArguments(first=size, after=after, reverse=is_reversed), _by_name)
        seen += page.rows
        if not page.has_next:
            break
        after = page.info().end_cursor

    assert seen == sorted(found, key=_by_name, reverse=is_reversed)


@given(rows, st.integers(1, 4))
def test_pages_backward_are_the_whole_list_in_order(found: list[Row], size: int) -> None:
    seen: list[Row] = []
    before = None
    while True:
        page: Page = window(found, PageArguments(last=size, before=before), _by_name)
        seen = [*page.rows, *seen]
        if not page.has_previous:
            break
        before = page.info().start_cursor

    assert seen == sorted(found, key=_by_name)


@pytest.mark.parametrize("key", [_by_name, by_id])
@given(
    found=rows,
    gone=st.builds(Row, st.integers(0, 10**12), st.sampled_from("aäbZ9")),
    is_reversed=st.booleans(),
)
def test_the_cursor_of_a_row_that_is_gone_keeps_its_place(
    key: Callable[[Row], Place],
    found: list[Row],
    gone: Row,
    is_reversed: bool,  # noqa: FBT001
) -> None:
    left = [row for row in found if row.id != gone.id]
    page = window(left, PageArguments(first=250, after=cursor(key(gone)), reverse=is_reversed), key)

    ordered = sorted([*left, gone], key=key, reverse=is_reversed)
    assert page.rows == ordered[ordered.index(gone) + 1 :]


@pytest.mark.parametrize("text", ["", "x", cursor(("a", 1))[:-4], "eyJsYXN0X2lkIjotMSwibGFzdF92YWx1ZSI6ImEifQ=="])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadRequestError, match="Invalid cursor"):
        window([Row(1, "a")], PageArguments(first=1, after=text), _by_name)
