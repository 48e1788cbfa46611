"""Reads `selector/1.0.0` documents: nodes, limits, and which operator and literal each field takes."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from calibr.core.written_json import Json
from calibr.pricing.faults import Faults, Place
from calibr.pricing.reading import Members, read_list, read_object, read_text
from calibr.pricing.selector.bind import SelectorDocument, all_of, any_of, negation_of
from calibr.pricing.selector.leaves import read_leaf
from calibr.pricing.selector.nodes import Never, Skus

MAX_DEPTH: Final = 12
MAX_NODES: Final = 500
MAX_SKUS: Final = 100_000

_LEAF_NAMES: Final = ("field", "op", "value")
_COMBINATORS: Final = ("all", "any", "not", "skus")
_NOTHING: Final[SelectorDocument] = Never()


def read_selector(faults: Faults, value: Json, place: Place) -> SelectorDocument:
    """Read a selector. Where there are faults, what it returns means nothing."""
    return _SelectorReader(faults).read(value, place, depth=1)


class _SelectorReader:
    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._nodes = 0
        self._skus = 0

    def read(self, value: Json, place: Place, depth: int) -> SelectorDocument:
        if not self._has_room(place, depth) or not isinstance(value, dict):
            if not isinstance(value, dict):
                self._faults.add(place, "is not an object: a node", value)
            return _NOTHING
        combinator = next((name for name in _COMBINATORS if name in value), None)
        if combinator is None or "field" in value:
            return self._read_leaf(value, place)
        members = read_object(self._faults, value, place, (combinator,))
        assert members is not None  # noqa: S101 - it is an object, see above
        inner = members.place(combinator)
        readers: dict[str, Callable[[], SelectorDocument]] = {
            "all": lambda: all_of(self._read_nodes(value["all"], inner, depth)),
            "any": lambda: any_of(self._read_nodes(value["any"], inner, depth)),
            "not": lambda: negation_of(self.read(value["not"], inner, depth + 1)),
            "skus": lambda: self._read_skus(value["skus"], inner),
        }
        return readers[combinator]()

    def _has_room(self, place: Place, depth: int) -> bool:
        self._nodes += 1
        if depth > MAX_DEPTH:
            self._faults.add(place, f"is nested more than {MAX_DEPTH} deep")
        elif self._nodes == MAX_NODES + 1:
            self._faults.add(place, f"is one node too many: a selector has at most {MAX_NODES}")
        return depth <= MAX_DEPTH and self._nodes <= MAX_NODES

    def _read_nodes(self, value: Json, place: Place, depth: int) -> tuple[SelectorDocument, ...]:
        if not isinstance(value, list):
            self._faults.add(place, "is not a list of nodes", value)
            return ()
        nodes: list[SelectorDocument] = []
        for index, node in enumerate(value):
            if self._nodes > MAX_NODES:
                break
            nodes.append(self.read(node, place.element(index), depth + 1))
        return tuple(nodes)

    def _read_skus(self, value: Json, place: Place) -> SelectorDocument:
        entries = read_list(self._faults, value, place, at_least=1, at_most=MAX_SKUS - self._skus)
        if entries is None:
            return _NOTHING
        self._skus += len(entries)
        return Skus(frozenset(read_texts(self._faults, entries, place)))

    def _read_leaf(self, value: dict[str, Json], place: Place) -> SelectorDocument:
        if not any(name in value for name in _LEAF_NAMES):
            self._faults.add(place, f"is no node: it has none of {', '.join((*_COMBINATORS, 'field'))}", value)
            return _NOTHING
        return read_leaf(Members(self._faults, value, place, _LEAF_NAMES)) or _NOTHING


def read_texts(faults: Faults, entries: Sequence[Json], place: Place) -> list[str]:
    """Read a list of text literals; a place is only worked out for an entry with a fault."""
    read = partial(read_text, Faults())
    texts: list[str] = []
    for index, entry in enumerate(entries):
        text = read(entry, place)
        if text is None:
            read_text(faults, entry, place.element(index))
        else:
            texts.append(text)
    return texts
