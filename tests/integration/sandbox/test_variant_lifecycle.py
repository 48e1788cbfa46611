"""Variants are made and removed whole, and what is no price survives a price change."""

from typing import Any

import pytest

from calibr_sandbox.catalog_writer import NewProduct, NewVariant
from calibr_sandbox.testing import SHIRT, StartedSandbox, Starter

SHIRT_ID, MUG_ID = "gid://shopify/Product/8100000000001", "gid://shopify/Product/8100000000002"
RED, BLUE, CUP = (f"gid://shopify/ProductVariant/4510000000000{number}" for number in (1, 2, 3))
VARIANT = "id title sku price compareAtPrice position taxable selectedOptions { name value }"
ITEM = "id tracked sku unitCost { amount } measurement { weight { value } }"
CREATE = f"""mutation($id: ID!, $rows: [ProductVariantsBulkInput!]!, $strategy: ProductVariantsBulkCreateStrategy) {{
  productVariantsBulkCreate(productId: $id, variants: $rows, strategy: $strategy) {{
    product {{ id options {{ name values }} variants(first: 9) {{ nodes {{ title position }} }} }}
    productVariants {{ {VARIANT} inventoryItem {{ {ITEM} }} }}
    userErrors {{ field message code }} }} }}"""
DELETE = """mutation($id: ID!, $ids: [ID!]!) { productVariantsBulkDelete(productId: $id, variantsIds: $ids) {
  product { options { name values } variants(first: 9) { nodes { title position } } }
  userErrors { field message code } } }"""


def create(sandbox: StartedSandbox, *rows: dict[str, Any], product: str = SHIRT_ID, **more: object) -> dict[str, Any]:
    answer = sandbox.client.graphql(CREATE, {"id": product, "rows": list(rows)} | more)
    payload: dict[str, Any] = answer.data["productVariantsBulkCreate"]
    return payload


def delete(sandbox: StartedSandbox, *ids: str, product: str = SHIRT_ID) -> dict[str, Any]:
    payload: dict[str, Any] = sandbox.client.graphql(DELETE, {"id": product, "ids": list(ids)}).data[
        "productVariantsBulkDelete"
    ]
    return payload


def choice(color: str, size: str) -> list[dict[str, str]]:
    return [{"optionName": "Color", "name": color}, {"optionName": "Size", "name": size}]


def test_a_new_variant_has_what_was_sent_and_the_product_shows_it(sandbox: StartedSandbox) -> None:
    item = {"sku": "G-S", "tracked": True, "cost": "3", "measurement": {"weight": {"value": 0.5, "unit": "POUNDS"}}}
    row = {"optionValues": choice("Green", "Small"), "price": "9", "taxable": False, "inventoryItem": item}

    made = create(sandbox, row)

    assert made["userErrors"] == []
    (variant,) = made["productVariants"]
    assert variant | {"id": "", "inventoryItem": {}} == {
        "id": "", "title": "Green / Small", "sku": "G-S", "price": "9.00", "compareAtPrice": None, "position": 3,
        "taxable": False, "inventoryItem": {},
        "selectedOptions": [{"name": "Color", "value": "Green"}, {"name": "Size", "value": "Small"}],
    }  # fmt: skip
    assert variant["inventoryItem"]["tracked"] is True
    assert variant["inventoryItem"]["unitCost"] == {"amount": "3.0"}
    assert variant["inventoryItem"]["measurement"] == {"weight": {"value": 0.5}}
    assert [option["values"] for option in made["product"]["options"]] == [["Red", "Blue", "Green"], ["Small", "Large"]]
    (entry,) = sandbox.client.request("GET", "/sandbox/journal").body["writes"]
    assert (entry["price_before"], entry["price"], entry["effective"]) == (None, "9.00", 1)


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"optionValues": choice("Red", "Small")}, (["variants", "1"], "VARIANT_ALREADY_EXISTS")),
        ({"optionValues": choice("Red", "Small")[:1]}, (["variants", "1"], "NEED_TO_ADD_OPTION_VALUES")),
        (
            {"optionValues": [{"optionName": "Shape", "name": "x"}]},
            (["variants", "1", "optionValues", "0"], "OPTION_VALUES_FOR_NUMBER_OF_UNKNOWN_OPTIONS"),
        ),
        (
            {"optionValues": choice("Red", "Tiny"), "price": "-1"},
            (["variants", "1", "price"], "GREATER_THAN_OR_EQUAL_TO"),
        ),
    ],
)
def test_one_bad_row_stops_all(sandbox: StartedSandbox, row: dict[str, Any], error: tuple[list[str], str]) -> None:
    refused = create(sandbox, {"optionValues": choice("Green", "Small")}, row)

    assert [(told["field"], told["code"]) for told in refused["userErrors"]] == [error]
    assert refused["productVariants"] == []
    assert len(refused["product"]["variants"]["nodes"]) == 2
    assert sandbox.client.request("GET", "/sandbox/journal").body["writes"] == []


