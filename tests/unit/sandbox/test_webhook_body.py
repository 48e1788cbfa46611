"""The body of a webhook: what it says, and that Shopify has such fields."""

import json
from pathlib import Path
from typing import Any

import pytest

from calibr_sandbox.catalog_writer import NewProduct, NewVariant, store_products
from calibr_sandbox.ids import FIRST_PRODUCT_ID
from calibr_sandbox.store import Store
from calibr_sandbox.testing import SHIRT
from calibr_sandbox.webhook_body import IN_FULL, product_body

_TYPES = {"integer": int, "string": str, "array": list, "object": dict, "null": type(None), "boolean": bool}


def _compare(value: object, schema: dict[str, Any], path: str) -> list[str]:
    """List what differs from a schema: fields it does not have, values of another type."""
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(type(value) is _TYPES[name] for name in types if name in _TYPES):
        return [f"{path}: {value!r} is not {types}"]
    if isinstance(value, list):
        return [
            found for index, each in enumerate(value) for found in _compare(each, schema["items"], f"{path}[{index}]")
        ]
    if not isinstance(value, dict):
        return []
    known = schema["properties"]
    unknown = [f"{path}.{name}: unknown" for name in value if name not in known]
    return unknown + [
        found
        for name, each in value.items()
        if name in known
        for found in _compare(each, known[name], f"{path}.{name}")
    ]


def test_every_field_is_one_of_shopifys_with_a_value_of_its_type(store: Store, shared_data: Path) -> None:
    schema = json.loads((shared_data / "shopify" / "webhook_schemas" / "products" / "update.json").read_text())
    store_products(store, [SHIRT])
    schema.setdefault("type", "object")

    body = product_body(store, FIRST_PRODUCT_ID)

    assert _compare(body, schema, "$") == []
    assert len(body["variants"]) == 2


def test_of_a_large_product_only_the_first_variants_come_in_full(store: Store) -> None:
    variants = tuple(NewVariant((str(number),), "1.00") for number in range(IN_FULL + 20))
    store_products(store, [NewProduct("Big", "big", "", "", (), ("Size",), variants, 1_767_225_601)])

    body = product_body(store, FIRST_PRODUCT_ID)

    assert [variant["position"] for variant in body["variants"]] == list(range(1, IN_FULL + 1))
    assert len({each["admin_graphql_api_id"] for each in body["variant_gids"]}) == IN_FULL + 20


def test_a_product_that_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(LookupError, match="no product 5"):
        product_body(store, 5)
