"""What an event is, and the bytes that stand in the log as evidence of it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import orjson

from calibr.core.ids import EventId, new_uuid
from calibr.db import Context

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | bool | None"


def new_event_id() -> EventId:
    """Return a new id, in the order of time."""
    return EventId(new_uuid())


@dataclass(frozen=True, slots=True)
class Event:
    """A fact about one aggregate, in the past tense.

    Its payload follows the schema `event/<type>` of `schema_version`. With a `correlation_id` it belongs to that story
    instead of the transaction's: one transaction may take in several.
    """

    type: str
    aggregate_type: str
    aggregate_id: str
    payload: dict[str, JsonValue]
    event_id: EventId = field(default_factory=new_event_id)
    schema_version: str = "1.0.0"
    correlation_id: UUID | None = None


def shared_fields(context: Context, at: datetime) -> dict[str, JsonValue]:
    """Return what the envelopes of one transaction have in common."""
    return {
        "tenant_id": str(context.tenant_id),
        "actor": context.actor,
        "correlation_id": str(context.correlation_id),
        "causation_id": None if context.causation_id is None else str(context.causation_id),
        "at": f"{at.replace(tzinfo=None).isoformat(timespec='microseconds')}Z",
    }


def envelope(event: Event, shared: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the envelope of an event, as the schema `envelope` describes it; `shared` is of its transaction."""
    story = shared if event.correlation_id is None else {**shared, "correlation_id": str(event.correlation_id)}
    return {
        **story,
        "event_id": str(event.event_id),
        "type": event.type,
        "schema_version": event.schema_version,
        "aggregate_type": event.aggregate_type,
        "aggregate_id": event.aggregate_id,
        "payload": event.payload,
    }


def canonical_bytes(document: dict[str, JsonValue]) -> bytes:
    """Return canonical JSON (RFC 8785) of what the schemas of events allow.

    For ASCII keys, text, whole numbers below 2**53, true, false and null, sorted keys without spaces are exactly that.
    """
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
