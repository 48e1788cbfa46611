"""Reading the catalog, and how a call that cannot be answered is refused."""

import base64
import socket

import pytest

from calibr_sandbox.catalog_writer import NewProduct, NewVariant
from calibr_sandbox.client import Answer
from calibr_sandbox.csv_load import load_csv
from calibr_sandbox.serving import listen
from calibr_sandbox.testing import StartedSandbox, Starter

PRODUCTS = """query($first: Int, $last: Int, $after: String, $before: String, $reverse: Boolean, $query: String) {
  products(first: $first, last: $last, after: $after, before: $before, reverse: $reverse, query: $query) {
    nodes { handle } edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""
RED, BLUE, MUG = (f"gid://shopify/ProductVariant/{45_100_000_000_001 + n}" for n in range(3))
SHIRT = "gid://shopify/Product/8100000000001"


def test_the_shop_and_the_scopes_of_the_app(unchanged: StartedSandbox) -> None:
    query = "{ shop { name myshopifyDomain currencyCode plan { publicDisplayName shopifyPlus partnerDevelopment } } "
    data = unchanged.client.graphql(query + "currentAppInstallation { accessScopes { handle } } }").data

    assert data["shop"]["currencyCode"] == "USD"
    assert data["shop"]["plan"] == {"publicDisplayName": "Plus", "shopifyPlus": True, "partnerDevelopment": False}
    scopes = [scope["handle"] for scope in data["currentAppInstallation"]["accessScopes"]]
    assert scopes == ["read_inventory", "read_markets", "read_products", "write_products"]


def test_a_product_shows_all_its_fields(unchanged: StartedSandbox) -> None:
    query = """query($id: ID!) { product(id: $id) { legacyResourceId title handle vendor productType status tags
      createdAt updatedAt options { name position values } variantsCount { count precision } variants(first: 10) {
        nodes { id title displayName sku barcode price compareAtPrice position selectedOptions { name value }
          inventoryItem { id sku unitCost { amount currencyCode } } product { id } createdAt updatedAt } } } }"""

    product = unchanged.client.graphql(query, {"id": SHIRT}).data["product"]

    variants = product.pop("variants")["nodes"]
    assert product == {
        "legacyResourceId": "8100000000001",
        "title": "Shirt",
        "handle": "shirt",
        "vendor": "Acme",
        "productType": "Tops",
        "status": "ACTIVE",
        "tags": ["new", "sale"],
        "createdAt": "2026-01-01T00:00:01Z",
        "updatedAt": "2026-01-01T00:00:01Z",
        "options": [
            {"name": "Color", "position": 1, "values": ["Red", "Blue"]},
            {"name": "Size", "position": 2, "values": ["Small", "Large"]},
        ],
        "variantsCount": {"count": 2, "precision": "EXACT"},
    }
    assert variants[1] == {
        "id": BLUE,
        "title": "Blue / Large",
        "displayName": "Shirt - Blue / Large",
        "sku": "BLUE",
        "barcode": None,
        "price": "11.00",
        "compareAtPrice": "15.00",
        "position": 2,
        "selectedOptions": [{"name": "Color", "value": "Blue"}, {"name": "Size", "value": "Large"}],
        "inventoryItem": {
            "id": "gid://shopify/InventoryItem/47100000000002",
            "sku": "BLUE",
            "unitCost": {"amount": "4.5", "currencyCode": "USD"},
        },
        "product": {"id": SHIRT},
        "createdAt": "2026-01-01T00:00:01Z",
        "updatedAt": "2026-01-01T00:00:01Z",
    }
    assert (variants[0]["compareAtPrice"], variants[0]["inventoryItem"]["unitCost"]) == (None, None)


def test_nodes_keep_the_order_of_the_ids_with_null_for_the_unknown(unchanged: StartedSandbox) -> None:
    query = """query($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on ProductVariant { price }
      ... on Product { title } ... on InventoryItem { unitCost { amount } } } }"""
    ids = [BLUE, "gid://shopify/ProductVariant/1", SHIRT, "gid://shopify/InventoryItem/47100000000002", BLUE]

    nodes = unchanged.client.graphql(query, {"ids": ids}).data["nodes"]

    assert [node and node["__typename"] for node in nodes] == [
        "ProductVariant",
        None,
        "Product",
        "InventoryItem",
        "ProductVariant",
    ]
    assert (nodes[0]["price"], nodes[2]["title"], nodes[3]["unitCost"]) == ("11.00", "Shirt", {"amount": "4.5"})


def _handles(answer: Answer) -> list[str]:
    return [node["handle"] for node in answer.data["products"]["nodes"]]


def test_pages_follow_each_other_in_both_directions(unchanged: StartedSandbox) -> None:
    first = unchanged.client.graphql(PRODUCTS, {"first": 1})
    info = first.data["products"]["pageInfo"]
    second = unchanged.client.graphql(PRODUCTS, {"first": 1, "after": info["endCursor"]})
    back = unchanged.client.graphql(PRODUCTS, {"last": 1, "before": second.data["products"]["pageInfo"]["startCursor"]})
    reverse = unchanged.client.graphql(PRODUCTS, {"first": 5, "reverse": True})

    assert (_handles(first), info["hasNextPage"], info["hasPreviousPage"]) == (["shirt"], True, False)
    assert _handles(second) == ["mug"]
    assert second.data["products"]["pageInfo"]["hasNextPage"] is False
    assert _handles(back) == ["shirt"]
    assert _handles(reverse) == ["mug", "shirt"]
    assert base64.b64decode(info["endCursor"]) == b'{"last_id":8100000000001,"last_value":"8100000000001"}'


def test_a_search_filters_products_and_variants(unchanged: StartedSandbox) -> None:
    assert _handles(unchanged.client.graphql(PRODUCTS, {"first": 5, "query": "tag:SALE vendor:acme"})) == ["shirt"]
    assert _handles(unchanged.client.graphql(PRODUCTS, {"first": 5, "query": "created_at:>2026-01-01T00:00:01Z"})) == [
        "mug"
    ]
    variants = unchanged.client.graphql('{ productVariants(first: 5, query: "sku:blue") { nodes { id } } }').data
    assert variants["productVariants"]["nodes"] == [{"id": BLUE}]


@pytest.mark.parametrize(
    ("query", "message", "code"),
    [
        ("{ products { nodes { id } } }", "you must provide one of first or last", "BAD_REQUEST"),
        ("{ products(first: 1, last: 1) { nodes { id } } }", "providing both first and last", "BAD_REQUEST"),
        ("{ products(first: 251) { nodes { id } } }", "`products` was asked for 251 objects", "BAD_REQUEST"),
        ('{ products(first: 1, after: "x") { nodes { id } } }', "Invalid cursor", "BAD_REQUEST"),
        ('{ products(first: 1, query: "nope:1") { nodes { id } } }', "The sandbox cannot search", "BAD_REQUEST"),
        ('{ product(id: "gid://shopify/Shop/1") { id } }', "Invalid id: gid://shopify/Shop/1", "RESOURCE_NOT_FOUND"),
        ('{ product(id: "12") { id } }', "Invalid global id '12'", "argumentLiteralsIncompatible"),
        ('{ products(first: 1, query: "id:99999999999999999999") { nodes { id } } }', "'9999", "BAD_REQUEST"),
        ("{ shop " + "{ a " * 5_000 + "}" * 5_001, "Document is nested too deeply", "PARSE_ERROR"),
        ("{ nope { id } }", "Field 'nope' doesn't exist on type 'QueryRoot'", "undefinedField"),
        ("{ shop ", "syntax error, unexpected end of file at [1, 3]", "PARSE_ERROR"),
        ("query A { shop { id } } query B { shop { id } }", "An operation name is required", "BAD_REQUEST"),
        ("query($id: ID!) { product(id: $id) { id } }", "Variable $id of type ID! was", "INVALID_VARIABLE"),
    ],
)  # fmt: skip
def test_a_call_that_makes_no_sense_is_refused_with_status_200(
    unchanged: StartedSandbox, query: str, message: str, code: str
) -> None:
    answer = unchanged.client.graphql(query)

    assert answer.status == 200
    assert answer.body["errors"][0]["message"].startswith(message)
    assert answer.body["errors"][0]["extensions"]["code"] == code


def test_a_body_that_is_no_call_is_refused(unchanged: StartedSandbox) -> None:
    path = "/admin/api/2026-10/graphql.json"

    assert unchanged.client.request("POST", path).status == 400
    assert unchanged.client.request("POST", path, ["x"]).body == {
        "errors": {"query": "Required parameter missing or invalid"}
    }
    assert unchanged.client.request("POST", path, {"query": "{ shop { id } }", "variables": 3}).status == 400
    assert unchanged.client.request("POST", path, {"query": "{ shop { id } }", "operationName": ["x"]}).status == 400


def test_a_wrong_token_is_refused(start: Starter) -> None:
    sandbox = start(tokens=("right",))
    sandbox.client._token = "wrong"

    answer = sandbox.client.graphql("{ shop { id } }")

    assert answer.status == 401
    assert answer.body == {"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}


@pytest.mark.parametrize(
    ("version", "served"),
    [
        *(("2026-10", "2026-10"), ("2026-07", "2026-07"), ("2027-01", "2027-01"), ("unstable", "unstable")),
        *(("2024-01", "2026-01"), ("2025-10", "2026-01"), ("2027-04", None), ("2026-11", None), ("latest", None)),
    ],
)
def test_a_version_that_has_ended_falls_forward(unchanged: StartedSandbox, version: str, served: str | None) -> None:
    answer = unchanged.client.graphql("{ shop { id } }", version=version)

    assert answer.status == (404 if served is None else 200)
    assert answer.headers.get("x-shopify-api-version") == served


def test_the_oldest_version_moves_on(start: Starter) -> None:
    sandbox = start(oldest_version="2027-01")

    assert sandbox.client.graphql("{ shop { id } }").headers["x-shopify-api-version"] == "2027-01"


@pytest.mark.parametrize(
    ("currency", "price", "shown", "cost"), [("JPY", "1200", "1200", "800.0"), ("KWD", "1.5", "1.500", "0.5")]
)
def test_amounts_have_the_decimals_of_the_currency(
    start: Starter, currency: str, price: str, shown: str, cost: str
) -> None:
    sandbox = start(products=(), currency=currency)
    assert sandbox.shop.store.currency == currency
    text = f"Handle,Title,Variant Price,Cost per item\na,A,{price},{cost}\n"
    path = sandbox.shop.config.db.with_suffix(".csv")
    path.write_text(text, encoding="utf-8")

    load_csv(sandbox.shop.store, path)
    query = "{ productVariants(first: 1) { nodes { price inventoryItem { unitCost { amount currencyCode } } } } }"
    variant = sandbox.client.graphql(query).data["productVariants"]["nodes"][0]

    assert variant["price"] == shown
    assert variant["inventoryItem"]["unitCost"] == {"amount": cost, "currencyCode": currency}


def test_the_listener_names_tcp_so_that_no_answer_waits_for_an_acknowledgment() -> None:
    """Without the name asyncio leaves Nagle's algorithm on, and each call takes 40 ms."""
    with listen(0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize(
    ("query", "is_deprecated"),
    [
        ("{ shop { plan { publicDisplayName } } }", False),
        ("{ shop { plan { displayName } } }", True),
        ("{ currentBulkOperation { id } }", True),
    ],
)
def test_an_answer_says_that_a_field_goes_away(unchanged: StartedSandbox, query: str, *, is_deprecated: bool) -> None:
    headers = unchanged.client.graphql(query).headers

    assert ("x-shopify-api-deprecated-reason" in headers) is is_deprecated


@pytest.mark.parametrize(
    ("search", "titles"),
    [
        ("title:Shirt OR title:Mug", ["Shirt", "Mug"]),
        ("-title:Shirt", ["Mug"]),
        ("vendor:Acme AND NOT (title:Shirt OR title:Mug)", []),
        ("sku:blue", ["Shirt"]),
    ],
)
def test_words_of_a_search_are_joined_as_they_say(unchanged: StartedSandbox, search: str, titles: list[str]) -> None:
    query = "query($search: String) { products(first: 5, query: $search) { nodes { title } } }"

    nodes = unchanged.client.graphql(query, {"search": search}).data["products"]["nodes"]

    assert [node["title"] for node in nodes] == titles


@pytest.mark.parametrize(
    ("key", "ordered"),
    [
        ("ID", "abcd"), ("POSITION", "acbd"), ("TITLE", "cbda"), ("SKU", "bcda"), ("FULL_TITLE", "bacd"),
        ("NAME", "bacd"), ("INVENTORY_QUANTITY", "dbca"),
    ],
)  # fmt: skip
def test_variants_are_listed_in_every_order_and_page_by_page(start: Starter, key: str, ordered: str) -> None:
    def product(title: str, *variants: NewVariant) -> NewProduct:
        return NewProduct(title, title.lower(), "Acme", "", (), ("Color",), variants, 1_767_225_601)

    sandbox = start(
        (
            product(
                "Axe",
                NewVariant(("Red",), "1", sku="s3", extra={"inventoryQuantity": 7}, barcode="a"),
                NewVariant(("Green",), "1", barcode="b"),
            ),
            product(
                "Bow",
                NewVariant(("Blue",), "1", sku="s1", extra={"inventoryQuantity": 2}, barcode="c"),
                NewVariant(("Pink",), "1", sku="s2", extra={"inventoryQuantity": -3}, barcode="d"),
            ),
        )
    )
    query = """query($after: String, $back: Boolean, $key: ProductVariantSortKeys) {
      productVariants(first: 1, after: $after, reverse: $back, sortKey: $key) {
        nodes { barcode } pageInfo { hasNextPage endCursor } } }"""

    def listed(*, back: bool) -> str:
        found, after, goes_on = "", None, True
        while goes_on:
            page = sandbox.client.graphql(query, {"after": after, "back": back, "key": key}).data["productVariants"]
            found += page["nodes"][0]["barcode"]
            after, goes_on = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        return found

    assert listed(back=False) == ordered
    assert listed(back=True) == ordered[::-1]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("barcode:42", ["axe"]),
        ("variant_title:gre*", ["axe"]),
        ("variant_title:green OR variant_title:'pink / small'", ["axe", "bow"]),
        ("is_price_reduced:true", ["bow"]),
        ("is_price_reduced:false", ["axe"]),
        ("tag_not:sharp", ["bow"]),
        ("variant_id:45100000000001", ["axe"]),
        ("vendor:AC*", ["axe"]),
        ("NOT product_type:*", ["bow"]),
        ("collection_id:310100000001", ["bow"]),
    ],
)
def test_products_are_searched_by_what_their_variants_are(start: Starter, search: str, found: list[str]) -> None:
    sandbox = start(_TOOLS)
    outlet = {"handle": "outlet", "title": "Outlet", "products": [8_100_000_000_002]}
    assert sandbox.client.request("POST", "/sandbox/collections", outlet).status == 200

    assert _handles(sandbox.client.graphql(PRODUCTS, {"first": 5, "query": search})) == found


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("barcode:4*", "ab"),
        ("inventory_quantity:<=0", "ad"),
        ("inventory_quantity:-3", "d"),
        ("option1:RED", "a"),
        ("option2:large", "c"),
        ("product_ids:8100000000002,7", "cd"),
        ("taxable:false", "b"),
        ("tag_not:sharp AND sku:*", "c"),
    ],
)
def test_variants_are_searched_by_what_is_no_price(start: Starter, search: str, found: str) -> None:
    query = "query($search: String) { productVariants(first: 9, query: $search) { nodes { displayName } } }"
    nodes = start(_TOOLS).client.graphql(query, {"search": search}).data["productVariants"]["nodes"]
    names = {"Axe - Red": "a", "Axe - Green": "b", "Bow - Blue / Large": "c", "Bow - Pink / Small": "d"}

    assert "".join(names[each["displayName"]] for each in nodes) == found


