"""Which queries run in bulk: the recorded refusals, our own limits, and what is projected."""

import json
from pathlib import Path

import pytest
from graphql import GraphQLSchema

from calibr_sandbox import schema
from calibr_sandbox.bulk_document import RefusedQueryError, read_bulk_query


@pytest.fixture(scope="module")
def built() -> GraphQLSchema:
    return schema.build()


def _refusals(built: GraphQLSchema, query: str) -> list[str]:
    with pytest.raises(RefusedQueryError) as refused:
        read_bulk_query(built, query)
    return list(refused.value.messages)


def test_every_recorded_refusal_is_given_in_the_same_words(built: GraphQLSchema, shared_data: Path) -> None:
    folder = shared_data / "shopify" / "recorded" / "2026-04" / "bulk-operations"
    recorded = json.loads((folder / "bulk-operation-run-query-validators.json").read_text(encoding="utf-8"))
    assert len(recorded["validations"]) == 8

    for name, case in recorded["validations"].items():
        errors = case["response"]["data"]["bulkOperationRunQuery"]["userErrors"]
        assert _refusals(built, case["variables"]["query"]) == [error["message"] for error in errors], name


def test_a_query_that_is_one_byte_too_long_is_refused(built: GraphQLSchema) -> None:
    query = "{ products { edges { node { id } } } }"
    padded = query + " " * (65_536 - len(query))

    assert _refusals(built, padded) == ["Query is too large (65536 bytes; maximum is 65535 bytes)"]
    assert read_bulk_query(built, padded[:-1]).root == "products"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ products { edges { node { id", "Invalid bulk query: syntax error, unexpected end of file at [1, 29]"),
        (
            "{ products { edges { node { nope } } } }",
            "Invalid bulk query: Field 'nope' doesn't exist on type 'Product'",
        ),
        (
            "{ products { ...A } } fragment A on ProductConnection { ...A }",
            "Invalid bulk query: it is nested too deeply, or its fragments form a cycle",
        ),
        ("{ shop { name } }", "Bulk queries must contain at least one connection."),
        ("{ products { edges { cursor } } }", "The connection 'products' must select 'edges' > 'node'."),
        (
            "{ bulkOperations { edges { node { id } } } }",
            "The sandbox exports one top level field: `products` or `productVariants`.",
        ),
        (
            "{ productVariants { edges { node { id product { id variants { edges { node { id } } } } } } } }",
            "The nested connections that the sandbox exports are",
        ),
        (
            "{ productVariants { edges { node { contextualPricing(context: {country: X}) { price { amount } } } } } }",
            "Invalid bulk query: ",
        ),
        (
            """{ productVariants { edges { node { id contextualPricing(context: {country: DE}) {
              quantityPriceBreaks { edges { node { minimumQuantity } } } } } } } }""",
            "The nested connections that the sandbox exports are",
        ),
        ('{ products(query: "colour:red") { edges { node { id } } } }', "The sandbox cannot search by `colour`"),
    ],
)
def test_what_cannot_be_exported_is_refused_with_a_reason(built: GraphQLSchema, query: str, message: str) -> None:
    assert _refusals(built, query)[0].startswith(message)


def test_fragments_and_aliases_are_followed(built: GraphQLSchema) -> None:
    query = """
      { products { edges { node { ...Head variants { edges { node { ... on ProductVariant { cost: inventoryItem {
        unitCost { amount } } } } } } } } } }
      fragment Head on Product { id name: title }
    """

    compiled = read_bulk_query(built, query)

    assert compiled.project_child is not None
