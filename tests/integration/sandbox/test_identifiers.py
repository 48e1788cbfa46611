"""Objects by identifiers other than the id, and the collections of a shop."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calibr_sandbox.config import SandboxConfig
from calibr_sandbox.testing import StartedSandbox, Starter, started_sandbox

SHIRT, MUG = "gid://shopify/Product/8100000000001", "gid://shopify/Product/8100000000002"
RED = "gid://shopify/ProductVariant/45100000000001"
CUSTOM = {"customId": {"namespace": "custom", "key": "erp", "value": "7"}}
_PRODUCT = "query($by: ProductIdentifierInput!) { found: productByIdentifier(identifier: $by) { id } }"
_VARIANT = "query($by: ProductVariantIdentifierInput!) { found: productVariantByIdentifier(identifier: $by) { id } }"
_COLLECTION = "query($by: CollectionIdentifierInput!) { found: collectionByIdentifier(identifier: $by) { id } }"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedSandbox]:
    config = SandboxConfig(db=Path(tmp_path_factory.mktemp("shop")) / "shop.db", bulk_delay_s=0.0)
    with started_sandbox(config) as started:
        for body in (
            {"handle": "outlet", "title": "Outlet", "products": [int(SHIRT.rpartition("/")[2])]},
            {"handle": "summer", "title": "Last summer"},
        ):
            assert started.client.request("POST", "/sandbox/collections", body).status == 200
        yield started


def _found(shop: StartedSandbox, query: str, **variables: object) -> Any:  # noqa: ANN401 - JSON
    (value,) = shop.client.graphql(query, variables).data.values()
    return value


def _handle(shop: StartedSandbox, product: str) -> str:
    return str(_found(shop, "query($id: ID!) { product(id: $id) { handle } }", id=product)["handle"])


def test_a_product_is_found_by_id_and_by_handle(shop: StartedSandbox) -> None:
    by_handle = "query($handle: String!) { productByHandle(handle: $handle) { id } }"
    handle = _handle(shop, MUG)

    assert _found(shop, _PRODUCT, by={"id": MUG}) == {"id": MUG}
    assert _found(shop, _PRODUCT, by={"handle": handle}) == {"id": MUG}
    assert _found(shop, by_handle, handle=handle) == {"id": MUG}
    assert _found(shop, by_handle, handle="nothing") is None
    assert _found(shop, _PRODUCT, by={"handle": "nothing"}) is None
    assert _found(shop, _PRODUCT, by={"id": "gid://shopify/Product/1"}) is None


def test_a_variant_is_found_by_its_id(shop: StartedSandbox) -> None:
    assert _found(shop, _VARIANT, by={"id": RED}) == {"id": RED}
    assert _found(shop, _VARIANT, by={"id": "gid://shopify/ProductVariant/1"}) is None


@pytest.mark.parametrize("query", [_PRODUCT, _VARIANT, _COLLECTION])
def test_an_identifier_of_something_else_is_refused(shop: StartedSandbox, query: str) -> None:
    custom = shop.client.graphql(query, {"by": CUSTOM})
    other = shop.client.graphql(query, {"by": {"id": "gid://shopify/Market/1"}})
    none = shop.client.graphql(query, {"by": {}})

    assert custom.body["data"] == {"found": None}
    assert custom.body["errors"][0]["message"] == "Metafield definition of type 'id' is required when using custom ids."
    assert custom.body["errors"][0]["extensions"] == {"code": "NOT_FOUND"}
    assert other.body["errors"][0]["extensions"]["code"] == "RESOURCE_NOT_FOUND"
    assert none.body["errors"][0]["extensions"]["code"] == "INVALID_VARIABLE"


def test_a_collection_is_found_and_tells_of_its_products(shop: StartedSandbox) -> None:
    query = """query($shirt: ID!, $mug: ID!) { collectionByHandle(handle: "outlet") {
      id productsCount { count precision } shirt: hasProduct(id: $shirt) mug: hasProduct(id: $mug) } }"""
    outlet = _found(shop, query, shirt=SHIRT, mug=MUG)
    number = outlet.pop("id")

    inside = "query($id: ID!, $in: ID!) { product(id: $id) { inCollection(id: $in) } }"
    told = [_found(shop, inside, **{"id": product, "in": number})["inCollection"] for product in (SHIRT, MUG)]
    assert told == [True, False]
    assert outlet == {"productsCount": {"count": 1, "precision": "EXACT"}, "shirt": True, "mug": False}
    for by in ({"handle": "outlet"}, {"id": number}):
        assert _found(shop, _COLLECTION, by=by) == {"id": number}
    assert _found(shop, "query($id: ID!) { collection(id: $id) { handle } }", id=number) == {"handle": "outlet"}
    assert _found(shop, "query($id: ID!) { node(id: $id) { id } }", id=number) == {"id": number}
    assert _found(shop, _COLLECTION, by={"handle": "nothing"}) is None


@pytest.mark.parametrize(
    ("arguments", "handles"),
    [
        ("first: 5", ["outlet", "summer"]),
        ("first: 5, sortKey: TITLE", ["summer", "outlet"]),
        ("first: 1, reverse: true", ["summer"]),
        ('first: 5, query: "title:SUMMER"', ["summer"]),
        ('first: 5, query: "product_id:8100000000001"', ["outlet"]),
        ('first: 5, query: "handle:outlet OR handle:summer"', ["outlet", "summer"]),
    ],
)
def test_collections_are_listed_sorted_and_searched(shop: StartedSandbox, arguments: str, handles: list[str]) -> None:
    nodes = _found(shop, f"{{ collections({arguments}) {{ nodes {{ handle }} }} }}")["nodes"]

    assert [each["handle"] for each in nodes] == handles


def test_collections_are_counted_up_to_a_limit(shop: StartedSandbox) -> None:
    def count(arguments: str) -> Any:  # noqa: ANN401 - JSON
        return _found(shop, f"{{ collectionsCount{arguments} {{ count precision }} }}")

    assert count("") == {"count": 2, "precision": "EXACT"}
    assert count("(limit: 1)") == {"count": 1, "precision": "AT_LEAST"}
    assert count('(query: "handle:outlet")') == {"count": 1, "precision": "EXACT"}


def test_reads_by_identifier_need_the_scope_of_what_they_find(start: Starter) -> None:
    blind = start(scopes=("read_markets",))
    answer = blind.client.graphql(_PRODUCT, {"by": {"id": SHIRT}})

    assert answer.body["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    counted = blind.client.graphql("{ collectionsCount { count } }")
    assert counted.body["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
