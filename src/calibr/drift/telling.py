"""The events of drift. They are about the product, so that its prices read as one story."""

from uuid import UUID

from calibr.catalog import amounts
from calibr.drift.model import Drift, DriftState, Gone
from calibr.events import Event, JsonValue

AGGREGATE = "product"
VERSION = "1.1.0"


def drifted(found: Drift, observed_by: UUID, story: UUID) -> Event:
    """A price differs from the one that Calibr put in force, or does so in another way than before."""
    payload: dict[str, JsonValue] = {
        **_place(found),
        "expected": amounts(found.expected),
        "observed": amounts(found.observed),
        "expected_change_id": None if found.expected_change_id is None else str(found.expected_change_id),
        "source": found.source,
        "writer": found.writer,
        "observations": found.observations,
        "observed_event_id": str(observed_by),
    }
    return Event(
        "price.drifted", AGGREGATE, str(found.product_id), payload, schema_version=VERSION, correlation_id=story
    )


def gone(found: Drift, reason: Gone, story: UUID) -> Event:
    """A drift ended without a decision about it."""
    payload: dict[str, JsonValue] = {**_place(found), "reason": reason.value}
    return Event("drift.gone", AGGREGATE, str(found.product_id), payload, correlation_id=story)


def reasserted(found: Drift, change_id: str, story: UUID) -> Event:
    """The expected price was written again by an approved plan."""
    payload: dict[str, JsonValue] = {**_place(found), "change_id": change_id}
    return Event("drift.reasserted", AGGREGATE, str(found.product_id), payload, correlation_id=story)


def adopted(found: Drift) -> Event:
    """A person took the store's price as ours."""
    payload: dict[str, JsonValue] = {
        **_place(found),
        "expected": amounts(found.expected),
        "adopted": amounts(found.observed),
    }
    return Event(f"drift.{DriftState.ADOPTED}", AGGREGATE, str(found.product_id), payload, schema_version=VERSION)


def _place(found: Drift) -> dict[str, JsonValue]:
    return {
        "drift_id": str(found.id),
        "connection_id": str(found.connection_id),
        "external_id": found.external_id,
        "product_id": str(found.product_id),
        "price_list_id": str(found.price_list_id),
        "currency": found.currency,
    }
