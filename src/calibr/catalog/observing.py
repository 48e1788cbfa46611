"""Takes in what a store shows of single prices, outside of a sync: after a webhook, or in a sample.

A reading is a fact of the time when it was asked for. What is known since then, or is just being written, is left
alone: whoever asked reads again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import RowMapping

from calibr.catalog.model import PriceList
from calibr.catalog.repository_observed import SeenPrice, replace_prices, standings, vanish_listings
from calibr.catalog.repository_syncs import lock_catalog
from calibr.connectors.port import RemotePrice
from calibr.core.ids import ProductId
from calibr.db import Session
from calibr.events import Event, JsonValue, emit

Price = tuple[int, int | None]
"""Unit amount and compare-at, in minor units."""

_OBSERVED_VERSION: Final = "1.1.0"


class Source(StrEnum):
    """How a price was noticed."""

    SYNC = "sync"
    WEBHOOK = "webhook"
    REREAD = "reread"
    PRICE_LISTS = "price_lists"


@dataclass(frozen=True, slots=True)
class PriceStanding:
    """What is known of one listing. No product: it is not known; `in_flight`: a write of `sent` is on its way."""

    external_id: str
    product_id: ProductId | None
    is_active: bool
    price: Price | None
    valid_from: datetime | None
    in_flight: bool
    sent: Price | None

    def is_as_known(self, price: Price | None) -> bool:
        """Whether a store that shows this price shows nothing new: the price in force, or the echo of our own write."""
        return price == self.price or (self.in_flight and price == self.sent)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a store showed of the listings `asked` about, at or after `read_from` by the clock of the database."""

    asked: Sequence[str]
    prices: Mapping[str, RemotePrice]
    read_from: datetime
    source: Source
    stories: Mapping[str, UUID] = field(default_factory=dict)
    """The correlation id that an event about a listing gets."""
    may_vanish: bool = False
    """Whether a listing that the store did not show is believed to be gone."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What became of a reading, by external id."""

    recorded: frozenset[str] = frozenset()
    vanished: frozenset[str] = frozenset()
    too_early: frozenset[str] = frozenset()
    """In flight, or changed since it was read: to be read again."""
    unknown: frozenset[str] = frozenset()
    """The store has them and we do not, or it hides them and that is not believed: a sync tells."""


def price_standings(session: Session, price_list: PriceList, external_ids: Sequence[str]) -> list[PriceStanding]:
    """What is known of these listings on the base price list of their connection."""
    return [_standing(row) for row in standings(session, price_list, list(dict.fromkeys(external_ids)))]


def record_reading(session: Session, price_list: PriceList, reading: Reading) -> Observed:
    """Record what differs from the price in force, each with its `price.observed` or `listing.vanished`.

    Locks the catalog of the connection to the end of the transaction.
    """
    lock_catalog(session, price_list.connection_id)
    found = _sorted_out(price_standings(session, price_list, reading.asked), reading)
    differing, gone = found.differing, found.gone
    if differing:
        seen = [SeenPrice(_product(known), *(_shown(reading, known) or (None, None))) for known in differing]
        replace_prices(session, price_list, seen, "ingest")
        emit(session, *(_price_observed(price_list, reading, known) for known in differing))
    if gone:
        vanish_listings(session, price_list, [_product(known) for known in gone])
        emit(session, *(_listing_vanished(price_list, reading, known) for known in gone))
    return Observed(_ids(differing), _ids(gone), frozenset(found.too_early), frozenset(found.unknown))


@dataclass(slots=True)
class _Sorted:
    differing: list[PriceStanding] = field(default_factory=list)
    gone: list[PriceStanding] = field(default_factory=list)
    too_early: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def _sorted_out(known: Sequence[PriceStanding], reading: Reading) -> _Sorted:
    found = _Sorted()
    for standing in sorted(known, key=lambda each: str(each.product_id)):
        _sort(found, standing, reading)
    return found


def _sort(found: _Sorted, standing: PriceStanding, reading: Reading) -> None:
    is_shown = standing.external_id in reading.prices
    if standing.product_id is None or not standing.is_active:
        if is_shown:
            found.unknown.append(standing.external_id)
    elif not is_shown:
        if standing.in_flight:
            found.too_early.append(standing.external_id)
        elif reading.may_vanish:
            found.gone.append(standing)
        else:
            found.unknown.append(standing.external_id)
    elif standing.is_as_known(_shown(reading, standing)):
        pass
    elif standing.in_flight or (standing.valid_from is not None and standing.valid_from >= reading.read_from):
        found.too_early.append(standing.external_id)
    else:
        found.differing.append(standing)


def _standing(row: RowMapping) -> PriceStanding:
    price = None if row["unit_amount"] is None else (row["unit_amount"], row["compare_at"])
    product_id = None if row["product_id"] is None else ProductId(row["product_id"])
    return PriceStanding(
        external_id=row["external_id"],
        product_id=product_id,
        is_active=bool(row["active"]),
        price=price,
        valid_from=row["valid_from"],
        in_flight=bool(row["in_flight"]),
        sent=None if row["sent_amount"] is None else (row["sent_amount"], row["sent_compare_at"]),
    )


def _shown(reading: Reading, known: PriceStanding) -> Price | None:
    price = reading.prices[known.external_id]
    return None if price.unit_amount is None else (price.unit_amount, price.compare_at)


def _product(known: PriceStanding) -> ProductId:
    if known.product_id is None:
        raise ValueError(f"listing {known.external_id} has no product")
    return known.product_id


def _ids(known: Sequence[PriceStanding]) -> frozenset[str]:
    return frozenset(standing.external_id for standing in known)


def _price_observed(price_list: PriceList, reading: Reading, known: PriceStanding) -> Event:
    payload: dict[str, JsonValue] = {
        **_about(price_list, known),
        "price_list_id": str(price_list.id),
        "currency": price_list.currency,
        "before": amounts(known.price),
        "after": amounts(_shown(reading, known)),
        "source": reading.source.value,
    }
    story = reading.stories.get(known.external_id)
    subject = str(known.product_id)
    return Event("price.observed", "product", subject, payload, schema_version=_OBSERVED_VERSION, correlation_id=story)


def _listing_vanished(price_list: PriceList, reading: Reading, known: PriceStanding) -> Event:
    story = reading.stories.get(known.external_id)
    subject = str(known.product_id)
    return Event("listing.vanished", "product", subject, _about(price_list, known), correlation_id=story)


def _about(price_list: PriceList, known: PriceStanding) -> dict[str, JsonValue]:
    return {
        "connection_id": str(price_list.connection_id),
        "external_id": known.external_id,
        "product_id": str(known.product_id),
    }


def amounts(price: Price | None) -> JsonValue:
    """A price as events hold it."""
    return None if price is None else {"unit_amount": price[0], "compare_at": price[1]}
