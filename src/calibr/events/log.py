"""Writes the event log: events are judged when emitted, and appended as the last statement of their transaction."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from uuid import UUID

from calibr.core.errors import Invalid, NotFound
from calibr.db import Session
from calibr.events.model import Event, JsonValue, canonical_bytes, envelope, shared_fields
from calibr.registry import load_registry

_BATCH = 5_000  # bounds the memory of one flush; the counter stays locked until commit, so batches leave no gap either
# Events of one call, about 100 kB: for more the server takes its memory from the system and gives it back each time.
_CALL = 100
_ENVELOPE_VERSION = "1.0.0"
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # the escape of U+0000, and not a backslash before "u0000"
# In binary: as text the driver would quote every body, which takes longer than the whole insert.
_APPEND = """
  select calibr.append_events(%b::uuid[], %b::text[], %b::text[], %b::text[], %b::text[], %b::uuid, %b::uuid, %b::text,
                              %b::timestamptz, %b::bytea[])
"""
# Most transactions have one event: it goes together with COMMIT, and a function of its own takes fewer steps.
_APPEND_ONE = b"calibr.append_event($, $, $, $, $, $, $, $, $, $)"


@dataclass(slots=True)
class _Pending:
    """The events of one transaction that are not appended yet."""

    rows: list[tuple[Event, bytes]] = field(default_factory=list)
    streams: list[Iterator[Event]] = field(default_factory=list)
    shared: dict[str, JsonValue] = field(default_factory=dict)
    """What all envelopes hold, empty until the first event."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is registered for the end of the transaction yet."""
        return not self.rows and not self.streams


def emit(session: Session, *events: Event) -> None:
    """Append events at the end of the transaction, in this order.

    Raises Invalid `event.schema` when one does not match the schema of its type, or its envelope that of envelopes:
    then none of `events` is emitted.
    """
    pending = session.local(_Pending)
    judged = [(event, _judged_bytes(session, event)) for event in events]
    if judged and pending.is_empty:
        session.before_commit(_flush, last=True)
    pending.rows.extend(judged)


def emit_stream(session: Session, events: Iterator[Event]) -> None:
    """Append the events of an iterator at the end of the transaction, after those of `emit`, in bounded memory.

    It is consumed just before the commit, and may read from the database. Raises Invalid `event.schema` only then.
    """
    pending = session.local(_Pending)
    if pending.is_empty:
        session.before_commit(_flush, last=True)
    pending.streams.append(events)


def _judged_bytes(session: Session, event: Event) -> bytes:
    pending = session.local(_Pending)
    pending.shared = pending.shared or shared_fields(session.context, session.now)
    document = envelope(event, pending.shared)
    _judge(event, f"event/{event.type}", event.schema_version, event.payload)
    _judge(event, "envelope", _ENVELOPE_VERSION, document)
    body = canonical_bytes(document)
    if b"\\" in body and _NUL.search(body):  # the plain search first: the pattern alone took most of an append
        # jsonb cannot hold it, so the audit view could never show this event, nor the page that it stands on.
        raise Invalid("event.schema", f"The event {event.type} holds the character U+0000.")
    return body


def _judge(event: Event, subject: str, version: str, document: dict[str, JsonValue]) -> None:
    registry = load_registry()
    try:
        if registry.is_valid(subject, version, document):
            return
    except NotFound as err:
        raise Invalid("event.schema", f"The event type {event.type} {version} has no schema.") from err
    faults = tuple(registry.validate(subject, version, document))
    said = "; ".join(f"{fault.path}: {fault.rule}" for fault in faults)
    raise Invalid("event.schema", f"The event {event.type} does not match {subject} {version}: {said}", faults=faults)


def _flush(session: Session) -> None:
    pending = session.local(_Pending)
    rows, pending.rows = pending.rows, []
    for start in range(0, len(rows), _BATCH):
        _append_stories(session, rows[start : start + _BATCH])
    streams, pending.streams = pending.streams, []
    for stream in streams:
        while batch := [(event, _judged_bytes(session, event)) for event in islice(stream, _BATCH)]:
            _append_stories(session, batch)


def _story(row: tuple[Event, bytes]) -> UUID | None:
    return row[0].correlation_id


def _append_stories(session: Session, rows: list[tuple[Event, bytes]]) -> None:
    """Append in order; each call has events of one story."""
    for story, told in groupby(rows, key=_story):
        while part := list(islice(told, _CALL)):
            _append(session, part, story or session.context.correlation_id)


def _append(session: Session, rows: list[tuple[Event, bytes]], correlation_id: UUID) -> None:
    context = session.context
    shared = (correlation_id, context.causation_id, context.actor, session.now)
    if len(rows) == 1:
        session.defer(_APPEND_ONE, (*_columns(rows[0][0]), *shared, rows[0][1]))
    else:
        columns = map(list, zip(*(_columns(event) for event, _ in rows), strict=True))
        session.raw.execute(_APPEND, (*columns, *shared, [body for _, body in rows]))
    session.has_news = True


def _columns(event: Event) -> tuple[UUID, str, str, str, str]:
    return event.event_id, event.aggregate_type, event.aggregate_id, event.type, event.schema_version
