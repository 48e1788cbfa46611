"""The tables of the catalog, as `0001_catalog.sql` makes them."""

from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Computed,
    DateTime,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from calibr.db.metadata import metadata

_AT = DateTime(timezone=True)
_NEW_ID = text("uuidv7()")

IN_FORCE: ColumnElement[datetime] = literal_column("timestamptz 'infinity'", _AT)
"""The `ends_at` of what has no end. It stands in the key, `valid_to` does not."""

connection = Table(
    "connection",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True, server_default=_NEW_ID),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("name_norm", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("config", JSONB, nullable=False),
    Column("health", JSONB),
    Column("unidata_version", Text),
    Column("first_synced_at", _AT),
    Column("last_synced_at", _AT),
    Column("created_at", _AT, nullable=False),
)

secret = Table(
    "secret",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("connection_id", Uuid, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("ciphertext", Text, nullable=False),
    Column("created_at", _AT, nullable=False),
)

store_grant = Table(
    "store_grant",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("connection_id", Uuid, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("secrets_revision", BigInteger, nullable=False),
    Column("account", Text),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("obtained_at", _AT),
    Column("expires_at", _AT),
    Column("refresh_expires_at", _AT),
)

consent_attempt = Table(
    "consent_attempt",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("state_hash", LargeBinary, primary_key=True),
    Column("connection_id", Uuid, nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("correlation_id", Uuid, nullable=False),
    Column("created_at", _AT, nullable=False),
    Column("expires_at", _AT, nullable=False),
    Column("used_at", _AT),
)

store_budget = Table(
    "store_budget",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("state", JSONB),
    Column("changed_at", _AT, nullable=False),
)

price_list = Table(
    "price_list",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True, server_default=_NEW_ID),
    Column("connection_id", Uuid, nullable=False),
    Column("external_id", Text),
    Column("name", Text, nullable=False),
    Column("name_norm", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("is_base", Boolean, nullable=False),
    Column("created_at", _AT, nullable=False),
    Column("audience", Text),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("adjustment_ppm", Integer),
    Column("adjusts_compare_at", Boolean),
    Column("read_at", _AT),
)

market = Table(
    "market",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True, server_default=_NEW_ID),
    Column("connection_id", Uuid, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("currency", Text, nullable=False),
    Column("countries", ARRAY(Text), nullable=False),
    Column("price_list_ids", ARRAY(Uuid), nullable=False),
)

quantity_break = Table(
    "quantity_break",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("price_list_id", Uuid, primary_key=True),
    Column("product_id", Uuid, primary_key=True),
    Column("minimum_quantity", Integer, primary_key=True),
    Column("unit_amount", BigInteger, nullable=False),
)

sync_run = Table(
    "sync_run",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True, server_default=_NEW_ID),
    Column("connection_id", Uuid, nullable=False),
    Column("state", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("rows_read", BigInteger, nullable=False),
    Column("rows_total", BigInteger),
    Column("summary", JSONB),
    Column("error", Text),
    Column("requested_by", Text, nullable=False),
    Column("forced", Boolean, nullable=False),
    Column("correlation_id", Uuid, nullable=False),
    Column("lease_until", _AT),
    Column("fence", BigInteger, nullable=False),
    Column("created_at", _AT, nullable=False),
    Column("finished_at", _AT),
    Column("mode", Text, nullable=False),
    Column("since", _AT),
    Column("read_from", _AT),
    Column("operations", Integer, nullable=False),
    Column("operation_id", Text),
    Column("error_code", Text),
)

sync_finding = Table(
    "sync_finding",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("sync_id", Uuid, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("external_id", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("value", Text),
    Column("rule", Text, nullable=False),
)

product = Table(
    "product",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True, server_default=_NEW_ID),
    Column("sku", Text),
    Column("title", Text),
    Column("vendor", Text),
    Column("product_type", Text),
    Column("status", Text),
    Column("tags", ARRAY(Text), nullable=False),
    Column("attributes", JSONB, nullable=False),
    Column("sku_norm", Text),
    Column("title_norm", Text),
    Column("vendor_norm", Text),
    Column("product_type_norm", Text),
    Column("status_norm", Text),
    Column("tags_norm", ARRAY(Text), nullable=False),
    Column("attributes_norm", JSONB, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("updated_at", _AT, nullable=False),
)

listing = Table(
    "listing",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("connection_id", Uuid, primary_key=True),
    Column("external_id", Text, primary_key=True),
    Column("product_id", Uuid, nullable=False),
    Column("group_external_id", Text, nullable=False),
    Column("fingerprint", Uuid),
    Column("active", Boolean, nullable=False),
    Column("vanished_at", _AT),
)

price_version = Table(
    "price_version",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("id", Uuid, Computed("a UUIDv7 that follows from the key", persisted=False)),
    Column("product_id", Uuid, primary_key=True),
    Column("price_list_id", Uuid, primary_key=True),
    Column("currency", Text, nullable=False),
    Column("unit_amount", BigInteger),
    Column("compare_at", BigInteger),
    Column("valid_from", _AT, nullable=False),
    Column("valid_to", _AT),
    Column("ends_at", _AT, Computed("coalesce(valid_to, 'infinity')", persisted=True), primary_key=True),
    Column("change_id", Uuid),
    Column("source", Text, nullable=False),
    Column("relative", Boolean, nullable=False, server_default=text("false")),
    implicit_returning=False,  # the key holds infinity, which no Python datetime can
)

product_cost = Table(
    "product_cost",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("product_id", Uuid, primary_key=True),
    Column("currency", Text, nullable=False),
    Column("unit_cost", BigInteger, nullable=False),
    Column("valid_from", _AT, nullable=False),
    Column("valid_to", _AT),
    Column("ends_at", _AT, Computed("coalesce(valid_to, 'infinity')", persisted=True), primary_key=True),
    implicit_returning=False,  # the key holds infinity, which no Python datetime can
)
