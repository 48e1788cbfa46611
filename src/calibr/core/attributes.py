"""Attributes of a product as the rule language sees them: a name, and a normalized text or a short exact number."""

from collections.abc import Mapping
from typing import Final

from calibr.core.text import TextRefused, normalize, refuse_unstorable
from calibr.core.written_json import Json, JsonNumber

MAX_DIGITS: Final = 15
"""Significant digits, as written, up to which a number is exact for everybody, binary64 included."""

AttributeValue = str | JsonNumber


def normalize_attributes(raw: Mapping[str, Json]) -> tuple[dict[str, AttributeValue], dict[str, str]]:
    """Return the attributes that count, and why any was refused, by name.

    Names stay exact. An empty text, a number of more digits, and a value that is neither text nor number count as null
    and are left out without a refusal. What cannot be stored is refused: the caller reports it.
    """
    kept: dict[str, AttributeValue] = {}
    refused: dict[str, str] = {}
    for name, value in raw.items():
        try:
            refuse_unstorable(name)
            counted = attribute_value(value)
        except TextRefused as refusal:
            refused[name] = str(refusal)
            continue
        if counted is not None:
            kept[name] = counted
    return kept, refused


def attribute_value(value: Json) -> AttributeValue | None:
    """Return the value as it is compared, or None where it counts as null. Raises `TextRefused`."""
    if isinstance(value, str):
        return normalize(value)
    if isinstance(value, JsonNumber) and is_exact(value):
        return value
    return None


def is_exact(number: JsonNumber) -> bool:
    """Whether the number is short enough, and in the range, to mean the same to every reader."""
    return number.significant_digits <= MAX_DIGITS and number.is_interoperable
