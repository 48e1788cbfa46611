"""Stored texts and their normal forms, in batches: read and replaced set-wise."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import select, text, update

from calibr.catalog.tables import connection, price_list
from calibr.core.ids import ConnectionId, ProductId
from calibr.db import Session

TEXTS: Final = ("sku", "title", "vendor", "product_type", "status")

_LIST: Final = text("""
  select p.id, p.sku, p.title, p.vendor, p.product_type, p.status,
    cast(to_json(p.tags) as text) as tags, cast(p.attributes as text) as attributes
  from (select product_id from calibr.listing
        where connection_id = :connection_id and (cast(:after as uuid) is null or product_id > :after)
        order by product_id limit :limit) l
  join calibr.product p on p.id = l.product_id order by p.id""")
_REPLACE: Final = text("""
  update calibr.product p
  set sku_norm = n.sku, title_norm = n.title, vendor_norm = n.vendor, product_type_norm = n.product_type,
    status_norm = n.status, tags_norm = cast(n.tags as text[]), attributes_norm = cast(n.attributes as jsonb)
  from unnest(cast(:ids as uuid[]), cast(:sku as text[]), cast(:title as text[]), cast(:vendor as text[]),
              cast(:product_type as text[]), cast(:status as text[]), cast(:tags as text[]),
              cast(:attributes as text[]))
    as n(id, sku, title, vendor, product_type, status, tags, attributes)
  where p.id = n.id
    and (p.sku_norm, p.title_norm, p.vendor_norm, p.product_type_norm, p.status_norm, p.tags_norm, p.attributes_norm)
      is distinct from (n.sku, n.title, n.vendor, n.product_type, n.status, cast(n.tags as text[]),
                        cast(n.attributes as jsonb))""")


@dataclass(frozen=True, slots=True)
class StoredTexts:
    """The texts of a product as the store gave them; tags and attributes as JSON, numbers as written."""

    product_id: ProductId
    texts: Mapping[str, str | None]
    tags: str
    attributes: str


def list_texts(
    session: Session, connection_id: ConnectionId, *, after: ProductId | None, limit: int
) -> list[StoredTexts]:
    """The products of a connection, gone ones included, in the order of their ids."""
    rows = session.execute(_LIST, {"connection_id": connection_id, "after": after, "limit": limit}).mappings()
    return [StoredTexts(r["id"], {name: r[name] for name in TEXTS}, r["tags"], r["attributes"]) for r in rows]


def replace_texts(session: Session, forms: Mapping[ProductId, Mapping[str, str | None]]) -> int:
    """Set normal forms by product; return how many rows were different."""
    columns: dict[str, Sequence[str | None]] = {
        name: [each[name] for each in forms.values()] for name in (*TEXTS, "tags", "attributes")
    }
    return session.execute(_REPLACE, {"ids": list(forms), **columns}).rowcount


def rename_lists(session: Session, connection_id: ConnectionId, normal_form: Callable[[str], str]) -> None:
    """Set the normal forms of the names of a connection and of its price lists."""
    tables = ((connection, connection.c.id == connection_id), (price_list, price_list.c.connection_id == connection_id))
    for table, belongs in tables:
        named: list[tuple[UUID, str]] = [(r.id, r.name) for r in session.execute(select(table).where(belongs))]
        for row_id, name in named:
            session.execute(update(table).where(table.c.id == row_id).values(name_norm=normal_form(name)))
