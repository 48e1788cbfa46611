"""A catalog from a seed: the same seed and size give the same products, in any process.

The skew is that of shops: most products have few variants and a handful have very many, prices end in .99,
.95 or .00, a few tags are on most products, a fifth of the costs is unknown, SKUs are missing or repeated.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, islice, product
from typing import Final

from calibr_sandbox.catalog_writer import DEFAULT_OPTION, DEFAULT_VALUE, NewProduct, NewVariant
from calibr_sandbox.config import MAX_VARIANTS_PER_PRODUCT
from calibr_sandbox.money import decimals_of

FIRST_CREATED_AT: Final = 1_767_225_600
"""2026-01-01T00:00:00Z: generated times must not depend on when they are generated."""

_MATERIALS: Final = (
    "Linen", "Merino", "Canvas", "Oak", "Steel", "Cotton", "Bamboo", "Leinen", "Soie", "Cuir", "Größe", "Señora",
    "Håndlaget", "Żakard", "絹", "黒檀", "Лён", "Café",
)  # fmt: skip
_STYLES: Final = ("Classic", "Slim", "Relaxed", "Mini", "Grand", "Everyday", "Alpine", "Coastal", "Nº 5", "Studio")
_KINDS: Final = {
    "Shirts": ("Shirt", "Overshirt", "Polo"),
    "Shoes": ("Sneaker", "Boot", "Sandal"),
    "Home": ("Lamp", "Vase", "Throw"),
    "Kitchen": ("Bowl", "Knife", "Kettle"),
    "Outdoor": ("Tent", "Backpack", "Jacket"),
    "Accessories": ("Belt", "Scarf", "Cap"),
    "Toys": ("Puzzle", "Blocks", "Kite"),
    "": ("Gift", "Sample", "Bundle"),
}
_KIND_WEIGHTS: Final = (24, 18, 14, 12, 11, 10, 7, 4)
_VENDORS: Final = (
    "Northwind", "Acme Goods", "Maison Élan", "Köhler & Söhne", "Kumo", "Tierra", "Harbor & Pine", "Ødegaard",
    "Blue Fjord", "Casa Niña", "Atelier 9", "Plain Works",
)  # fmt: skip
_VENDOR_WEIGHTS: Final = tuple(1000 // (rank + 1) for rank in range(len(_VENDORS)))
_TAGS: Final = (
    "sale", "new", "summer", "winter", "organic", "bestseller", "gift", "men", "women", "kids", "limited", "eco",
    "clearance", "handmade", "vegan", "travel", "office", "würzig", "été", "限定",
)  # fmt: skip
# Zipf: the first tag is on two fifths of the products, the last on one in fifty.
_TAG_SHARES: Final = tuple(0.4 / (rank + 1) ** 0.98 for rank in range(len(_TAGS)))
_COLORS: Final = (
    "Black", "White", "Navy", "Olive", "Sand", "Rust", "Grün", "Café", "Rosé", "Indigo", "Stone", "Plum", "Teal",
    "Coral", "Slate", "Mint",
)  # fmt: skip
_SIZES: Final = ("XS", "S", "M", "L", "XL", "XXL", "3XL", "4XL")
_FITS: Final = tuple(f"Fit {number}" for number in range(1, 17))
_VARIANT_COUNTS: Final = (1, 2, 3, 4, 5, 6, 8, 9, 10)
_VARIANT_WEIGHTS: Final = tuple(accumulate((38, 12, 11, 10, 7, 7, 6, 4, 5)))
_ENDINGS: Final = (99, 95, 0)
_ENDING_WEIGHTS: Final = tuple(accumulate((62, 18, 20)))


@dataclass(frozen=True, slots=True)
class CatalogSpec:
    """What to generate: how many variants in all, from which seed, priced in which currency."""

    variants: int
    seed: int
    currency: str

    def __post_init__(self) -> None:
        """Refuse a negative size."""
        if self.variants < 0:
            raise ValueError(f"variants: {self.variants} is negative")


def generate_products(spec: CatalogSpec) -> Iterator[NewProduct]:
    """Yield products with exactly `spec.variants` variants in all, one after another, holding none."""
    source = random.Random(spec.seed)  # noqa: S311 - repeatable on purpose
    left, number = spec.variants, 0
    while left > 0:
        number += 1
        count = min(_count_variants(source), left)
        yield _product(source, number, count, spec)
        left -= count


def _count_variants(source: random.Random) -> int:
    """Draw the number of variants: one in 200 products lies in a heavy tail up to Shopify's limit."""
    if source.random() < 0.005:  # noqa: PLR2004 - the share is the statement
        return min(MAX_VARIANTS_PER_PRODUCT, math.floor(11 * source.paretovariate(0.9)))
    return source.choices(_VARIANT_COUNTS, cum_weights=_VARIANT_WEIGHTS)[0]


