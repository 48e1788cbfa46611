"""The stage, the first load of a connection, and what differs from it later: statements over a whole catalog at once.

Stage, difference and new rows are temporary tables that end with the transaction, since COPY into a walled table is
refused.
"""
# ruff: noqa: S608 - only names of columns and tables of this program stand in the statements

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text

from calibr.connectors.port import STAGE_COLUMNS
from calibr.core.ids import ConnectionId, PriceListId, new_uuid
from calibr.db import Session

PRODUCT_COLUMNS: Final = (
    "sku", "title", "vendor", "product_type", "status", "tags", "attributes",
    "sku_norm", "title_norm", "vendor_norm", "product_type_norm", "status_norm", "tags_norm", "attributes_norm",
)  # fmt: skip
"""Columns that a product takes over from the stage."""

STAGE: Final = "pg_temp.stage"
FRESH: Final = "pg_temp.fresh"

_KINDS: Final[Mapping[str, str]] = {
    "tags": "text[]", "tags_norm": "text[]", "attributes": "jsonb", "attributes_norm": "jsonb", "unit_amount": "bigint",
    "compare_at": "bigint", "unit_cost": "bigint", "fingerprint": "uuid",
}  # fmt: skip
_WORK_MEM: Final = "128MB"  # twice that for each of three hash joins; at a million listings they take half of it
_COLUMNS: Final = ", ".join(f"{name} {_KINDS.get(name, 'text')}" for name in STAGE_COLUMNS)
_NAMES: Final = ", ".join(STAGE_COLUMNS)
_PRODUCT: Final = ", ".join(PRODUCT_COLUMNS)

_INSERTS: Final = {
    "products": f"""
      insert into calibr.product(tenant_id, id, {_PRODUCT})
      select :tenant_id, product_id, {_PRODUCT} from {{source}}""",
    "listings": """
      insert into calibr.listing(tenant_id, connection_id, external_id, product_id, group_external_id, fingerprint)
      select :tenant_id, :connection_id, external_id, product_id, group_external_id, fingerprint from {source}""",
    "prices": """
      insert into calibr.price_version(tenant_id, product_id, price_list_id, currency, unit_amount, compare_at, source)
      select :tenant_id, product_id, :price_list_id, :currency, unit_amount, compare_at, 'ingest'
      from {source} where unit_amount is not null""",
    "costs": """
      insert into calibr.product_cost(tenant_id, product_id, currency, unit_cost)
      select :tenant_id, product_id, cost_currency, unit_cost from {source} where unit_cost is not null""",
}

# A price of ours that is younger than the reading is no difference: what was read is older than it. Neither is one that
# is on its way to the store: what was read may be our own write, which its run settles.
_DIFFERENCE: Final = f"""
  create temp table difference on commit drop as
  select * from (
    select s.ctid as place, coalesce(l.external_id, s.external_id) as listing_id, l.product_id,
      l.external_id is null as is_new, s.external_id is null as has_vanished,
      l.external_id is not null and s.external_id is not null
        and (not l.active or l.fingerprint is distinct from s.fingerprint) as looks_different,
      s.external_id is not null and not coalesce(l.active, true) as is_back,
      v.valid_from as price_from, v.unit_amount as old_amount,
      s.external_id is not null and coalesce(v.valid_from < :read_from, true)
        and (v.unit_amount is distinct from s.unit_amount
             or s.unit_amount is not null and v.compare_at is distinct from s.compare_at)
        and not exists (select from calibr.price_in_flight f
                        where f.price_list_id = :price_list_id and f.product_id = l.product_id) as has_other_price,
      k.valid_from as cost_from,
      s.external_id is not null
        and (k.unit_cost is distinct from s.unit_cost or k.currency is distinct from s.cost_currency) as has_other_cost,
      {", ".join(f"s.{name}" for name in STAGE_COLUMNS)}
    from {STAGE} s
    full join ({{listings}}) l on l.external_id = s.external_id
    left join calibr.price_version v
      on v.price_list_id = :price_list_id and v.product_id = l.product_id and v.ends_at = 'infinity'
    left join calibr.product_cost k on k.product_id = l.product_id and k.ends_at = 'infinity'
    where s.external_id is not null or l.active) compared
  where is_new or has_vanished or looks_different or has_other_price or has_other_cost"""

