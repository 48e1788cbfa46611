"""The tables of what comes in, as `0005_inbound.sql` makes them."""

from sqlalchemy import BigInteger, Column, DateTime, Integer, LargeBinary, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from calibr.db.metadata import metadata

_AT = DateTime(timezone=True)

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("connection_id", Uuid, primary_key=True),
    Column("delivery_id", Text, primary_key=True),
    Column("topic", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("correlation_id", Uuid, nullable=False),
    Column("triggered_at", _AT),
    Column("body", LargeBinary),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("next_at", _AT, nullable=False),
    Column("last_error", Text),
    Column("received_at", _AT, nullable=False),
    Column("handled_at", _AT),
)

connection_watch = Table(
    "connection_watch",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("connection_id", Uuid, primary_key=True),
    Column("webhooks", JSONB, nullable=False),
    Column("webhooks_problem", Text),
    Column("webhooks_checked_at", _AT),
    Column("webhooks_next_at", _AT, nullable=False),
    Column("reread_next_at", _AT, nullable=False),
    Column("reread_at", _AT),
    Column("reread_listings", BigInteger, nullable=False),
    Column("reread_differing", BigInteger, nullable=False),
    Column("sync_wanted_since", _AT),
    Column("uninstalled_at", _AT),
    Column("inbox_until", _AT),
    Column("price_lists_next_at", _AT, nullable=False),
    Column("price_lists_begun_at", _AT),
    Column("price_lists_read_at", _AT),
    Column("price_lists_problem", Text),
)

privacy_request = Table(
    "privacy_request",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True, server_default=text("uuidv7()")),
    Column("connection_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("received_at", _AT, nullable=False),
    Column("done_at", _AT),
)
