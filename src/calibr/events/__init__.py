"""The append-only event log, which is the outbox and the audit trail too."""

from calibr.events.log import emit, emit_stream
from calibr.events.model import Event, JsonValue, new_event_id
from calibr.events.reads import (
    AuditEntry,
    EventFilter,
    EventPage,
    LoggedEvent,
    count_events,
    head_seq,
    list_audit,
    list_events,
    seq_before,
)

__all__ = [
    "AuditEntry",
    "Event",
    "EventFilter",
    "EventPage",
    "JsonValue",
    "LoggedEvent",
    "count_events",
    "emit",
    "emit_stream",
    "head_seq",
    "list_audit",
    "list_events",
    "new_event_id",
    "seq_before",
]
