"""Writes the result file of a bulk query: one JSON object per line, in bounded memory.

Ungrouped (the default), lines pass through a seeded shuffle, so that children stand apart from their parents
and in no order, as Shopify allows itself. Grouped, each parent is followed by its children.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from calibr_sandbox.bulk_document import BulkQuery
from calibr_sandbox.catalog import stream_products, stream_variants, stream_variants_of
from calibr_sandbox.facts import collections_of
from calibr_sandbox.fields import ShopContext
from calibr_sandbox.ids import gid

_SHUFFLED_LINES: Final = 8_192
_REPORT_EVERY: Final = 5_000
_BUFFER_BYTES: Final = 1 << 20


class Line(NamedTuple):
    """A line of the result, and whether its object is at the root of the query."""

    text: bytes
    is_root: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How many objects were written so far, and how many of them at the root."""

    objects: int
    roots: int


def write_result(
    path: Path, lines: Iterator[Line], shuffle: random.Random | None, report: Callable[[Progress], bool]
) -> Progress | None:
    """Write the lines to a file. `report` is told now and then; when it returns False the writing stops: None."""
    written = roots = 0
    ordered = lines if shuffle is None else _shuffled(lines, shuffle)
    with path.open("wb", buffering=_BUFFER_BYTES) as file:
        for line in ordered:
            file.write(line.text)
            written += 1
            roots += line.is_root
            if written % _REPORT_EVERY == 0 and not report(Progress(written, roots)):
                return None
    return Progress(written, roots)


def read_lines(query: BulkQuery, shop: ShopContext) -> Iterator[Line]:
    """Yield the lines of a query: each root object, then its children."""
    if query.root == "productVariants":
        for variant in stream_variants(shop.store, query.where):
            yield Line(_json(query.project(variant, shop)), is_root=True)
        return
    for product in stream_products(shop.store, query.where):
        yield Line(_json(query.project(product, shop)), is_root=True)
        parent = {"__parentId": gid("Product", product.id)}
        if query.project_collection is not None:
            for collection in collections_of(shop.store, product.id):
                yield Line(_json(query.project_collection(collection, shop) | parent), is_root=False)
        if query.project_child is None:
            continue
        for variant in stream_variants_of(shop.store, product.id):
            yield Line(_json(query.project_child(variant, shop) | parent), is_root=False)


def _shuffled(lines: Iterator[Line], source: random.Random) -> Iterator[Line]:
    """Yield the lines in a random order, holding a bounded number of them."""
    held: list[Line] = []
    for line in lines:
        if len(held) < _SHUFFLED_LINES:
            held.append(line)
            continue
        place = int(source.random() * _SHUFFLED_LINES)
        held[place], line = line, held[place]  # noqa: PLW2901 - the swap is the point
        yield line
    source.shuffle(held)
    yield from held


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
