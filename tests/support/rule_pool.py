"""Varied items in a temporary table, which both back ends read."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, MetaData, Table, Text, Uuid, literal
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.expression import cast

from calibr.core.canonical import canonical_json
from calibr.db import Session
from calibr.pricing import Item, PlanSource

COMPUTED_AT = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
PRICE_LIST_ID = UUID(int=42)
POOL_SIZE = 150

POOL = Table(
    "pricing_pool",
    MetaData(),
    Column("id", Uuid, primary_key=True),
    *[Column(name, Text) for name in ("sku", "title", "vendor", "product_type", "status")],
    Column("tags", ARRAY(Text)),
    Column("attributes", JSONB),
    *[Column(name, BigInteger) for name in ("unit_amount", "compare_at", "unit_cost")],
    Column("valid_from", DateTime(timezone=True)),
    prefixes=["temporary"],
)


@dataclass(frozen=True, slots=True, repr=False)
class Pool:
    """Items by product id, and the session that has them in a table."""

    session: Session
    items: dict[UUID, Item]

    def __repr__(self) -> str:
        return f"a pool of {len(self.items)} items"

    def source(self, currency: str) -> PlanSource:
        """The table as a source of plans."""
        c = POOL.c
        return PlanSource(
            rows=POOL,
            where=(),
            price_list_id=literal(PRICE_LIST_ID, Uuid),
            currency=currency,
            price_list_name="retail",
            connection_name="shop-1",
            computed_at=COMPUTED_AT,
            product_id=c.id,
            **{name: c[name] for name in ("sku", "title", "vendor", "product_type", "status", "tags", "attributes")},
            **{name: c[name] for name in ("unit_amount", "compare_at", "valid_from", "unit_cost")},
        )


def row_of(item: Item) -> dict[str, object]:
    names = ("sku", "title", "vendor", "product_type", "status")
    return {
        **{name: getattr(item, name) for name in names},
        "tags": sorted(item.tags) or None,
        "attributes": cast(literal(canonical_json(item.attributes).decode(), Text), JSONB),
        "unit_amount": item.inputs.unit_amount,
        "compare_at": item.inputs.compare_at,
        "unit_cost": item.inputs.unit_cost,
        "valid_from": None
        if item.age_days is None
        else COMPUTED_AT - timedelta(days=item.age_days, seconds=item.age_days % 3),
    }
