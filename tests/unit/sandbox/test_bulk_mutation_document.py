"""Which mutations run in bulk, and the words in which the others are refused."""

import pytest
from graphql import GraphQLSchema

from calibr_sandbox import schema
from calibr_sandbox.bulk_mutation_document import RefusedMutationError, read_bulk_mutation

CONNECTION = "variants(first: 1) { edges { node { id } } }"


@pytest.fixture(scope="module")
def built() -> GraphQLSchema:
    return schema.build()


@pytest.mark.parametrize(
    ("text", "field", "code", "message"),
    [
        ("mutation { not parseable", None, "INVALID_MUTATION",
         "Failed to parse the mutation - syntax error, unexpected end of file at [1, 16]"),
        ("mutation { a(: 1) }", None, "INVALID_MUTATION",
         'Failed to parse the mutation - syntax error, unexpected COLON (":") at [1, 14]'),
        ("", None, "INVALID_MUTATION", "Failed to parse the mutation - syntax error, unexpected end of file at [1, 1]"),
        ("query { shop { id } }", None, "INVALID_MUTATION",
         "Invalid operation type. Only `mutation` operations are supported."),
        ("mutation { a { id } b { id } }", ["mutation"], None, "You must specify a single top level mutation."),
        ("mutation { bulkOperationRunQuery { id } }", ["mutation"], None, "You must use an allowed mutation name."),
        (f"mutation {{ a {{ product {{ {CONNECTION} ...F }} }} }} fragment F on Product {{ {CONNECTION} }}",
         ["mutation"], None, "Bulk mutations cannot contain more than 1 connection."),
        ("mutation { productVariantsBulkUpdate { nope } }", ["mutation"], "INVALID_MUTATION",
         "Invalid bulk mutation: Field 'nope' doesn't exist on type 'ProductVariantsBulkUpdatePayload'"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_refused(
    built: GraphQLSchema, text: str, field: list[str] | None, code: str | None, message: str
) -> None:
    with pytest.raises(RefusedMutationError) as refused:
        read_bulk_mutation(built, text)

    assert (refused.value.field, refused.value.code, refused.value.message) == (field, code, message)


def test_a_mutation_of_another_part_of_the_api_may_run_but_is_not_served(built: GraphQLSchema) -> None:
    text = f"mutation {{ productDuplicate {{ newProduct {{ {CONNECTION} }} }} }}"
    assert not read_bulk_mutation(built, text).is_served


def test_very_deep_nesting_is_refused_and_breaks_nothing(built: GraphQLSchema) -> None:
    with pytest.raises(RefusedMutationError):
        read_bulk_mutation(built, "mutation { a " + "{ a " * 8_000 + "}" * 8_001)
