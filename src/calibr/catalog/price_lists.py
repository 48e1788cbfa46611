"""Takes in what a store shows of its price lists and markets. One transaction, with its events.

A fixed price is somebody's decision and makes an event where it differs; a relative one follows the base price, is kept
for the plans that are computed from it, and makes none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from calibr.catalog.model import PriceListReadingSummary
from calibr.catalog.observing import Source
from calibr.catalog.repository_price_lists import (
    apply_difference,
    close_lists,
    decided,
    end_lists,
    known_lists,
    replace_markets,
    stage_breaks,
    stage_prices,
    upsert_list,
)
from calibr.catalog.repository_syncs import lock_catalog
from calibr.connectors.port.price_lists import PriceListReading
from calibr.core.errors import Upstream
from calibr.core.ids import ConnectionId, PriceListId
from calibr.db import Session
from calibr.events import Event, JsonValue, emit_stream

OBSERVED_VERSION = "1.2.0"
MANY = "*"
"""The external id of a finding that stands for more of its kind, which are not named."""


@dataclass(frozen=True, slots=True)
class _Lists:
    """The lists of a reading: ids by external id, those read for the first time, and those that are gone."""

    ids: Mapping[str, PriceListId]
    first: frozenset[PriceListId]
    gone: tuple[PriceListId, ...]


def record_price_lists(
    session: Session, connection_id: ConnectionId, reading: PriceListReading, read_from: datetime
) -> PriceListReadingSummary:
    """Take a reading in, which began at `read_from` by the clock of the database.

    A price that is younger than that, or that is just being written, is left alone. The first reading of a list is its
    baseline. A list that has another currency than before loses its prices, as it does at the store. What was refused
    is left as it is known; raises Upstream if that is more than can be named.
    """
    lock_catalog(session, connection_id)
    lists = _keep_lists(session, connection_id, reading)
    rows = stage_prices(session, reading.prices())
    breaks = stage_breaks(session, reading.quantity_breaks())
    findings = reading.findings()
    refused = {found.external_id for found in findings}
    if MANY in refused:
        text = "So many prices of the price lists could not be read that what was read says too little."
        raise Upstream("upstream.protocol", text, retryable=False)
    counts = apply_difference(session, connection_id, list(lists.ids.values()), read_from, sorted(refused))
    summary = PriceListReadingSummary(len(lists.ids), len(reading.markets), rows, breaks, len(findings))
    emit_stream(session, _events(session, connection_id, lists, counts, summary))
    return summary


def _keep_lists(session: Session, connection_id: ConnectionId, reading: PriceListReading) -> _Lists:
    known = known_lists(session, connection_id)
    moved = [
        known[seen.external_id]["id"]
        for seen in reading.price_lists
        if seen.external_id in known and known[seen.external_id]["currency"] != seen.currency
    ]
    close_lists(session, moved)
    ids = {seen.external_id: upsert_list(session, connection_id, seen) for seen in reading.price_lists}
    gone = tuple(row["id"] for number, row in known.items() if number not in ids and row["read_at"] is not None)
    end_lists(session, gone)
    replace_markets(session, connection_id, reading.markets, ids)
    unread = {ids[number] for number in ids if number not in known or known[number]["read_at"] is None}
    return _Lists(ids, frozenset({*unread, *moved}), gone)


def _events(
    session: Session,
    connection_id: ConnectionId,
    lists: _Lists,
    counts: Mapping[PriceListId, Mapping[str, int]],
    summary: PriceListReadingSummary,
) -> Iterator[Event]:
    older: Sequence[PriceListId] = [each for each in lists.ids.values() if each not in lists.first]
    for row in decided(session, older) if older else ():
        yield _observed(connection_id, row)
    told: list[JsonValue] = [
        {"price_list_id": str(price_list_id), "baseline": price_list_id in lists.first, **numbers}
        for price_list_id, numbers in counts.items()
    ]
    payload: dict[str, JsonValue] = {
        "price_lists": told,
        "gone": [str(each) for each in lists.gone],
        "markets": summary.markets,
        "quantity_breaks": summary.quantity_breaks,
        "findings": summary.findings,
    }
    yield Event("price_lists.read", "connection", str(connection_id), payload)


def _observed(connection_id: ConnectionId, row: Mapping[str, Any]) -> Event:
    payload: dict[str, JsonValue] = {
        "connection_id": str(connection_id),
        "external_id": row["external_id"],
        "product_id": str(row["product_id"]),
        "price_list_id": str(row["price_list_id"]),
        "currency": row["currency"],
        "before": _amounts(row["old_amount"], row["old_compare_at"], relative=row["old_relative"] is not False),
        "after": _amounts(row["unit_amount"], row["compare_at"], relative=row["relative"]),
        "source": Source.PRICE_LISTS.value,
    }
    return Event("price.observed", "product", str(row["product_id"]), payload, schema_version=OBSERVED_VERSION)


def _amounts(unit_amount: int | None, compare_at: int | None, *, relative: bool) -> JsonValue:
    """A price as events hold it; a list without a price of a product follows the base price, by an unknown amount."""
    amounts: dict[str, JsonValue] = {"unit_amount": unit_amount, "compare_at": compare_at}
    return {**amounts, "relative": True} if relative else amounts
