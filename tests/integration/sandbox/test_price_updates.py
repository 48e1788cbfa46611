"""`productVariantsBulkUpdate` over HTTP: atomic and partial updates, and a recorded call replayed."""

import json
from pathlib import Path
from typing import Any

import pytest

from calibr_sandbox.catalog_writer import NewProduct, NewVariant
from calibr_sandbox.testing import StartedSandbox, Starter

UPDATE = """mutation($id: ID!, $rows: [ProductVariantsBulkInput!]!, $partial: Boolean) {
  productVariantsBulkUpdate(productId: $id, variants: $rows, allowPartialUpdates: $partial) {
    product { id } productVariants { id sku price compareAtPrice inventoryItem { unitCost { amount } } }
    userErrors { field message code }
  }
}"""
SHIRT, MUG = "gid://shopify/Product/8100000000001", "gid://shopify/Product/8100000000002"
RED, BLUE, MUGS = (f"gid://shopify/ProductVariant/{45_100_000_000_001 + n}" for n in range(3))
NEGATIVE = {
    "field": ["variants", "1", "price"],
    "message": "Price must be greater than or equal to 0",
    "code": "GREATER_THAN_OR_EQUAL_TO",
}


def _update(
    sandbox: StartedSandbox, rows: list[dict[str, Any]], *, partial: bool | None = None, product: str = SHIRT
) -> dict[str, Any]:
    variables = {"id": product, "rows": rows} | ({} if partial is None else {"partial": partial})
    payload: dict[str, Any] = sandbox.client.graphql(UPDATE, variables).data["productVariantsBulkUpdate"]
    return payload


def _prices(sandbox: StartedSandbox) -> list[tuple[str, str | None]]:
    query = "{ productVariants(first: 9) { nodes { price compareAtPrice } } }"
    nodes = sandbox.client.graphql(query).data["productVariants"]["nodes"]
    return [(node["price"], node["compareAtPrice"]) for node in nodes]


def _costing(amount: str) -> dict[str, Any]:
    return {"unitCost": {"amount": amount}}


def _journal(sandbox: StartedSandbox) -> list[dict[str, Any]]:
    writes: list[dict[str, Any]] = sandbox.client.request("GET", "/sandbox/journal").body["writes"]
    return writes


def test_a_good_update_is_written_answered_and_entered_in_the_journal(sandbox: StartedSandbox) -> None:
    rows: list[dict[str, Any]] = [
        {"id": RED, "price": "9.99", "compareAtPrice": "12.00", "inventoryItem": {"sku": "RED", "cost": "3"}},
        {"id": BLUE, "compareAtPrice": None},
    ]

    payload = _update(sandbox, rows)

    assert payload["userErrors"] == []
    assert payload["productVariants"] == [
        {"id": RED, "sku": "RED", "price": "9.99", "compareAtPrice": "12.00", "inventoryItem": _costing("3.0")},
        {"id": BLUE, "sku": "BLUE", "price": "11.00", "compareAtPrice": None, "inventoryItem": _costing("4.5")},
    ]
    assert _prices(sandbox) == [("9.99", "12.00"), ("11.00", None), ("7.50", None)]
    assert [(w["call"], w["source"], w["price"]) for w in _journal(sandbox)] == [
        (1, "api", "9.99"),
        (1, "api", "11.00"),
    ]


def test_without_partial_updates_one_bad_row_stops_all_but_every_row_is_listed(sandbox: StartedSandbox) -> None:
    payload = _update(sandbox, [{"id": RED, "price": "9.99"}, {"id": BLUE, "price": "-1.00"}])

    assert payload["userErrors"] == [NEGATIVE]
    assert [row["price"] for row in payload["productVariants"]] == ["10.00", "11.00"]
    assert _prices(sandbox)[0] == ("10.00", None)
    assert _journal(sandbox) == []


def test_with_partial_updates_the_good_rows_are_written_and_the_bad_ones_listed_unchanged(
    sandbox: StartedSandbox,
) -> None:
    payload = _update(sandbox, [{"id": RED, "price": "9.99"}, {"id": BLUE, "price": "-1.00"}], partial=True)

    assert payload["userErrors"] == [NEGATIVE]
    assert [(row["id"], row["price"]) for row in payload["productVariants"]] == [(RED, "9.99"), (BLUE, "11.00")]
    assert _prices(sandbox)[:2] == [("9.99", None), ("11.00", "15.00")]


