"""Price lists beside the base prices as they are kept: lists, markets, and the set-based difference of their prices."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from psycopg.rows import dict_row
from sqlalchemy import RowMapping, func, literal_column, select, text, update
from sqlalchemy.dialects.postgresql import insert

from calibr.catalog.tables import market, price_list
from calibr.connectors.port.price_lists import ListedPrice, QuantityBreak, RemoteMarket, RemotePriceList
from calibr.core.ids import ConnectionId, PriceListId
from calibr.core.text import normalize
from calibr.db import Session

_STAGE = """create temp table listed(
  list_number text, external_id text, unit_amount bigint, compare_at bigint, relative boolean) on commit drop"""
_BREAKS = """create temp table listed_break(
  list_number text, external_id text, minimum_quantity int, unit_amount bigint) on commit drop"""
# What was read is older than a price that is younger than the reading, or than its end, and says nothing of one that is
# being written: its run settles that. A listing that the store does not tell on a list has a relative price of unknown
# amount there. What was refused is left as it is known.
_DIFFERENCE = text("""
  create temp table list_difference on commit drop as
  select coalesce(s.price_list_id, k.price_list_id) as price_list_id, l.product_id, l.external_id,
    s.unit_amount, s.compare_at, coalesce(s.relative, true) as relative, l.active as is_listed,
    k.unit_amount as old_amount, k.compare_at as old_compare_at, k.relative as old_relative, k.valid_from,
    false as is_closed, false as is_open
  from (
    select p.id as price_list_id, p.currency, o.product_id, x.unit_amount, x.compare_at, x.relative
    from pg_temp.listed x
    join calibr.price_list p on p.connection_id = :connection and p.external_id = x.list_number
    join calibr.listing o on o.connection_id = :connection and o.external_id = x.external_id and o.active) s
  full join (
    select price_list_id, product_id, unit_amount, compare_at, relative, valid_from from calibr.price_version
    where price_list_id = any(cast(:lists as uuid[])) and ends_at = 'infinity') k
    on k.price_list_id = s.price_list_id and k.product_id = s.product_id
  join calibr.listing l on l.connection_id = :connection and l.product_id = coalesce(s.product_id, k.product_id)
  where (s.unit_amount, s.compare_at, coalesce(s.relative, true))
      is distinct from (k.unit_amount, k.compare_at, k.relative)
    and (k.valid_from < :read_from
         or k.valid_from is null and not exists (
           select from calibr.price_version h
           where h.price_list_id = s.price_list_id and h.product_id = s.product_id and h.currency = s.currency
             and h.valid_to >= :read_from))
    and l.external_id <> all(cast(:refused as text[]))
    and not exists (
      select from calibr.price_in_flight f
      where f.price_list_id = coalesce(s.price_list_id, k.price_list_id) and f.product_id = l.product_id)""")
# Only the version that was compared is closed: a run may have written another one meanwhile.
_CLOSE = text("""
  with closed as (
    update calibr.price_version v set valid_to = greatest(:now, v.valid_from + interval '1 microsecond')
    from pg_temp.list_difference d
    where v.price_list_id = d.price_list_id and v.product_id = d.product_id and v.ends_at = 'infinity'
      and v.valid_from = d.valid_from
    returning v.price_list_id, v.product_id)
  update pg_temp.list_difference d set is_closed = true
  from closed c where c.price_list_id = d.price_list_id and c.product_id = d.product_id""")
_OPEN = text("""
  with opened as (
    insert into calibr.price_version(tenant_id, product_id, price_list_id, currency, unit_amount, compare_at, relative,
                                     valid_from, source)
    select :tenant_id, d.product_id, d.price_list_id, p.currency, d.unit_amount, d.compare_at, d.relative,
      greatest(:now, d.valid_from + interval '1 microsecond'), 'ingest'
    from pg_temp.list_difference d join calibr.price_list p on p.id = d.price_list_id
    where d.is_listed and (d.is_closed or d.valid_from is null)
    on conflict do nothing
    returning price_list_id, product_id)
  update pg_temp.list_difference d set is_open = true
  from opened o where o.price_list_id = d.price_list_id and o.product_id = d.product_id""")
_COUNTS = text("""
  select p.id as price_list_id,
    (select count(*) from calibr.price_version v
     where v.price_list_id = p.id and v.ends_at = 'infinity' and not v.relative) as fixed,
    (select count(*) from calibr.price_version v
     where v.price_list_id = p.id and v.ends_at = 'infinity' and v.relative) as relative,
    (select count(*) from pg_temp.list_difference d
     where d.price_list_id = p.id and (d.is_closed or d.is_open)) as changed
  from calibr.price_list p where p.id = any(cast(:lists as uuid[])) order by p.id""")
# A relative price that moved with its base price, or with a rate, is nobody's decision.
_DECIDED: Final = """
  select d.price_list_id, d.product_id, d.external_id, p.currency, d.unit_amount, d.compare_at, d.relative,
    d.old_amount, d.old_compare_at, d.old_relative
  from pg_temp.list_difference d join calibr.price_list p on p.id = d.price_list_id
  where d.price_list_id = any(%(lists)s) and d.is_open
    and not (d.relative and coalesce(d.old_relative, true))
  order by d.product_id, d.price_list_id"""
_CLOSE_LISTS = text("""
  update calibr.price_version v set valid_to = greatest(:now, v.valid_from + interval '1 microsecond')
  where v.price_list_id = any(cast(:lists as uuid[])) and v.ends_at = 'infinity'""")
_FORGET_BREAKS = text("delete from calibr.quantity_break where price_list_id = any(cast(:lists as uuid[]))")
_ADD_BREAKS = text("""
  insert into calibr.quantity_break(tenant_id, price_list_id, product_id, minimum_quantity, unit_amount)
  select distinct on (p.id, l.product_id, b.minimum_quantity)
    :tenant_id, p.id, l.product_id, b.minimum_quantity, b.unit_amount
  from pg_temp.listed_break b
  join calibr.price_list p on p.connection_id = :connection and p.external_id = b.list_number
  join calibr.listing l on l.connection_id = :connection and l.external_id = b.external_id and l.active""")

_ROW: Final = tuple(price_list.c[name] for name in ("id", "external_id", "currency", "active", "read_at"))


def known_lists(session: Session, connection_id: ConnectionId) -> dict[str, RowMapping]:
    """The lists of a connection beside its base prices, by external id."""
    wanted = select(*_ROW).where(price_list.c.connection_id == connection_id, ~price_list.c.is_base)
    return {row["external_id"]: row for row in session.execute(wanted).mappings()}


def upsert_list(session: Session, connection_id: ConnectionId, seen: RemotePriceList) -> PriceListId:
    """Keep a list as the store shows it."""
    values: dict[str, Any] = {
        "name": seen.name,
        "name_norm": normalize(seen.name) or seen.name,
        "currency": seen.currency,
        "audience": seen.audience.value,
        "active": seen.active,
        "adjustment_ppm": seen.adjustment_ppm,
        "adjusts_compare_at": seen.adjusts_compare_at,
        "read_at": session.now,
    }
    keys = {"tenant_id": session.tenant_id, "connection_id": connection_id, "external_id": seen.external_id}
    made = insert(price_list).values(**keys, is_base=False, **values)
    kept = made.on_conflict_do_update(index_elements=list(keys), set_=values).returning(price_list.c.id)
    return PriceListId(session.execute(kept).scalar_one())


def end_lists(session: Session, lists: Sequence[PriceListId]) -> None:
    """The store has these lists no more."""
    session.execute(update(price_list).where(price_list.c.id.in_(lists)).values(active=False, read_at=None))
    close_lists(session, lists)
    session.execute(_FORGET_BREAKS, {"lists": list(lists)})


def close_lists(session: Session, lists: Sequence[PriceListId]) -> None:
    """End all prices in force on some lists."""
    session.execute(_CLOSE_LISTS, {"lists": list(lists), "now": session.now})


def replace_markets(
    session: Session, connection_id: ConnectionId, seen: Sequence[RemoteMarket], lists: Mapping[str, PriceListId]
) -> None:
    """Keep the markets as the store shows them; what it has no more is inactive."""
    session.execute(update(market).where(market.c.connection_id == connection_id).values(active=False))
    for each in seen:
        values: dict[str, Any] = {
            "name": each.name,
            "active": each.active,
            "currency": each.currency,
            "countries": list(each.countries),
            "price_list_ids": [lists[number] for number in each.price_lists if number in lists],
        }
        keys = {"tenant_id": session.tenant_id, "connection_id": connection_id, "external_id": each.external_id}
        made = insert(market).values(**keys, **values)
        session.execute(made.on_conflict_do_update(index_elements=list(keys), set_=values))


def stage_prices(session: Session, blocks: Iterable[Sequence[ListedPrice]]) -> int:
    """Copy prices into the stage; returns how many."""
    session.execute(text(_STAGE))
    chunks = (
        "".join(
            f"{p.price_list}\t{p.external_id}\t{p.unit_amount}\t{_null(p.compare_at)}\t{'t' if p.relative else 'f'}\n"
            for p in block
        ).encode()
        for block in blocks
    )
    return session.copy_in("copy pg_temp.listed from stdin", chunks)


def stage_breaks(session: Session, blocks: Iterable[Sequence[QuantityBreak]]) -> int:
    """Copy quantity breaks into their stage; returns how many."""
    session.execute(text(_BREAKS))
    chunks = (
        "".join(f"{b.price_list}\t{b.external_id}\t{b.minimum_quantity}\t{b.unit_amount}\n" for b in block).encode()
        for block in blocks
    )
    return session.copy_in("copy pg_temp.listed_break from stdin", chunks)


def apply_difference(
    session: Session,
    connection_id: ConnectionId,
    lists: Sequence[PriceListId],
    read_from: datetime,
    refused: Sequence[str],
) -> dict[PriceListId, Mapping[str, int]]:
    """Close and open what the stages say of these lists; returns counts by list: fixed, relative, changed.

    `refused` are external ids of listings of which something could not be read.
    """
    session.execute(text("analyze pg_temp.listed"))
    names: dict[str, Any] = {
        "tenant_id": session.tenant_id,
        "now": session.now,
        "connection": connection_id,
        "lists": list(lists),
        "read_from": read_from,
        "refused": list(refused),
    }
    # Statistics of the tenant's own prices may be of yesterday: whole tables are joined by hash or merge.
    session.execute(select(func.set_config(literal_column("'enable_nestloop'"), literal_column("'off'"), True)))  # noqa: FBT003
    session.execute(_DIFFERENCE, names)
    session.execute(_CLOSE, names)
    session.execute(_OPEN, names)
    session.execute(_FORGET_BREAKS, names)
    session.execute(_ADD_BREAKS, names)
    counts: dict[PriceListId, Mapping[str, int]] = {
        PriceListId(row["price_list_id"]): {name: int(row[name]) for name in ("fixed", "relative", "changed")}
        for row in session.execute(_COUNTS, names).mappings()
    }
    session.execute(select(func.set_config(literal_column("'enable_nestloop'"), literal_column("'on'"), True)))  # noqa: FBT003
    return counts


def decided(session: Session, lists: Sequence[PriceListId]) -> Iterator[Mapping[str, Any]]:
    """What differed and was somebody's decision, a fixed price before or after; in bounded memory."""
    with session.raw.cursor(name="decided", row_factory=dict_row) as cursor:
        cursor.execute(_DECIDED, {"lists": list(lists)})
        yield from cursor


def _null(value: int | None) -> str:
    return r"\N" if value is None else str(value)
