"""The seal: rows to the byte, and a root that an independent Merkle library computes too."""

from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from calibr.pricing import MerkleAccumulator, PlanHeader, PlanItem, canonical_header, canonical_row, leaf_hash

HEADER = PlanHeader(
    change_id=UUID("0193A5B0-0000-7000-8000-00000000000A"),
    revision=3,
    rule_hash="ab" * 32,
    engine="calibr-1.0.0+unicode-14.0.0",
    computed_at=datetime(2026, 11, 24, 7, 5, 9, 42, tzinfo=UTC),
    selected=10,
    left=2,
    items=8,
)
ITEM = PlanItem(
    product_id=UUID("0193A5B0-0000-7000-8000-00000000000B"),
    price_list_id=UUID(int=1),
    currency="USD",
    before_amount=2000,
    before_compare_at=None,
    after_amount=1999,
    after_compare_at=0,
    verdict="clamped",
    reason=None,
    binding="floor:1",
    violated=None,
    trace=(1, 2),
)


def independent_root(rows: list[bytes]) -> bytes:
    tree = InmemoryTree(algorithm="sha256")
    for row in rows:
        tree.append_entry(row)
    return tree.get_root()


def root(rows: list[bytes]) -> bytes:
    accumulator = MerkleAccumulator()
    accumulator.extend(map(leaf_hash, rows))
    return accumulator.root()


def test_the_header_to_the_byte() -> None:
    assert canonical_header(HEADER) == (
        b"calibr-plan/1|0193a5b0-0000-7000-8000-00000000000a|3|" + b"ab" * 32 + b"|calibr-1.0.0+unicode-14.0.0"
        b"|2026-11-24T07:05:09.000042Z|10|2|8"
    )


def test_the_time_of_a_header_is_in_utc_whatever_its_zone() -> None:
    elsewhere = HEADER.computed_at.astimezone(timezone(timedelta(hours=5, minutes=30)))
    other = PlanHeader(**{name: getattr(HEADER, name) for name in HEADER.__slots__} | {"computed_at": elsewhere})

    assert canonical_header(other) == canonical_header(HEADER)


def test_a_row_to_the_byte() -> None:
    assert canonical_row(ITEM) == (
        b"0193a5b0-0000-7000-8000-00000000000b|00000000-0000-0000-0000-000000000001|USD|2000||1999|0|clamped||floor:1"
    )


def test_a_leaf_is_prefixed() -> None:
    assert leaf_hash(b"row") == sha256(b"\x00row").digest()


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=70))
def test_the_root_is_that_of_an_independent_library(rows: list[bytes]) -> None:
    assert root(rows) == independent_root(rows)


@pytest.mark.parametrize("size", [4095, 4096, 4097, 8192, 12_289])
def test_the_root_is_right_across_blocks(size: int) -> None:
    rows = [str(number).encode() for number in range(size)]

    assert root(rows) == independent_root(rows)


def test_the_root_can_be_asked_for_at_any_time() -> None:
    accumulator = MerkleAccumulator()
    rows: list[bytes] = []

    assert accumulator.root() == sha256(b"").digest()
    for number in range(20):
        rows.append(str(number).encode())
        accumulator.add(leaf_hash(rows[-1]))
        assert accumulator.root() == independent_root(rows)
    assert accumulator.size == len(rows)
