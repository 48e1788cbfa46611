"""NATS JetStream as a transport: the log in PostgreSQL stays the record, and a stream that is lost is filled anew."""

from calibr.delivery.jetstream.kind import jetstream_kind
from calibr.delivery.jetstream.receiver import JetStreamReceiver, stream_name, subject_of

__all__ = ["JetStreamReceiver", "jetstream_kind", "stream_name", "subject_of"]
