"""JSON in which numbers keep the form they were written in, because the rule language counts written digits."""

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NoReturn

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_SMALLEST_NORMAL: Final = 2.2250738585072014e-308


class JsonRefused(ValueError):
    """The bytes are not one JSON value that can be exchanged safely; the text says why."""


@dataclass(frozen=True, slots=True)
class JsonNumber:
    """A JSON number as written: `1.0`, `1` and `1e0` are equal in value and differ in `text`."""

    text: str

    def __post_init__(self) -> None:
        if not _NUMBER.fullmatch(self.text):
            raise ValueError(f"{self.text!r} is not a JSON number")

    @property
    def is_integer_literal(self) -> bool:
        """Whether it was written with neither point nor exponent."""
        return self.text.removeprefix("-").isdecimal()

    @property
    def significant_digits(self) -> int:
        """Digits as written, without leading zeros and the exponent; zero has one."""
        mantissa = re.split("[eE]", self.text)[0].removeprefix("-").replace(".", "")
        return len(mantissa.lstrip("0")) or 1

    @property
    def is_interoperable(self) -> bool:
        """Whether a binary64 holds it without overflow or loss of range, as RFC 8785 asks."""
        double = float(self.text)
        return double == 0 if self.is_zero else math.isfinite(double) and abs(double) >= _SMALLEST_NORMAL

    @property
    def is_zero(self) -> bool:
        """Whether every digit before the exponent is 0."""
        return not re.split("[eE]", self.text)[0].strip("-0.")

    @property
    def decimal(self) -> Decimal:
        """The exact value; only meaningful where `is_interoperable`."""
        return Decimal(self.text)


Json = str | bool | JsonNumber | list["Json"] | dict[str, "Json"] | None
"""What `load_written` returns."""


def load_written(data: bytes | str) -> Json:
    """Parse one JSON text (UTF-8) and keep the form of its numbers.

    Raises `JsonRefused` for anything that is not JSON, for a name that occurs twice in one object (readers disagree
    about its meaning), and for a nesting that is too deep to read.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        parsed: Json = json.loads(
            text,
            parse_int=JsonNumber,
            parse_float=JsonNumber,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object_without_repeats,
        )
    except RecursionError as error:
        raise JsonRefused("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise JsonRefused("it is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise JsonRefused(f"it is not JSON: {error}") from error
    return parsed


def _refuse_constant(name: str) -> NoReturn:
    raise JsonRefused(f"{name} is not a JSON number")


def _object_without_repeats(pairs: Sequence[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise JsonRefused(f"the name {counts.most_common(1)[0][0]!r} occurs twice in one object")
    return members
