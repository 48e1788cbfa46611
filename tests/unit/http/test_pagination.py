import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibr.core.errors import Invalid
from calibr.http.pagination import Keyset
from calibr.http.problem import status_of

ITEMS = Keyset("items", (UUID, str, int))


@given(st.uuids(), st.text(st.characters(exclude_categories=["Cs"])), st.integers(-(2**63) + 1, 2**63 - 1))
def test_a_cursor_gives_its_key_back(first: UUID, second: str, third: int) -> None:
    assert ITEMS.decode(ITEMS.encode((first, second, third))) == (first, second, third)


@given(st.text(max_size=60))
def test_any_other_text_is_refused_with_its_place(cursor: str) -> None:
    with pytest.raises(Invalid) as refused:
        ITEMS.decode(cursor)

    assert refused.value.faults[0].path == "query.after"
    assert status_of(refused.value) == 400


@pytest.mark.parametrize(
    "raw",
    [
        b'["other","01a20c44-ed26-78a0-8794-68aec99f334e","x",1]',
        b'["items","01a20c44-ed26-78a0-8794-68aec99f334e","x"]',
        b'["items","01a20c44-ed26-78a0-8794-68aec99f334e","x",true]',
        b'["items","01a20c44-ed26-78a0-8794-68aec99f334e","x",1.5]',
        b'["items","01a20c44-ed26-78a0-8794-68aec99f334e",null,1]',
        b'["items","01a20c44-ed26-78a0-8794-68aec99f334e","x",9223372036854775808]',
        b'["items","not an id","x",1]',
        b'"items"',
        b"[]",
        b"{}",
        b"7",
        b"null",
    ],
)
def test_keys_of_another_list_or_type_are_refused(raw: bytes) -> None:
    with pytest.raises(Invalid):
        ITEMS.decode(base64.urlsafe_b64encode(raw).decode())


def test_the_last_page_has_no_next() -> None:
    rows = ["a", "b", "c"]
    numbers = Keyset("numbers", (str,))

    full = numbers.page(rows, 2, view=str.upper, key=lambda row: (row,))
    last = numbers.page(rows, 3, view=str.upper, key=lambda row: (row,))
    empty = numbers.page([], 3, view=str.upper, key=lambda row: (row,))

    assert (full.items, last.items, empty.items) == (["A", "B"], ["A", "B", "C"], [])
    assert full.next is not None
    assert numbers.decode(full.next) == ("b",)
    assert (last.next, empty.next) == (None, None)
