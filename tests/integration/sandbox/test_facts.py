"""What a merchant says of products by hand: collections, metafields, and that one is gone."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from webhook_receiver import Receiver, await_that, receiving

from calibr_sandbox.testing import StartedSandbox

SHIRT, MUG = 8_100_000_000_001, 8_100_000_000_002
SHOWN = """query($id: ID!) { product(id: $id) {
  collections(first: 5) { nodes { handle title } }
  metafield(namespace: "custom", key: "material") { type value jsonValue }
} }"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


def shown(sandbox: StartedSandbox, number: int) -> Any:  # noqa: ANN401 - JSON
    return sandbox.client.graphql(SHOWN, {"id": f"gid://shopify/Product/{number}"}).data["product"]


def test_a_collection_holds_the_products_that_are_named_and_those_with_its_tag(sandbox: StartedSandbox) -> None:
    collection = {"handle": "outlet", "title": "Outlet", "products": [MUG], "tag": "SALE"}
    made = sandbox.client.request("POST", "/sandbox/collections", collection)

    assert (made.status, made.body) == (200, {"handle": "outlet", "products": 2})
    assert shown(sandbox, SHIRT)["collections"] == shown(sandbox, MUG)["collections"]
    assert shown(sandbox, MUG)["collections"]["nodes"] == [{"handle": "outlet", "title": "Outlet"}]

    sandbox.client.request(
        "POST", "/sandbox/collections", {**collection, "title": "Last", "products": [], "tag": "new"}
    )

    assert shown(sandbox, SHIRT)["collections"]["nodes"] == [{"handle": "outlet", "title": "Last"}]
    assert shown(sandbox, MUG)["collections"]["nodes"] == []


def test_a_metafield_is_set_shown_and_removed(sandbox: StartedSandbox) -> None:
    field = {"product": SHIRT, "namespace": "custom", "key": "material", "type": "number_integer", "value": "7"}
    sandbox.client.request("POST", "/sandbox/metafields", field)
    assert shown(sandbox, SHIRT)["metafield"] == {"type": "number_integer", "value": "7", "jsonValue": 7}

    sandbox.client.request("POST", "/sandbox/metafields", {**field, "value": None})

    assert shown(sandbox, SHIRT)["metafield"] is None


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "collections", {"title": "Outlet"}, 400, "handle"),
        ("POST", "collections", {"handle": "a", "title": "A", "products": [1]}, 404, "product 1"),
        ("POST", "metafields", {"product": SHIRT, "namespace": "c", "key": "k", "type": "t", "value": 7}, 400, "value"),
        ("POST", "metafields", {"product": 1, "namespace": "c", "key": "k", "type": "t", "value": "7"}, 404, "1"),
        ("DELETE", "products/1", None, 404, "product 1"),
        ("DELETE", "products/gid://shopify/ProductVariant/45100000000001", None, 404, "Product"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(
    sandbox: StartedSandbox, method: str, path: str, body: object, status: int, said: str
) -> None:
    answer = sandbox.client.request(method, f"/sandbox/{path}", body)

    assert answer.status == status
    assert said in answer.body["error"]


def test_a_product_that_is_deleted_is_gone_and_told(sandbox: StartedSandbox, receiver: Receiver) -> None:
    subscribed = sandbox.client.request("POST", "/sandbox/webhooks", {"topic": "products/delete", "url": receiver.url})
    assert subscribed.status == 200, subscribed.body

    answer = sandbox.client.request("DELETE", f"/sandbox/products/{SHIRT}")
    await_that(lambda: bool(receiver.tries))

    assert answer.body == {"deleted_variants": 2}
    assert shown(sandbox, SHIRT) is None
    assert sandbox.client.graphql("{ productVariantsCount { count } }").data["productVariantsCount"]["count"] == 1
    assert json.loads(receiver.tries[0][1]) == {"id": SHIRT}
