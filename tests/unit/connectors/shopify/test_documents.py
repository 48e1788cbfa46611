"""Every document that we send, against the schemas that Shopify publishes."""

import os
from functools import cache
from pathlib import Path

import pytest
from graphql import (
    GraphQLSchema,
    NoDeprecatedCustomRule,
    OperationDefinitionNode,
    build_schema,
    parse,
    specified_rules,
    validate,
)

from calibr.connectors.shopify import documents
from calibr.connectors.shopify.config import API_VERSIONS
from calibr.connectors.shopify.documents import ALL, CATALOG, START_BULK_MUTATION, UPDATE_PRICES, Document

MAX_BULK_DOCUMENT_BYTES = 65_535


@cache
def schema_of(version: str) -> GraphQLSchema:
    shared = Path(os.environ.get("CALIBR_SHARED_DATA", Path(__file__).parents[5] / "shared" / "data"))
    path = shared / "shopify" / f"admin_schema_{version}.graphql"
    if not path.exists():
        pytest.skip(f"the official schema of {version} is not here")
    return build_schema(path.read_text(), assume_valid=True)


@pytest.mark.slow
@pytest.mark.parametrize("version", API_VERSIONS)
def test_documents_are_valid_in_each_version_that_we_ask_for(version: str) -> None:
    schema = schema_of(version)

    rules = (*specified_rules, NoDeprecatedCustomRule)
    broken = [error.message for document in ALL for error in validate(schema, parse(document.text), rules)]

    assert broken == []


@pytest.mark.slow
def test_the_validation_would_find_a_field_that_does_not_exist() -> None:
    broken = validate(schema_of(API_VERSIONS[-1]), parse("query Wrong { shop { name curencyCode } }"))

    assert len(broken) == 1


@pytest.mark.parametrize("document", ALL, ids=lambda document: document.name)
def test_a_document_is_one_operation_of_its_own_name(document: Document) -> None:
    (operation,) = parse(document.text).definitions

    assert isinstance(operation, OperationDefinitionNode)
    assert operation.name is not None
    assert operation.name.value == document.name
    assert document.is_mutation == (operation.operation.value == "mutation")


def test_writing_prices_on_either_path_is_all_that_must_not_be_repeated() -> None:
    assert [document for document in ALL if not document.may_repeat] == [UPDATE_PRICES, START_BULK_MUTATION]


def test_every_document_of_the_module_is_validated() -> None:
    defined = {value for value in vars(documents).values() if isinstance(value, Document)}

    assert defined == set(ALL)


def test_the_bulk_document_keeps_to_the_rules_of_bulk_queries() -> None:
    assert len(CATALOG.text.encode()) <= MAX_BULK_DOCUMENT_BYTES
    assert " nodes" not in CATALOG.text
    assert CATALOG.text.count("edges { node {") == 2
