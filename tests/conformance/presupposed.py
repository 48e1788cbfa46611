"""Gathers what the store of a recording held before the first request: objects by their id, and counts.

Evidence comes in this order, the first word about a field stays: what the recorder read on its own, answers that are
not asked for again, reads, then answers of mutations. What a mutation created is not presupposed.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from plan import Action, Evidence, LeftOut, NotAsked, NotServed, Send, is_gid
from recording import Json, Recording, Result

_GID = re.compile(r"gid://shopify/\w+/[\w-]+")
_CREATES = re.compile(r"(Create|RunQuery|RunMutation)$")


@dataclass
class Presupposed:
    """Objects by global id, each with what is known of it, in the order in which they were met."""

    objects: dict[str, Json] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    """The product of a variant, where a request named both together."""
    products: int = 0
    """How many products the store had, where it was asked."""
    shop_currency: str | None = None
    """What relative prices of price lists tell of the shop's currency."""

    @property
    def currency(self) -> str:
        """The currency of the shop where it was told; dollars otherwise."""
        told = next((shop["currencyCode"] for shop in self.of_type("Shop") if "currencyCode" in shop), None)
        return told or self.shop_currency or "USD"

    def of_type(self, name: str) -> list[Json]:
        """The objects of one type."""
        head = f"gid://shopify/{name}/"
        return [found for gid, found in self.objects.items() if gid.startswith(head)]


def gather(recording: Recording, actions: list[Action]) -> Presupposed:
    """Gather what a recording presupposes."""
    created = set(_created(actions))
    found = Presupposed()
    for body, written in _evidence(recording, actions):
        _collect(body.get("data"), found.objects, written)
        found.products = found.products or _count_of(body)
    for gid in _taken_for_granted(actions):
        found.objects.setdefault(gid, {"id": gid})
    for gid in created:
        found.objects.pop(gid, None)
    for action in actions:
        if isinstance(action, Send):
            found.parents |= _parents(action.variables)
    return found


def _taken_for_granted(actions: Iterable[Action]) -> Iterator[str]:
    """Ids that a request named and that were not refused: they existed, even if nothing was told of them."""
    for action in actions:
        if isinstance(action, Send) and action.is_mutation and not _is_refused(action):
            yield from _GID.findall(repr(action.variables))


def _parents(variables: Any) -> dict[str, str]:  # noqa: ANN401 - any JSON
    product = variables.get("productId") if isinstance(variables, dict) else None
    variants = [gid for gid in _GID.findall(repr(variables)) if "/ProductVariant/" in gid]
    return dict.fromkeys(variants, product) if isinstance(product, str) else {}


Written = dict[str, frozenset[str]]
"""Which fields of which objects a recording has written so far: what is read of them later was not so before."""


def _evidence(recording: Recording, actions: list[Action]) -> Iterator[tuple[Json, Written]]:
    yield from ((step.body, {}) for step in recording.upstream)
    yield from (({"data": {"lines": event.lines}}, {}) for event in recording.events if isinstance(event, Result))
    for action in actions:
        if isinstance(action, Evidence | NotAsked | LeftOut | NotServed):
            yield action.step.body, {}
    asked: list[tuple[Send, Written]] = []
    written: Written = {}
    for action in actions:
        if isinstance(action, Send):
            written = _with_writes(written, action)
            asked.append((action, written))
    for is_mutation in (False, True):
        yield from ((action.step.body, known) for action, known in asked if action.is_mutation is is_mutation)


def _with_writes(written: Written, action: Send) -> Written:
    """Add what a mutation wrote; one that was refused wrote nothing, and shows what there was before."""
    if not action.is_mutation or _is_refused(action):
        return written
    more = dict(written)
    for gid, keys in _named_fields(action.variables):
        more[gid] = more.get(gid, frozenset()) | keys
    return more


def _is_refused(action: Send) -> bool:
    payloads = (action.step.body.get("data") or {}).values()
    refused = any(isinstance(payload, dict) and payload.get("userErrors") for payload in payloads)
    return refused or bool(action.step.body.get("errors"))


def _named_fields(value: Any) -> Iterator[tuple[str, frozenset[str]]]:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        keys = frozenset(value) - {"id"}
        yield from ((item, keys) for name, item in value.items() if name.lower().endswith("id") and is_gid(item))
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _named_fields(item)


def _created(actions: Iterable[Action]) -> Iterator[str]:
    """Ids that creating mutations answered with and that no variable had named before."""
    named: set[str] = set()
    for action in actions:
        if not isinstance(action, Send):
            continue
        named |= set(_GID.findall(repr(action.variables)) + _GID.findall(action.query))
        if not action.is_mutation:
            continue
        for root, payload in (action.step.body.get("data") or {}).items():
            if any(_CREATES.search(name) for name in (root, *action.roots)) and isinstance(payload, dict):
                yield from (gid for gid in _tops(payload) if gid not in named)


def _tops(payload: Json) -> Iterator[str]:
    """The ids of the objects directly in a payload."""
    for value in payload.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and is_gid(item.get("id")):
                yield item["id"]


def _count_of(body: Json) -> int:
    data = body.get("data")
    count = data.get("productsCount") if isinstance(data, dict) else None
    return int(count["count"]) if isinstance(count, dict) and isinstance(count.get("count"), int) else 0


def _collect(value: Any, into: dict[str, Json], written: Written) -> None:  # noqa: ANN401 - any JSON
    if isinstance(value, list):
        for item in value:
            _collect(item, into, written)
    if not isinstance(value, dict):
        return
    if is_gid(value.get("id")):
        hidden = written.get(value["id"], frozenset())
        merge(into.setdefault(value["id"], {}), {key: item for key, item in value.items() if key not in hidden})
    for item in value.values():
        _collect(item, into, written)


def merge(into: Json, value: Json) -> None:
    """Add what is new: fields that were unknown, rows of connections that were not there."""
    for key, item in value.items():
        known = into.get(key)
        if key not in into:
            into[key] = {**item} if isinstance(item, dict) else item
        elif isinstance(known, dict) and isinstance(item, dict):
            merge(known, item)
        elif key in {"nodes", "edges"} and isinstance(known, list) and isinstance(item, list):
            ids = {_row_id(row) for row in known}
            into[key] = [*known, *(row for row in item if _row_id(row) not in ids)]


def rows_of(connection: Any) -> list[Json]:  # noqa: ANN401 - any JSON
    """The nodes of a connection, however they were selected."""
    if not isinstance(connection, dict):
        return []
    nodes = connection.get("nodes") or [edge.get("node") for edge in connection.get("edges") or []]
    return [node for node in nodes if isinstance(node, dict)]


def _row_id(row: Any) -> object:  # noqa: ANN401 - any JSON
    node = row.get("node", row) if isinstance(row, dict) else row
    return node.get("id") if isinstance(node, dict) else repr(node)
