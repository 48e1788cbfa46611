"""Products are made, changed and deleted over the API, with what that does to their prices."""

import json
from typing import Any

import pytest
from market_shop import RED, SHIRT, Markets
from webhook_receiver import await_that, receiving

from calibr_sandbox.testing import StartedSandbox

SHOWN = """id title handle vendor productType status tags descriptionHtml description seo { title description }
  options { name position values optionValues { name hasVariants } } hasOnlyDefaultVariant
  collections(first: 5) { nodes { handle } } metafield(namespace: "custom", key: "material") { type value }
  variants(first: 9) { nodes { id title price compareAtPrice position selectedOptions { name value } } }"""
CREATE = f"""mutation($product: ProductCreateInput, $media: [CreateMediaInput!]) {{
  productCreate(product: $product, media: $media) {{
    product {{ {SHOWN} }} shop {{ currencyCode }} userErrors {{ field message }} }} }}"""
UPDATE = f"""mutation($product: ProductUpdateInput, $by: ProductUpdateIdentifiers) {{
  productUpdate(product: $product, identifier: $by) {{ product {{ {SHOWN} }} userErrors {{ field message }} }} }}"""
DELETE = """mutation($id: ID!) { productDelete(input: {id: $id}) {
  deletedProductId shop { currencyCode } userErrors { field message } } }"""
VARIANTS = """mutation($id: ID!, $rows: [ProductVariantsBulkInput!]!) {
  productVariantsBulkCreate(productId: $id, variants: $rows) {
    product { options { values optionValues { id name hasVariants } } } userErrors { message } } }"""
NAMED = [
    {"name": "Size", "values": [{"name": "S"}, {"name": "M"}]},
    {"name": "Color", "values": [{"name": "Red"}]},
]


def _made(api: Markets, **given: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    payload = api.call(CREATE, product={"title": "Lamp", **given})
    assert payload["userErrors"] == []
    return dict(payload["product"])


def test_a_new_product_has_one_variant_without_a_price(api: Markets, shop: StartedSandbox) -> None:
    made = _made(api)
    (variant,) = made.pop("variants")["nodes"]

    assert variant | {"id": ""} == {
        "id": "", "title": "Default Title", "price": "0.00", "compareAtPrice": None, "position": 1,
        "selectedOptions": [{"name": "Title", "value": "Default Title"}],
    }  # fmt: skip
    assert (made["handle"], made["status"], made["tags"], made["hasOnlyDefaultVariant"]) == ("lamp", "ACTIVE", [], True)
    assert made["vendor"] == shop.client.graphql("{ shop { name } }").data["shop"]["name"]
    assert api.call("query($id: ID!) { product(id: $id) { id } }", id=made["id"]) == {"id": made["id"]}
    (entry,) = shop.client.request("GET", "/sandbox/journal").body["writes"]
    assert (entry["price_before"], entry["price"], entry["source"]) == (None, "0.00", "api")


def test_a_new_product_shows_what_was_sent(api: Markets, shop: StartedSandbox) -> None:
    shop.client.request("POST", "/sandbox/collections", {"handle": "outlet", "title": "Outlet"})
    outlet = api.call('{ collectionByHandle(handle: "outlet") { id } }')["id"]
    made = _made(
        api,
        handle="Big Lämp!",
        vendor="Acme",
        productType="Light",
        status="DRAFT",
        tags=["new, Sale", "sale"],
        descriptionHtml="<p>Warm &amp; bright</p>",
        seo={"title": "A lamp"},
        collectionsToJoin=[outlet],
        metafields=[{"namespace": "custom", "key": "material", "type": "number_integer", "value": "7"}],
    )

    assert (made["handle"], made["vendor"], made["productType"]) == ("big-lamp", "Acme", "Light")
    assert (made["status"], made["tags"]) == ("DRAFT", ["new", "Sale"])
    assert (made["descriptionHtml"], made["description"]) == ("<p>Warm &amp; bright</p>", "Warm & bright")
    assert made["seo"] == {"title": "A lamp", "description": None}
    assert made["collections"]["nodes"] == [{"handle": "outlet"}]
    assert made["metafield"] == {"type": "number_integer", "value": "7"}


def test_a_new_product_has_all_values_and_a_variant_of_the_first(api: Markets) -> None:
    made = _made(api, productOptions=NAMED)

    assert [each["title"] for each in made["variants"]["nodes"]] == ["S / Red"]
    assert made["hasOnlyDefaultVariant"] is False
    assert made["options"] == [
        {
            "name": "Size", "position": 1, "values": ["S"],
            "optionValues": [{"name": "S", "hasVariants": True}, {"name": "M", "hasVariants": False}],
        },
        {"name": "Color", "position": 2, "values": ["Red"], "optionValues": [{"name": "Red", "hasVariants": True}]},
    ]  # fmt: skip


def test_a_value_keeps_its_place_and_id_when_a_variant_takes_it(api: Markets) -> None:
    made = _made(api, productOptions=NAMED[:1])
    query = "query($id: ID!) { product(id: $id) { options { optionValues { id name hasVariants } } } }"
    before = api.call(query, id=made["id"])["options"][0]["optionValues"]
    row = {"optionValues": [{"optionName": "Size", "id": before[1]["id"]}], "price": "4"}
    taken = api.call(VARIANTS, id=made["id"], rows=[row])

    assert taken["userErrors"] == []
    assert taken["product"]["options"][0]["values"] == ["S", "M"]
    assert taken["product"]["options"][0]["optionValues"] == [before[0], before[1] | {"hasVariants": True}]


def test_handles_are_made_unique_or_refused(api: Markets) -> None:
    assert [_made(api)["handle"] for _ in range(3)] == ["lamp", "lamp-1", "lamp-2"]
    taken = api.call(CREATE, product={"title": "Lamp", "handle": "LAMP"})

    message = "Handle 'lamp' already in use. Please provide a new handle."
    assert (taken["product"], taken["userErrors"]) == (None, [{"field": ["handle"], "message": message}])


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({}, ["title"], "Title can't be blank"),
        ({"title": " "}, ["title"], "Title can't be blank"),
        ({"title": "a" * 256}, ["title"], "Title is too long (maximum is 255 characters)"),
        ({"title": "A", "vendor": "a" * 256}, ["vendor"], "Vendor is too long (maximum is 255 characters)"),
        (
            {"title": "A", "collectionsToJoin": ["gid://shopify/Collection/1"]},
            ["collectionsToJoin", "0"],
            "Collection does not exist",
        ),
        (
            {"title": "A", "productOptions": [*NAMED, *NAMED]},
            ["productOptions"],
            "A product has no more than 3 options",
        ),
        ({"title": "A", "productOptions": [{"name": "Size"}]}, ["productOptions", "0", "values"], "Option values"),
    ],
)
def test_a_bad_product_is_not_made(api: Markets, given: dict[str, Any], field: list[str], message: str) -> None:
    count = "{ productsCount { count } }"
    before = api.call(count)
    refused = api.call(CREATE, product=given)

    assert refused["product"] is None
    assert refused["userErrors"][0]["field"] == field
    assert refused["userErrors"][0]["message"].startswith(message)
    assert api.call(count) == before


