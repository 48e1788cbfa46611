"""What is wrong with a document or its variables is told in Shopify's words, with Shopify's paths."""

import pytest
from graphql import GraphQLSchema, OperationDefinitionNode, parse

from calibr_sandbox import schema
from calibr_sandbox.refusals import refusals_of
from calibr_sandbox.variable_problems import check_variables

UPDATE = """mutation Update($id: ID!, $rows: [ProductVariantsBulkInput!]!, $type: BulkOperationType) {
  productVariantsBulkUpdate(productId: $id, variants: $rows) { userErrors { field } } }"""
ROWS_ARE_WRONG = (
    "Variable $rows of type [ProductVariantsBulkInput!]! was provided invalid value for"
    " 1.weight (Field is not defined on ProductVariantsBulkInput), 1.price ('one' is not a decimal number)"
)
PRODUCT = "gid://shopify/Product/1"


@pytest.fixture(scope="module")
def built() -> GraphQLSchema:
    return schema.build()


def test_an_unknown_field_is_placed_by_the_names_around_it(built: GraphQLSchema) -> None:
    (error,) = refusals_of(built, parse("query Q { p: products(first: 1) { nodes { nope } } }"))

    assert error["path"] == ["query Q", "p", "nodes", "nope"]
    assert error["extensions"] == {"code": "undefinedField", "typeName": "Product", "fieldName": "nope"}


def test_a_literal_of_another_type_is_told_of_its_argument(built: GraphQLSchema) -> None:
    (error,) = refusals_of(built, parse("query Q {\n  bulkOperations(first: 1, sortKey: ID) { nodes { id } } }"))

    assert error["message"] == (
        "Argument 'sortKey' on Field 'bulkOperations' has an invalid value (ID)."
        " Expected type 'BulkOperationsSortKeys'."
    )
    assert error["locations"] == [{"line": 2, "column": 3}]
    assert error["path"] == ["query Q", "bulkOperations", "sortKey"]


def test_text_that_is_no_global_id_is_refused_wherever_an_id_belongs(built: GraphQLSchema) -> None:
    (error,) = refusals_of(built, parse('{ product(id: "seven") { id } }'))

    assert (error["message"], error["path"]) == ("Invalid global id 'seven'", ["query", "product", "id"])
    assert refusals_of(built, parse(f'{{ product(id: "{PRODUCT}") {{ id }} }}')) == []


@pytest.mark.parametrize(
    ("variables", "message", "problems"),
    [
        ({"id": PRODUCT, "rows": []}, None, []),
        (
            {"id": PRODUCT, "rows": None},
            "Variable $rows of type [ProductVariantsBulkInput!]! was provided invalid value",
            [{"path": [], "explanation": "Expected value to not be null"}],
        ),
        (
            {"id": "x", "rows": []},
            "Variable $id of type ID! was provided invalid value",
            [{"path": [], "explanation": "Invalid global id 'x'", "message": "Invalid global id 'x'"}],
        ),
        (
            {"id": PRODUCT, "rows": [{"price": "1"}, {"price": "one", "weight": 1}]},
            ROWS_ARE_WRONG,
            [
                {"path": [1, "weight"], "explanation": "Field is not defined on ProductVariantsBulkInput"},
                {
                    "path": [1, "price"],
                    "explanation": "'one' is not a decimal number",
                    "message": "'one' is not a decimal number",
                },
            ],
        ),
        (
            {"id": PRODUCT, "rows": [], "type": "EXPORT"},
            "Variable $type of type BulkOperationType was provided invalid value",
            [{"path": [], "explanation": 'Expected "EXPORT" to be one of: MUTATION, QUERY'}],
        ),
    ],
)
def test_a_variable_of_another_type_names_each_wrong_place(
    built: GraphQLSchema, variables: dict[str, object], message: str | None, problems: list[dict[str, object]]
) -> None:
    operation = parse(UPDATE).definitions[0]
    assert isinstance(operation, OperationDefinitionNode)

    errors = check_variables(built, operation, variables)

    assert [error["message"] for error in errors] == ([message] if message else [])
    assert [error["extensions"]["problems"] for error in errors] == ([problems] if message else [])
