"""The projection that keeps the drift ledger in step with the log, which has the events of one product in order.

However a price was seen (webhook, sync, sample) and however it was written (change, rollback), it is told there.
Expected is the last price that Calibr put in force before it was seen; prices that were never ours cannot drift.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import orjson

from calibr.catalog import GovernedPrice, Price, governed_prices
from calibr.core.ids import ConnectionId, PriceListId, ProductId
from calibr.db import Session
from calibr.delivery import Message
from calibr.drift import telling
from calibr.drift.model import Drift, DriftState, Gone
from calibr.drift.repository import clear_drifts, close_drift, insert_drift, open_drifts, update_observation
from calibr.events import Event, emit

Place = tuple[PriceListId, ProductId]


class DriftLedger:
    """See `delivery.model.Projection`."""

    name = "drift"
    event_types: tuple[str, ...] = ("price.observed", "price.changed", "listing.vanished", "drift.adopted")

    def apply(self, session: Session, messages: Sequence[Message]) -> None:
        """Open, update and close drift, with an event for each step that is no replay."""
        seen = [_Seen.of(message) for message in messages]
        if seen:
            _Window(session, seen).work()

    def clear(self, session: Session) -> None:
        """Forget all drift."""
        clear_drifts(session)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One event of a product."""

    message: Message
    payload: Mapping[str, Any]
    story: UUID

    @classmethod
    def of(cls, message: Message) -> "_Seen":
        envelope = orjson.loads(message.body)
        return cls(message, envelope["payload"], UUID(envelope["correlation_id"]))

    @property
    def place(self) -> Place:
        return PriceListId(UUID(self.payload["price_list_id"])), self.product_id

    @property
    def product_id(self) -> ProductId:
        return ProductId(UUID(self.payload["product_id"]))


class _Window:
    """Some events in order, with what is known of their products."""

    def __init__(self, session: Session, seen: Sequence[_Seen]) -> None:
        self._session = session
        self._seen = seen
        self._open = open_drifts(session, {each.product_id for each in seen})
        observed = {each.place for each in seen if each.message.type == "price.observed"}
        self._governed = governed_prices(session, observed)
        self._told: list[Event] = []

    def work(self) -> None:
        steps = {
            "price.observed": self._observed,
            "price.changed": self._changed,
            "listing.vanished": self._vanished,
            "drift.adopted": self._adopted,
        }
        for each in self._seen:
            before = len(self._told)
            steps[each.message.type](each)
            if each.message.is_replay:
                del self._told[before:]
        emit(self._session, *self._told)

    def _observed(self, seen: _Seen) -> None:
        expected = self._expected(seen)
        if expected is None or expected.price is None:
            return
        known = self._open.get(seen.place)
        price = _price(seen.payload["after"])
        if price == expected.price:
            if known is not None:
                self._gone(seen, known, Gone.EDITED_BACK)
        elif known is None:
            self._begin(seen, expected, expected.price, price)
        else:
            self._go_on(seen, known, price)

    def _expected(self, seen: _Seen) -> GovernedPrice | None:
        earlier = (each for each in self._governed.get(seen.place, ()) if each.valid_from < seen.message.at)
        return max(earlier, key=lambda each: each.valid_from, default=None)

    def _begin(self, seen: _Seen, governed: GovernedPrice, expected: Price, price: Price | None) -> None:
        payload = seen.payload
        found = Drift(
            id=seen.message.event_id,
            connection_id=ConnectionId(UUID(payload["connection_id"])),
            external_id=payload["external_id"],
            product_id=seen.product_id,
            price_list_id=seen.place[0],
            currency=payload["currency"],
            expected=expected,
            expected_since=governed.valid_from,
            expected_change_id=governed.change_id,
            observed=price,
            source=payload.get("source", "sync"),
            writer=None,
            observations=1,
            state=DriftState.OPEN,
            reason=None,
            opened_at=seen.message.at,
            observed_at=seen.message.at,
            closed_at=None,
            closed_by=None,
            reassert_change_id=None,
        )
        insert_drift(self._session, found)
        self._tell(seen, found)

    def _go_on(self, seen: _Seen, known: Drift, price: Price | None) -> None:
        found = replace(
            known,
            observed=price,
            source=seen.payload.get("source", "sync"),
            observations=known.observations + 1,
            observed_at=seen.message.at,
        )
        update_observation(self._session, found)
        self._tell(seen, found)

    def _tell(self, seen: _Seen, found: Drift) -> None:
        self._open[found.place] = found
        self._told.append(telling.drifted(found, seen.message.event_id, seen.story))

    def _changed(self, seen: _Seen) -> None:
        """An approved plan has written the price: ours again if it is the expected one, another one otherwise."""
        known = self._open.get(seen.place)
        if known is None:
            return
        if _price(seen.payload["after"]) != known.expected:
            self._gone(seen, known, Gone.CHANGED)
            return
        change_id = seen.payload["change_id"]
        ended = {"state": DriftState.REASSERTED, "closed_by": f"price_change:{change_id}"}
        if close_drift(self._session, known.id, ended, seen.message.at):
            self._told.append(telling.reasserted(known, change_id, seen.story))
        del self._open[seen.place]

    def _vanished(self, seen: _Seen) -> None:
        connection_id = ConnectionId(UUID(seen.payload["connection_id"]))
        for known in list(self._open.values()):
            if known.product_id == seen.product_id and known.connection_id == connection_id:
                self._gone(seen, known, Gone.VANISHED)

    def _adopted(self, seen: _Seen) -> None:
        """The command has closed it already; a replay does it here."""
        known = self._open.pop(seen.place, None)
        if known is not None and known.id == UUID(seen.payload["drift_id"]):
            close_drift(self._session, known.id, {"state": DriftState.ADOPTED}, seen.message.at)

    def _gone(self, seen: _Seen, known: Drift, reason: Gone) -> None:
        if close_drift(self._session, known.id, {"state": DriftState.GONE, "reason": reason}, seen.message.at):
            self._told.append(telling.gone(known, reason, seen.story))
        del self._open[known.place]


def _price(shown: Mapping[str, Any] | None) -> Price | None:
    """A fixed price; None where there is none: the store has no usable one, or the list follows the base price."""
    if shown is None or shown["unit_amount"] is None or shown.get("relative"):
        return None
    return int(shown["unit_amount"]), shown["compare_at"]
