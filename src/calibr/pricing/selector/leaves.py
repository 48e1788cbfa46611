"""Reads the leaves of selectors: the fields of the rules page, each with the operators and literals that it takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Final, TypeVar

from calibr.core.attributes import MAX_DIGITS, is_exact
from calibr.core.text import TextRefused, refuse_unstorable
from calibr.core.written_json import Json, JsonNumber
from calibr.pricing.faults import Faults, Place
from calibr.pricing.reading import (
    ANY_PERCENT,
    Members,
    check_one_currency,
    read_amount,
    read_list,
    read_percent_value,
    read_text,
)
from calibr.pricing.selector.attributes import (
    ATTRIBUTE_PREFIX,
    LIST_OPERATORS,
    NUMBER_ATTRIBUTE_OPERATORS,
    TEXT_ATTRIBUTE_OPERATORS,
    AttributeNull,
    AttributeNumberLeaf,
    AttributeTextLeaf,
)
from calibr.pricing.selector.bind import AmountLeafDocument, SelectorDocument
from calibr.pricing.selector.numbers import (
    AMOUNT_FIELDS,
    AMOUNT_OPERATORS,
    ORDER_OPERATORS,
    AgeLeaf,
    AmountField,
    AmountLeaf,
    AmountNull,
    MarginLeaf,
    MarginNull,
)
from calibr.pricing.selector.text import (
    TAG_OPERATORS,
    TEXT_FIELDS,
    TEXT_OPERATORS,
    TagLeaf,
    TagNull,
    TextField,
    TextLeaf,
    TextNull,
)

MAX_LITERALS: Final = 1_000
MAX_AGE: Final = 10**21
"""From here on the canonical form of an integer has an exponent, and would no longer be an integer without one."""

_NULL_OPERATORS: Final = ("is_null", "not_null")

Literal_ = TypeVar("Literal_")


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A leaf while it is read: its members, the name of its field, its operator, its value and where that stands."""

    members: Members
    field_name: str
    operator: str

    @property
    def faults(self) -> Faults:
        return self.members.faults

    @property
    def value(self) -> Json:
        return self.members.get("value")

    @property
    def place(self) -> Place:
        return self.members.place("value")


def read_leaf(members: Members) -> SelectorDocument | None:
    """Read a leaf; None where it has a fault."""
    name = members.get("field")
    place = members.place("field")
    if not isinstance(name, str):
        if "field" in members:
            members.faults.add(place, "is not a text: the name of a field", name)
        return None
    known = _operators_of(name)
    if known is None:
        members.faults.add(place, _field_rule(name), name)
        return None
    operator = members.word("op", known)
    if operator is None:
        return None
    if operator in _NULL_OPERATORS:
        return _read_null_leaf(members, name, wanted=operator == "is_null")
    if "value" not in members:
        members.get("value")
        return None
    return _read_value_leaf(_Leaf(members, name, operator))


def _operators_of(name: str) -> tuple[str, ...] | None:
    """Operators that a field has; None for an unknown field."""
    if name in TEXT_FIELDS:
        field = TEXT_FIELDS[name]
        return (*field.operators, *_NULL_OPERATORS) if field.can_be_null else field.operators
    if name in AMOUNT_FIELDS:
        return (*AMOUNT_OPERATORS, *_NULL_OPERATORS)
    if name.startswith(ATTRIBUTE_PREFIX):
        if _attribute_fault(name) is not None:
            return None
        return (*TEXT_ATTRIBUTE_OPERATORS, *ORDER_OPERATORS, *_NULL_OPERATORS)
    return {
        "product.tags": (*TAG_OPERATORS, *_NULL_OPERATORS),
        "price.age_days": ORDER_OPERATORS,
        "margin.percent": (*ORDER_OPERATORS, *_NULL_OPERATORS),
    }.get(name)


def _attribute_fault(name: str) -> str | None:
    attribute = name.removeprefix(ATTRIBUTE_PREFIX)
    if not attribute:
        return "names no attribute"
    try:
        refuse_unstorable(attribute)
    except TextRefused as refusal:
        return f"is refused: {refusal}"
    return None


def _field_rule(name: str) -> str:
    attribute = _attribute_fault(name) if name.startswith(ATTRIBUTE_PREFIX) else None
    return attribute or "is not a field"


def _read_null_leaf(members: Members, name: str, *, wanted: bool) -> SelectorDocument | None:
    if "value" in members:
        members.faults.add(members.place("value"), "is not taken by is_null and not_null", members.get("value"))
        return None
    if name in TEXT_FIELDS:
        return TextNull(TEXT_FIELDS[name], wanted)
    if name in AMOUNT_FIELDS:
        return AmountNull(AMOUNT_FIELDS[name], wanted)
    if name == "product.tags":
        return TagNull(wanted)
    if name == "margin.percent":
        return MarginNull(wanted)
    return AttributeNull(name.removeprefix(ATTRIBUTE_PREFIX), wanted)


def _read_value_leaf(leaf: _Leaf) -> SelectorDocument | None:
    if leaf.field_name in TEXT_FIELDS:
        return _read_text_leaf(leaf, TEXT_FIELDS[leaf.field_name])
    if leaf.field_name in AMOUNT_FIELDS:
        return _read_amount_leaf(leaf, AMOUNT_FIELDS[leaf.field_name])
    if leaf.field_name == "product.tags":
        return _read_tag_leaf(leaf)
    if leaf.field_name == "price.age_days":
        return _read_age_leaf(leaf)
    if leaf.field_name == "margin.percent":
        return _read_margin_leaf(leaf)
    return _read_attribute_leaf(leaf)


