"""The seal of a plan: canonical rows, their leaf hashes, and the Merkle root of RFC 6962 over them.

Everything here is fixed for good: whoever holds a `plan.txt` recomputes the root with a few lines of any language.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, Protocol
from uuid import UUID

from sqlalchemy import LargeBinary, Text, func, literal_column

from calibr.pricing.explain import PlanItem
from calibr.pricing.sql import Expr

FORMAT: Final = "calibr-plan/1"
ROW_FIELDS: Final = (
    "product_id", "price_list_id", "currency", "before_amount", "before_compare_at", "after_amount",
    "after_compare_at", "verdict", "reason", "binding",
)  # fmt: skip
"""The columns of an item that are sealed, in order."""

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"
_BLOCK: Final = 4096
_BLOCK_LEVEL: Final = 12


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """The first leaf of a plan: what was computed, by what, when, and how many items there are."""

    change_id: UUID
    revision: int
    rule_hash: str
    engine: str
    computed_at: datetime
    selected: int
    left: int
    items: int


class Columns(Protocol):
    """The columns of a table or sub-select, by name."""

    def __getitem__(self, key: str, /) -> Expr:
        """The column of this name."""
        ...


def canonical_header(header: PlanHeader) -> bytes:
    """Return the header's row, without the line feed."""
    return _joined(
        FORMAT,
        header.change_id,
        header.revision,
        header.rule_hash,
        header.engine,
        header.computed_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        header.selected,
        header.left,
        header.items,
    )


def canonical_row(item: PlanItem) -> bytes:
    """Return an item's row, without the line feed."""
    return _joined(*(getattr(item, name) for name in ROW_FIELDS))


def _joined(*fields: object) -> bytes:
    return "|".join("" if field is None else str(field) for field in fields).encode("utf-8")


def canonical_row_sql(columns: Columns | Mapping[str, Expr]) -> Expr:
    """SQL form of `canonical_row`; CONCAT writes null as nothing."""
    bar: Expr = literal_column("'|'")
    parts: list[Expr] = []
    for name in ROW_FIELDS:
        parts += [bar, columns[name]] if parts else [columns[name]]
    return func.concat(*parts, type_=Text)


def leaf_hash(row: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(_LEAF + row).digest()


def leaf_hash_sql(columns: Columns | Mapping[str, Expr]) -> Expr:
    r"""SQL form of `leaf_hash` of `canonical_row`: SHA-256 of \x00 and the row in UTF-8."""
    encoded: Expr = func.convert_to(canonical_row_sql(columns), literal_column("'UTF8'"), type_=LargeBinary)
    prefixed = literal_column(r"'\x00'::bytea", LargeBinary).op("||", return_type=LargeBinary())(encoded)
    return func.sha256(prefixed, type_=LargeBinary)


class MerkleAccumulator:
    """The Merkle root of leaf hashes that arrive in order, in memory that grows with the logarithm of their number."""

    def __init__(self) -> None:
        self._size = 0
        self._pending: list[bytes] = []
        self._subtrees: list[tuple[int, bytes]] = []

    @property
    def size(self) -> int:
        """Number of leaves so far."""
        return self._size

    def add(self, leaf: bytes) -> None:
        """Append the hash of a leaf."""
        self._size += 1
        self._pending.append(leaf)
        if len(self._pending) == _BLOCK:
            _push(self._subtrees, _BLOCK_LEVEL, _perfect_root(self._pending))
            self._pending = []

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Append the hashes of leaves, in order."""
        for leaf in leaves:
            self.add(leaf)

    def root(self) -> bytes:
        """Return the root of the leaves so far; of none, the SHA-256 of nothing. More leaves may follow."""
        if not self._size:
            return sha256().digest()
        subtrees = list(self._subtrees)
        for leaf in self._pending:
            _push(subtrees, 0, leaf)
        root = subtrees.pop()[1]
        while subtrees:
            root = _node(subtrees.pop()[1], root)
        return root


def _push(subtrees: list[tuple[int, bytes]], level: int, digest: bytes) -> None:
    """Append a perfect subtree of 2**level leaves, and join what has become a larger one."""
    while subtrees and subtrees[-1][0] == level:
        digest = _node(subtrees.pop()[1], digest)
        level += 1
    subtrees.append((level, digest))


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(_NODE + left + right).digest()


def _perfect_root(leaves: list[bytes]) -> bytes:
    """The root of a number of leaves that is a power of two."""
    level = leaves
    while len(level) > 1:
        level = [sha256(_NODE + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0]
