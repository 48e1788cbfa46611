"""Scopes: how they are read and listed, what implies what, and that each field of ours needs what Shopify's does."""

from pathlib import Path

import orjson
import pytest
from graphql import GraphQLObjectType, get_named_type

from calibr_sandbox import schema
from calibr_sandbox.scopes import as_listed, parse_scopes, requirement, requirement_of_type, with_implied


def test_scopes_are_read_with_commas_and_blanks() -> None:
    assert parse_scopes("write_products, read_markets+read_markets read_orders") == (
        *("write_products", "read_markets", "read_orders"),
    )
    assert parse_scopes("") == ()


@pytest.mark.parametrize("text", ["products", "read_", "READ_PRODUCTS", "read_products;drop"])
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="scope: "):
        parse_scopes(text)


def test_a_write_scope_stands_for_its_read_scope() -> None:
    assert as_listed(("read_products", "write_products", "read_markets")) == ("read_markets", "write_products")
    assert with_implied(("write_products",)) == {"read_products", "write_products"}


@pytest.mark.parametrize(
    ("owner", "field", "returned", "scopes", "is_met"),
    [
        ("QueryRoot", "products", "ProductConnection", ("read_products",), True),
        ("QueryRoot", "products", "ProductConnection", ("write_products",), True),
        ("QueryRoot", "products", "ProductConnection", ("read_inventory",), False),
        ("ProductVariant", "inventoryItem", "InventoryItem", ("read_inventory",), True),
        ("ProductVariant", "inventoryItem", "InventoryItem", ("read_products",), True),
        ("ProductVariant", "inventoryItem", "InventoryItem", ("read_markets",), False),
        ("QueryRoot", "markets", "MarketConnection", ("read_markets",), True),
        ("QueryRoot", "markets", "MarketConnection", ("write_products",), False),
        ("Mutation", "priceListFixedPricesAdd", "PriceListFixedPricesAddPayload", ("write_products",), True),
        ("Mutation", "priceListFixedPricesAdd", "PriceListFixedPricesAddPayload", ("read_products",), False),
        ("Mutation", "marketCreate", "MarketCreatePayload", ("read_markets",), False),
        ("Mutation", "marketCreate", "MarketCreatePayload", ("write_markets",), True),
        ("Mutation", "companyCreate", "CompanyCreatePayload", ("write_companies",), True),
        ("Mutation", "companyCreate", "CompanyCreatePayload", ("read_companies",), False),
        ("Mutation", "inventoryItemUpdate", "InventoryItemUpdatePayload", ("write_products",), False),
    ],
)
def test_a_field_is_open_to_those_who_have_its_scopes(
    owner: str, field: str, returned: str, scopes: tuple[str, ...], *, is_met: bool
) -> None:
    needed = requirement(owner, field, returned)

    assert needed is not None
    assert needed.is_met_by(with_implied(scopes)) is is_met


def test_bulk_operations_and_the_shop_need_no_scope() -> None:
    assert requirement("QueryRoot", "shop", "Shop") is None
    assert requirement("QueryRoot", "bulkOperations", "BulkOperationConnection") is None
    assert requirement("Mutation", "bulkOperationRunQuery", "BulkOperationRunQueryPayload") is None


def test_every_type_and_field_of_ours_needs_what_shopify_publishes(shared_data: Path) -> None:
    listed = orjson.loads((shared_data / "shopify" / "offline_scopes_2026-10.json").read_bytes())
    theirs = {
        (entry["typeName"], entry.get("fieldName")): entry["requiredAccess"]
        for entry in listed
        if entry["requiredAccess"]
    }

    wrong = []
    for named in schema.build().type_map.values():
        # An error is reached through its mutation only, which has the scope already.
        if not isinstance(named, GraphQLObjectType) or named.name.startswith("__") or named.name.endswith("UserError"):
            continue
        of_type = requirement_of_type(named.name)
        if (of_type.text if of_type else None) != theirs.get((named.name, None)):
            wrong.append(named.name)
        for name, field in named.fields.items():
            published = theirs.get((named.name, name))
            ours = requirement(named.name, name, get_named_type(field.type).name)
            if published is not None and (ours is None or ours.text != published):
                wrong.append(f"{named.name}.{name}")

    assert wrong == []
