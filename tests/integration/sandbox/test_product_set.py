"""`productSet` makes a product what it says: variants come, change and go, with their prices."""

from typing import Any

import pytest
from market_shop import BLUE, RED, SHIRT, Markets

from calibr_sandbox.testing import StartedSandbox

SET = """mutation($input: ProductSetInput!, $by: ProductSetIdentifiers) { productSet(input: $input, identifier: $by) {
  product { id title handle options { name values } variants(first: 9) {
    nodes { id title price compareAtPrice sku position inventoryQuantity } } }
  userErrors { field code message } } }"""
COLORS = [{"name": "Color", "values": [{"name": "Red"}, {"name": "Blue"}]}]


def _variant(value: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"optionValues": [{"optionName": "Color", "name": value}], **more}


def _variants(payload: dict[str, Any]) -> list[tuple[str, str, int]]:
    assert payload["userErrors"] == []
    return [(each["title"], each["price"], each["position"]) for each in payload["product"]["variants"]["nodes"]]


def test_a_new_product_is_made_with_its_variants(api: Markets, shop: StartedSandbox) -> None:
    level = {"locationId": "gid://shopify/Location/1", "name": "available", "quantity": 5}
    rows = [
        _variant("Blue", price="3", sku="B", inventoryQuantities=[level]),
        _variant("Red", price="4", compareAtPrice="6"),
    ]
    made = api.call(SET, input={"title": "Lamp", "productOptions": COLORS, "variants": rows})

    assert _variants(made) == [("Blue", "3.00", 1), ("Red", "4.00", 2)]
    assert made["product"]["options"] == [{"name": "Color", "values": ["Red", "Blue"]}]
    blue, red = made["product"]["variants"]["nodes"]
    assert (blue["sku"], blue["inventoryQuantity"], red["compareAtPrice"]) == ("B", 5, "6.00")
    writes = shop.client.request("GET", "/sandbox/journal").body["writes"]
    assert [(entry["price_before"], entry["price"]) for entry in writes] == [(None, "3.00"), (None, "4.00")]


def test_variants_are_kept_by_id_or_by_what_they_choose_and_the_others_are_gone(
    api: Markets, shop: StartedSandbox
) -> None:
    europe = api.price_list("Europe", "EUR")
    for variant in (RED, BLUE):
        api.fix(europe, {"variantId": variant, "price": {"amount": "3", "currencyCode": "EUR"}})
    rows = [_variant("Crimson", id=RED, price="12.5"), _variant("Green", price="2")]
    options = [{"name": "Color", "values": [{"name": "Crimson"}, {"name": "Green"}]}]
    changed = api.call(SET, by={"id": SHIRT}, input={"productOptions": options, "variants": rows})

    assert _variants(changed) == [("Crimson", "12.50", 1), ("Green", "2.00", 2)]
    first = changed["product"]["variants"]["nodes"][0]["id"]
    assert first == RED
    assert api.call("query($id: ID!) { priceList(id: $id) { fixedPricesCount } }", id=europe) == {"fixedPricesCount": 1}
    again = api.call(
        SET, by={"id": SHIRT}, input={"productOptions": options, "variants": [_variant("Crimson", price="9")]}
    )
    assert [(each["id"], each["price"]) for each in again["product"]["variants"]["nodes"]] == [(RED, "9.00")]
    writes = [
        entry for entry in shop.client.request("GET", "/sandbox/journal").body["writes"] if not entry["price_list_id"]
    ]
    assert [(entry["price_before"], entry["price"]) for entry in writes] == [
        (None, "2.00"),
        ("10.00", "12.50"),
        ("12.50", "9.00"),
    ]


def test_a_removed_variant_takes_its_fixed_price_along(api: Markets) -> None:
    europe = api.price_list("Europe", "EUR")
    api.fix(europe, {"variantId": BLUE, "price": {"amount": "3", "currencyCode": "EUR"}})
    remove = """mutation($id: ID!, $ids: [ID!]!) { productVariantsBulkDelete(productId: $id, variantsIds: $ids) {
      userErrors { message } } }"""

    assert api.call(remove, id=SHIRT, ids=[BLUE]) == {"userErrors": []}
    assert api.call("query($id: ID!) { priceList(id: $id) { fixedPricesCount } }", id=europe) == {"fixedPricesCount": 0}


