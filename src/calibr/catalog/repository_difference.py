"""What follows from a difference between a store's catalog and ours: only rows that differ are touched.

Listings are never deleted, so a product keeps its id and its history when its listing comes back.
"""
# ruff: noqa: S608 - only names of columns of this program stand in the statements

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text

from calibr.catalog.repository_stage import FRESH, PRODUCT_COLUMNS, Target
from calibr.db import Session

_OF_PRODUCT: Final = ", ".join(f"p.{name}" for name in PRODUCT_COLUMNS)
_OF_DIFFERENCE: Final = ", ".join(f"d.{name}" for name in PRODUCT_COLUMNS)

_CHANGE_PRODUCTS: Final = f"""
  with changed as (
  update calibr.product p
  set ({", ".join(PRODUCT_COLUMNS)}) = row({_OF_DIFFERENCE}), active = true, updated_at = :now
  from pg_temp.difference d
  where d.looks_different and p.id = d.product_id
    and ({_OF_PRODUCT}, p.active) is distinct from ({_OF_DIFFERENCE}, true)
  returning d.is_back)
  select count(*) filter (where not is_back) from changed"""
_CHANGE_LISTINGS: Final = """
  update calibr.listing l
  set group_external_id = d.group_external_id, fingerprint = d.fingerprint, active = true, vanished_at = null
  from pg_temp.difference d
  where d.looks_different and l.connection_id = :connection_id and l.external_id = d.listing_id"""
_VANISH_LISTINGS: Final = """
  update calibr.listing l set active = false, vanished_at = :now
  from pg_temp.difference d
  where d.has_vanished and l.connection_id = :connection_id and l.external_id = d.listing_id"""
_VANISH_PRODUCTS: Final = """
  update calibr.product p set active = false, updated_at = :now
  from pg_temp.difference d
  where d.has_vanished and p.id = d.product_id and p.active
    and not exists (select from calibr.listing o where o.product_id = p.id and o.active)"""

_OBSERVATION: Final = """
  create temp table observation(
    external_id text, product_id uuid, old_amount bigint, old_compare_at bigint, unit_amount bigint, compare_at bigint)
  on commit drop"""
# `price_from` names the version that was compared: one that an apply run has opened since is left alone.
_CLOSE_PRICES: Final = """
  with closed as (
    update calibr.price_version v set valid_to = greatest(:now, v.valid_from + interval '1 microsecond')
    from pg_temp.difference d
    where (d.has_other_price or d.has_vanished) and v.price_list_id = :price_list_id and v.product_id = d.product_id
      and v.valid_from = d.price_from and v.ends_at = 'infinity'
    returning d.has_vanished, d.listing_id, v.product_id, v.unit_amount as old_amount, v.compare_at as old_compare_at,
      d.unit_amount, case when d.unit_amount is not null then d.compare_at end as compare_at)
  insert into pg_temp.observation
  select listing_id, product_id, old_amount, old_compare_at, unit_amount, compare_at
  from closed where not has_vanished"""
_OBSERVE_FIRST_PRICES: Final = """
  insert into pg_temp.observation
  select listing_id, product_id, null, null, unit_amount, compare_at from pg_temp.difference
  where has_other_price and not is_new and price_from is null"""
_OPEN_PRICES: Final = """
  insert into calibr.price_version(tenant_id, product_id, price_list_id, currency, unit_amount, compare_at, source)
  select :tenant_id, product_id, :price_list_id, :currency, unit_amount, compare_at, 'ingest' from pg_temp.observation
  where unit_amount is not null"""
_OBSERVE_NEW: Final = f"""
  insert into pg_temp.observation
  select external_id, product_id, null, null, unit_amount, compare_at from {FRESH} where unit_amount is not null"""

_CLOSE_COSTS: Final = """
  update calibr.product_cost k set valid_to = greatest(:now, k.valid_from + interval '1 microsecond')
  from pg_temp.difference d
  where d.has_other_cost and not d.is_new
    and k.product_id = d.product_id and k.valid_from = d.cost_from and k.ends_at = 'infinity'"""
_OPEN_COSTS: Final = """
  insert into calibr.product_cost(tenant_id, product_id, currency, unit_cost)
  select :tenant_id, product_id, cost_currency, unit_cost from pg_temp.difference
  where has_other_cost and not is_new and unit_cost is not null"""
_COUNT_COSTS: Final = "select count(*) from pg_temp.difference where has_other_cost and not is_new"


@dataclass(frozen=True, slots=True)
class Observation:
    """A price that a store asks now, and the one in force before; None where there is none."""

    external_id: str
    product_id: UUID
    before: tuple[int, int | None] | None
    after: tuple[int, int | None] | None


def change_products(session: Session, target: Target) -> int:
    """Take over what the store says about listings that it has and we have.

    Returns how many products changed, those apart that only came back.
    """
    changed = session.execute(text(_CHANGE_PRODUCTS), target.parameters(session)).scalar_one()
    session.execute(text(_CHANGE_LISTINGS), target.parameters(session))
    return int(changed)


def vanish(session: Session, target: Target) -> None:
    """Deactivate listings that the store no longer has, and products that are listed nowhere else."""
    session.execute(text(_VANISH_LISTINGS), target.parameters(session))
    session.execute(text(_VANISH_PRODUCTS), target.parameters(session))


def change_prices(session: Session, target: Target) -> int:
    """Close and open price versions; return how many prices were observed. Call it after the new rows are in."""
    parameters = target.parameters(session)
    for statement in (_OBSERVATION, _CLOSE_PRICES, _OBSERVE_FIRST_PRICES, _OPEN_PRICES, _OBSERVE_NEW):
        session.execute(text(statement), parameters)
    return int(session.execute(text("select count(*) from pg_temp.observation")).scalar_one())


def change_costs(session: Session, target: Target) -> int:
    """Close and open costs; return how many products have another cost now, or none any more."""
    parameters = target.parameters(session)
    session.execute(text(_CLOSE_COSTS), parameters)
    session.execute(text(_OPEN_COSTS), parameters)
    return int(session.execute(text(_COUNT_COSTS)).scalar_one())


def observations(session: Session) -> Iterator[Observation]:
    """What `change_prices` observed, in the order of the products, in bounded memory."""
    with session.raw.cursor(name="observations") as cursor:
        cursor.execute(
            "select external_id, product_id, old_amount, old_compare_at, unit_amount, compare_at"
            " from pg_temp.observation order by product_id"
        )
        for external_id, product_id, old_amount, old_compare_at, unit_amount, compare_at in cursor:
            before = None if old_amount is None else (old_amount, old_compare_at)
            after = None if unit_amount is None else (unit_amount, compare_at)
            yield Observation(external_id, product_id, before, after)


def vanished(session: Session) -> Iterator[tuple[str, UUID]]:
    """External ids and products of the listings that vanished, in the order of the products."""
    with session.raw.cursor(name="vanished") as cursor:
        cursor.execute("select listing_id, product_id from pg_temp.difference where has_vanished order by product_id")
        yield from cursor