_EVERY_LISTING: Final = "select * from calibr.listing where connection_id = :connection_id"
# A group of which anything changed is staged whole, so that a listing of it that is not staged has vanished.
_LISTINGS_OF_STAGED_GROUPS: Final = f"""
  {_EVERY_LISTING}
    and (external_id in (select external_id from {STAGE})
         or group_external_id in (select group_external_id from {STAGE}))"""

_COUNTS: Final = """
  select count(*) filter (where is_new) as new, count(*) filter (where is_back) as reappeared,
    count(*) filter (where has_vanished) as vanished
  from pg_temp.difference"""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a catalog goes: a connection, and its base price list."""

    connection_id: ConnectionId
    price_list_id: PriceListId
    currency: str

    def parameters(self, session: Session) -> dict[str, Any]:
        """The values that the statements share."""
        return {
            "tenant_id": session.tenant_id,
            "now": session.now,
            "connection_id": self.connection_id,
            "price_list_id": self.price_list_id,
            "currency": self.currency,
        }


def has_listings(session: Session, connection_id: ConnectionId) -> bool:
    """Whether the connection was ever read with a result."""
    query = text("select exists (select from calibr.listing where connection_id = :connection_id)")
    return bool(session.execute(query, {"connection_id": connection_id}).scalar_one())


def count_active_listings(session: Session, connection_id: ConnectionId) -> int:
    """Number of listings that the connection had when it was last read."""
    query = text("select count(*) from calibr.listing where connection_id = :connection_id and active")
    return int(session.execute(query, {"connection_id": connection_id}).scalar_one())


def fill_stage(session: Session, chunks: Iterable[bytes], *, with_ids: bool) -> int:
    """Copy a catalog into the stage and return the number of rows.

    `with_ids` gives each row a new product id; their order is that of the rows, so that listings of one group have
    neighboring products.
    """
    session.execute(text("select set_config('work_mem', :size, true)"), {"size": _WORK_MEM})
    if not with_ids:
        session.execute(text(f"create temp table stage({_COLUMNS}) on commit drop"))
    else:
        session.execute(text("create temp sequence stage_number cache 1000"))
        new_id = _id_in_order("nextval('pg_temp.stage_number')")
        session.execute(text(f"create temp table stage(product_id uuid default {new_id}, {_COLUMNS}) on commit drop"))
        session.execute(text("alter sequence pg_temp.stage_number owned by pg_temp.stage.product_id"))
    return session.copy_in(f"copy {STAGE}({_NAMES}) from stdin (format csv)", chunks)


def insert_new(session: Session, target: Target, source: str) -> dict[str, int]:
    """Insert the rows of `STAGE` or `FRESH` as products with listings, prices and costs; return how many of each."""
    statements = {name: text(one.format(source=source)) for name, one in _INSERTS.items()}
    parameters = target.parameters(session)
    return {name: session.execute(statement, parameters).rowcount for name, statement in statements.items()}


def refresh_statistics(session: Session) -> None:
    """Let the planner know what a large load brought; autovacuum would, but only after the next preview."""
    session.execute(text("select calibr.refresh_statistics()"))


def find_difference(session: Session, target: Target, *, read_from: datetime, is_part: bool = False) -> dict[str, int]:
    """Make `difference`, the staged rows that are not as recorded and the listings that are not staged, and `FRESH`.

    `is_part`: only whole groups are staged, and others are left alone. Returns how many listings are `new`,
    `reappeared` or `vanished`.
    """
    listings = _LISTINGS_OF_STAGED_GROUPS if is_part else _EVERY_LISTING
    statement = _DIFFERENCE.format(listings=listings)
    session.execute(text(statement), {**target.parameters(session), "read_from": read_from})
    session.execute(text("analyze pg_temp.difference"))
    new_id = _id_in_order("row_number() over (order by place)")
    fresh = f"select {new_id} as product_id, {_NAMES} from pg_temp.difference where is_new"
    session.execute(text(f"create temp table fresh on commit drop as {fresh}"))
    return dict(session.execute(text(_COUNTS)).mappings().one())


def _id_in_order(number: str) -> str:
    """A UUIDv7 that counts: one draw of time and chance, the number in the middle of the random part.

    uuidv7() asks the operating system for each value, which takes six times as long (measured 2026-11-24).
    """
    drawn = new_uuid().hex
    return f"cast('{drawn[:17]}' || lpad(to_hex({number}), 9, '0') || '{drawn[-6:]}' as uuid)"
