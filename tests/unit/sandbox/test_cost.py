"""The price of a query: known cases, and every recorded answer that our part of the schema can express."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calibr_sandbox import schema
from calibr_sandbox.cost import actual_cost, requested_cost
from calibr_sandbox.documents import DocumentCache, RefusedDocumentError

UPDATE = """mutation($id: ID!, $rows: [ProductVariantsBulkInput!]!) {
  productVariantsBulkUpdate(productId: $id, variants: $rows) {
    product { id } productVariants { id price %s } userErrors { field message code }
  }
}"""
NODES = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename %s } }"


@pytest.fixture(scope="module")
def documents() -> DocumentCache:
    return DocumentCache(schema.build())


def _requested(documents: DocumentCache, query: str, variables: dict[str, Any] | None = None) -> int:
    return requested_cost(documents.prepare(query, None).plan, variables or {})


@pytest.mark.parametrize(
    ("query", "cost"),
    [
        ("{ shop { name } }", 1),
        ("{ products(first: 250) { nodes { id } } }", 13),
        ("{ products(first: 250) { edges { cursor node { id title } } pageInfo { endCursor } } }", 13),
        ("{ products(first: 20) { nodes { variants(first: 5) { nodes { id } } } } }", 32),
        ('{ product(id: "gid://shopify/Product/1") { variants(first: 250) { nodes { inventoryItem { id } } } } }', 25),
        ("{ bulkOperations(last: 50) { nodes { id } } }", 9),
        ("{ productsCount { count } products(first: 3) { nodes { id } } }", 14),
        ("{ currentAppInstallation { accessScopes { handle } } }", 2),
        (
            "{ products(first: 1) { nodes { ...P } } } fragment P on Product { variants(first: 1) { nodes { id } } }",
            6,
        ),
    ],
)
def test_known_prices(documents: DocumentCache, query: str, cost: int) -> None:
    assert _requested(documents, query) == cost


@pytest.mark.parametrize(
    ("rows", "extra", "cost"),
    [
        (1, "", 10),
        (2, "", 10),
        (5, "", 11),
        (250, "", 60),
        (2_048, "", 419),
        (1, "selectedOptions { name }", 11),
        (4, "inventoryItem { unitCost { amount } }", 11),
    ],
)
def test_a_price_update_costs_ten_and_a_fifth_per_variant(
    documents: DocumentCache, rows: int, extra: str, cost: int
) -> None:
    assert _requested(documents, UPDATE % extra, {"id": "x", "rows": [{}] * rows}) == cost


def test_rows_written_in_the_query_count_as_well(documents: DocumentCache) -> None:
    rows = ", ".join('{id: "gid://shopify/ProductVariant/1"}' for _ in range(10))
    update = f'productVariantsBulkUpdate(productId: "gid://shopify/Product/1", variants: [{rows}])'
    query = f"mutation {{ {update} {{ userErrors {{ field }} }} }}"

    assert _requested(documents, query) == 12


@pytest.mark.parametrize(
    ("fragments", "cost"),
    [
        ("... on Product { id variants(first: 10) { nodes { id price } } }", 7),
        ("... on ProductVariant { id product { id variants(first: 10) { nodes { id } } } }", 8),
        ("... on ProductVariant { product { id } } ... on Product { variants(first: 10) { nodes { id } } }", 7),
        ("id", 1),
    ],
)
@pytest.mark.parametrize("ids", [0, 1, 3])
def test_nodes_cost_their_dearest_fragment_however_many_ids(
    documents: DocumentCache, fragments: str, cost: int, ids: int
) -> None:
    assert _requested(documents, NODES % fragments, {"ids": ["gid://shopify/Product/1"] * ids}) == cost


def test_a_default_of_a_variable_counts_when_nothing_is_sent(documents: DocumentCache) -> None:
    document = documents.prepare("query($n: Int = 250) { products(first: $n) { nodes { id } } }", None)

    assert requested_cost(document.plan, document.complete({})) == 13
    assert requested_cost(document.plan, document.complete({"n": 1})) == 3


def test_what_did_not_come_back_is_not_paid(documents: DocumentCache) -> None:
    plan = documents.prepare("{ products(first: 250) { nodes { variants(first: 250) { nodes { id } } } } }", None).plan
    one_product = {"products": {"nodes": [{"variants": {"nodes": [{"id": "a"}, {"id": "b"}]}}]}}

    assert requested_cost(plan, {}) == 2 + 11 * (1 + 13)
    assert actual_cost(plan, {}, one_product) == 2 + 1 * (1 + 3)
    assert actual_cost(plan, {}, {"products": {"nodes": []}}) == 3


def test_an_absent_root_object_costs_itself(documents: DocumentCache) -> None:
    query = '{ product(id: "gid://shopify/Product/1") { variants(first: 250) { nodes { id } } } }'
    plan = documents.prepare(query, None).plan

    assert (requested_cost(plan, {}), actual_cost(plan, {}, {"product": None})) == (14, 1)


def _recorded_calls(folder: Path) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Yield query, variables and requested cost of every recorded call."""

    def walk(value: object) -> Iterator[tuple[str, dict[str, Any], int]]:
        if isinstance(value, list):
            for item in value:
                yield from walk(item)
        if not isinstance(value, dict):
            return
        answer = value.get("response") or value.get("payload") or {}
        answer = answer.get("body", answer) if isinstance(answer, dict) else {}
        cost = (answer.get("extensions") or {}).get("cost") if isinstance(answer, dict) else None
        if cost and isinstance(value.get("query"), str) and "{" in value["query"]:
            yield value["query"], value.get("variables") or {}, cost["requestedQueryCost"]
        for item in value.values():
            yield from walk(item)

    for path in sorted(folder.rglob("*.json")):
        yield from walk(json.loads(path.read_text(encoding="utf-8")))


def test_the_requested_cost_agrees_with_every_recording(documents: DocumentCache, shared_data: Path) -> None:
    compared = 0
    for query, variables, cost in _recorded_calls(shared_data / "shopify" / "recorded"):
        try:
            document = documents.prepare(query, None)
        except RefusedDocumentError:
            continue  # it asks for types that the sandbox does not have
        assert requested_cost(document.plan, variables) == cost, query
        compared += 1

    assert compared >= 136