@pytest.mark.parametrize(
    ("strategy", "titles"),
    [
        (None, ["Big"]),
        ("REMOVE_STANDALONE_VARIANT", ["Big"]),
        ("PRESERVE_STANDALONE_VARIANT", ["Default Title", "Big"]),
    ],
)
def test_the_default_variant_makes_room_unless_it_is_to_be_kept(
    sandbox: StartedSandbox, strategy: str | None, titles: list[str]
) -> None:
    more = {} if strategy is None else {"strategy": strategy}
    row = {"optionValues": [{"optionName": "Title", "name": "Big"}], "price": "8"}

    made = create(sandbox, row, product=MUG_ID, **more)

    assert [node["title"] for node in made["product"]["variants"]["nodes"]] == titles
    assert [node["position"] for node in made["product"]["variants"]["nodes"]] == list(range(1, len(titles) + 1))


def test_the_only_variant_of_an_option_stays_by_default(start: Starter) -> None:
    only = NewProduct("Hat", "hat", "", "", (), ("Color",), (NewVariant(("Red",), "5.00"),), 1)
    sandbox = start(products=(only,))

    made = create(sandbox, {"optionValues": [{"optionName": "Color", "name": "Blue"}]})

    assert [node["title"] for node in made["product"]["variants"]["nodes"]] == ["Red", "Blue"]
    assert made["productVariants"][0]["price"] == "0.00"


def test_removing_closes_the_gap_and_forgets_unused_values(sandbox: StartedSandbox) -> None:
    left = delete(sandbox, RED)

    assert left["userErrors"] == []
    assert left["product"]["variants"]["nodes"] == [{"title": "Blue / Large", "position": 1}]
    assert [option["values"] for option in left["product"]["options"]] == [["Blue"], ["Large"]]


@pytest.mark.parametrize(
    ("ids", "product", "field", "code"),
    [
        ([RED, CUP], SHIRT_ID, ["variantsIds", "1"], "AT_LEAST_ONE_VARIANT_DOES_NOT_BELONG_TO_THE_PRODUCT"),
        ([RED, BLUE], SHIRT_ID, ["variantsIds"], "CANNOT_DELETE_LAST_VARIANT"),
        ([RED], "gid://shopify/Product/1", ["productId"], "PRODUCT_DOES_NOT_EXIST"),
    ],
)
def test_what_cannot_be_removed_stays(
    sandbox: StartedSandbox, ids: list[str], product: str, field: list[str], code: str
) -> None:
    refused = delete(sandbox, *ids, product=product)

    assert [(told["field"], told["code"]) for told in refused["userErrors"]] == [(field, code)]
    assert sandbox.shop.store.fetch_value("SELECT count(*) FROM variant") == 3


def test_a_price_change_leaves_everything_else_alone(start: Starter) -> None:
    extra = {
        "taxable": False,
        "inventoryQuantity": 4,
        "inventoryItem": {"tracked": True, "countryCodeOfOrigin": "US"},
        "metafields": {"nodes": [{"namespace": "specs", "key": "tier", "type": "json", "value": "[1]"}]},
    }
    only = NewProduct("Hat", "hat", "", "", (), ("Color",), (NewVariant(("Red",), "5.00", extra=extra),), 1)
    sandbox = start(products=(only,))
    update = """mutation($id: ID!, $rows: [ProductVariantsBulkInput!]!) { productVariantsBulkUpdate(productId: $id,
      variants: $rows) { userErrors { message } product { totalInventory tracksInventory }
      productVariants { price taxable taxCode inventoryPolicy inventoryQuantity
        metafield(namespace: "specs", key: "tier") { value }
        inventoryItem { tracked countryCodeOfOrigin harmonizedSystemCode } } } }"""
    rows = [{"id": RED, "price": "6", "inventoryItem": {"harmonizedSystemCode": "1234.56"}}]

    payload = sandbox.client.graphql(update, {"id": SHIRT_ID, "rows": rows}).data["productVariantsBulkUpdate"]

    assert payload["userErrors"] == []
    assert payload["product"] == {"totalInventory": 4, "tracksInventory": True}
    assert payload["productVariants"] == [
        {
            "price": "6.00",
            "taxable": False,
            "taxCode": None,
            "inventoryPolicy": "DENY",
            "inventoryQuantity": 4,
            "metafield": {"value": "[1]"},
            "inventoryItem": {"tracked": True, "countryCodeOfOrigin": "US", "harmonizedSystemCode": "123456"},
        }
    ]


