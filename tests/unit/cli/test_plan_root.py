"""The root of a plan, recomputed from its text, against another implementation of RFC 6962."""

from hashlib import sha256

import pytest
from pymerkle import InmemoryTree

from calibr.cli.plan_root import root_of


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 100])
def test_the_root_is_the_one_of_rfc_6962(size: int) -> None:
    rows = [f"row|{number}|é" for number in range(size)]
    tree = InmemoryTree(algorithm="sha256")
    for row in rows:
        tree.append_entry(row.encode())

    assert root_of(rows) == tree.get_root().hex()


def test_line_feeds_are_no_part_of_a_row() -> None:
    assert root_of(["a\n", "b\n"]) == root_of(["a", "b"])


def test_one_changed_amount_changes_the_root() -> None:
    assert root_of(["a|1999", "b|5"]) != root_of(["a|1998", "b|5"])


def test_nothing_has_the_root_of_nothing() -> None:
    assert root_of([]) == sha256(b"").hexdigest()