@pytest.mark.parametrize("partial", [None, False], ids=["left out", "false"])
def test_a_row_that_names_no_variant_of_the_product_empties_the_list(
    sandbox: StartedSandbox, *, partial: bool | None
) -> None:
    payload = _update(sandbox, [{"id": RED, "price": "9.99"}, {"id": MUGS, "price": "1.00"}], partial=partial)

    assert payload["product"] == {"id": SHIRT}
    assert payload["productVariants"] is None
    assert payload["userErrors"] == [
        {
            "field": ["variants", "1", "id"],
            "message": "Product variant does not exist",
            "code": "PRODUCT_VARIANT_DOES_NOT_EXIST",
        }
    ]
    assert _prices(sandbox) == [("10.00", None), ("11.00", "15.00"), ("7.50", None)]


def test_an_unknown_product_is_reported_at_its_argument(sandbox: StartedSandbox) -> None:
    payload = _update(sandbox, [{"id": RED, "price": "1"}], product="gid://shopify/Product/999999999999999999")

    assert payload == {
        "product": None,
        "productVariants": None,
        "userErrors": [{"field": ["productId"], "message": "Product does not exist", "code": "PRODUCT_DOES_NOT_EXIST"}],
    }


def test_no_rows_succeed_without_an_error(sandbox: StartedSandbox) -> None:
    assert _update(sandbox, []) == {"product": {"id": SHIRT}, "productVariants": [], "userErrors": []}


def test_an_amount_may_come_as_a_number_and_must_be_one(sandbox: StartedSandbox) -> None:
    assert _update(sandbox, [{"id": RED, "price": 19.99}])["productVariants"][0]["price"] == "19.99"

    answer = sandbox.client.graphql(UPDATE, {"id": SHIRT, "rows": [{"id": RED, "price": "cheap"}]})

    assert "'cheap' is not a decimal number" in answer.body["errors"][0]["message"]
    assert answer.body["errors"][0]["extensions"]["code"] == "INVALID_VARIABLE"
    assert "data" not in answer.body


def test_a_token_without_the_scope_cannot_write(start: Starter) -> None:
    sandbox = start(scopes=("read_products",))

    answer = sandbox.client.graphql(UPDATE, {"id": SHIRT, "rows": [{"id": RED, "price": "1.00"}]})

    assert answer.body["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert _prices(sandbox)[0] == ("10.00", None)


def test_a_write_dates_the_variant_and_its_product(sandbox: StartedSandbox) -> None:
    query = "{ products(first: 2) { nodes { updatedAt variants(first: 2) { nodes { updatedAt } } } } }"
    update = UPDATE.replace("product { id } productVariants { id", "product { updatedAt } productVariants { updatedAt")

    answer = sandbox.client.graphql(update, {"id": SHIRT, "rows": [{"id": RED, "price": "9.99"}]})

    payload = answer.data["productVariantsBulkUpdate"]
    shirt, mug = sandbox.client.graphql(query).data["products"]["nodes"]
    written = payload["productVariants"][0]["updatedAt"]
    assert written > "2026-01-01T00:00:02Z"
    assert written == payload["product"]["updatedAt"] == shirt["updatedAt"]
    assert [row["updatedAt"] for row in shirt["variants"]["nodes"]] == [written, "2026-01-01T00:00:01Z"]
    assert mug["updatedAt"] == "2026-01-01T00:00:02Z"


def test_a_recorded_update_is_answered_alike(start: Starter, shared_data: Path) -> None:
    """Replay a call to a real store on a product like the recorded one, as far as the sandbox has its fields."""
    path = shared_data / "shopify" / "recorded" / "2025-01" / "products" / "product-variants-bulk-update-parity.json"
    recorded = json.loads(path.read_text(encoding="utf-8"))["mutation"]
    product = NewProduct("Hermes", "hermes", "", "", (), ("Color",), (NewVariant(("Red",), "0.00"),), 0)
    sandbox = start(products=(product,))
    kept = ("barcode", "price", "compareAtPrice")
    sent = recorded["variables"]["variants"][0]
    row = {"id": RED, **{name: sent[name] for name in kept}, "inventoryItem": {"sku": sent["inventoryItem"]["sku"]}}
    fields = "title sku barcode price compareAtPrice position selectedOptions { name value }"
    query = UPDATE.replace("id sku price compareAtPrice inventoryItem { unitCost { amount } }", fields)

    payload = sandbox.client.graphql(query, {"id": SHIRT, "rows": [row]}).data["productVariantsBulkUpdate"]

    theirs = recorded["response"]["data"]["productVariantsBulkUpdate"]
    mine = payload["productVariants"][0]
    assert mine == {name: theirs["productVariants"][0][name] for name in mine}
    assert payload["userErrors"] == theirs["userErrors"] == []
