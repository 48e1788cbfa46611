"""The orders in which variants are listed: each ends in the id, so that no two variants share a place."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from calibr_sandbox.catalog import Key
from calibr_sandbox.connections import by_id, by_position
from calibr_sandbox.rows import VariantRow
from calibr_sandbox.variant_extras import quantity_of


@dataclass(frozen=True, slots=True)
class VariantOrder:
    """What variants are sorted by: in SQL over `v` and `p`, and as the place of a row. Both must agree."""

    columns: tuple[str, ...]
    key: Callable[[VariantRow], Key]
    is_text: bool = False


BY_ID: Final = VariantOrder(("v.id",), by_id)
_FULL: Final = VariantOrder(
    ("p.title || ' - ' || v.title", "v.id"), lambda row: (f"{row.product_title} - {row.title}", row.id), is_text=True
)
VARIANT_ORDERS: Final = {
    "ID": BY_ID,
    "POSITION": VariantOrder(("v.position", "v.id"), by_position),
    "TITLE": VariantOrder(("v.title", "v.id"), lambda row: (row.title, row.id), is_text=True),
    "SKU": VariantOrder(("coalesce(v.sku, '')", "v.id"), lambda row: (row.sku or "", row.id), is_text=True),
    "FULL_TITLE": _FULL,
    "NAME": _FULL,
    "INVENTORY_QUANTITY": VariantOrder(
        ("coalesce(json_extract(v.extra, '$.inventoryQuantity'), 0)", "v.id"), lambda row: (quantity_of(row), row.id)
    ),
}
