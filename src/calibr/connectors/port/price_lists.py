"""Price lists beside a store's base prices, the markets that they are for, and what buyers pay there.

A list says a fixed price for some listings; all others are relative: they follow the base price, which the store
adjusts, converts and rounds. A fixed price does not follow when the base price changes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from calibr.connectors.port import (
    BulkWriter,
    CatalogFinding,
    Estimate,
    PriceWrite,
    Progress,
    RemotePrice,
    WriteResult,
)


class Audience(StrEnum):
    """For whom a price list is."""

    MARKET = "market"
    COMPANY = "company"  # B2B: locations of companies
    APP = "app"  # an app's own catalog
    NOBODY = "nobody"  # attached to nothing


@dataclass(frozen=True, slots=True)
class RemotePriceList:
    """A price list as the store shows it.

    `adjustment_ppm` is what is added to a base price (below zero: taken off) where no price is fixed, in millionths of
    it: 5 % are 50,000.
    """

    external_id: str
    name: str
    currency: str
    audience: Audience
    active: bool
    adjustment_ppm: int
    adjusts_compare_at: bool
    """Whether a relative price keeps the (adjusted) compare-at price; else it has none."""
    fixed_prices: int


@dataclass(frozen=True, slots=True)
class RemoteMarket:
    """A market: its countries (ISO 3166 alpha-2), and the price lists in force there, by external id."""

    external_id: str
    name: str
    active: bool
    currency: str
    countries: tuple[str, ...]
    price_lists: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """The price of a listing on a price list: what its buyers pay.

    `relative`: it follows the base price. The store may not tell a relative price in the list's currency; then the row
    is absent. A fixed price is always there.
    """

    price_list: str
    external_id: str
    unit_amount: int
    compare_at: int | None
    relative: bool


@dataclass(frozen=True, slots=True)
class QuantityBreak:
    """A lower price from some quantity on. Read only: Calibr never writes them."""

    price_list: str
    external_id: str
    minimum_quantity: int
    unit_amount: int


class PriceListReading(Protocol):
    """All price lists and markets of a store, read once, in bounded memory."""

    price_lists: Sequence[RemotePriceList]
    markets: Sequence[RemoteMarket]

    def prices(self) -> Iterator[Sequence[ListedPrice]]:
        """Blocks of prices, each listing at most once per list; may be consumed once."""
        ...

    def quantity_breaks(self) -> Iterator[Sequence[QuantityBreak]]:
        """Blocks of quantity breaks; may be consumed once, after `prices`."""
        ...

    def findings(self) -> Sequence[CatalogFinding]:
        """Values that were refused; complete once everything is consumed."""
        ...

    def close(self) -> None:
        """Release files and memory."""
        ...


class PriceBook(Protocol):
    """The prices of one price list of a store. A connector is the book of its base prices.

    On other lists a `RemotePrice` may be `relative`, and a `PriceWrite` without an amount takes the fixed price away.
    Methods mean what they mean for `Connector`.
    """

    request_timeout_s: float
    bulk: BulkWriter | None

    def read_prices(self, external_ids: Sequence[str], currency: str) -> dict[str, RemotePrice]:
        """What the list says now."""
        ...

    def write_prices(self, writes: Iterable[PriceWrite], *, until: float | None = None) -> list[WriteResult]:
        """Set or take away fixed prices; exactly one result per write."""
        ...

    def estimate(self, rows_per_group: Sequence[int]) -> Estimate:
        """Cost of reading, writing and reading back."""
        ...


@runtime_checkable
class HasPriceLists(Protocol):
    """A connector whose store has price lists beside the base prices."""

    def read_price_lists(self, work_dir: Path, progress: Progress) -> PriceListReading:
        """Read all lists, their prices and the markets; temporary files go to `work_dir`. Raises `Upstream`."""
        ...

    def price_book(self, external_id: str) -> PriceBook:
        """The prices of one list, for as long as the connector is open; does no I/O."""
        ...

    def read_market_prices(
        self, external_ids: Sequence[str], countries: Sequence[str]
    ) -> Mapping[str, Mapping[str, RemotePrice]]:
        """What buyers in each country pay now, by country and external id, in the currency that they see."""
        ...
