"""Reads the steps of `transform/1.0.0` documents."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

from calibr.core.written_json import Json
from calibr.pricing.amounts import Amount
from calibr.pricing.arithmetic import Ratio, at_margin, plus_percent
from calibr.pricing.faults import Faults, Place
from calibr.pricing.reading import (
    ABOVE_MINUS_100,
    BELOW_100,
    Members,
    check_one_currency,
    read_amount,
    read_list,
    read_object,
)
from calibr.pricing.steps import Add, Base, Clamp, Scale, SetTo, StepDocument, endings_step, multiples_step
from calibr.pricing.vocabulary import IfMissing, Mode

MAX_STEPS: Final = 20
MAX_ENDINGS: Final = 100
ROUNDING_OPS: Final = frozenset({"round", "ending"})


def read_steps(faults: Faults, value: Json, place: Place) -> tuple[StepDocument, ...]:
    """Read the list of steps of a branch."""
    entries = read_list(faults, value, place, at_most=MAX_STEPS)
    steps: list[StepDocument] = []
    for index, entry in enumerate(entries or ()):
        step = _read_step(faults, entry, place.element(index))
        if step is None:
            continue
        steps.append(step)
        if step.op in ROUNDING_OPS and entries is not None and index + 1 < len(entries):
            faults.add(place.element(index), f"{step.op} may only be the last step")
    return tuple(steps)


def _read_step(faults: Faults, value: Json, place: Place) -> StepDocument | None:
    if not isinstance(value, dict):
        faults.add(place, "is not an object: a step", value)
        return None
    op = value.get("op")
    if not isinstance(op, str) or op not in _READERS:
        known = read_object(Faults(), value, place, ("op",))
        rule = f"is not one of {', '.join(_READERS)}" if "op" in value else "is missing"
        faults.add(known.place("op") if known else place, rule, op)
        return None
    names, read = _READERS[op]
    return read(Members(faults, value, place, ("op", *names)))


def _read_percent(members: Members) -> StepDocument | None:
    percent = members.percent("by", ABOVE_MINUS_100)
    return None if percent is None else _scale("percent", Base.PRICE, plus_percent(percent))


def _read_from_cost(members: Members) -> StepDocument | None:
    if "markup" in members and "margin" in members:
        members.faults.add(members.place("margin"), "must not stand beside markup")
        return None
    if "margin" in members:
        percent, factor = members.percent("margin", BELOW_100), at_margin
    else:
        percent, factor = members.percent("markup", ABOVE_MINUS_100), plus_percent
    if_missing = members.word("if_missing", IfMissing, IfMissing.BLOCK)
    if percent is None or if_missing is None:
        return None
    return _scale("from_cost", Base.COST, factor(percent), if_missing)


def _read_from_compare_at(members: Members) -> StepDocument | None:
    percent = members.percent("by", ABOVE_MINUS_100)
    if_missing = members.word("if_missing", IfMissing, IfMissing.BLOCK)
    if percent is None or if_missing is None:
        return None
    return _scale("from_compare_at", Base.COMPARE_AT, plus_percent(percent), if_missing)


def _scale(op: str, base: Base, ratio: Ratio, if_missing: IfMissing = IfMissing.BLOCK) -> StepDocument:
    return StepDocument(op, (), lambda _: Scale(op, base, ratio, if_missing))


def _read_amount_step(members: Members) -> StepDocument | None:
    amount = members.amount("by", signed=True)
    return None if amount is None else StepDocument("amount", (amount,), lambda minor: Add(minor[0]))


def _read_set(members: Members) -> StepDocument | None:
    amount = members.amount("to")
    return None if amount is None else StepDocument("set", (amount,), lambda minor: SetTo(minor[0]))


def _read_clamp(members: Members) -> StepDocument | None:
    names = [name for name in ("min", "max") if name in members]
    if not names:
        members.faults.add(members.at, "clamp has neither min nor max")
        return None
    amounts = {name: members.amount(name) for name in names}
    low, high = amounts.get("min"), amounts.get("max")
    check_one_currency(members.faults, (low, high))
    if low and high and low.written.value > high.written.value:
        members.faults.add(high.place, "is below min", high.written.text)
    known = tuple(amount for amount in (low, high) if amount is not None)
    return StepDocument("clamp", known, partial(_build_clamp, low is not None, high is not None))


def _build_clamp(has_low: bool, has_high: bool, minor: tuple[int, ...]) -> Clamp:  # noqa: FBT001 - bound by partial
    return Clamp(minor[0] if has_low else None, minor[-1] if has_high else None)


def _read_round(members: Members) -> StepDocument | None:
    unit = members.amount("to")
    if unit is not None and unit.written.value == 0:
        members.faults.add(unit.place, "must be above 0", unit.written.text)
    mode = members.word("mode", Mode, Mode.NEAREST)
    if unit is None or mode is None:
        return None
    return StepDocument("round", (unit,), partial(multiples_step, "round", mode))


def _read_ending(members: Members) -> StepDocument | None:
    endings = _read_endings(members)
    per = members.amount("per")
    mode = members.word("mode", Mode, Mode.NEAREST)
    if endings is None or per is None or mode is None:
        return None
    check_one_currency(members.faults, (*endings, per))
    for ending in endings:
        if ending.written.value >= per.written.value:
            members.faults.add(ending.place, "must be below per", ending.written.text)
    return StepDocument("ending", (*endings, per), partial(endings_step, "ending", mode))


def _read_endings(members: Members) -> Sequence[Amount] | None:
    place = members.place("endings")
    if "endings" not in members:
        members.get("endings")
        return None
    entries = read_list(members.faults, members.get("endings"), place, at_least=1, at_most=MAX_ENDINGS)
    amounts = [read_amount(members.faults, entry, place.element(index)) for index, entry in enumerate(entries or ())]
    known = [amount for amount in amounts if amount is not None]
    return known if entries is not None and len(known) == len(amounts) else None


_Reader = Callable[[Members], StepDocument | None]
_READERS: Final[Mapping[str, tuple[tuple[str, ...], _Reader]]] = MappingProxyType({
    "percent": (("by",), _read_percent),
    "amount": (("by",), _read_amount_step),
    "set": (("to",), _read_set),
    "from_cost": (("markup", "margin", "if_missing"), _read_from_cost),
    "from_compare_at": (("by", "if_missing"), _read_from_compare_at),
    "clamp": (("min", "max"), _read_clamp),
    "round": (("to", "mode"), _read_round),
    "ending": (("endings", "per", "mode"), _read_ending),
})  # fmt: skip
