"""Loads a Shopify product CSV as merchants export it.

The first row of a handle carries the product, further rows of the handle carry more variants or only images.
A row that cannot be used is skipped and reported with its line number and the reason; the load goes on.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, takewhile
from pathlib import Path
from typing import Final

from calibr_sandbox.catalog_writer import (
    DEFAULT_OPTION,
    DEFAULT_VALUE,
    NewProduct,
    NewVariant,
    Stored,
    handle_exists,
    store_products,
)
from calibr_sandbox.config import MAX_VARIANTS_PER_PRODUCT
from calibr_sandbox.generate import FIRST_CREATED_AT
from calibr_sandbox.money import parse_decimal, to_shop_text
from calibr_sandbox.store import Store

_REQUIRED: Final = ("Handle", "Title", "Variant Price")
_OPTIONS: Final = (1, 2, 3)
_STATUSES: Final = frozenset({"ACTIVE", "ARCHIVED", "DRAFT", "UNLISTED"})
_VARIANT_MARKS: Final = ("Option1 Value", "Variant SKU", "Variant Price", "Variant Compare At Price", "Cost per item")

Row = dict[str, str]


class CsvError(ValueError):
    """The file as a whole cannot be read as a product CSV."""


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row that was not used. Lines count from 1 as an editor does; the header is line 1."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What was stored and what was not."""

    products: int
    variants: int
    skipped: tuple[SkippedRow, ...]


@dataclass(slots=True)
class _Draft:
    """A product that is being put together from its rows."""

    handle: str
    first: Row
    option_names: tuple[str, ...]
    variants: list[NewVariant] = field(default_factory=list)
    seen: set[tuple[str, ...]] = field(default_factory=set)


def load_csv(store: Store, path: Path) -> LoadResult:
    """Store the products of a CSV file. Raises CsvError when the file has not the columns of one."""
    loader = _Loader(store)
    with path.open(encoding="utf-8-sig", newline="") as file:
        stored = loader.load(file.readlines())
    return LoadResult(stored.products, stored.variants, tuple(sorted(loader.skipped, key=lambda row: row.line)))


class _Loader:
    """One pass over a file; the rows of a product may stand apart."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.skipped: list[SkippedRow] = []
        self._drafts: dict[str, _Draft] = {}
        self._refused: dict[str, str] = {}

    def load(self, lines: list[str]) -> Stored:
        for line, row in self._rows(lines):
            try:
                self._take(row)
            except ValueError as error:
                self.skipped.append(SkippedRow(line, str(error)))
        finished = (draft for draft in self._drafts.values() if draft.variants)
        return store_products(self._store, self._products(finished))

    def _rows(self, lines: list[str]) -> Iterator[tuple[int, Row]]:
        """Yield each row by column name, with the line it starts on."""
        records = self._records(lines)
        _, header = next(records, (1, []))
        missing = [name for name in _REQUIRED if name not in header]
        if missing:
            raise CsvError(f"no Shopify product CSV: the header has no column {', '.join(missing)}")
        for line, values in records:
            if len(values) > len(header):
                self.skipped.append(SkippedRow(line, f"{len(values)} fields, the header has {len(header)}"))
            elif any(value.strip() for value in values):
                padded = values + [""] * (len(header) - len(values))
                yield line, {name: value.strip() for name, value in zip(header, padded, strict=True)}

    def _records(self, lines: list[str]) -> Iterator[tuple[int, list[str]]]:
        """Yield each record with the line it starts on. After one that cannot be read, go on with the next line.

        A field may hold line breaks, so a quote that is never closed would otherwise swallow the rest of the file.
        """
        start = 0
        while start < len(lines):
            reader = csv.reader(islice(lines, start, None), strict=True)
            offset = start
            try:
                for values in reader:
                    yield start + 1, values
                    start = offset + reader.line_num
            except csv.Error as error:
                self.skipped.append(SkippedRow(start + 1, f"the row cannot be read: {error}"))
                start += 1

    def _take(self, row: Row) -> None:
        handle = row["Handle"]
        if not handle:
            raise ValueError("Handle is empty")
        if handle in self._refused:
            raise ValueError(f"belongs to product {handle!r}, which was refused: {self._refused[handle]}")
        draft = self._drafts.get(handle)
        if draft is None:
            draft = self._drafts[handle] = self._begin(handle, row)
        elif not any(row.get(name) for name in _VARIANT_MARKS):
            return
        self._add_variant(draft, row)

    def _begin(self, handle: str, row: Row) -> _Draft:
        reason = None
        if not row["Title"]:
            reason = f"the first row of product {handle!r} has no Title"
        elif handle_exists(self._store, handle):
            reason = f"the shop already has a product with the handle {handle!r}"
        elif row.get("Status") and row["Status"].upper() not in _STATUSES:
            reason = f"Status {row['Status']!r} is none of {', '.join(sorted(_STATUSES))}"
        if reason is not None:
            self._refused[handle] = reason
            raise ValueError(reason)
        names = tuple(takewhile(bool, (row.get(f"Option{place} Name", "") for place in _OPTIONS)))
        return _Draft(handle, row, names or DEFAULT_OPTION)

    def _add_variant(self, draft: _Draft, row: Row) -> None:
        places = _OPTIONS[: len(draft.option_names)]
        values = tuple(row.get(f"Option{place} Value", "") for place in places)
        if draft.option_names == DEFAULT_OPTION and not values[0]:
            values = DEFAULT_VALUE
        for name, value in zip(draft.option_names, values, strict=True):
            if not value:
                raise ValueError(f"option {name!r} has no value")
        if values in draft.seen:
            raise ValueError(f"product {draft.handle!r} already has a variant {' / '.join(values)!r}")
        if len(draft.variants) == MAX_VARIANTS_PER_PRODUCT:
            raise ValueError(f"product {draft.handle!r} has more than {MAX_VARIANTS_PER_PRODUCT} variants")
        draft.variants.append(self._variant(values, row))
        draft.seen.add(values)

    def _variant(self, values: tuple[str, ...], row: Row) -> NewVariant:
        price = self._amount(row, "Variant Price")
        if price is None:
            raise ValueError("Variant Price is empty")
        return NewVariant(
            options=values,
            price=price,
            compare_at_price=self._amount(row, "Variant Compare At Price"),
            cost=self._amount(row, "Cost per item"),
            sku=row.get("Variant SKU", "").lstrip("'") or None,
            barcode=row.get("Variant Barcode", "").lstrip("'") or None,
        )

    def _amount(self, row: Row, column: str) -> str | None:
        text = row.get(column, "")
        if not text:
            return None
        try:
            return to_shop_text(parse_decimal(text), self._store.currency)
        except ValueError as error:
            raise ValueError(f"{column}: {error}") from error

    def _products(self, drafts: Iterable[_Draft]) -> Iterator[NewProduct]:
        for number, draft in enumerate(drafts, start=1):
            first = draft.first
            tags = (tag.strip() for tag in first.get("Tags", "").split(","))
            yield NewProduct(
                title=first["Title"],
                handle=draft.handle,
                vendor=first.get("Vendor", ""),
                product_type=first.get("Type", ""),
                tags=tuple(sorted({tag for tag in tags if tag})),
                option_names=draft.option_names,
                variants=tuple(draft.variants),
                created_at=FIRST_CREATED_AT + number,
                status=first.get("Status", "").upper() or "ACTIVE",
            )
