"""One product on one price list, as the rules see it. Null is not zero, and every text is in normal form."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from calibr.core.attributes import AttributeValue


@dataclass(frozen=True, slots=True)
class Inputs:
    """What prices are computed from, in minor units of the price list's currency.

    `unit_cost` is null where the cost is in another currency.
    """

    unit_amount: int | None
    compare_at: int | None
    unit_cost: int | None


@dataclass(frozen=True, slots=True)
class Item:
    """A product on a price list. Texts are in normal form, empty ones are null; attributes hold only what counts."""

    inputs: Inputs
    currency: str
    sku: str | None = None
    title: str | None = None
    vendor: str | None = None
    product_type: str | None = None
    status: str | None = None
    tags: frozenset[str] = frozenset()
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    price_list_name: str | None = None
    connection_name: str | None = None
    age_days: int | None = None


def age_days(valid_from: datetime, computed_at: datetime) -> int:
    """Whole 24-hour periods between the start of the price in force and the plan."""
    return (computed_at - valid_from) // timedelta(hours=24)
