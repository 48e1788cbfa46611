"""Reads the query of a bulk operation: refuses what Shopify refuses, and compiles the rest to projections."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    REMOVE,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    StringValueNode,
    Visitor,
    VisitorAction,
    get_named_type,
    parse,
    validate,
    value_from_ast_untyped,
    visit,
)

from calibr_sandbox.errors import translate
from calibr_sandbox.facts import product_metafield
from calibr_sandbox.fields import GETTERS, Getter, ShopContext
from calibr_sandbox.markets.contextual import Context, price_in, read_context
from calibr_sandbox.markets.fields import GETTERS as MARKET_GETTERS
from calibr_sandbox.markets.rows import ContextPrice
from calibr_sandbox.rows import VariantRow
from calibr_sandbox.search import PRODUCT_FIELDS, VARIANT_FIELDS, Filter, SearchError, parse_search
from calibr_sandbox.variant_extras import find_metafield

MAX_BYTES: Final = 65_535
_MAX_CONNECTIONS: Final = 5
_MAX_DEPTH: Final = 2
_ROOTS: Final = {"products": ("Product", PRODUCT_FIELDS), "productVariants": ("ProductVariant", VARIANT_FIELDS)}
_CHILDREN: Final = {"variants": "ProductVariant", "collections": "Collection"}
"""Connections of a product that are exported, with the types of their nodes."""
_EMPTY_ROOTS: Final = frozenset(
    {"abandonedCheckouts", "articles", "blogs", "collections", "companies", "customers", "deliveryProfiles"}
    | {"discountNodes", "draftOrders", "files", "fulfillmentOrders", "giftCards", "metaobjects", "orders", "pages"}
    | {"returns", "segments", "sellingPlanGroups", "subscriptionContracts", "urlRedirects"}
)
"""Connections of which a sandbox shop has no rows: an export of them is empty, whatever it selects."""
_EMPTY_CHILDREN: Final = frozenset(
    {"images", "media", "metafields", "resourcePublications", "resourcePublicationsV2"}
    | {"sellingPlanGroups", "translations"}
)
_LISTS_ELSEWHERE: Final = frozenset({"fulfillments", "refunds", "returns", "suggestedRefund", "transactions"})
"""List fields of objects that the sandbox does not have."""

Projection = Callable[[Any, ShopContext], dict[str, Any]]
"""Turns a row into the object of one line."""


class RefusedQueryError(Exception):
    """The query cannot run in bulk; `messages` says why."""

    def __init__(self, *messages: str) -> None:
        """Keep the user errors' messages."""
        super().__init__(messages[0])
        self.messages = messages


@dataclass(frozen=True, slots=True)
class BulkQuery:
    """A bulk query ready to run: which rows of which root, their lines, their children's lines if any."""

    root: str
    where: Filter
    project: Projection
    project_child: Projection | None
    project_collection: Projection | None = None


@dataclass(frozen=True, slots=True)
class _Connection:
    """A connection of the document: its field, how many connections are around it, its node's fields."""

    field: FieldNode
    depth: int
    node: SelectionSetNode | None
    uses_nodes: bool


def read_bulk_query(schema: GraphQLSchema, text: str) -> BulkQuery:
    """Check and compile a query. Raises RefusedQueryError with Shopify's messages."""
    size = len(text.encode())
    if size > MAX_BYTES:
        raise RefusedQueryError(f"Query is too large ({size} bytes; maximum is {MAX_BYTES} bytes)")
    try:
        reader = _Reader(schema, parse(text))
        reader.check()
        return reader.compile()
    except GraphQLError as error:
        raise RefusedQueryError(f"Invalid bulk query: {translate(error)['message']}") from error
    except RecursionError as error:
        raise RefusedQueryError("Invalid bulk query: it is nested too deeply, or its fragments form a cycle") from error


