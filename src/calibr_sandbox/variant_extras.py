"""The fields of a variant that are no price: kept as they were sent, shown with Shopify's defaults.

They stand as JSON in one column, by their names in the API; those of the inventory item under `inventoryItem`.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from calibr_sandbox.ids import INVENTORY_ITEM_SHIFT, gid
from calibr_sandbox.rows import InventoryItemRow, VariantRow

Json = dict[str, Any]

VARIANT_DEFAULTS: Final[Json] = {
    "taxable": True,
    "taxCode": None,
    "requiresComponents": False,
    "showUnitPrice": False,
    "unitPriceMeasurement": None,
    "inventoryPolicy": "DENY",
    "inventoryQuantity": 0,
}
ITEM_DEFAULTS: Final[Json] = {
    "tracked": False,
    "requiresShipping": True,
    "countryCodeOfOrigin": None,
    "provinceCodeOfOrigin": None,
    "harmonizedSystemCode": None,
}
_NO_WEIGHT: Final[Json] = {"value": 0.0, "unit": "KILOGRAMS"}
_NAMESPACE: Final = "custom"
_ITEM: Final = "inventoryItem"


@lru_cache(maxsize=4096)
def read_extra(text: str) -> Json:
    """Parse the column. Do not change what comes back: it is shared."""
    parsed: Json = orjson.loads(text)
    return parsed


def variant_reader(name: str) -> Callable[[VariantRow, object], Any]:
    """Return what reads a field of a variant."""
    return lambda row, _shop: _or_default(read_extra(row.extra), name, VARIANT_DEFAULTS)


def quantity_of(row: VariantRow) -> int:
    """How many of a variant are in stock; fewer than none when more were sold."""
    return int(_or_default(read_extra(row.extra), "inventoryQuantity", VARIANT_DEFAULTS))


def item_reader(name: str) -> Callable[[InventoryItemRow, object], Any]:
    """Return what reads a field of an inventory item."""
    return lambda row, _shop: _or_default(read_extra(row.variant.extra).get(_ITEM) or {}, name, ITEM_DEFAULTS)


def measurement(row: InventoryItemRow, _shop: object) -> Json:
    """Return the measurement of an inventory item: it always has one, of no weight at first."""
    stored = (read_extra(row.variant.extra).get(_ITEM) or {}).get("measurement") or {}
    number = row.variant.id + INVENTORY_ITEM_SHIFT
    return {"id": gid("InventoryItemMeasurement", number), "weight": stored.get("weight") or _NO_WEIGHT}


def find_metafield(row: VariantRow, namespace: str | None, key: str) -> Json | None:
    """Return a metafield of a variant, or None."""
    place = (namespace or _NAMESPACE, key)
    return next((field for field in list_metafields(row) if (field["namespace"], field["key"]) == place), None)


def list_metafields(row: VariantRow) -> list[Json]:
    """Return the metafields of a variant."""
    stored = read_extra(row.extra).get("metafields") or {}
    return [_shown(row, field) for field in stored.get("nodes", [])]


def changed_extra(text: str, entry: Mapping[str, Any]) -> str:
    """Return the column after an entry of a write: an absent field stays as it is."""
    known, sent_item = read_extra(text), entry.get(_ITEM) or {}
    changes = {name: entry[name] for name in VARIANT_DEFAULTS if name in entry}
    item = {name: sent_item[name] for name in (*ITEM_DEFAULTS, "measurement") if name in sent_item}
    if isinstance(item.get("harmonizedSystemCode"), str):
        item["harmonizedSystemCode"] = item["harmonizedSystemCode"].replace(".", "")
    if entry.get("inventoryQuantities"):
        # Stock is counted without locations here.
        changes["inventoryQuantity"] = sum(level["availableQuantity"] for level in entry["inventoryQuantities"])
    if item:
        changes[_ITEM] = {**(known.get(_ITEM) or {}), **item}
    if entry.get("metafields"):
        changes["metafields"] = {"nodes": _with_metafields(known, entry["metafields"])}
    return text if not changes else orjson.dumps({**known, **changes}).decode()


def _with_metafields(known: Json, sent: list[Json]) -> list[Json]:
    fields = {(f.get("namespace"), f.get("key")): f for f in (known.get("metafields") or {}).get("nodes", [])}
    for field in sent:
        place = (field.get("namespace") or _NAMESPACE, field.get("key"))
        fields[place] = {**fields.get(place, {}), **field, "namespace": place[0]}
    return list(fields.values())


def _shown(row: VariantRow, field: Json) -> Json:
    value = field.get("value", field.get("jsonValue", ""))
    place = f"{row.id}/{field['namespace']}/{field['key']}"
    number = int.from_bytes(hashlib.sha256(place.encode()).digest()[:5])
    return {
        "id": field.get("id") or gid("Metafield", number),
        "namespace": field["namespace"],
        "key": field["key"],
        "type": field.get("type") or "single_line_text_field",
        "value": value if isinstance(value, str) else orjson.dumps(value).decode(),
        "jsonValue": field.get("jsonValue", value),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _or_default(stored: Json, name: str, defaults: Json) -> Any:  # noqa: ANN401 - any JSON
    value = stored.get(name)
    return defaults[name] if value is None else value
