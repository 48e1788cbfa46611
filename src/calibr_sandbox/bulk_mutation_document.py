"""Reads the mutation of a bulk operation: refuses what Shopify refuses, in its words."""

from dataclasses import dataclass
from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    parse,
)

from calibr_sandbox.refusals import refusals_of
from calibr_sandbox.syntax_words import syntax_words

_MAX_TOKENS: Final = 20_000
_NEVER_IN_BULK: Final = "bulkOperationRun"


class RefusedMutationError(Exception):
    """The mutation cannot run in bulk: the user error."""

    def __init__(self, message: str, field: list[str] | None = None, code: str | None = None) -> None:
        """Keep the parts of the user error."""
        super().__init__(message)
        self.message, self.field, self.code = message, field, code


@dataclass(frozen=True, slots=True)
class BulkMutation:
    """A mutation that may run in bulk. One that the sandbox does not serve fails on every line."""

    name: str
    is_served: bool


def read_bulk_mutation(schema: GraphQLSchema, text: str) -> BulkMutation:
    """Check a mutation. Raises RefusedMutationError."""
    try:
        document = parse(text, max_tokens=_MAX_TOKENS)
    except GraphQLSyntaxError as error:
        message = f"Failed to parse the mutation - {syntax_words(text, error)}"
        raise RefusedMutationError(message, None, "INVALID_MUTATION") from error
    except RecursionError as error:
        message = "Failed to parse the mutation - it is nested too deeply"
        raise RefusedMutationError(message, None, "INVALID_MUTATION") from error
    root = _only_root(document)
    if root.name.value.startswith(_NEVER_IN_BULK):
        raise RefusedMutationError("You must use an allowed mutation name.", ["mutation"])
    if _connections(document) > 1:
        raise RefusedMutationError("Bulk mutations cannot contain more than 1 connection.", ["mutation"])
    mutations = schema.mutation_type
    is_served = mutations is not None and root.name.value in mutations.fields
    errors = refusals_of(schema, document) if is_served else []
    if errors:
        raise RefusedMutationError(f"Invalid bulk mutation: {errors[0]['message']}", ["mutation"], "INVALID_MUTATION")
    return BulkMutation(root.name.value, is_served)


def _only_root(document: DocumentNode) -> FieldNode:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if not operations or any(node.operation is not OperationType.MUTATION for node in operations):
        message = "Invalid operation type. Only `mutation` operations are supported."
        raise RefusedMutationError(message, None, "INVALID_MUTATION")
    selected = [field for operation in operations for field in operation.selection_set.selections]
    if len(selected) != 1 or not isinstance(selected[0], FieldNode):
        raise RefusedMutationError("You must specify a single top level mutation.", ["mutation"])
    return selected[0]


def _connections(document: DocumentNode) -> int:
    """Count the fields that select `edges` or `nodes`, those in fragments once."""
    found = 0
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
            found += _connections_in(definition.selection_set)
    return found


def _connections_in(selection: SelectionSetNode | None) -> int:
    found = 0
    for node in selection.selections if selection else ():
        if not isinstance(node, FieldNode | InlineFragmentNode):
            continue
        below = node.selection_set
        if isinstance(node, FieldNode) and below is not None:
            names = {child.name.value for child in below.selections if isinstance(child, FieldNode)}
            found += bool(names & {"edges", "nodes"})
        found += _connections_in(below)
    return found