def _product(source: random.Random, number: int, count: int, spec: CatalogSpec) -> NewProduct:
    product_type = source.choices(tuple(_KINDS), weights=_KIND_WEIGHTS)[0]
    noun = source.choice(_KINDS[product_type])
    title = f"{source.choice(_STYLES)} {source.choice(_MATERIALS)} {noun}"
    names, combinations = _options(count)
    pricing = _Pricing(source, spec.currency)
    prefix = f"{noun[:3].upper()}-{number:06d}"
    return NewProduct(
        title=title,
        handle=f"{noun.lower()}-{number}",
        vendor=source.choices(_VENDORS, weights=_VENDOR_WEIGHTS)[0],
        product_type=product_type,
        tags=tuple(tag for tag, share in zip(_TAGS, _TAG_SHARES, strict=True) if source.random() < share),
        option_names=names,
        variants=tuple(
            pricing.variant(options, _sku(source, prefix, place)) for place, options in enumerate(combinations)
        ),
        created_at=FIRST_CREATED_AT + number,
        status="ACTIVE" if source.random() < 0.95 else "DRAFT",  # noqa: PLR2004
    )


def _options(count: int) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Choose options that give at least this many combinations, and take that many."""
    if count == 1:
        return DEFAULT_OPTION, [DEFAULT_VALUE]
    if count <= len(_SIZES):
        return ("Size",), [(size,) for size in _SIZES[:count]]
    if count <= len(_SIZES) * len(_COLORS):
        return ("Color", "Size"), list(islice(product(_COLORS, _SIZES), count))
    return ("Color", "Size", "Fit"), list(islice(product(_COLORS, _SIZES, _FITS), count))


def _sku(source: random.Random, prefix: str, place: int) -> str | None:
    """Number a variant: one SKU in 12 is missing, one in 100 is shared with many others."""
    draw = source.random()
    if draw < 0.08:  # noqa: PLR2004
        return None
    return f"DUP-{int(draw * 1000) % 7}" if draw < 0.09 else f"{prefix}-{place + 1}"  # noqa: PLR2004


class _Pricing:
    """The prices of one product's variants: most share one."""

    def __init__(self, source: random.Random, currency: str) -> None:
        self._source = source
        self._decimals = decimals_of(currency)
        self._base = self._draw()

    def variant(self, options: tuple[str, ...], sku: str | None) -> NewVariant:
        """Price one variant."""
        source = self._source
        price = self._base if source.random() < 0.85 else self._draw()  # noqa: PLR2004
        compare_at = price * source.choice((110, 120, 125, 150, 200)) // 100 if source.random() < 0.22 else None  # noqa: PLR2004
        cost = None if source.random() < 0.2 else price * source.randint(25, 85) // 100  # noqa: PLR2004
        return NewVariant(
            options=options,
            price=self._text(price),
            compare_at_price=None if compare_at is None else self._text(compare_at),
            cost=None if cost is None else self._text(cost),
            sku=sku,
        )

    def _draw(self) -> int:
        """Draw a price in minor units: cheap is common, dear is rare, endings are .99, .95 or .00."""
        source = self._source
        whole = int(source.lognormvariate(3.3, 0.9)) + 2
        if self._decimals == 0:
            return whole * 100 - source.choices((20, 0), weights=(3, 2))[0]
        ending = source.choices(_ENDINGS, cum_weights=_ENDING_WEIGHTS)[0]
        minor_per_hundredth = 10 if self._decimals == 3 else 1  # noqa: PLR2004
        return (whole * 100 + ending) * minor_per_hundredth

    def _text(self, minor: int) -> str:
        if self._decimals == 0:
            return str(minor)
        whole, fraction = divmod(minor, 10**self._decimals)
        return f"{whole}.{fraction:0{self._decimals}d}"