@pytest.mark.parametrize("search", ["is_price_reduced:yes", "inventory_quantity:few", "product_ids:1,x"])
def test_a_search_for_a_value_that_cannot_be_is_refused(unchanged: StartedSandbox, search: str) -> None:
    root = "products" if search.startswith("is_price") else "productVariants"
    query = f"query($search: String) {{ {root}(first: 1, query: $search) {{ nodes {{ id }} }} }}"
    answer = unchanged.client.graphql(query, {"search": search})

    assert answer.body["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert search.split(":")[1] in answer.body["errors"][0]["message"]


_TOOLS = (
    NewProduct(
        "Axe",
        "axe",
        "Acme",
        "Tool",
        ("sharp",),
        ("Color",),
        (
            NewVariant(("Red",), "100.00", "99.00", barcode="42"),
            NewVariant(("Green",), "1.00", barcode="43", extra={"inventoryQuantity": 2, "taxable": False}),
        ),
        1_767_225_601,
    ),
    NewProduct(
        "Bow",
        "bow",
        "Kumo",
        "",
        (),
        ("Color", "Size"),
        (
            NewVariant(("Blue", "Large"), "9.00", "10.00", sku="s1", extra={"inventoryQuantity": 7}),
            NewVariant(("Pink", "Small"), "9.00", extra={"inventoryQuantity": -3}),
        ),
        1_767_225_601,
    ),
)
