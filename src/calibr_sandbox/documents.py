"""Parsed, validated and priced documents, kept because clients send the same few over and over."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    NoDeprecatedCustomRule,
    OperationDefinitionNode,
    OperationType,
    parse,
    validate,
    value_from_ast_untyped,
)

from calibr_sandbox.config import MAX_ARRAY_SIZE, MAX_PAGE_SIZE, MAX_VARIANTS_PER_PRODUCT
from calibr_sandbox.cost import CostCompiler, CostNode, Size, size_of
from calibr_sandbox.errors import ErrorBody, input_too_large, translate
from calibr_sandbox.refusals import refusals_of
from calibr_sandbox.variable_problems import check_variables

_CACHED: Final = 512
_MAX_TOKENS: Final = 20_000
_LISTS_OF_PRICES: Final = (
    *("prices", "pricesToAdd", "variantIds", "variantIdsToDelete", "pricesToDeleteByProductIds", "quantityRules"),
)
_ARRAY_CAPS: Final = {
    "ids": MAX_ARRAY_SIZE,
    "input": MAX_ARRAY_SIZE,
    "variants": MAX_VARIANTS_PER_PRODUCT,
    "variantsIds": MAX_ARRAY_SIZE,
    **dict.fromkeys(_LISTS_OF_PRICES, MAX_ARRAY_SIZE),
}


class RefusedDocumentError(Exception):
    """The document cannot run; `errors` says why."""

    def __init__(self, errors: list[ErrorBody]) -> None:
        """Keep the response's errors."""
        super().__init__(errors[0]["message"])
        self.errors = errors


@dataclass(frozen=True, slots=True)
class ListArgument:
    """A list argument of a root field, with its path in an error and the most it may hold."""

    path: tuple[str, str]
    size: Size
    cap: int


@dataclass(frozen=True, slots=True)
class Document:
    """A document ready to run, with the price of the one operation that was asked for."""

    ast: DocumentNode
    operation: OperationDefinitionNode
    plan: tuple[CostNode, ...]
    lists: tuple[ListArgument, ...]
    defaults: dict[str, Any]
    is_mutation: bool
    uses_deprecated: bool
    """Whether a field, an argument or a value in it goes away in a later version."""

    def complete(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Add the defaults that the operation declares for variables that were not sent."""
        return self.defaults | variables if self.defaults else variables

    def check_sizes(self, variables: dict[str, Any]) -> None:
        """Refuse lists and pages that are too large, before the query costs anything. Takes complete variables."""
        for argument in self.lists:
            size = argument.size.value(variables) or 0
            if size > argument.cap:
                raise RefusedDocumentError([input_too_large(size, argument.cap, list(argument.path))])
        for node in _walk(self.plan):
            for asked in (page.value(variables) or 0 for page in node.sizes):
                if not 0 <= asked <= MAX_PAGE_SIZE:
                    message = f"`{node.key}` was asked for {asked} objects; a page holds 0 to {MAX_PAGE_SIZE}."
                    raise RefusedDocumentError([{"message": message, "extensions": {"code": "BAD_REQUEST"}}])


class DocumentCache:
    """The documents seen lately. Not thread-safe: the event loop owns it."""

    def __init__(self, schema: GraphQLSchema) -> None:
        """Start empty."""
        self._schema = schema
        self._kept: OrderedDict[tuple[str, str | None], Document] = OrderedDict()

    def check_types(self, document: Document, variables: dict[str, Any]) -> None:
        """Refuse variables that are not of their types. Takes complete variables; raises RefusedDocumentError."""
        errors = check_variables(self._schema, document.operation, variables)
        if errors:
            raise RefusedDocumentError(errors)

    def prepare(self, query: str, operation_name: str | None) -> Document:
        """Return the document, from memory if it was seen before. Raises RefusedDocumentError."""
        key = (query, operation_name)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        document = self._build(query, operation_name)
        self._kept[key] = document
        if len(self._kept) > _CACHED:
            self._kept.popitem(last=False)
        return document

    def _build(self, query: str, operation_name: str | None) -> Document:
        try:
            ast = parse(query, max_tokens=_MAX_TOKENS)
            errors = refusals_of(self._schema, ast)
        except GraphQLError as error:
            raise RefusedDocumentError([translate(error)]) from error
        if errors:
            raise RefusedDocumentError(errors)
        operation = _pick(ast, operation_name)
        fragments = {d.name.value: d for d in ast.definitions if isinstance(d, FragmentDefinitionNode)}
        compiler = CostCompiler(self._schema, fragments)
        return Document(
            ast,
            operation,
            compiler.compile(operation),
            tuple(_list_arguments(compiler.root_fields(operation))),
            _defaults(operation),
            operation.operation is OperationType.MUTATION,
            bool(validate(self._schema, ast, [NoDeprecatedCustomRule], max_errors=1)),
        )


def _pick(ast: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [d for d in ast.definitions if isinstance(d, OperationDefinitionNode)]
    if name is not None:
        operations = [d for d in operations if d.name and d.name.value == name]
    if len(operations) == 1:
        return operations[0]
    message = f"No operation named {name!r}" if name else "An operation name is required"
    raise RefusedDocumentError([{"message": message, "extensions": {"code": "BAD_REQUEST"}}])


def _defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    declared = operation.variable_definitions or ()
    return {d.variable.name.value: value_from_ast_untyped(d.default_value) for d in declared if d.default_value}


def _list_arguments(fields: list[FieldNode]) -> Iterator[ListArgument]:
    for field in fields:
        for name, cap in _ARRAY_CAPS.items():
            size = size_of(field, name)
            if size is not None:
                yield ListArgument((field.name.value, name), size, cap)


def _walk(plan: tuple[CostNode, ...]) -> Iterator[CostNode]:
    for node in plan:
        yield node
        yield from _walk(node.children)
