"""A price in a store that is not the one that Calibr put in force last, as a value."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from calibr.catalog import Price
from calibr.core.ids import ConnectionId, PriceChangeId, PriceListId, ProductId


class DriftState(StrEnum):
    """What became of it. Only a person decides to adopt or to reassert."""

    OPEN = "open"
    ADOPTED = "adopted"
    """The store's price was taken as ours."""
    REASSERTED = "reasserted"
    """Our price was written again."""
    GONE = "gone"
    """Edited back, changed by a later price change, or the listing vanished."""


class Gone(StrEnum):
    """Why a drift is gone by itself."""

    EDITED_BACK = "edited_back"
    VANISHED = "vanished"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Drift:
    """One product's drift on one price list, in minor units. No observed price: the store has no usable one."""

    id: UUID
    connection_id: ConnectionId
    external_id: str
    product_id: ProductId
    price_list_id: PriceListId
    currency: str
    expected: Price
    expected_since: datetime
    expected_change_id: PriceChangeId | None
    observed: Price | None
    source: str
    writer: str | None
    observations: int
    state: DriftState
    reason: str | None
    opened_at: datetime
    observed_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    reassert_change_id: PriceChangeId | None

    @property
    def place(self) -> tuple[PriceListId, ProductId]:
        """The price that drifted; it has at most one open drift."""
        return self.price_list_id, self.product_id
