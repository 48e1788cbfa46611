"""What a query costs, before (requested) and after (actual) it runs.

The rules were read off recorded answers, Shopify publishes none: an object is 1, a connection
2 + max(1, floor(2 ln n)) times its node, money and page info are free, a count is 10 at the root or with a
limit, a mutation is 10 (its payload's own objects are free), `nodes(ids:)` is 1 + its dearest fragment
however many ids; so is every field of an interface.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
)

_FREE_TYPES: Final = frozenset({"MoneyV2", "PageInfo"})
_BASE: Final = 10
_TENTHS_PER_VARIANT: Final = 2

Variables = Mapping[str, Any]


class Kind(Enum):
    """How a field is priced."""

    FREE = auto()
    OBJECT = auto()
    CONNECTION = auto()
    ABSTRACT = auto()
    COUNT = auto()
    MUTATION = auto()
    PRICE_UPDATE = auto()


_OWN_COST: Final = {
    Kind.FREE: 0,
    Kind.OBJECT: 1,
    Kind.ABSTRACT: 1,
    Kind.CONNECTION: 2,
    Kind.COUNT: _BASE,
    Kind.MUTATION: _BASE,
}


@dataclass(frozen=True, slots=True)
class Size:
    """A number that an argument says: itself, or the length of its list. Written in the query or in a variable."""

    literal: int | None
    variable: str | None
    inside: str | None = None
    """The field of the variable that holds the list, if the variable is an object."""

    def value(self, variables: Variables) -> int | None:
        """Return the number, or None when it was not given."""
        if self.variable is None:
            return self.literal
        found = variables.get(self.variable)
        if self.inside is not None:
            found = found.get(self.inside) if isinstance(found, dict) else None
        if isinstance(found, list):
            return len(found)
        return found if isinstance(found, int) else None


@dataclass(frozen=True, slots=True)
class CostNode:
    """A priced field of one document. `owner` is the type the field was selected on."""

    key: str
    owner: str
    kind: Kind
    sizes: tuple[Size, ...]
    children: tuple["CostNode", ...]
    rows: Size | None = None


def requested_cost(plan: tuple[CostNode, ...], variables: Variables) -> int:
    """Price a document with these variables before it runs."""
    return sum(_requested(node, variables) for node in plan)


def actual_cost(plan: tuple[CostNode, ...], variables: Variables, data: object) -> int:
    """Price what really came back: a null is free unless it is a root field. Never more than the requested cost."""
    if not isinstance(data, dict):
        return sum(_own(node, variables) for node in plan)
    total = sum(
        _own(node, variables) if data.get(node.key) is None else _actual(node, variables, data[node.key])
        for node in plan
    )
    return min(total, requested_cost(plan, variables))


def _own(node: CostNode, variables: Variables) -> int:
    if node.kind is not Kind.PRICE_UPDATE:
        return _OWN_COST[node.kind]
    rows = node.rows.value(variables) if node.rows else None
    return _BASE + _TENTHS_PER_VARIANT * (rows or 0) // 10


def _times(count: int) -> int:
    return max(1, math.floor(2 * math.log(count))) if count > 0 else 1


def _requested(node: CostNode, variables: Variables) -> int:
    own = _own(node, variables)
    # Fragments on the types of an interface: only the dearest counts. An object has one owner for all its fields.
    owners = {child.owner for child in node.children}
    below = max((_sum_of(node, owner, variables) for owner in owners), default=0)
    if node.kind is not Kind.CONNECTION:
        return own + below
    asked = [n for n in (size.value(variables) for size in node.sizes) if n is not None]
    return own + (_times(asked[0]) * (1 + below) if asked else 0)


def _sum_of(node: CostNode, owner: str, variables: Variables) -> int:
    return sum(_requested(child, variables) for child in node.children if child.owner == owner)


def _actual(node: CostNode, variables: Variables, value: object) -> int:
    own = _own(node, variables)
    if value is None:
        return 0
    if isinstance(value, list):
        present = [item for item in value if isinstance(item, dict)]
        dearest = max((_below(node, variables, item) for item in present), default=0)
        return own + dearest if present else 0
    if not isinstance(value, dict):
        return own
    if node.kind is not Kind.CONNECTION:
        return own + _below(node, variables, value)
    rows = _rows_of(value)
    dearest = max((_below(node, variables, row) for row in rows), default=0)
    return own + _times(len(rows)) * (1 + dearest)


def _below(node: CostNode, variables: Variables, item: dict[str, Any]) -> int:
    sums: Counter[str] = Counter()
    for child in node.children:
        if child.key in item:
            sums[child.owner] += _actual(child, variables, item[child.key])
    return max(sums.values(), default=0)


def _rows_of(connection: dict[str, Any]) -> list[dict[str, Any]]:
    for value in connection.values():
        if isinstance(value, list):
            return [row.get("node", row) for row in value if isinstance(row, dict)]
    return []


class CostCompiler:
    """Turns one operation into its priced fields."""

    def __init__(self, schema: GraphQLSchema, fragments: dict[str, FragmentDefinitionNode]) -> None:
        """Take the schema and the named fragments of the document."""
        self._schema = schema
        self._fragments = fragments

    def compile(self, operation: OperationDefinitionNode) -> tuple[CostNode, ...]:
        """Price the fields of an operation."""
        is_mutation = operation.operation is OperationType.MUTATION
        return tuple(
            self._root(owner, field, is_mutation=is_mutation)
            for owner, field in self._roots(operation)
            if not field.name.value.startswith("__")
        )

    def root_fields(self, operation: OperationDefinitionNode) -> list[FieldNode]:
        """List the root fields of an operation, those in fragments too."""
        return [field for _, field in self._roots(operation)]

    def _roots(self, operation: OperationDefinitionNode) -> list[tuple[GraphQLObjectType, FieldNode]]:
        root = self._schema.get_root_type(operation.operation)
        if root is None:
            raise ValueError(f"the schema has no {operation.operation.value}")
        return self._fields(operation.selection_set, root)

    def _root(self, owner: GraphQLObjectType, field: FieldNode, *, is_mutation: bool) -> CostNode:
        node = self._node(owner, field)
        if node is None:
            return CostNode(_key(field), owner.name, Kind.FREE, (), ())
        if not is_mutation:
            kind = Kind.COUNT if field.name.value.endswith("Count") else node.kind
            return CostNode(node.key, node.owner, kind, node.sizes, node.children)
        payload = tuple(
            CostNode(child.key, child.owner, Kind.FREE, child.sizes, child.children) for child in node.children
        )
        read = _ROWS_OF.get(field.name.value)
        kind = Kind.MUTATION if read is None else Kind.PRICE_UPDATE
        return CostNode(node.key, node.owner, kind, (), payload, read(field) if read else None)

    def _node(self, owner: GraphQLObjectType, field: FieldNode) -> CostNode | None:
        if field.selection_set is None or field.name.value.startswith("__"):
            return None
        named = get_named_type(owner.fields[field.name.value].type)
        key, selection = _key(field), field.selection_set
        if isinstance(named, GraphQLInterfaceType):
            return CostNode(key, owner.name, Kind.ABSTRACT, (), self._abstract(selection, named))
        if not isinstance(named, GraphQLObjectType):
            return None
        if named.name.endswith("Connection"):
            sizes = tuple(size for name in ("first", "last") if (size := size_of(field, name)))
            return CostNode(key, owner.name, Kind.CONNECTION, sizes, self._connection(selection, named))
        kind = Kind.FREE if named.name in _FREE_TYPES else Kind.OBJECT
        if named.name == "Count" and "limit" in owner.fields[field.name.value].args:
            kind = Kind.COUNT
        return CostNode(key, owner.name, kind, (), self._children(selection, named))

    def _children(self, selection: SelectionSetNode, owner: GraphQLObjectType) -> tuple[CostNode, ...]:
        nodes = (self._node(kind, field) for kind, field in self._fields(selection, owner))
        return tuple(node for node in nodes if node is not None)

    def _connection(self, selection: SelectionSetNode, owner: GraphQLObjectType) -> tuple[CostNode, ...]:
        children: list[CostNode] = []
        for kind, field in self._fields(selection, owner):
            named = get_named_type(kind.fields[field.name.value].type) if field.selection_set else None
            if field.selection_set is None:
                continue
            if field.name.value == "edges" and isinstance(named, GraphQLObjectType):
                children.extend(self._connection(field.selection_set, named))
            elif field.name.value in {"node", "nodes"} and isinstance(named, GraphQLInterfaceType):
                children.extend(self._abstract(field.selection_set, named))
            elif field.name.value in {"node", "nodes"} and isinstance(named, GraphQLObjectType):
                children.extend(self._children(field.selection_set, named))
        return tuple(children)

    def _abstract(self, selection: SelectionSetNode, owner: GraphQLInterfaceType) -> tuple[CostNode, ...]:
        possible = self._schema.get_possible_types(owner)
        return tuple(node for kind in possible for node in self._children(selection, kind) if node.owner == kind.name)

    def _fields(
        self, selection: SelectionSetNode, owner: GraphQLObjectType
    ) -> list[tuple[GraphQLObjectType, FieldNode]]:
        """List the fields selected on a concrete type, looking through fragments that apply to it."""
        found: list[tuple[GraphQLObjectType, FieldNode]] = []
        for node in selection.selections:
            if isinstance(node, FieldNode):
                found.append((owner, node))
                continue
            fragment = self._fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
            if isinstance(fragment, FragmentDefinitionNode | InlineFragmentNode) and self._applies(fragment, owner):
                found.extend(self._fields(fragment.selection_set, owner))
        return found

    def _applies(self, fragment: FragmentDefinitionNode | InlineFragmentNode, owner: GraphQLObjectType) -> bool:
        condition = fragment.type_condition
        names = {owner.name, *(interface.name for interface in owner.interfaces)}
        return condition is None or condition.name.value in names


def _key(field: FieldNode) -> str:
    return field.alias.value if field.alias else field.name.value


def size_of(field: FieldNode, name: str) -> Size | None:
    """Find what an argument of this name says, or None when the field has no such argument."""
    for argument in field.arguments or ():
        if argument.name.value != name:
            continue
        return _size_in(argument.value)
    return None


def _size_in(value: ValueNode) -> Size | None:
    if isinstance(value, VariableNode):
        return Size(None, value.name.value)
    if isinstance(value, IntValueNode):
        return Size(int(value.value), None)
    return Size(len(value.values), None) if isinstance(value, ListValueNode) else None


def _variants_of_input(field: FieldNode) -> Size | None:
    """Find the list of variants inside of `input`, in the query or in a variable."""
    value = next((argument.value for argument in field.arguments or () if argument.name.value == "input"), None)
    if isinstance(value, VariableNode):
        return Size(None, value.name.value, "variants")
    fields = value.fields if isinstance(value, ObjectValueNode) else ()
    return next((_size_in(each.value) for each in fields if each.name.value == "variants"), None)


_ROWS_OF: Final[dict[str, Callable[[FieldNode], Size | None]]] = {
    "productVariantsBulkUpdate": lambda field: size_of(field, "variants"),
    "productSet": _variants_of_input,
}
"""The mutations that cost more with each variant, and where their variants are."""