def test_a_variant_chooses_anew_and_the_options_follow(sandbox: StartedSandbox) -> None:
    update = """mutation($rows: [ProductVariantsBulkInput!]!) { productVariantsBulkUpdate(
      productId: "gid://shopify/Product/8100000000001", variants: $rows) { userErrors { field code }
      product { options { values optionValues { id name hasVariants } } } productVariants { title } } }"""
    rows = [{"id": RED, "optionValues": [{"optionName": "Color", "name": "Pink"}], "price": "1"}]

    payload = sandbox.client.graphql(update, {"rows": rows}).data["productVariantsBulkUpdate"]

    assert payload["userErrors"] == []
    assert payload["productVariants"] == [{"title": "Pink / Small"}]
    assert payload["product"]["options"][0]["values"] == ["Blue", "Pink"]
    by_id = payload["product"]["options"][0]["optionValues"][0]
    assert by_id | {"id": ""} == {"id": "", "name": "Blue", "hasVariants": True}
    twin = [{"id": RED, "optionValues": [{"id": by_id["id"]}, {"optionName": "Size", "name": "Large"}]}]
    refused = sandbox.client.graphql(update, {"rows": twin}).data["productVariantsBulkUpdate"]
    assert refused["userErrors"] == [{"field": ["variants", "0"], "code": "VARIANT_ALREADY_EXISTS"}]


def test_a_price_of_null_is_told_under_the_codes_of_each_mutation(sandbox: StartedSandbox) -> None:
    update = """mutation { productVariantsBulkUpdate(productId: "gid://shopify/Product/8100000000001",
      variants: [{id: "gid://shopify/ProductVariant/45100000000001", price: null}]) { userErrors { code } } }"""

    made = create(sandbox, {"optionValues": choice("Green", "Small"), "price": None})

    assert [told["code"] for told in made["userErrors"]] == ["INVALID"]
    assert sandbox.client.graphql(update).data["productVariantsBulkUpdate"]["userErrors"] == [{"code": "BLANK"}]


def test_products_are_listed_by_their_last_change_and_by_text(start: Starter) -> None:
    def product(title: str, updated_at: int) -> NewProduct:
        return NewProduct(title, title.lower(), "", "", (), ("Title",), SHIRT.variants[:1], 1, updated_at=updated_at)

    sandbox = start(products=(product("B", 30), product("A", 30), product("C", 10)))
    query = """query($key: ProductSortKeys, $reverse: Boolean, $after: String) {
      products(first: 2, sortKey: $key, reverse: $reverse, after: $after) {
        nodes { title } pageInfo { endCursor hasNextPage } } }"""

    def titles(key: str, *, reverse: bool) -> list[str]:
        found: list[str] = []
        after = None
        while True:
            page = sandbox.client.graphql(query, {"key": key, "reverse": reverse, "after": after}).data["products"]
            found += [node["title"] for node in page["nodes"]]
            if not page["pageInfo"]["hasNextPage"]:
                return found
            after = page["pageInfo"]["endCursor"]

    assert titles("UPDATED_AT", reverse=True) == ["A", "B", "C"]
    assert titles("UPDATED_AT", reverse=False) == ["C", "B", "A"]
    assert titles("TITLE", reverse=False) == ["A", "B", "C"]
    assert titles("ID", reverse=True) == ["C", "A", "B"]


INVENTORY = """mutation($id: ID!, $input: InventoryItemInput!) { inventoryItemUpdate(id: $id, input: $input) {
  inventoryItem { sku tracked unitCost { amount } } userErrors { field message } } }"""
ITEM_ID = "gid://shopify/InventoryItem/47100000000002"


