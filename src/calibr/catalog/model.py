"""What the catalog knows: connections, price lists, products and their prices, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from calibr.core.ids import ConnectionId, PriceListId, ProductId, SyncId
from calibr.events import JsonValue


@dataclass(frozen=True, slots=True)
class Connection:
    """A tenant's link to one remote store, without its secrets."""

    id: ConnectionId
    kind: str
    name: str
    state: str
    config: Mapping[str, Any]
    health: Mapping[str, Any] | None
    created_at: datetime
    first_synced_at: datetime | None
    last_synced_at: datetime | None


@dataclass(frozen=True, slots=True)
class PriceList:
    """A named set of prices of one connection, in one currency: its base prices, or one beside them (`audience`).

    Where a list beside the base prices has no fixed price, its price is relative: the base price with
    `adjustment_ppm` (millionths of it) added. `active`: it is in use at the store.
    """

    id: PriceListId
    connection_id: ConnectionId
    external_id: str | None
    name: str
    currency: str
    is_base: bool
    audience: str | None = None
    active: bool = True
    adjustment_ppm: int | None = None
    adjusts_compare_at: bool | None = None
    read_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Market:
    """A market of a store: its countries, and the price lists in force there."""

    id: UUID
    connection_id: ConnectionId
    external_id: str
    name: str
    active: bool
    currency: str
    countries: tuple[str, ...]
    price_list_ids: tuple[PriceListId, ...]


@dataclass(frozen=True, slots=True)
class PriceListReadingSummary:
    """What a reading of price lists brought, in numbers."""

    price_lists: int
    markets: int
    prices: int
    quantity_breaks: int
    findings: int


class SyncMode(StrEnum):
    """What a sync reads. `AUTO` stands until the sync begins, which then takes one of the others."""

    AUTO = "auto"
    FULL = "full"
    INCREMENTAL = "incremental"


@dataclass(frozen=True, slots=True)
class SyncRun:
    """One reading of a connection's catalog: asked for, running, or ended."""

    id: SyncId
    connection_id: ConnectionId
    state: str
    stage: str
    rows_read: int
    rows_total: int | None
    summary: Mapping[str, Any] | None
    error: str | None
    requested_by: str
    correlation_id: UUID
    created_at: datetime
    finished_at: datetime | None
    forced: bool = False
    mode: SyncMode = SyncMode.FULL
    since: datetime | None = None
    """Of an incremental sync: what changed in the store since then is read."""

    def __post_init__(self) -> None:
        """Take the mode as it is stored."""
        object.__setattr__(self, "mode", SyncMode(self.mode))


@dataclass(frozen=True, slots=True)
class SyncSummary:
    """What a sync found to be different. `baseline`: it was the first one of its connection, so everything was new."""

    baseline: bool
    rows: int
    new: int
    changed: int
    reappeared: int
    vanished: int
    prices_observed: int
    costs_changed: int
    findings: int

    def document(self) -> dict[str, JsonValue]:
        """As it stands in the run and in the event."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SyncFinding:
    """A value of the store that was refused at ingest, and the rule that it breaks."""

    ordinal: int
    external_id: str
    field: str
    value: str | None
    rule: str


@dataclass(frozen=True, slots=True)
class ProductLabel:
    """What a person knows a product by."""

    sku: str | None
    title: str | None
    options: str | None


@dataclass(frozen=True, slots=True)
class ListingRef:
    """A product's ids in one connection."""

    external_id: str
    group_external_id: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Where a product is sold."""

    connection_id: ConnectionId
    external_id: str
    group_external_id: str
    active: bool


@dataclass(frozen=True, slots=True)
class PriceInForce:
    """The price in force of a product on one price list, in minor units.

    `relative`: it follows the base price, and has no amount where the store does not tell it.
    """

    price_list_id: PriceListId
    currency: str
    unit_amount: int | None
    compare_at: int | None
    relative: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """What a product costs, in minor units."""

    currency: str
    unit_cost: int


@dataclass(frozen=True, slots=True)
class Product:
    """The sellable unit, with where it is sold and what it asks and costs now."""

    id: ProductId
    sku: str | None
    title: str | None
    vendor: str | None
    product_type: str | None
    status: str | None
    tags: Sequence[str]
    attributes: Mapping[str, Any]
    active: bool
    channel_refs: Sequence[Listing]
    prices: Sequence[PriceInForce]
    cost: Cost | None


@dataclass(frozen=True, slots=True)
class PriceVersion:
    """A price during an interval; the one without an end is in force. `relative`: it followed the base price."""

    price_list_id: PriceListId
    currency: str
    unit_amount: int | None
    compare_at: int | None
    valid_from: datetime
    valid_to: datetime | None
    source: str
    change_id: UUID | None
    relative: bool = False


@dataclass(frozen=True, slots=True)
class NewPrice:
    """A price that a store was seen to hold after we wrote it, in minor units.

    `relative`: it follows the base price since then; without an amount, the store does not tell it.
    """

    product_id: ProductId
    price_list_id: PriceListId
    currency: str
    unit_amount: int | None
    compare_at: int | None
    relative: bool = False