class _Reader:
    """Walks one document."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._document = document
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
        if len(operations) != 1 or operations[0].operation is not OperationType.QUERY:
            raise RefusedQueryError("Invalid operation type. Only `query` operations are supported.")
        self._roots = list(self._fields(operations[0].selection_set))

    def leave_out_empty(self) -> None:
        """Leave out the nested connections of which the shop has no rows. After the shape was checked."""
        self._document = visit(self._document, _EmptyConnections())
        self._fragments = {d.name.value: d for d in self._document.definitions if isinstance(d, FragmentDefinitionNode)}
        (operation,) = (d for d in self._document.definitions if isinstance(d, OperationDefinitionNode))
        self._roots = list(self._fields(operation.selection_set))

    def check(self) -> None:
        """Apply the rules of bulk queries, then the schema."""
        connections = list(self._connections(self._roots, 0))
        messages = [*self._root_messages(), *_shape_messages(connections), *self._parent_messages(connections)]
        if self._has_connection_in_list(self._roots, inside=False):
            messages.append("Queries that contain a connection field within a list field are not currently supported.")
        if not messages and not self._is_empty:
            self.leave_out_empty()
            errors = validate(self._schema, self._document)
            messages = [f"Invalid bulk query: {translate(error)['message']}" for error in errors]
        if messages:
            raise RefusedQueryError(*messages)

    def compile(self) -> BulkQuery:
        """Compile a checked document."""
        root = self._roots[0]
        if self._is_empty:
            return BulkQuery("products", Filter("0"), lambda _row, _shop: {}, None)
        if len(self._roots) > 1 or root.name.value not in _ROOTS:
            raise RefusedQueryError("The sandbox exports one top level field: `products` or `productVariants`.")
        type_name, search_fields = _ROOTS[root.name.value]
        node = self._node_of(root)
        nested = [field for field in self._fields(node) if _is_child(type_name, field)]
        names = [field.name.value for field in nested]
        if len(list(self._connections(self._roots, 0))) != 1 + len(nested) or len(set(names)) < len(names):
            told = " and ".join(f"`Product.{name}`" for name in _CHILDREN)
            raise RefusedQueryError(f"The nested connections that the sandbox exports are {told}, once each.")
        children = {f.name.value: self._projection(self._node_of(f), _CHILDREN[f.name.value]) for f in nested}
        try:
            where = parse_search(_query_argument(root), search_fields)
        except SearchError as error:
            raise RefusedQueryError(str(error)) from error
        project = self._projection(node, type_name)
        return BulkQuery(root.name.value, where, project, children.get("variants"), children.get("collections"))

    @property
    def _is_empty(self) -> bool:
        return len(self._roots) == 1 and self._roots[0].name.value in _EMPTY_ROOTS

    def _has_connection_in_list(self, fields: list[FieldNode], *, inside: bool) -> bool:
        for field in fields:
            below = list(self._fields(field.selection_set)) if field.selection_set else []
            if inside and {child.name.value for child in below} & {"edges", "nodes"}:
                return True
            if self._has_connection_in_list(below, inside=inside or field.name.value in _LISTS_ELSEWHERE):
                return True
        return False

    def _root_messages(self) -> Iterator[str]:
        for field in self._roots:
            if field.name.value in {"node", "nodes"}:
                yield f"Bulk queries cannot contain a top level `{field.name.value}` field."

    def _parent_messages(self, connections: list[_Connection]) -> Iterator[str]:
        without_id = [
            connection.field.name.value
            for connection in connections
            if connection.node is not None and self._needs_id(connection.node)
        ]
        if without_id:
            yield (
                "The parent 'node' field for a nested connection must select the 'id' field without an alias and "
                f"must be of 'ID' return type. Connection fields without 'id': {', '.join(without_id)}."
            )

    def _needs_id(self, node: SelectionSetNode) -> bool:
        fields = list(self._fields(node))
        nests = any(True for _ in self._connections(fields, 0))
        return nests and not any(field.name.value == "id" and field.alias is None for field in fields)

    def _connections(self, fields: list[FieldNode], depth: int) -> Iterator[_Connection]:
        for field in fields:
            below = list(self._fields(field.selection_set)) if field.selection_set else []
            names = {child.name.value for child in below}
            is_connection = bool(names & {"edges", "nodes"})
            if is_connection:
                uses_nodes = "nodes" in names
                yield _Connection(field, depth, None if uses_nodes else self._node_of(field), uses_nodes)
            yield from self._connections(below, depth + 1 if is_connection else depth)

    def _node_of(self, connection: FieldNode) -> SelectionSetNode:
        for edges in self._fields(connection.selection_set):
            for node in self._fields(edges.selection_set) if edges.name.value == "edges" else ():
                if node.name.value == "node" and node.selection_set:
                    return node.selection_set
        raise RefusedQueryError(f"The connection '{connection.name.value}' must select 'edges' > 'node'.")

    def _projection(self, selection: SelectionSetNode, type_name: str) -> Projection:
        """Compile the fields of a node to one function from its row to an object."""
        parts = [
            (field.alias.value if field.alias else field.name.value, self._reader_of(field, type_name))
            for field in self._fields(selection, type_name)
            if not _is_child(type_name, field)
        ]
        return lambda row, shop: {key: read(row, shop) for key, read in parts}

    def _reader_of(self, field: FieldNode, type_name: str) -> Getter:
        name = field.name.value
        if name == "__typename":
            return lambda _row, _shop: type_name
        read = self._getter(field, type_name)
        if field.selection_set is None:
            return read
        below = self._projection(field.selection_set, self._type_of(field, type_name))

        def read_below(row: Any, shop: ShopContext) -> Any:  # noqa: ANN401 - rows and JSON of any field
            value = read(row, shop)
            if isinstance(value, list):
                return [below(item, shop) for item in value]
            return None if value is None else below(value, shop)

        return read_below

    def _getter(self, field: FieldNode, type_name: str) -> Getter:
        """Find what reads a checked field, with its arguments if it has some."""
        name = field.name.value
        if name == "metafield":
            return _metafield_reader(field, type_name)
        if (type_name, name) == ("ProductVariant", "contextualPricing"):
            return _context_reader(field)
        read = (GETTERS.get(type_name) or MARKET_GETTERS.get(type_name, {})).get(name)
        if read is None:
            raise RefusedQueryError(f"The sandbox does not export `{type_name}.{name}`.")
        return read

    def _type_of(self, field: FieldNode, owner: str) -> str:
        """Return the name of the type that a checked field yields, without its list and null wrappers."""
        kind = self._schema.get_type(owner)
        if not isinstance(kind, GraphQLObjectType):
            raise TypeError(f"{owner} is no object type")
        return str(get_named_type(kind.fields[field.name.value].type).name)

    def _fields(self, selection: SelectionSetNode | None, type_name: str | None = None) -> Iterator[FieldNode]:
        """Yield the selected fields, looking through fragments (of this type, when one is given)."""
        for node in selection.selections if selection else ():
            if isinstance(node, FieldNode):
                yield node
                continue
            fragment = self._fragments.get(node.name.value) if isinstance(node, FragmentSpreadNode) else node
            if isinstance(fragment, FragmentDefinitionNode | InlineFragmentNode):
                condition = fragment.type_condition
                if type_name is None or condition is None or condition.name.value in {type_name, "Node"}:
                    yield from self._fields(fragment.selection_set, type_name)


def _is_child(type_name: str, field: FieldNode) -> bool:
    return type_name == "Product" and field.name.value in _CHILDREN


def _metafield_reader(field: FieldNode, type_name: str) -> Getter:
    given = {a.name.value: a.value.value for a in field.arguments or () if isinstance(a.value, StringValueNode)}
    namespace, key = given.get("namespace"), given.get("key", "")
    if type_name == "Product":
        return lambda row, shop: product_metafield(shop.store, row.id, namespace, key)
    return lambda row, _shop: find_metafield(row, namespace, key)


def _context_reader(field: FieldNode) -> Getter:
    """Read prices in the context that the query names. What applies there is found once: a query runs on one shop."""
    given = {a.name.value: value_from_ast_untyped(a.value) for a in field.arguments or ()}
    seen: list[Context] = []

    def read(row: VariantRow, shop: ShopContext) -> ContextPrice:
        if not seen:
            seen.append(read_context(shop.store, given["context"]))
        return price_in(shop.store, seen[0], [row])[0]

    return read


class _EmptyConnections(Visitor):
    """Removes the fields that name a connection of which a sandbox shop has no rows."""

    def enter_field(self, node: FieldNode, *_: Any) -> VisitorAction:  # noqa: ANN401 - what visit passes
        below = node.selection_set.selections if node.selection_set else ()
        names = {child.name.value for child in below if isinstance(child, FieldNode)}
        return REMOVE if node.name.value in _EMPTY_CHILDREN and "edges" in names else None


def _shape_messages(connections: list[_Connection]) -> Iterator[str]:
    by_nodes = [connection.field.name.value for connection in connections if connection.uses_nodes]
    if by_nodes:
        listed = ", ".join(f"'{name}'" for name in by_nodes)
        yield (
            "All connection fields in a bulk query must select their contents using 'edges' > 'node', e.g: "
            f"'{by_nodes[0]} {{ edges {{ node {{'. Selecting via 'nodes' is not supported. "
            f"Invalid connection fields: {listed}."
        )
    if not connections:
        yield "Bulk queries must contain at least one connection."
    if len(connections) > _MAX_CONNECTIONS:
        yield f"Bulk queries cannot contain more than {_MAX_CONNECTIONS} connections."
    if any(connection.depth > _MAX_DEPTH for connection in connections):
        yield f"Bulk queries cannot contain connections with a nesting depth greater than {_MAX_DEPTH}."


def _query_argument(field: FieldNode) -> str | None:
    for argument in field.arguments or ():
        if argument.name.value == "query" and isinstance(argument.value, StringValueNode):
            return argument.value.value
    return None
