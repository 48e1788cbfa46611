"""The table of drift, as `0005_inbound.sql` makes it."""

from sqlalchemy import BigInteger, Column, DateTime, Integer, Table, Text, Uuid

from calibr.db.metadata import metadata

_AT = DateTime(timezone=True)

drift = Table(
    "drift",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("connection_id", Uuid, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("product_id", Uuid, nullable=False),
    Column("price_list_id", Uuid, nullable=False),
    Column("currency", Text, nullable=False),
    Column("expected_amount", BigInteger, nullable=False),
    Column("expected_compare_at", BigInteger),
    Column("expected_since", _AT, nullable=False),
    Column("expected_change_id", Uuid),
    Column("observed_amount", BigInteger),
    Column("observed_compare_at", BigInteger),
    Column("source", Text, nullable=False),
    Column("writer", Text),
    Column("observations", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("opened_at", _AT, nullable=False),
    Column("observed_at", _AT, nullable=False),
    Column("closed_at", _AT),
    Column("closed_by", Text),
    Column("reassert_change_id", Uuid),
)
