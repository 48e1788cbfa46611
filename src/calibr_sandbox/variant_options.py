"""The options of a product (color, size) and what its variants choose of them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from calibr_sandbox.ids import parse_gid
from calibr_sandbox.rows import VariantRow

Entry = dict[str, Any]
Path = tuple[str, ...]

STANDALONE: Final = ("Default Title",)
"""What the one variant of a product without options of its own chooses."""
_MAX_VALUE: Final = 255
_TOO_LONG: Final = f"is too long (maximum is {_MAX_VALUE} characters)"


@dataclass(frozen=True, slots=True)
class OptionError:
    """A choice that cannot be made."""

    field: Path
    message: str
    code: str


class Options:
    """The options of one product, as its row has them."""

    def __init__(self, product_id: int, text: str) -> None:
        """Parse the product's column."""
        self._product_id = product_id
        self._options: list[dict[str, Any]] = orjson.loads(text)

    @property
    def names(self) -> list[str]:
        """The names of the options in their order."""
        return [option["name"] for option in self._options]

    def choose(self, path: Path, sent: list[Entry], before: tuple[str, ...] | None) -> tuple[str, ...] | OptionError:
        """Make the choices of a variant: all of them, or those that change what it chose before."""
        chosen: list[str | None] = list(before) if before else [None] * len(self._options)
        for index, entry in enumerate(sent):
            place = self._place_of(entry)
            here = (*path, "optionValues", str(index))
            if place is None:
                return OptionError(here, "Option does not exist", "OPTION_VALUES_FOR_NUMBER_OF_UNKNOWN_OPTIONS")
            value = self._value_of(place, entry)
            if not value:
                return OptionError(here, "Option value does not exist", "INVALID_INPUT")
            if len(value) > _MAX_VALUE:
                return OptionError((*here, "name"), f"Option value name {_TOO_LONG}", "INVALID_INPUT")
            chosen[place] = value
        missing = [name for name, value in zip(self.names, chosen, strict=True) if value is None]
        if missing:
            message = f"You need to add option values for {', '.join(missing)}"
            return OptionError(path, message, "NEED_TO_ADD_OPTION_VALUES")
        return tuple(str(value) for value in chosen)

    def _place_of(self, entry: Entry) -> int | None:
        if entry.get("optionName") is not None:
            return self.names.index(entry["optionName"]) if entry["optionName"] in self.names else None
        number = _number(entry.get("optionId"))
        if number is None and _number(entry.get("id")) is not None:
            number = (_number(entry.get("id")) or 0) // 1_000
        place = (number or 0) - self._product_id * 10 - 1
        return place if 0 <= place < len(self._options) else None

    def _value_of(self, place: int, entry: Entry) -> str | None:
        if entry.get("name") is not None:
            return str(entry["name"])
        index = (_number(entry.get("id")) or 0) % 1_000 - 1
        values = declared_values(self._options[place])
        return str(values[index]) if 0 <= index < len(values) else None


Siblings = Callable[[], Iterable[VariantRow]]


class Choices:
    """What the rows of one update choose: no two variants of a product may choose the same."""

    def __init__(self, siblings: Siblings | None) -> None:
        """Ask for the variants of the product only when a row chooses anew."""
        self._siblings = siblings
        self._taken: dict[int, tuple[str, ...]] | None = None

    def of(self, path: Path, row: VariantRow, entry: Entry) -> tuple[str, ...] | OptionError:
        """Return the choices of a variant after an entry."""
        before: tuple[str, ...] = tuple(orjson.loads(row.option_values))
        if not entry.get("optionValues"):
            return before
        if self._taken is None:
            rows = self._siblings() if self._siblings else []
            self._taken = {each.id: tuple(orjson.loads(each.option_values)) for each in rows}
        chosen = Options(row.product_id, row.product_options).choose(path, entry["optionValues"], before)
        if isinstance(chosen, OptionError):
            return chosen
        if any(chosen == taken for number, taken in self._taken.items() if number != row.id):
            return OptionError(path, f"The variant '{' / '.join(chosen)}' already exists.", "VARIANT_ALREADY_EXISTS")
        self._taken[row.id] = chosen
        return chosen


def option_column(names: Iterable[str], known: str, variants: list[tuple[str, ...]]) -> str:
    """Write a product's column: the values that its variants use, known ones in the order they had."""
    before = {option["name"]: option for option in orjson.loads(known)}
    options = []
    for place, name in enumerate(names):
        used = dict.fromkeys(choices[place] for choices in variants if place < len(choices))
        known_values = declared_values(before[name]) if name in before else []
        values = list(dict.fromkeys([*(value for value in known_values if value in used), *used]))
        option: Entry = {"name": name, "values": values}
        if "declared" in before.get(name, {}):
            option["declared"] = list(dict.fromkeys([*known_values, *values]))
        options.append(option)
    return orjson.dumps(options).decode()


def declared_values(option: Entry) -> list[str]:
    """All values of an option: those that were named with it stay, whether a variant uses them or not."""
    return list(option.get("declared") or option["values"])


def value_ids(option_id: int, values: list[str]) -> Iterator[tuple[int, str]]:
    """Number the values of an option: the id is derived from the option's."""
    return ((option_id * 1_000 + place, value) for place, value in enumerate(values, start=1))


def _number(text: object) -> int | None:
    parsed = parse_gid(text) if isinstance(text, str) else None
    return parsed.number if parsed else None