def test_an_inventory_item_takes_a_cost_with_the_scope_for_it(start: Starter) -> None:
    sandbox = start(scopes=("read_products", "write_inventory"))

    def update(**values: object) -> dict[str, Any]:
        answer = sandbox.client.graphql(INVENTORY, {"id": ITEM_ID, "input": values})
        payload: dict[str, Any] = answer.data["inventoryItemUpdate"]
        return payload

    assert update(cost="5", tracked=True) == {
        "inventoryItem": {"sku": "BLUE", "tracked": True, "unitCost": {"amount": "5.0"}},
        "userErrors": [],
    }
    assert update(cost=None)["inventoryItem"]["unitCost"] is None
    assert update(cost="-1")["userErrors"] == [
        {"field": ["input", "cost"], "message": "Cost per item must be greater than or equal to 0"}
    ]
    costs = [entry["cost"] for entry in sandbox.client.request("GET", "/sandbox/journal").body["writes"]]
    assert costs == ["5.00", None]


def test_an_inventory_item_needs_the_scope_and_must_exist(sandbox: StartedSandbox, start: Starter) -> None:
    asked = {"id": ITEM_ID, "input": {"cost": "5"}}
    assert sandbox.client.graphql(INVENTORY, asked).body["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"

    allowed = start(scopes=("write_inventory",), products=())
    answer = allowed.client.graphql(INVENTORY, asked | {"id": "gid://shopify/InventoryItem/47100000000009"})

    assert [error["field"] for error in answer.data["inventoryItemUpdate"]["userErrors"]] == [["id"]]


def test_new_variants_come_with_their_stock_and_old_ones_do_not_take_it(sandbox: StartedSandbox) -> None:
    levels = [{"locationId": f"gid://shopify/Location/{place}", "availableQuantity": 4} for place in (1, 2)]
    made = create(
        sandbox,
        {"optionValues": choice("Green", "Small"), "inventoryItem": {"tracked": True}, "inventoryQuantities": levels},
    )
    number = made["productVariants"][0]["id"]
    stock = "query($id: ID!) { productVariant(id: $id) { inventoryQuantity product { totalInventory } } }"
    update = """mutation($id: ID!, $rows: [ProductVariantsBulkInput!]!) {
      productVariantsBulkUpdate(productId: $id, variants: $rows) { userErrors { field code message } } }"""
    rows = [{"id": number, "price": "3", "inventoryQuantities": levels}]
    refused = sandbox.client.graphql(update, {"id": SHIRT_ID, "rows": rows}).data["productVariantsBulkUpdate"]

    found = sandbox.client.graphql(stock, {"id": number}).data["productVariant"]
    assert found == {"inventoryQuantity": 8, "product": {"totalInventory": 8}}
    assert refused["userErrors"] == [
        {
            "field": ["variants", "0", "inventoryQuantities"],
            "code": "NO_INVENTORY_QUANTITIES_ON_VARIANTS_UPDATE",
            "message": "Inventory quantities can only be provided during create. To update inventory for existing"
            " variants, use inventoryAdjustQuantities.",
        }
    ]


def test_a_variant_shows_its_unit_price_its_choices_and_who_shares_its_sku(sandbox: StartedSandbox) -> None:
    measurement = {"quantityValue": 250.0, "quantityUnit": "G", "referenceValue": 1, "referenceUnit": "KG"}
    row = {
        "optionValues": choice("Green", "Small"), "price": "3", "inventoryItem": {"sku": "BLUE"},
        "unitPriceMeasurement": measurement,
    }  # fmt: skip
    (made,) = create(sandbox, row)["productVariants"]
    query = """query($id: ID!) { productVariant(id: $id) {
      unitPrice { amount } unitPriceMeasurement { measuredType } inventoryItem { duplicateSkuCount }
      contextualPricing(context: {country: US}) { unitPrice { amount currencyCode } }
      selectedOptions { name optionValue { id name hasVariants } }
      product { totalVariants options { optionValues { id name } } } } }"""
    found = sandbox.client.graphql(query, {"id": made["id"]}).data["productVariant"]
    values = {
        (value["name"], value["id"]) for option in found["product"]["options"] for value in option["optionValues"]
    }
    chosen = [option["optionValue"] for option in found["selectedOptions"]]

    assert (found["unitPrice"], found["unitPriceMeasurement"]) == ({"amount": "12.0"}, {"measuredType": "WEIGHT"})
    assert found["contextualPricing"]["unitPrice"] == {"amount": "12.0", "currencyCode": "USD"}
    assert (found["inventoryItem"]["duplicateSkuCount"], found["product"]["totalVariants"]) == (1, 3)
    assert [(value["name"], value["hasVariants"]) for value in chosen] == [("Green", True), ("Small", True)]
    assert {(value["name"], value["id"]) for value in chosen} <= values
