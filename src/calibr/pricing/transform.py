"""Transforms: the branches of a rule and which items each decides. Read from documents, then bound to a currency."""

from dataclasses import dataclass
from typing import Final, Literal

from calibr.core.written_json import Json
from calibr.pricing.arithmetic import plus_percent
from calibr.pricing.compare_at import (
    Clear,
    CompareAt,
    CompareAtDocument,
    FromPrice,
    Keep,
    Otherwise,
    PercentAbove,
    SetCompareAt,
)
from calibr.pricing.faults import Faults, Place
from calibr.pricing.reading import ABOVE_0, Members, read_list, read_object
from calibr.pricing.selector import Node, SelectorBinding, SelectorDocument, read_selector
from calibr.pricing.steps import RoundTo, Step, StepDocument
from calibr.pricing.steps_reading import ROUNDING_OPS, read_steps

MAX_CASES: Final = 50

_BRANCH_NAMES: Final = ("price", "compare_at", "allow_zero")
_FROM_PRICE: Final = ("from_price", "highest")

CaseLabel = int | Literal["otherwise"] | None
"""Which branch decided: the index of a case, `otherwise`, or null where the transform is a single branch."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch, bound to a currency."""

    steps: tuple[Step, ...]
    compare_at: CompareAt
    allow_zero: bool

    @property
    def rounding(self) -> RoundTo | None:
        """The `round` or `ending` that the branch ends in; None too where its amounts do not fit the currency."""
        last = self.steps[-1] if self.steps else None
        return last if isinstance(last, RoundTo) else None

    @property
    def ends_in_rounding(self) -> bool:
        """Whether the document ends in `round` or `ending`, for whatever currency."""
        return bool(self.steps) and self.steps[-1].op in ROUNDING_OPS


@dataclass(frozen=True, slots=True)
class Transform:
    """A transform, bound to a currency.

    `branches` has one branch for each of `whens`, then the `otherwise` if there is one; a transform that is a single
    branch has no `whens` and `is_single`.
    """

    whens: tuple[Node, ...]
    branches: tuple[Branch, ...]
    is_single: bool

    @property
    def leaves_the_rest(self) -> bool:
        """Whether items that no case takes are left alone."""
        return len(self.branches) == len(self.whens)

    def label(self, index: int) -> CaseLabel:
        """The label of a branch in traces."""
        if self.is_single:
            return None
        return index if index < len(self.whens) else "otherwise"


@dataclass(frozen=True, slots=True)
class BranchDocument:
    """A branch as read."""

    steps: tuple[StepDocument, ...]
    compare_at: CompareAtDocument
    allow_zero: bool

    def bind(self, currency: str) -> Branch:
        """Return the branch for price lists of the currency."""
        steps = tuple(step.bind(currency) for step in self.steps)
        return Branch(steps, self.compare_at.bind(currency), self.allow_zero)


@dataclass(frozen=True, slots=True)
class TransformDocument:
    """A transform as read."""

    whens: tuple[SelectorDocument, ...]
    branches: tuple[BranchDocument, ...]
    is_single: bool

    def bind(self, currency: str, selectors: SelectorBinding) -> Transform:
        """Return the transform for price lists of the currency."""
        whens = tuple(selectors.bind(when) for when in self.whens)
        return Transform(whens, tuple(branch.bind(currency) for branch in self.branches), self.is_single)


def read_transform(faults: Faults, value: Json, place: Place) -> TransformDocument:
    """Read a transform. Where there are faults, what it returns means nothing."""
    if isinstance(value, dict) and "cases" in value:
        return _read_cases(Members(faults, value, place, ("cases", "otherwise")))
    members = read_object(faults, value, place, _BRANCH_NAMES)
    branches = () if members is None else (_read_branch(members),)
    return TransformDocument((), branches, is_single=True)


def _read_cases(members: Members) -> TransformDocument:
    faults, place = members.faults, members.place("cases")
    whens: list[SelectorDocument] = []
    branches: list[BranchDocument] = []
    entries = read_list(faults, members.get("cases"), place, at_least=1, at_most=MAX_CASES)
    for index, entry in enumerate(entries or ()):
        case = read_object(faults, entry, place.element(index), ("when", *_BRANCH_NAMES))
        if case is None:
            continue
        when = case.get("when")
        if "when" in case:
            whens.append(read_selector(faults, when, case.place("when")))
        branches.append(_read_branch(case))
    otherwise = members.get("otherwise") if "otherwise" in members else "leave"
    if isinstance(otherwise, dict):
        branches.append(_read_branch(Members(faults, otherwise, members.place("otherwise"), _BRANCH_NAMES)))
    elif otherwise != "leave":
        faults.add(members.place("otherwise"), 'is neither a branch nor "leave"', otherwise)
    return TransformDocument(tuple(whens), tuple(branches), is_single=False)


def _read_branch(members: Members) -> BranchDocument:
    steps = members.get("price")
    read = read_steps(members.faults, steps, members.place("price")) if "price" in members else ()
    return BranchDocument(read, _read_compare_at(members), members.flag("allow_zero"))


def _read_compare_at(branch: Members) -> CompareAtDocument:
    keep = CompareAtDocument((), lambda _: Keep())
    value = branch.get("compare_at") if "compare_at" in branch else "keep"
    if value == "keep":
        return keep
    if value == "clear":
        return CompareAtDocument((), lambda _: Clear())
    place = branch.place("compare_at")
    if not isinstance(value, dict):
        branch.faults.add(place, 'is neither "keep" nor "clear" nor an object', value)
        return keep
    if "percent_above" in value and "set" not in value:
        return _read_percent_above(Members(branch.faults, value, place, ("percent_above",))) or keep
    target = value.get("set")
    if isinstance(target, str) and target in _FROM_PRICE:
        return _read_from_price(Members(branch.faults, value, place, ("set", "otherwise"))) or keep
    members = Members(branch.faults, value, place, ("set",))
    amount = members.amount("set")
    return keep if amount is None else CompareAtDocument((amount,), lambda minor: SetCompareAt(minor[0]))


def _read_percent_above(members: Members) -> CompareAtDocument | None:
    percent = members.percent("percent_above", ABOVE_0)
    return None if percent is None else CompareAtDocument((), lambda _: PercentAbove(plus_percent(percent)))


def _read_from_price(members: Members) -> CompareAtDocument | None:
    highest = members.get("set") == "highest"
    otherwise = members.word("otherwise", Otherwise, Otherwise.CLEAR_IF_NOT_ABOVE)
    return None if otherwise is None else CompareAtDocument((), lambda _: FromPrice(highest, otherwise))
