"""A histogram of price moves, drawn in text: falls to the left of the middle, rises to the right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.text import Text

_BLOCKS: Final = " ▏▎▍▌▋▊▉█"
_EIGHTHS: Final = 8
FALL: Final = "red"
RISE: Final = "green"
FLAT: Final = "bright_black"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A range of percent moves and how many items fall into it."""

    label: str
    count: int
    style: str = FLAT


def bar(value: int, largest: int, width: int) -> str:
    """A bar of at most `width` cells in steps of an eighth of a cell; what is not zero is never invisible."""
    if value <= 0 or largest <= 0:
        return ""
    eighths = max(1, value * width * _EIGHTHS // largest)
    full, rest = divmod(eighths, _EIGHTHS)
    return "█" * full + (_BLOCKS[rest] if rest else "")


def histogram(buckets: Sequence[Bucket], width: int) -> list[Text]:
    """One line per bucket: label, bar, count."""
    largest = max((bucket.count for bucket in buckets), default=0)
    labels = max((len(bucket.label) for bucket in buckets), default=0)
    numbers = max((len(f"{bucket.count:,}") for bucket in buckets), default=0)
    room = max(8, width - labels - numbers - 4)
    return [
        Text.assemble(
            (f"{bucket.label:>{labels}} ", ""),
            ("│", "bright_black"),
            (bar(bucket.count, largest, room), bucket.style),
            (f" {bucket.count:,}" if bucket.count else "", "bold"),
        )
        for bucket in buckets
    ]
