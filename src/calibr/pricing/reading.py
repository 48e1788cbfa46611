"""Reading JSON values into types in the order of the rules page; each fault is noted, none stops the reading."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from calibr.core.money import PERCENT_SCALE, is_currency, read_percent, read_written
from calibr.core.text import TextRefused, normalize
from calibr.core.written_json import Json
from calibr.pricing.amounts import Amount
from calibr.pricing.faults import Faults, Place

_UNKNOWN_RANK: Final = 1_000
_WHOLE: Final = PERCENT_SCALE * 100

Word = TypeVar("Word", bound=str)


class Members:
    """The members of one JSON object. `names` are the names it may have, in the order of the rules page."""

    def __init__(self, faults: Faults, value: Mapping[str, Json], place: Place, names: Sequence[str]) -> None:
        self.faults = faults
        self._value = value
        self.at = place
        self._names = names
        for position, name in enumerate(value):
            if name not in names:
                faults.add(
                    place.member(name, _UNKNOWN_RANK + position), f"is not allowed here; allowed are {', '.join(names)}"
                )

    def __contains__(self, name: str) -> bool:
        return name in self._value

    def place(self, name: str) -> Place:
        """The place of a member, whether or not it is there."""
        return self.at.member(name, self._names.index(name))

    def get(self, name: str) -> Json:
        """Return the value of a member that must be there; a missing one is a fault and reads as null."""
        if name not in self._value:
            self.faults.add(self.place(name), "is missing")
        return self._value.get(name)

    def word(self, name: str, words: Iterable[Word], default: Word | None = None) -> Word | None:
        """Return a member that is one of `words`; None if it is not, which is a fault."""
        if name not in self._value and default is not None:
            return default
        value = self.get(name)
        known = tuple(words)
        if name in self._value:
            for word in known:
                if isinstance(value, str) and word == value:
                    return word
            self.faults.add(self.place(name), f"is not one of {', '.join(known)}", value)
        return None

    def flag(self, name: str) -> bool:
        """Return a boolean member that is false where it is left out."""
        value = self._value.get(name, False)
        if not isinstance(value, bool):
            self.faults.add(self.place(name), "is not true or false", value)
            return False
        return value

    def percent(self, name: str, bounds: "PercentBounds") -> int | None:
        """Return a percent in ten-thousandths of a percent."""
        if name not in self._value:
            self.get(name)
            return None
        return read_percent_value(self.faults, self._value[name], self.place(name), bounds)

    def amount(self, name: str, *, signed: bool = False) -> Amount | None:
        """Return an amount."""
        if name not in self._value:
            self.get(name)
            return None
        return read_amount(self.faults, self._value[name], self.place(name), signed=signed)


class PercentBounds:
    """The range of a percent: an open or closed lower end, an open or closed upper end, in whole percent."""

    def __init__(self, rule: str, allows: Callable[[int], bool]) -> None:
        self.rule = rule
        self.allows = allows


ANY_PERCENT: Final = PercentBounds("is not a percent", lambda _: True)
ABOVE_MINUS_100: Final = PercentBounds("must be above -100", lambda percent: percent > -_WHOLE)
BELOW_100: Final = PercentBounds("must be below 100", lambda percent: percent < _WHOLE)
ABOVE_0: Final = PercentBounds("must be above 0", lambda percent: percent > 0)
AT_LEAST_0: Final = PercentBounds("must not be below 0", lambda percent: percent >= 0)
FROM_0_BELOW_100: Final = PercentBounds("must be at least 0 and below 100", lambda percent: 0 <= percent < _WHOLE)
FROM_0_TO_100: Final = PercentBounds("must be from 0 to 100", lambda percent: 0 <= percent <= _WHOLE)


def read_object(faults: Faults, value: Json, place: Place, names: Sequence[str]) -> Members | None:
    """Return the members of an object; None if it is none, which is a fault."""
    if not isinstance(value, dict):
        faults.add(place, "is not an object", value)
        return None
    return Members(faults, value, place, names)


def read_list(faults: Faults, value: Json, place: Place, *, at_least: int = 0, at_most: int) -> list[Json] | None:
    """Return a list; None if it is none or has a wrong length, which is a fault."""
    if not isinstance(value, list):
        faults.add(place, "is not a list", value)
        return None
    if len(value) < at_least:
        faults.add(place, "is empty" if at_least == 1 else f"has fewer than {at_least} entries", value)
        return None
    if len(value) > at_most:
        faults.add(place, f"has more than the {at_most} entries that are allowed", value)
        return None
    return value


def read_text(faults: Faults, value: Json, place: Place) -> str | None:
    """Return a text literal in normal form; None if it is none or empty, which is a fault."""
    if not isinstance(value, str):
        faults.add(place, "is not a text", value)
        return None
    try:
        text = normalize(value)
    except TextRefused as refusal:
        faults.add(place, f"is refused: {refusal}", value)
        return None
    if text is None:
        faults.add(place, "is empty", value)
    return text


def read_percent_value(faults: Faults, value: Json, place: Place, bounds: PercentBounds) -> int | None:
    """Return a percent in ten-thousandths of a percent; None if it is none or out of bounds, which is a fault."""
    percent = read_percent(value) if isinstance(value, str) else None
    if percent is None:
        rule = 'is not a percent: a text such as "12.5", at most 4 decimals, at most 1000000 in absolute value'
        faults.add(place, rule, value)
        return None
    if not bounds.allows(percent):
        faults.add(place, bounds.rule, value)
        return None
    return percent


def read_amount(faults: Faults, value: Json, place: Place, *, signed: bool = False) -> Amount | None:
    """Return an amount: a decimal text, or an object of a decimal text and a currency; None is a fault."""
    currency: Json = None
    text, at = value, place
    if isinstance(value, dict):
        members = Members(faults, value, place, ("amount", "currency"))
        text, at = members.get("amount"), members.place("amount")
        currency = members.get("currency")
        if not isinstance(currency, str) or not is_currency(currency):
            rule = "is not an active ISO 4217 currency with minor units"
            if "currency" in members:
                faults.add(members.place("currency"), rule, currency)
            currency = None
        if "amount" not in members:
            return None
    written = read_written(text) if isinstance(text, str) else None
    if written is None:
        faults.add(at, 'is not an amount: a text such as "19.99"', text)
        return None
    if written.is_negative and not signed:
        faults.add(at, "must not be negative", text)
        return None
    return Amount(written, currency if isinstance(currency, str) else None, at)


def check_one_currency(faults: Faults, amounts: Sequence[Amount | None]) -> None:
    """Note a fault where amounts that belong together differ in currency."""
    known = [amount for amount in amounts if amount is not None]
    for amount in known[1:]:
        if amount.currency != known[0].currency:
            rule = "differs in currency from the amounts beside it"
            faults.add(amount.place, rule, amount.currency or amount.written.text)
            return
