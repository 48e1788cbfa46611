"""Our part of the schema says the same as the published one, field by field."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    DocumentNode,
    EnumTypeDefinitionNode,
    InputObjectTypeDefinitionNode,
    InputValueDefinitionNode,
    InterfaceTypeDefinitionNode,
    NonNullTypeNode,
    ObjectTypeDefinitionNode,
    ObjectTypeExtensionNode,
    ScalarTypeDefinitionNode,
    TypeDefinitionNode,
    UnionTypeDefinitionNode,
    parse,
    print_ast,
)

from calibr_sandbox.money import CURRENCIES
from calibr_sandbox.schema import build, sources

Types = dict[str, TypeDefinitionNode]


def _types(document: DocumentNode) -> Types:
    return {node.name.value: node for node in document.definitions if isinstance(node, TypeDefinitionNode)}


@pytest.fixture(scope="module")
def ours() -> Types:
    """All parts of our schema, with the fields that one part adds to the types of another."""
    document = parse("\n".join(sources()))
    types = _types(document)
    for node in document.definitions:
        if isinstance(node, ObjectTypeExtensionNode):
            extended = types[node.name.value]
            assert isinstance(extended, ObjectTypeDefinitionNode)
            fields = (*(extended.fields or ()), *(node.fields or ()))
            types[node.name.value] = replace(extended, fields=fields)
    return types


@pytest.fixture(scope="module")
def published(shared_data: Path, ours: Types) -> Types:
    """The published types that we have too. Parsing all of them would take long."""
    text = (shared_data / "shopify" / "admin_schema_2026-10.graphql").read_text(encoding="utf-8")
    bare = re.sub(r'"""(?:.|\n)*?"""', "", text)
    wanted = "|".join(ours)
    pattern = (
        rf"^(?:scalar (?:{wanted})$|union (?:{wanted}) = [^\n]*$|(?:type|enum|input|interface) (?:{wanted})\b.*?^\}})"
    )
    blocks = [match[0] for match in re.finditer(pattern, bare, re.MULTILINE | re.DOTALL)]
    return _types(parse("\n".join(blocks)))


def _members(node: TypeDefinitionNode) -> dict[str, Any]:
    if isinstance(node, EnumTypeDefinitionNode):
        return {value.name.value: value for value in node.values or ()}
    if isinstance(node, UnionTypeDefinitionNode):
        return {kind.name.value: kind for kind in node.types or ()}
    assert isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode | InputObjectTypeDefinitionNode)
    return {field.name.value: field for field in node.fields or ()}


def _argument(node: InputValueDefinitionNode) -> tuple[str, str]:
    return print_ast(node.type), print_ast(node.default_value) if node.default_value else ""


def _is_required(node: InputValueDefinitionNode) -> bool:
    return isinstance(node.type, NonNullTypeNode) and node.default_value is None


def test_every_type_of_ours_is_published_as_the_same_kind(ours: Types, published: Types) -> None:
    assert {name: type(node) for name, node in ours.items()} == {name: type(published.get(name)) for name in ours}


def test_every_member_of_ours_is_published(ours: Types, published: Types) -> None:
    invented = [
        f"{name}.{member}"
        for name, node in ours.items()
        if not isinstance(node, ScalarTypeDefinitionNode)
        for member in _members(node)
        if member not in _members(published[name])
    ]

    assert invented == []


def test_fields_have_the_published_types_and_arguments(ours: Types, published: Types) -> None:
    for name, node in ours.items():
        if not isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
            continue
        for field_name, field in _members(node).items():
            theirs = _members(published[name])[field_name]
            arguments = {a.name.value: a for a in theirs.arguments or ()}
            mine = {a.name.value: a for a in field.arguments or ()}

            assert print_ast(field.type) == print_ast(theirs.type), f"{name}.{field_name}"
            assert {k: _argument(a) for k, a in mine.items()} == {k: _argument(arguments[k]) for k in mine}
            assert {k for k, a in arguments.items() if _is_required(a)} <= set(mine), f"{name}.{field_name}"


def test_inputs_have_the_published_types_and_miss_nothing_required(ours: Types, published: Types) -> None:
    for name, node in ours.items():
        if not isinstance(node, InputObjectTypeDefinitionNode):
            continue
        theirs, mine = _members(published[name]), _members(node)

        assert {k: _argument(v) for k, v in mine.items()} == {k: _argument(theirs[k]) for k in mine}
        assert {k for k, v in theirs.items() if _is_required(v)} <= set(mine), name


def test_types_implement_only_published_interfaces(ours: Types, published: Types) -> None:
    for name, node in ours.items():
        if isinstance(node, ObjectTypeDefinitionNode):
            theirs = published[name]
            assert isinstance(theirs, ObjectTypeDefinitionNode)
            assert {i.name.value for i in node.interfaces or ()} <= {i.name.value for i in theirs.interfaces or ()}


def test_every_field_of_a_root_is_served() -> None:
    built = build()
    roots = [kind for kind in (built.query_type, built.mutation_type) if kind is not None]

    assert [name for kind in roots for name, field in kind.fields.items() if field.resolve is None] == []


def test_the_currencies_of_the_schema_are_those_that_have_decimals(ours: Types) -> None:
    assert set(_members(ours["CurrencyCode"])) == set(CURRENCIES)