def test_without_variants_they_stay_and_a_handle_names_or_makes(api: Markets) -> None:
    renamed = api.call(SET, by={"handle": "mug"}, input={"title": "Cup"})
    made = api.call(SET, by={"handle": "lamp-shade"}, input={"title": "Lamp"})
    by_id = api.call(SET, input={"id": made["product"]["id"], "title": "Torch"})

    assert (renamed["product"]["title"], _variants(renamed)) == ("Cup", [("Default Title", "7.50", 1)])
    assert (made["product"]["handle"], _variants(made)) == ("lamp-shade", [("Default Title", "0.00", 1)])
    assert (by_id["product"]["title"], by_id["product"]["handle"]) == ("Torch", "lamp-shade")


@pytest.mark.parametrize(
    ("given", "by", "field", "code"),
    [
        ({}, None, ["input", "title"], "INVALID_PRODUCT"),
        ({"title": "A", "handle": "mug"}, None, ["input", "handle"], "HANDLE_NOT_UNIQUE"),
        ({"title": "A", "variants": [_variant("Red")]}, None, ["input", "variants"], "PRODUCT_OPTIONS_INPUT_MISSING"),
        ({"title": "A", "productOptions": COLORS}, None, ["input", "productOptions"], "VARIANTS_INPUT_MISSING"),
        ({"id": "gid://shopify/Product/1"}, None, ["input", "id"], "PRODUCT_DOES_NOT_EXIST"),
        ({}, {"id": "gid://shopify/Product/1"}, ["identifier", "id"], "PRODUCT_DOES_NOT_EXIST"),
        ({"id": SHIRT}, {"id": SHIRT}, ["input", "id"], "ID_NOT_ALLOWED"),
        ({"variants": [_variant("Green")]}, {"id": SHIRT}, ["input", "variants", "0"], "OPTION_VALUE_DOES_NOT_EXIST"),
        (
            {"variants": [_variant("Red", price="-1")]},
            {"id": SHIRT},
            ["input", "variants", "0", "price"],
            "INVALID_VARIANT",
        ),
        (
            {"variants": [_variant("Red"), _variant("Red")]},
            {"id": SHIRT},
            ["input", "variants", "1"],
            "DUPLICATED_VALUE",
        ),
        (
            {"variants": [_variant("Red", id="gid://shopify/ProductVariant/1")]},
            {"id": SHIRT},
            ["input", "variants", "0", "id"],
            "PRODUCT_VARIANT_DOES_NOT_EXIST",
        ),
    ],
)
def test_a_bad_input_changes_nothing(
    api: Markets, shop: StartedSandbox, given: dict[str, Any], by: dict[str, str] | None, field: list[str], code: str
) -> None:
    if by and "variants" in given:
        given = given | {"productOptions": COLORS}
    refused = api.call(SET, input=given, by=by)

    (error,) = refused["userErrors"]
    assert (error["field"][: len(field)], error["code"]) == (field, code)
    assert shop.client.request("GET", "/sandbox/journal").body["writes"] == []
    assert api.call("{ productsCount { count } }") == {"count": 2}


def test_its_cost_grows_with_the_variants(shop: StartedSandbox) -> None:
    rows = [_variant("Red"), *[_variant("Blue")] * 9]
    plain = "mutation($input: ProductSetInput!) { productSet(input: $input) { userErrors { code } } }"
    sent = shop.client.graphql(plain, {"input": {"title": "Lamp", "productOptions": COLORS, "variants": rows}})
    literal = """mutation { productSet(input: {title: "Lamp", variants: [
      {optionValues: []}, {optionValues: []}, {optionValues: []}, {optionValues: []}, {optionValues: []}]}) {
      userErrors { code } } }"""

    assert sent.body["extensions"]["cost"]["requestedQueryCost"] == 12
    assert shop.client.graphql(literal).body["extensions"]["cost"]["requestedQueryCost"] == 11
