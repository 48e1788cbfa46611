"""Rebuilds a request that was recorded without its query: from the answer's shape, the variables and the schema."""

import re
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)
from graphql.type import GraphQLNamedType
from recording import Json, Step

_GID = re.compile(r"gid://shopify/(\w+)/")
_PAGE = 10
_FILTERS = frozenset({"originType"})
"""Optional arguments of nested fields that leave rows out."""


class CannotAskError(Exception):
    """The schema of the sandbox has nothing that could give such an answer."""


class NotRecordedError(CannotAskError):
    """What was asked cannot be told from what was recorded."""


@dataclass(frozen=True)
class Rebuilt:
    """A query with its variables, and the fields of the answer that it could not ask for."""

    query: str
    variables: Json
    unasked: frozenset[tuple[str, ...]]


@dataclass
class _Request:
    """The variables that the rebuilt query may use, and those that it uses, with their types."""

    schema: GraphQLSchema
    variables: Json
    used: dict[str, str] = field(default_factory=dict)
    unasked: set[tuple[str, ...]] = field(default_factory=set)
    """Fields of the answer whose arguments were not recorded: keys from the root on, without places in lists."""
    path: list[str] = field(default_factory=list)


def rebuild(schema: GraphQLSchema, step: Step) -> Rebuilt:
    """Rebuild a request. Raises CannotAskError naming the root field that is missing."""
    data = step.body.get("data")
    if data is None and step.hint:
        data = dict.fromkeys(step.hint)
    if not isinstance(data, dict):
        raise CannotAskError("its query was not recorded, and its answer has no data to tell it from")
    given = step.variables or {}
    request = _Request(schema, given)
    is_mutation = schema.mutation_type is not None and all(key in schema.mutation_type.fields for key in data)
    owner = schema.mutation_type if is_mutation else schema.query_type
    if owner is None:
        raise CannotAskError("the schema has no such operations")
    parts = [_root(request, owner, key, value) for key, value in data.items()]
    declared = ", ".join(f"${name}: {kind}" for name, kind in request.used.items())
    kind = "mutation" if is_mutation else "query"
    query = f"{kind} Rebuilt{f'({declared})' if declared else ''} {{ {' '.join(parts)} }}"
    return Rebuilt(query, {name: given[name] for name in request.used}, frozenset(request.unasked))


def _root(request: _Request, owner: GraphQLObjectType, key: str, value: object) -> str:
    name = key if key in owner.fields else _guess(request, owner, value)
    if name is None:
        if _is_named_after_a_type(request.schema, key, value):
            raise CannotAskError(f"`{key}` is not served")
        raise NotRecordedError(f"`{key}` is an alias of a field that was not recorded")
    request.path = [key]
    chosen = owner.fields[name]
    label = key if key == name else f"{key}: {name}"
    return f"{label}{_arguments(request, chosen, value)}{_selection(request, chosen, value)}"


def _is_named_after_a_type(schema: GraphQLSchema, key: str, value: object) -> bool:
    """Fields are named after what they are about (`priceListCreate`); an alias seldom is."""
    kinds = {*schema.type_map, *re.findall(r"gid://shopify/(\w+)/", repr(value))}
    return any(key.startswith(kind[0].lower() + kind[1:]) for kind in kinds if not kind.startswith("__"))


def _guess(request: _Request, owner: GraphQLObjectType, value: object) -> str | None:
    """Find the field behind an alias: by the type of the id that it gave, or by being a count."""
    if not isinstance(value, dict):
        return None
    if "precision" in value:
        counts = [name for name, found in owner.fields.items() if get_named_type(found.type).name == "Count"]
        return next(
            (name for name in counts if ("query" in request.variables) <= ("query" in owner.fields[name].args)), None
        )
    wanted = _type_of_id(value.get("id"))
    for name, found in owner.fields.items():
        if wanted and get_named_type(found.type).name == wanted and list(found.args) == ["id"]:
            return name
    return None


def _arguments(request: _Request, chosen: GraphQLField, value: object) -> str:
    parts = [
        f"{name}: {text}"
        for name, argument in chosen.args.items()
        if (text := _argument(request, name, argument, value)) is not None
    ]
    asked = {part.partition(":")[0] for part in parts}
    if len(request.path) > 1 and _is_empty(value) and (set(chosen.args) & _FILTERS) - asked:
        raise CannotAskError("it may have been filtered to nothing, and the filter was not recorded")
    if _is_connection(get_named_type(chosen.type)) and not any(part.startswith(("first:", "last:")) for part in parts):
        parts.append(f"first: {_page_size(value)}")
    return f"({', '.join(parts)})" if parts else ""


