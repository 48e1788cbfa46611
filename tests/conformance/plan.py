"""Decides for each recorded request: send it, take its answer as evidence of what the store held, or leave it out."""

from dataclasses import dataclass
from typing import Any

from graphql import FieldNode, GraphQLError, GraphQLSchema, OperationDefinitionNode, parse
from rebuild import CannotAskError, NotRecordedError, rebuild
from recording import Json, Recording, Result, Step, Upload
from scope import reason_out_of_scope


@dataclass(frozen=True)
class Send:
    """A request to be sent. `is_rebuilt` queries have places of their own in errors."""

    step: Step
    query: str
    variables: Json
    is_mutation: bool
    roots: tuple[str, ...]
    is_rebuilt: bool = False
    unasked: frozenset[tuple[str, ...]] = frozenset()
    """Fields of the answer that a rebuilt query could not ask for."""


@dataclass(frozen=True)
class Evidence:
    """An answer that tells what the store held and is not asked for again."""

    step: Step


@dataclass(frozen=True)
class NotAsked:
    """A request whose text was not recorded and cannot be told from its answer."""

    step: Step
    reason: str


@dataclass(frozen=True)
class LeftOut:
    """A request that pricing never makes."""

    step: Step
    reason: str


@dataclass(frozen=True)
class NotServed:
    """A request in scope that the sandbox cannot even be asked."""

    step: Step
    reason: str


# A product of a setup is given to the sandbox as it was when the case began: recorders go on to shape it in ways that
# the sandbox does not serve (options, pictures), and what these did is known from their answers only.
_GIVEN = frozenset({"productCreate", "productSet"})

Action = Send | Evidence | NotAsked | LeftOut | NotServed | Upload | Result


def plan(recording: Recording, schema: GraphQLSchema) -> list[Action]:
    """Decide about every event, in their order."""
    return [_decide(event, schema) if isinstance(event, Step) else event for event in recording.events]


def _decide(step: Step, schema: GraphQLSchema) -> Action:
    roots = _roots_of_query(step.query) if step.query else None
    names = [name for name, _ in roots] if roots else step.roots
    reasons = [reason_out_of_scope(name) for name in names]
    if names and all(reasons):
        return LeftOut(step, str(reasons[0]))
    is_aside = step.role != "case"
    if is_aside and not all(_is_served(schema, name) and name not in _GIVEN for name in names):
        return Evidence(step)
    if step.query is not None:
        is_mutation = any(kind == "mutation" for _, kind in roots or ())
        return Send(step, step.query, step.variables or {}, is_mutation, tuple(names))
    is_read = schema.query_type is not None and bool(names) and all(name in schema.query_type.fields for name in names)
    if step.variables is None and (is_aside or not is_read):
        return Evidence(step)
    return _rebuilt(step, schema, tuple(names))


def _rebuilt(step: Step, schema: GraphQLSchema, names: tuple[str, ...]) -> Action:
    try:
        made = rebuild(schema, step)
    except NotRecordedError as error:
        return NotAsked(step, str(error))
    except CannotAskError as error:
        return NotServed(step, str(error)) if step.role == "case" else Evidence(step)
    is_mutation = made.query.startswith("mutation")
    return Send(step, made.query, made.variables, is_mutation, names, is_rebuilt=True, unasked=made.unasked)


def _roots_of_query(query: str) -> list[tuple[str, str]]:
    """The root fields of a document with the kind of their operation; none when it cannot be read."""
    try:
        document = parse(query)
    except GraphQLError:
        return []
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return [
        (field.name.value, operation.operation.value)
        for operation in operations
        for field in operation.selection_set.selections
        if isinstance(field, FieldNode)
    ]


def _is_served(schema: GraphQLSchema, name: str) -> bool:
    owners = (schema.query_type, schema.mutation_type)
    return any(owner is not None and name in owner.fields for owner in owners)


def is_gid(value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether a value is a global id."""
    return isinstance(value, str) and value.startswith("gid://shopify/")
