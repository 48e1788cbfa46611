"""The tables of the event log."""

from sqlalchemy import BigInteger, Column, Computed, DateTime, LargeBinary, SmallInteger, Table, Text, Uuid, text

from calibr.db.metadata import metadata

tenant_head = Table(
    "tenant_head",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("seq", BigInteger, nullable=False, server_default=text("0")),
)

event = Table(
    "event",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("event_id", Uuid, nullable=False),
    Column("aggregate_type", Text, nullable=False),
    Column("aggregate_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("schema_version", Text, nullable=False),
    Column("correlation_id", Uuid, nullable=False),
    Column("causation_id", Uuid),
    Column("actor", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, Computed(r"sha256('\x00'::bytea || body)", persisted=True)),
    Column(
        "lane",
        SmallInteger,
        Computed("(hashtextextended(aggregate_type || chr(31) || aggregate_id, 0) & 63)::smallint", persisted=False),
    ),
)