def _argument(request: _Request, name: str, argument: GraphQLArgument, value: object) -> str | None:
    is_root = len(request.path) == 1
    if name in request.variables and (is_root or is_required_argument(argument) or name in _FILTERS):
        request.used[name] = str(argument.type)
        return f"${name}"
    named = f"{request.path[-1].removesuffix('s')}Query"
    if name == "query" and named in request.variables:
        request.used[named] = str(argument.type)
        return f"${named}"
    if name != "id":
        own = value.get(name) if isinstance(value, dict) else None
        if is_required_argument(argument) and not isinstance(own, str):
            raise CannotAskError(f"argument `{name}` was not recorded")
        return f'"{own}"' if is_required_argument(argument) else None
    own = value.get("id") if isinstance(value, dict) else None
    for other, given in request.variables.items():
        if isinstance(given, str) and given == own:
            request.used[other] = "ID!"
            return f"${other}"
    if isinstance(own, str):
        return f'"{own}"'
    raise CannotAskError("argument `id` was not recorded")


def _selection(request: _Request, chosen: GraphQLField, value: object) -> str:
    named = get_named_type(chosen.type)
    if is_leaf_type(named):
        return ""
    sample = _merged(value) if isinstance(_unwrapped(chosen.type), GraphQLList) else value
    if not isinstance(sample, dict) or not sample:
        return " { __typename }"
    return f" {{ {_fields(request, named, sample) or '__typename'} }}"


def _unwrapped(kind: object) -> object:
    return kind.of_type if isinstance(kind, GraphQLNonNull) else kind


def _fields(request: _Request, named: GraphQLNamedType, sample: Json) -> str:
    if isinstance(named, GraphQLUnionType):
        return _concrete(request, named, sample)
    if not isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
        return ""
    parts = []
    for key, value in sample.items():
        if key == "__typename":
            parts.append(key)
        elif key in named.fields:
            found = named.fields[key]
            request.path.append(key)
            used = dict(request.used)
            try:
                parts.append(f"{key}{_arguments(request, found, value)}{_selection(request, found, value)}")
            except CannotAskError:
                request.used = used
                request.unasked.add(tuple(request.path))
            finally:
                request.path.pop()
    if isinstance(named, GraphQLInterfaceType):
        parts.append(
            _concrete(request, named, {key: sample[key] for key in sample if key not in named.fields} | _id(sample))
        )
    return " ".join(part for part in parts if part)


def _concrete(request: _Request, named: GraphQLInterfaceType | GraphQLUnionType, sample: Json) -> str:
    wanted = sample.get("__typename") or _type_of_id(sample.get("id"))
    found = request.schema.get_type(wanted) if wanted else None
    if not isinstance(found, GraphQLObjectType) or found not in request.schema.get_possible_types(named):
        return ""
    return f"... on {found.name} {{ {_fields(request, found, sample)} }}"


def _id(sample: Json) -> Json:
    return {"id": sample["id"]} if "id" in sample else {}


def _merged(value: object) -> Json:
    """One object with the keys of all objects of a list."""
    merged: Json = {}
    for item in value if isinstance(value, list) else []:
        if isinstance(item, dict):
            _merge(merged, item)
    return merged


def _merge(into: Json, item: Json) -> None:
    for key, value in item.items():
        known = into.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            _merge(known, value)
        elif known is None or known == []:
            into[key] = dict(value) if isinstance(value, dict) else value


def _type_of_id(text: Any) -> str | None:  # noqa: ANN401 - any JSON
    match = _GID.match(text) if isinstance(text, str) else None
    return match[1] if match else None


def _is_connection(named: GraphQLNamedType) -> bool:
    return named.name.endswith("Connection")


def _is_empty(value: object) -> bool:
    return isinstance(value, dict) and any(value.get(name) == [] for name in ("nodes", "edges"))


def _page_size(value: object) -> int:
    """A page that had a next one was full; any other may be larger than what it held."""
    if not isinstance(value, dict):
        return _PAGE
    rows = value.get("nodes", value.get("edges")) or []
    info = value.get("pageInfo") or {}
    return len(rows) if info.get("hasNextPage") and rows else max(_PAGE, len(rows))
