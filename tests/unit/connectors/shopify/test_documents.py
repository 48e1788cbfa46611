"""Every document that we send, against the schemas that Shopify publishes."""

import os
from datetime import UTC, datetime, timedelta, timezone
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
from calibr.connectors.shopify.catalog import changed_since, with_metafields
from calibr.connectors.shopify.config import API_VERSIONS
from calibr.connectors.shopify.contextual import (
    COUNTRIES_AT_ONCE,
    LISTS_AT_ONCE,
    BuyerContext,
    call_for,
    export_of,
)
from calibr.connectors.shopify.documents import (
    ALL,
    CATALOG,
    START_BULK_MUTATION,
    UPDATE_FIXED_PRICES,
    UPDATE_PRICES,
    Document,
)
from calibr.connectors.shopify.metafields import MOST, Metafields

MAX_BULK_DOCUMENT_BYTES = 65_535
_NAMES = tuple(f"{'n' * 250}.{'k' * 62}{n:02}" for n in range(MOST))
WIDEST = changed_since(with_metafields(CATALOG, Metafields(_NAMES, _NAMES)), datetime(2026, 1, 1, tzinfo=UTC))
"""The catalog with as many and as long metafields as a connection may ask for, of what changed."""

CONTEXTS = [BuyerContext(country="DE"), BuyerContext(location="gid://shopify/CompanyLocation/1")] * (LISTS_AT_ONCE // 2)
MADE = (WIDEST, export_of(CONTEXTS), call_for(1), call_for(COUNTRIES_AT_ONCE))
"""The documents that are put together for what a store has, each at its widest."""


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
    broken = [error.message for document in (*ALL, *MADE) for error in validate(schema, parse(document.text), rules)]

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
    assert [document for document in ALL if not document.may_repeat] == [
        UPDATE_PRICES,
        START_BULK_MUTATION,
        UPDATE_FIXED_PRICES,
    ]


def test_every_document_of_the_module_is_validated() -> None:
    defined = {value for value in vars(documents).values() if isinstance(value, Document)}

    assert defined == set(ALL)


def test_the_bulk_document_keeps_to_the_rules_of_bulk_queries() -> None:
    for document in (CATALOG, WIDEST):
        assert len(document.text.encode()) <= MAX_BULK_DOCUMENT_BYTES
        assert " nodes" not in document.text
        assert document.text.count("edges { node {") == 3


def test_the_export_of_listed_prices_keeps_to_them_too() -> None:
    document = export_of(CONTEXTS)

    assert len(document.text.encode()) <= MAX_BULK_DOCUMENT_BYTES
    assert document.text.count("edges { node {") == 1
    assert document.text.count("contextualPricing") == LISTS_AT_ONCE


def test_an_export_of_what_changed_differs_in_its_condition_only() -> None:
    since = datetime(2026, 11, 24, 12, 30, tzinfo=timezone(timedelta(hours=2)))

    changed = changed_since(CATALOG, since)

    condition = """(query: "updated_at:>='2026-11-24T10:30:00Z'")"""
    assert changed.text.replace(condition, "") == CATALOG.text
    assert changed.name == CATALOG.name


def test_metafields_are_asked_for_by_namespace_and_key() -> None:
    document = with_metafields(CATALOG, Metafields(("custom.material",), ("$app:x.size",)))

    assert 'metafield0: metafield(namespace: "custom", key: "material") { type value }' in document.text
    assert 'metafield0: metafield(namespace: "$app:x", key: "size") { type value }' in document.text
