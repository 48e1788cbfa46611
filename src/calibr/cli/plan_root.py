"""Recomputes the root of a plan from its text, as RFC 6962 defines the tree. Nothing of the engine is used."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


def root_of(lines: Iterable[str]) -> str:
    """Return the root in hex. One pass, with one hash per level kept: equal levels are joined as soon as they meet."""
    pending: list[tuple[int, bytes]] = []
    for line in lines:
        level, digest = 0, sha256(_LEAF + line.rstrip("\n").encode()).digest()
        while pending and pending[-1][0] == level:
            digest = _join(pending.pop()[1], digest)
            level += 1
        pending.append((level, digest))
    if not pending:
        return sha256(b"").hexdigest()
    root = pending.pop()[1]
    while pending:
        root = _join(pending.pop()[1], root)
    return root.hex()


def _join(left: bytes, right: bytes) -> bytes:
    return sha256(_NODE + left + right).digest()
