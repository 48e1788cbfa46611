"""`inventoryItemUpdate`: the unit cost and what else an inventory item has; commit before answering."""

from typing import Any, Final

from calibr_sandbox.catalog import find_variant
from calibr_sandbox.context import Info
from calibr_sandbox.errors import AccessDeniedError
from calibr_sandbox.ids import INVENTORY_ITEM_SHIFT
from calibr_sandbox.money import UPPER_BOUND
from calibr_sandbox.queries import number_of
from calibr_sandbox.rows import InventoryItemRow
from calibr_sandbox.variant_rules import Entry, apply_entry
from calibr_sandbox.variant_writes import write_variants

_MISSING: Final = {"field": ["id"], "message": "The product couldn't be updated because it does not exist."}


def resolve_inventory_item_update(
    _root: object,
    info: Info,
    id: str,  # noqa: A002 - the argument's name in the schema
    input: Entry,  # noqa: A002
) -> dict[str, Any]:
    """Change an inventory item, or say why not."""
    if "write_inventory" not in info.context.shop.config.scopes:
        raise AccessDeniedError("inventoryItemUpdate", "write_inventory")
    store, number = info.context.store, number_of(id, "InventoryItem") - INVENTORY_ITEM_SHIFT
    with store.transaction() as connection:
        variant = find_variant(store, number)
        if variant is None:
            return {"inventoryItem": None, "userErrors": [_MISSING]}
        refusal = _refusal(input)
        if refusal is not None:
            error = {"field": ["input", "cost"], "message": refusal}
            return {"inventoryItem": InventoryItemRow(variant), "userErrors": [error]}
        row = apply_entry(variant, {"inventoryItem": input}, store.currency)
        (stored,) = write_variants(connection, [row], {row.id: variant}, info.context.writer)
    info.context.announce([stored.product_id])
    return {"inventoryItem": InventoryItemRow(stored), "userErrors": []}


def _refusal(entry: Entry) -> str | None:
    cost = entry.get("cost")
    if cost is None:
        return None
    if cost < 0:
        return "Cost per item must be greater than or equal to 0"
    return f"Cost per item must be less than {UPPER_BOUND}" if cost >= UPPER_BOUND else None
