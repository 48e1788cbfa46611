"""What a call will cost, before it is sent.

Within an API version Shopify's requested cost is a fixed function of document and list length, so what an answer said
holds for the next call of the same size. Sizes never sent before need a formula, and that one errs on the high side.
"""

from threading import Lock
from typing import Final

from calibr.connectors.shopify.documents import Document

MAX_CALL_COST: Final = 1_000
"""Points above which Shopify refuses a single call on every plan."""

FIXED_POINTS: Final = 25
"""Points of a page of fixed prices, by the formula that recorded answers follow."""

MUTATION_BASE: Final = 10
ROWS_PER_POINT: Final = 5
_MARGIN: Final = 2


class CostBook:
    """Requested costs by document and number of rows. Thread-safe."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[int, int]] = {}
        self._lock = Lock()

    def expect(self, document: Document, rows: int) -> int:
        """Points to hold for a call with `rows` list items."""
        with self._lock:
            seen = self._seen.get(document.name, {})
            if rows in seen:
                return seen[rows]
            longer = [cost for size, cost in seen.items() if size > rows]
            beyond = [cost - formula(document, size) for size, cost in seen.items()] if document.is_mutation else []
        # A shorter list never costs more than a longer one.
        return min([formula(document, rows) + max(beyond, default=_MARGIN), *longer])

    def likely(self, document: Document, rows: int) -> int:
        """Points that a call will probably cost, for estimates: what was seen, or else the formula and no more."""
        with self._lock:
            seen = self._seen.get(document.name, {}).get(rows)
        if seen is not None:
            return seen
        return formula(document, rows) if document.is_mutation else self.expect(document, rows)

    def learn(self, document: Document, rows: int, requested: int) -> None:
        """Remember what an answer said."""
        with self._lock:
            self._seen.setdefault(document.name, {})[rows] = requested


def formula(document: Document, rows: int) -> int:
    """The cost without what the store adds for the fields asked back: 10 + 0.2 a row written, 1 an object read."""
    return MUTATION_BASE + rows // ROWS_PER_POINT if document.is_mutation else rows
