"""What is wrong with a document before it runs, in Shopify's words and with Shopify's paths.

Shopify names the place by operation and field names (`["query Name", "products", "nope"]`), where the specification of
GraphQL has only the line and the column.
"""

from collections.abc import Iterator
from typing import Any, Final

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    Node,
    OperationDefinitionNode,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    ValueNode,
    VariableNode,
    Visitor,
    get_named_type,
    print_ast,
    validate,
    visit,
)
from graphql.language import get_location

from calibr_sandbox.errors import ErrorBody, translate
from calibr_sandbox.ids import parse_gid

_LITERAL: Final = "argumentLiteralsIncompatible"


def refusals_of(schema: GraphQLSchema, document: DocumentNode) -> list[ErrorBody]:
    """Validate a document and return everything that is wrong with it."""
    survey = _Survey(TypeInfo(schema))
    visit(document, TypeInfoVisitor(survey.types, survey))
    found = [_told(error, survey) for error in validate(schema, document)]
    return found or list(survey.bad_ids)


def _told(error: GraphQLError, survey: "_Survey") -> ErrorBody:
    node = error.nodes[0] if error.nodes else None
    argument = survey.arguments.get(id(node))
    if argument is not None and isinstance(node, ValueNode):
        return argument
    body = translate(error)
    path = survey.paths.get(id(node))
    if path is not None and body["extensions"].get("code") == "undefinedField":
        body["path"] = path
    return body


class _Survey(Visitor):
    """Notes the path of every field, and what an argument is told of when its literal value does not fit."""

    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self.types = types
        self.paths: dict[int, list[str]] = {}
        self.arguments: dict[int, ErrorBody] = {}
        self.bad_ids: list[ErrorBody] = []
        self._path: list[str] = []
        self._fields: list[FieldNode] = []

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:  # noqa: ANN401
        name = f" {node.name.value}" if node.name else ""
        self._path = [f"{node.operation.value}{name}"]

    def enter_fragment_definition(self, node: FragmentDefinitionNode, *_: Any) -> None:  # noqa: ANN401
        self._path = [f"fragment {node.name.value}"]

    def enter_field(self, node: FieldNode, *_: Any) -> None:  # noqa: ANN401
        self._path.append(node.alias.value if node.alias else node.name.value)
        self._fields.append(node)
        self.paths[id(node)] = list(self._path)

    def leave_field(self, *_: Any) -> None:  # noqa: ANN401
        self._path.pop()
        self._fields.pop()

    def enter_argument(self, node: ArgumentNode, *_: Any) -> None:  # noqa: ANN401
        argument = self.types.get_argument()
        if not self._fields or argument is None or isinstance(node.value, VariableNode):
            return
        field, name = self._fields[-1], node.name.value
        path = [*self._path, name]
        message = (
            f"Argument '{name}' on Field '{field.name.value}' has an invalid value ({print_ast(node.value)})."
            f" Expected type '{argument.type}'."
        )
        told = _body(message, field, path, {"code": _LITERAL, "typeName": "Field", "argumentName": name})
        for value in _values(node.value):
            self.arguments[id(value)] = told
        if get_named_type(argument.type).name == "ID":
            self.bad_ids += [
                _body(f"Invalid global id '{text}'", field, path, {"code": _LITERAL, "typeName": "CoercionError"})
                for text in _texts(node.value)
                if parse_gid(text) is None
            ]


def _body(message: str, field: FieldNode, path: list[str], extensions: dict[str, str]) -> ErrorBody:
    body: ErrorBody = {"message": message}
    if field.loc:
        place = get_location(field.loc.source, field.loc.start)
        body["locations"] = [{"line": place.line, "column": place.column}]
    return body | {"path": path, "extensions": extensions}


def _values(value: ValueNode) -> Iterator[Node]:
    """A value and, when it is a list, those in it; the fields of objects are told of by their own names."""
    yield value
    for item in getattr(value, "values", ()):
        yield from _values(item)


def _texts(value: ValueNode) -> Iterator[str]:
    return (node.value for node in _values(value) if isinstance(node, StringValueNode))
