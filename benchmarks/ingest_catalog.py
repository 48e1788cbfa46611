"""Makes the file of a Shopify bulk query from a seed: children anywhere, far from their parents, in constant memory."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

VARIANTS_PER_PRODUCT: Final = 4
_MASK: Final = (1 << 64) - 1
_WORDS: Final = (
    "cotton", "wool", "linen", "classic", "slim", "organic", "red", "blue", "green", "black", "white", "shirt", "shoe",
    "jacket", "lamp", "table", "chair", "mug", "bag",
)  # fmt: skip
_SIZES: Final = ("XS", "S", "M", "L")
_COLORS: Final = ("Red", "Blue", "Green", "Black", "White", "Beige", "Navy", "Olive")


def write_catalog(path: Path, variants: int, seed: int) -> None:
    """Write a product for each four variants, and all of them in an order that a permutation gives."""
    products = -(-variants // VARIANTS_PER_PRODUCT)
    with path.open("wb", 1 << 20) as file:
        for entity in _shuffled(products + variants):
            line = _product(entity, seed) if entity < products else _variant(entity - products, seed)
            file.write(orjson.dumps(line) + b"\n")


def _shuffled(count: int) -> Iterator[int]:
    """Every number below `count` once, far from its neighbors."""
    step = round(count * 0.618_033_988) | 1
    while math.gcd(step, count) != 1:
        step += 2
    at = 0
    for _ in range(count):
        yield at
        at = (at + step) % count


def _product(number: int, seed: int) -> dict[str, Any]:
    chance = _mix(number, seed)
    words = [_WORDS[(chance >> shift) % len(_WORDS)] for shift in (0, 8, 16)]
    title = f"{words[0].title()} {words[1]} {words[2]} No. {number}"
    tags = [f"tag-{(chance >> 6 * place) % 200}" for place in range(chance % 5)]
    return {
        "id": f"gid://shopify/Product/{7_000_000_000_000 + number}",
        "title": f"Été {title}" if chance % 50 == 0 else title,
        "vendor": f"Vendor {chance % 97}",
        "productType": f"Type {chance % 41}",
        "status": "ACTIVE",
        "tags": [*tags, "Sale"] if chance % 3 == 0 else tags,
    }


def _variant(number: int, seed: int) -> dict[str, Any]:
    chance = _mix(number, seed + 1)
    product = number // VARIANTS_PER_PRODUCT
    price = 500 + chance % 29_500
    cost = {"amount": _decimal(price * 6 // 10), "currencyCode": "USD"}
    return {
        "id": f"gid://shopify/ProductVariant/{40_000_000_000_000 + number}",
        "sku": f"SKU-{number:07d}",
        "price": _decimal(price),
        "compareAtPrice": _decimal(price * 13 // 10) if number % 3 == 0 else None,
        "position": number % VARIANTS_PER_PRODUCT + 1,
        "selectedOptions": [
            {"name": "Size", "value": _SIZES[number % VARIANTS_PER_PRODUCT]},
            {"name": "Color", "value": _COLORS[_mix(product, seed + 2) % len(_COLORS)]},
        ],
        "inventoryItem": {"unitCost": None if chance % 7 == 0 else cost},
        "__parentId": f"gid://shopify/Product/{7_000_000_000_000 + product}",
    }


def _decimal(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _mix(number: int, seed: int) -> int:
    """SplitMix64: the same number for the same seed, without a state."""
    mixed = (number * 0x9E3779B97F4A7C15 + seed * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & _MASK
    return mixed ^ mixed >> 31
