"""The tables of price changes, as `0001_changes.sql` makes them."""

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, DateTime, Integer, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from calibr.db.metadata import metadata

_AT = DateTime(timezone=True)

price_change = Table(
    "price_change",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("selector_json", Text, nullable=False),
    Column("transform_json", Text, nullable=False),
    Column("guardrails_json", Text, nullable=False),
    Column("price_list_ids", ARRAY(Uuid), nullable=False),
    Column("rule_hash", Text, nullable=False),
    Column("engine", Text),
    Column("computed_at", _AT),
    Column("plan_root", Text),
    Column("summary", JSONB),
    Column("rollback_of", Uuid),
    Column("retry_of", Uuid),
    Column("created_by", Uuid, nullable=False),
    Column("editors", ARRAY(Uuid), nullable=False),
    Column("created_at", _AT, nullable=False),
    Column("updated_at", _AT, nullable=False),
    Column("submitted_by", Uuid),
    Column("submitted_at", _AT),
    Column("approved_by", Uuid),
    Column("approved_root", Text),
    Column("approved_at", _AT),
    Column("applied_by", Uuid),
    Column("apply_started_at", _AT),
    Column("finished_at", _AT),
    Column("reason", Text),
    Column("error", JSONB),
    Column("correlation_id", Uuid, nullable=False),
    Column("cursor_price_list_id", Uuid),
    Column("cursor_product_id", Uuid),
    Column("counts", JSONB, nullable=False),
    Column("lease_until", _AT),
    Column("fence", BigInteger, nullable=False),
    Column("reasserts", Boolean, nullable=False),
)

store_writer = Table(
    "store_writer",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("connection_id", Uuid, primary_key=True),
    Column("change_id", Uuid, nullable=False),
    Column("since", _AT, nullable=False),
)

price_change_item = Table(
    "price_change_item",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("change_id", Uuid, primary_key=True),
    Column("price_list_id", Uuid, primary_key=True),
    Column("product_id", Uuid, primary_key=True),
    Column("before_amount", BigInteger),
    Column("before_compare_at", BigInteger),
    Column("after_amount", BigInteger),
    Column("after_compare_at", BigInteger),
    Column("observed_amount", BigInteger),
    Column("observed_compare_at", BigInteger),
    Column("fence", BigInteger),
    Column("lease_until", _AT),
    Column("sent_at", _AT),
    Column("next_at", _AT),
    Column("observed_at", _AT),
    Column("event_id", Uuid),
    Column("attempt", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("binding", Text),
    Column("violated", Text),
    Column("trace", ARRAY(BigInteger), nullable=False),
    Column("last_error", Text),
)
