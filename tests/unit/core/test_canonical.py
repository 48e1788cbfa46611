"""Canonical JSON, compared with an independent implementation of RFC 8785."""

import math
import struct

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from calibr.core.canonical import canonical_json
from calibr.core.written_json import JsonNumber

texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.one_of(
    st.none(), st.booleans(), texts, st.integers(1 - 2**53, 2**53 - 1), st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(scalars, lambda inner: st.one_of(st.lists(inner), st.dictionaries(texts, inner)), max_leaves=20)


@given(values)
def test_it_gives_the_bytes_of_the_rfc(value: object) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


@given(st.integers(0, 2**64 - 1))
def test_every_double_is_printed_as_ecmascript_does(bits: int) -> None:
    [double] = struct.unpack("<d", struct.pack("<Q", bits))
    if math.isfinite(double):
        assert canonical_json(double) == rfc8785.dumps(double)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("1.0", b"1"),
        ("250.00", b"250"),
        ("2.5e2", b"250"),
        ("-0", b"0"),
        ("1e21", b"1e+21"),
        ("100000000000000000000", b"100000000000000000000"),
        ("0.000001", b"0.000001"),
        ("1e-7", b"1e-7"),
        ("123456789012345e-25", b"1.23456789012345e-11"),
    ],
)
def test_written_numbers_lose_their_form(number: str, expected: bytes) -> None:
    assert canonical_json(JsonNumber(number)) == expected


def test_members_are_sorted_by_utf_16() -> None:
    assert canonical_json({"\ufb33": 1, "\U0001f600": 2, "a": 3}) == '{"a":3,"\U0001f600":2,"\ufb33":1}'.encode()


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, "\ud800", {1: 2}, {"\ud800": 1}, object(), b"x", JsonNumber("1e400")]
)
def test_what_json_cannot_carry_is_refused(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - one documented error, a UnicodeEncodeError among them
        canonical_json(value)  # type: ignore[arg-type]
