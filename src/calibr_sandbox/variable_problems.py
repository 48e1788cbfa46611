"""Checks the values of variables against their declared types, and says what is wrong in Shopify's words."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, cast

from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    Undefined,
    VariableDefinitionNode,
    print_ast,
    type_from_ast,
)
from graphql.language import get_location

from calibr_sandbox.errors import ErrorBody
from calibr_sandbox.ids import parse_gid

_NOT_NULL: Final = "Expected value to not be null"
Place = tuple[str | int, ...]


class Problem(NamedTuple):
    """One wrong place in a value. What only Shopify's own scalars refuse is repeated as a message."""

    path: Place
    explanation: str
    is_custom: bool = False

    def as_json(self) -> dict[str, Any]:
        """Write it as an element of `problems`."""
        told = {"path": list(self.path), "explanation": self.explanation}
        return told | {"message": self.explanation} if self.is_custom else told


def check_variables(
    schema: GraphQLSchema, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> list[ErrorBody]:
    """Return one error per variable that is not of its type."""
    errors = []
    for declared in operation.variable_definitions or ():
        kind = cast("GraphQLInputType | None", type_from_ast(schema, declared.type))
        name = declared.variable.name.value
        if kind is None or (name not in variables and not isinstance(kind, GraphQLNonNull)):
            continue
        found = list(_problems(kind, variables.get(name), ()))
        if found:
            errors.append(_error(declared, variables.get(name), found))
    return errors


def _error(declared: VariableDefinitionNode, value: object, found: list[Problem]) -> ErrorBody:
    places = [f"{'.'.join(map(str, problem.path))} ({problem.explanation})" for problem in found if problem.path]
    kind = print_ast(declared.type)
    message = f"Variable ${declared.variable.name.value} of type {kind} was provided invalid value"
    body: ErrorBody = {"message": f"{message} for {', '.join(places)}" if places else message}
    if declared.loc:
        place = get_location(declared.loc.source, declared.loc.start)
        body["locations"] = [{"line": place.line, "column": place.column}]
    problems = [problem.as_json() for problem in found]
    body["extensions"] = {"code": "INVALID_VARIABLE", "value": value, "problems": problems}
    return body


def _problems(kind: GraphQLInputType, value: object, path: Place) -> Iterator[Problem]:
    if isinstance(kind, GraphQLNonNull):
        if value is None:
            yield Problem(path, _NOT_NULL)
        else:
            yield from _problems(kind.of_type, value, path)
    elif value is None:
        return
    elif isinstance(kind, GraphQLList):
        items = value if isinstance(value, list) else [value]
        for place, item in enumerate(items):
            yield from _problems(kind.of_type, item, (*path, place))
    elif isinstance(kind, GraphQLInputObjectType):
        yield from _object_problems(kind, value, path)
    elif isinstance(kind, GraphQLEnumType):
        if not isinstance(value, str) or value not in kind.values:
            yield Problem(path, f'Expected "{_shown(value)}" to be one of: {", ".join(kind.values)}')
    elif isinstance(kind, GraphQLScalarType):
        yield from _scalar_problems(kind, value, path)


def _object_problems(kind: GraphQLInputObjectType, value: object, path: Place) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(path, f"Expected {_literal(value)} to be a key-value object")
        return
    for name in value:
        if name not in kind.fields:
            yield Problem((*path, name), f"Field is not defined on {kind.name}")
    for name, field in kind.fields.items():
        if name in value:
            yield from _problems(field.type, value[name], (*path, name))
        elif isinstance(field.type, GraphQLNonNull) and field.default_value is Undefined:
            yield Problem((*path, name), _NOT_NULL)


def _scalar_problems(kind: GraphQLScalarType, value: object, path: Place) -> Iterator[Problem]:
    if kind.name == "ID":
        if parse_gid(str(value)) is None:
            yield Problem(path, f"Invalid global id '{value}'", is_custom=True)
        return
    try:
        kind.coerce_input_value(value)
    except GraphQLError as error:
        is_custom = kind.name not in {"Int", "Float", "String", "Boolean"}
        told = error.message if is_custom else f"Could not coerce value {_literal(value)} to {kind.name}"
        yield Problem(path, told, is_custom=is_custom)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else _literal(value)


def _literal(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
