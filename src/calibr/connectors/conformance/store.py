"""The back door that the suite needs: what the store really holds, and what it shall do wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from calibr.connectors.port import Connector, PriceWrite
from calibr.connectors.port.price_lists import PriceBook


class Damage(StrEnum):
    """What can happen to a call."""

    LOST_CALL = "lost_call"  # the connection breaks, the store did nothing
    LOST_ANSWER = "lost_answer"  # the store did it, the connection breaks
    SLOW_DOWN = "slow_down"  # the store asks for less
    OUTAGE = "outage"  # the store fails


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing of the store; those with the same group stand together in it."""

    external_id: str
    group_external_id: str


@dataclass(frozen=True, slots=True)
class StoredPrice:
    """What the store holds, in minor units."""

    unit_amount: int
    compare_at: int | None


class StoreUnderTest(Protocol):
    """A store with at least eight listings, two of them in one group. The suite changes its prices."""

    currency: str
    other_currency: str
    missing_listing: str
    """An external id of the right form that the store does not have."""

    def listings(self) -> Sequence[Listing]:
        """Every listing that the store has."""
        ...

    def price_of(self, external_id: str) -> StoredPrice:
        """What the store holds now, read past the connector."""
        ...

    def edit(self, external_id: str, price: StoredPrice) -> None:
        """Change a price as a merchant does, past the connector."""
        ...

    def damage(self, kind: Damage, *, times: int | None = None) -> None:
        """Let the next `times` price calls (all, if None) go wrong."""
        ...

    def heal(self) -> None:
        """End all damage."""
        ...


Check = Callable[[Connector, StoreUnderTest], None]
"""Raises AssertionError with a sentence if the connector breaks the promise in the function's name."""

BookCheck = Callable[[PriceBook, StoreUnderTest], None]
"""The same for a book of prices, be it of base prices or of a list."""


def expect(holds: object, sentence: str) -> None:
    """Raise AssertionError with `sentence` unless `holds`."""
    if not holds:
        raise AssertionError(sentence)


def write_to(
    store: StoreUnderTest, listing: Listing, unit_amount: int, *, compare_at: int | None = None, touch: bool = False
) -> PriceWrite:
    """Make a write for a listing in the store's currency; compare-at is written only with `touch`."""
    group = listing.group_external_id
    return PriceWrite(listing.external_id, group, store.currency, unit_amount, compare_at, write_compare_at=touch)


def neighbors(store: StoreUnderTest) -> tuple[Listing, Listing]:
    """Return two listings of one group."""
    by_group: dict[str, Listing] = {}
    for listing in store.listings():
        other = by_group.setdefault(listing.group_external_id, listing)
        if other is not listing:
            return other, listing
    raise AssertionError("the store under test has no two listings in one group")