def _read_text_leaf(leaf: _Leaf, field: TextField) -> SelectorDocument | None:
    operator = TEXT_OPERATORS[leaf.operator]
    texts = _read_texts(leaf, takes_list=operator.takes_list)
    return None if texts is None else TextLeaf(field, operator, texts)


def _read_tag_leaf(leaf: _Leaf) -> SelectorDocument | None:
    texts = _read_texts(leaf, takes_list=True)
    operator = next(known for known in TAG_OPERATORS if known == leaf.operator)
    return None if texts is None else TagLeaf(operator, texts)


def _read_amount_leaf(leaf: _Leaf, field: AmountField) -> SelectorDocument | None:
    amounts = _read_each(leaf, partial(read_amount, leaf.faults, signed=True))
    if amounts is None:
        return None
    check_one_currency(leaf.faults, amounts)
    _check_order(leaf, amounts, lambda amount: amount.written.value)
    build = partial(AmountLeaf, field, leaf.operator)
    return AmountLeafDocument(leaf.field_name, amounts, build, leaf.members.at)


def _read_margin_leaf(leaf: _Leaf) -> SelectorDocument | None:
    percents = _read_each(leaf, lambda value, place: read_percent_value(leaf.faults, value, place, ANY_PERCENT))
    if percents is None:
        return None
    _check_order(leaf, percents, lambda percent: percent)
    return MarginLeaf(leaf.operator, percents)


def _read_age_leaf(leaf: _Leaf) -> SelectorDocument | None:
    days = _read_each(leaf, partial(_read_days, leaf.faults))
    if days is None:
        return None
    _check_order(leaf, days, lambda day: day)
    return AgeLeaf(leaf.operator, days)


def _read_days(faults: Faults, value: Json, place: Place) -> int | None:
    if not isinstance(value, JsonNumber) or not value.is_integer_literal:
        faults.add(place, "is not a whole number of days, written without point and exponent", value)
        return None
    if value.text.startswith("-") and not value.is_zero:
        faults.add(place, "must not be negative", value)
        return None
    if len(value.text) > len(str(MAX_AGE)) - 1:
        faults.add(place, "is beyond 10^21 days", value)
        return None
    return int(value.text)


def _read_attribute_leaf(leaf: _Leaf) -> SelectorDocument | None:
    name = leaf.field_name.removeprefix(ATTRIBUTE_PREFIX)
    takes_list = leaf.operator in LIST_OPERATORS
    sample = leaf.value
    if takes_list and isinstance(sample, list) and sample:
        sample = sample[0]
    numeric = leaf.operator in ORDER_OPERATORS or isinstance(sample, JsonNumber)
    operators: Sequence[str] = NUMBER_ATTRIBUTE_OPERATORS if numeric else TEXT_ATTRIBUTE_OPERATORS
    if leaf.operator not in operators:
        kind = "numbers" if numeric else "texts"
        leaf.faults.add(leaf.members.place("op"), f"is not an operator of {kind}", leaf.operator)
        return None
    if not numeric:
        texts = _read_texts(leaf, takes_list=takes_list)
        return None if texts is None else AttributeTextLeaf(name, leaf.operator, texts)
    read = partial(_read_number, leaf.faults)
    numbers = _read_many(leaf, read) if takes_list else _read_each(leaf, read)
    if numbers is None:
        return None
    _check_order(leaf, numbers, lambda number: number.decimal)
    return AttributeNumberLeaf(name, leaf.operator, numbers)


def _read_number(faults: Faults, value: Json, place: Place) -> JsonNumber | None:
    if not isinstance(value, JsonNumber):
        faults.add(place, "is not a number like the literals beside it", value)
        return None
    if not is_exact(value):
        faults.add(place, f"has more than {MAX_DIGITS} significant digits, or is beyond binary64", value)
        return None
    return value


def _read_texts(leaf: _Leaf, *, takes_list: bool) -> tuple[str, ...] | None:
    read = partial(read_text, leaf.faults)
    if takes_list:
        return _read_many(leaf, read)
    text = read(leaf.value, leaf.place)
    return None if text is None else (text,)


def _read_many(leaf: _Leaf, read: Callable[[Json, Place], Literal_ | None]) -> tuple[Literal_, ...] | None:
    """Read a list of literals."""
    entries = read_list(leaf.faults, leaf.value, leaf.place, at_least=1, at_most=MAX_LITERALS)
    return None if entries is None else _read_entries(leaf, entries, read)


def _read_each(leaf: _Leaf, read: Callable[[Json, Place], Literal_ | None]) -> tuple[Literal_, ...] | None:
    """Read the one literal of a comparison, or the two of `between`."""
    if leaf.operator == "between":
        entries = read_list(leaf.faults, leaf.value, leaf.place, at_least=2, at_most=2)
        return None if entries is None else _read_entries(leaf, entries, read)
    literal = read(leaf.value, leaf.place)
    return None if literal is None else (literal,)


def _read_entries(
    leaf: _Leaf, entries: Sequence[Json], read: Callable[[Json, Place], Literal_ | None]
) -> tuple[Literal_, ...] | None:
    literals = [read(entry, leaf.place.element(index)) for index, entry in enumerate(entries)]
    known = tuple(literal for literal in literals if literal is not None)
    return known if len(known) == len(literals) else None


def _check_order(leaf: _Leaf, literals: Sequence[Literal_], value: Callable[[Literal_], Decimal | int]) -> None:
    """Note a fault where the low end of `between` is above the high end, compared as written."""
    if leaf.operator == "between" and any(value(low) > value(high) for low, high in pairwise(literals)):
        leaf.faults.add(leaf.place.element(1), "is below the low end", leaf.value)
