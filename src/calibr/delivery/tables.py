"""The tables of delivery, as `0002_delivery.sql` makes them."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from calibr.db.metadata import metadata

_AT = DateTime(timezone=True)

subscription = Table(
    "subscription",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("event_types", ARRAY(Text), nullable=False),
    Column("lanes", SmallInteger, nullable=False),
    Column("on_poison", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("config", JSONB, nullable=False),
    Column("sealed", JSONB, nullable=False),
    Column("remote", JSONB, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", _AT, nullable=False),
    Column("failing_since", _AT),
)

lane = Table(
    "lane",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("subscription_id", Uuid, primary_key=True),
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    Column("pos", BigInteger, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", _AT),
    Column("fence", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("next_at", _AT, nullable=False),
    Column("last_error", Text),
    Column("replay_to", BigInteger, nullable=False),
    Column("released", Boolean, nullable=False, server_default=text("false")),
)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("subscription_id", Uuid, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", Uuid, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("aggregate_type", Text, nullable=False),
    Column("aggregate_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("parked_at", _AT, nullable=False),
    Column("resolved_at", _AT),
)

inbox = Table(
    "inbox",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("consumer", Text, primary_key=True),
    Column("message_id", Uuid, primary_key=True),
    Column("received_at", _AT, nullable=False),
)

event_activity = Table(
    "event_activity",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("events", BigInteger, nullable=False),
)