@pytest.mark.parametrize(
    ("given", "media", "name"),
    [
        ({"giftCard": True}, [], "giftCard"),
        ({"category": "gid://shopify/TaxonomyCategory/1"}, [], "category"),
        ({}, [{"mediaContentType": "IMAGE", "originalSource": "https://example.com/a.png"}], "media"),
    ],
)
def test_what_the_sandbox_does_not_keep_is_refused_loudly(
    api: Markets, given: dict[str, Any], media: list[dict[str, str]], name: str
) -> None:
    answer = api.answer(CREATE, product={"title": "Lamp", **given}, media=media)

    assert answer["errors"][0]["message"] == f"The sandbox does not keep `{name}` of products"


def test_an_update_changes_what_it_names(api: Markets) -> None:
    made = _made(api, tags=["new"], vendor="Acme", seo={"title": "A lamp"})
    changed = api.call(UPDATE, product={"id": made["id"], "title": "Torch", "seo": {"description": "Bright"}})[
        "product"
    ]
    by_handle = api.call(UPDATE, by={"handle": "lamp"}, product={"status": "ARCHIVED", "tags": None})["product"]

    assert (changed["title"], changed["handle"], changed["vendor"], changed["tags"]) == (
        "Torch",
        "lamp",
        "Acme",
        ["new"],
    )
    assert changed["seo"] == {"title": "A lamp", "description": "Bright"}
    assert (by_handle["title"], by_handle["status"], by_handle["tags"]) == ("Torch", "ARCHIVED", [])
    assert by_handle["variants"] == made["variants"]


def test_a_bad_update_changes_nothing(api: Markets) -> None:
    made = _made(api)
    refused = api.call(UPDATE, product={"id": made["id"], "title": "", "handle": "mug"})
    missing = api.call(UPDATE, product={"id": "gid://shopify/Product/1", "title": "A"})

    assert [error["field"] for error in refused["userErrors"]] == [["title"], ["handle"]]
    assert (refused["product"]["title"], refused["product"]["handle"]) == ("Lamp", "lamp")
    assert missing == {"product": None, "userErrors": [{"field": ["id"], "message": "Product does not exist"}]}


def test_a_deleted_product_takes_its_prices_along(api: Markets) -> None:
    europe = api.price_list("Europe", "EUR")
    api.fix(europe, {"variantId": RED, "price": {"amount": "3", "currencyCode": "EUR"}})
    deleted, again = api.call(DELETE, id=SHIRT), api.call(DELETE, id=SHIRT)

    assert (deleted["deletedProductId"], deleted["userErrors"]) == (SHIRT, [])
    assert (again["deletedProductId"], again["userErrors"][0]["message"]) == (None, "Product does not exist")
    assert api.call("query($id: ID!) { priceList(id: $id) { fixedPricesCount } }", id=europe) == {"fixedPricesCount": 0}
    assert api.answer("query($id: ID!) { productVariant(id: $id) { id } }", id=RED)["data"] == {"productVariant": None}


def test_each_write_is_told_to_those_who_wait_for_it(api: Markets, shop: StartedSandbox) -> None:
    with receiving() as receiver:
        for topic in ("create", "update", "delete"):
            body = {"topic": f"products/{topic}", "url": f"{receiver.url}/{topic}"}
            assert shop.client.request("POST", "/sandbox/webhooks", body).status == 200
        number = _made(api)["id"]
        api.call(UPDATE, product={"id": number, "title": "Torch"})
        api.call(DELETE, id=number)
        await_that(lambda: len(receiver.tries) == 3)
        told = {headers["X-Shopify-Topic"]: json.loads(body) for headers, body in receiver.tries}

    assert told["products/create"]["title"] == "Lamp"
    assert told["products/create"]["variants"][0]["price"] == "0.00"
    assert (told["products/update"]["title"], "title" in told["products/delete"]) == ("Torch", False)
