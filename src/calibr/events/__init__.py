"""The append-only event log, which is the outbox and the audit trail too."""

from calibr.events.log import emit, emit_stream
from calibr.events.model import Event, JsonValue, new_event_id
from calibr.events.reads import AuditEntry, count_events, list_audit

__all__ = ["AuditEntry", "Event", "JsonValue", "count_events", "emit", "emit_stream", "list_audit", "new_event_id"]
