"""The summary of a plan as a document (`price-change-summary/1.1.0`), folded from groups of items. Pure."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from heapq import nsmallest
from typing import Any
from uuid import UUID

from calibr.catalog import ProductLabel
from calibr.pricing import Direction, Verdict

EDGES_BP = (-5000, -3000, -2000, -1500, -1000, -500, 0, 500, 1000, 1500, 2000, 3000, 5000, 10000)
"""Borders of the histogram in basis points; what lies outside falls into the open ends."""

STAYS = 0
"""The bucket of items whose price stays; buckets with a move are numbered from 1, below the first edge."""

UNKNOWN = -1
"""The bucket of items whose price goes from or to no known amount: it followed its base price, or does again."""

FALLS = EDGES_BP.index(0) + 1
"""How many buckets are falls; the ones above them are rises."""

MOVERS = 10


@dataclass(frozen=True, slots=True)
class Sums:
    """Money over items that are not blocked; `costed` are those whose cost is known, and the margins are theirs."""

    items: int = 0
    before: int = 0
    after: int = 0
    costed: int = 0
    margin_before: int = 0
    margin_after: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.items + other.items,
            self.before + other.before,
            self.after + other.after,
            self.costed + other.costed,
            self.margin_before + other.margin_before,
            self.margin_after + other.margin_after,
        )

    def document(self, currency: str) -> dict[str, Any]:
        """The sums of one currency as the summary shows them."""
        return {
            "currency": currency,
            "items": self.items,
            "before_total": self.before,
            "after_total": self.after,
            "delta": self.after - self.before,
            "margin": {
                "items": self.costed,
                "before": self.margin_before,
                "after": self.margin_after,
                "delta": self.margin_after - self.margin_before,
            },
        }


@dataclass(frozen=True, slots=True)
class ItemGroup:
    """Items that are alike; `sums` are of nothing where they are blocked, or where an amount is not known."""

    currency: str
    verdict: str
    reason: str | None
    binding: str | None
    bucket: int
    items: int
    sums: Sums
    rounded_far: int

    @property
    def direction(self) -> Direction | None:
        """Where the price goes; None where that is not known."""
        if self.bucket == UNKNOWN:
            return None
        if self.bucket == STAYS:
            return Direction.NONE
        return Direction.DOWN if self.bucket <= FALLS else Direction.UP


@dataclass(frozen=True, slots=True)
class Mover:
    """An item whose price moves much; `change_bp` is null where it was 0 before."""

    product_id: UUID
    price_list_id: UUID
    currency: str
    before: int
    after: int
    change_bp: int | None

    @property
    def delta(self) -> int:
        """The change in minor units."""
        return self.after - self.before

    def document(self, label: ProductLabel | None) -> dict[str, Any]:
        """As the summary shows it."""
        shown = {**asdict(self), "product_id": str(self.product_id), "price_list_id": str(self.price_list_id)}
        return {
            **shown,
            "delta": self.delta,
            "sku": label.sku if label else None,
            "title": label.title if label else None,
        }


def highest(movers: Iterable[Mover]) -> list[Mover]:
    """The largest rises: a rise from nothing first, then by percent, then by amount."""
    return nsmallest(
        MOVERS, movers, key=lambda m: (m.change_bp is not None, -(m.change_bp or 0), -m.delta, m.product_id)
    )


def lowest(movers: Iterable[Mover]) -> list[Mover]:
    """The largest falls, by percent, then by amount."""
    return nsmallest(MOVERS, movers, key=lambda m: (m.change_bp or 0, m.delta, m.product_id))


@dataclass(frozen=True, slots=True)
class Selection:
    """How many products the selector took, how many of them no case took, how many only for a missing value."""

    selected: int = 0
    left: int = 0
    selected_as_missing: int = 0

    def __add__(self, other: "Selection") -> "Selection":
        return Selection(
            self.selected + other.selected,
            self.left + other.left,
            self.selected_as_missing + other.selected_as_missing,
        )


@dataclass(frozen=True, slots=True)
class NotApplied:
    """A leaf or guardrail that means nothing on a price list, because its amount is in another currency."""

    price_list_id: UUID
    currency: str
    kind: str
    path: str
    name: str
    meant_for: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known besides the groups."""

    selection: Selection
    not_applied: Sequence[NotApplied] = ()
    movers_up: Sequence[Mapping[str, Any]] = ()
    movers_down: Sequence[Mapping[str, Any]] = ()
    eta: Sequence[Mapping[str, Any]] | None = None
    price_lists: Sequence[Mapping[str, Any]] = ()


@dataclass(slots=True)
class _Fold:
    """Counts over all groups."""

    verdicts: Counter[str] = field(default_factory=Counter)
    directions: Counter[Direction] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    bound_by: Counter[str] = field(default_factory=Counter)
    buckets: Counter[int] = field(default_factory=Counter)
    currencies: defaultdict[str, Sums] = field(default_factory=lambda: defaultdict(Sums))
    rounded_far: int = 0

    def add(self, group: ItemGroup) -> None:
        self.verdicts[group.verdict] += group.items
        if group.direction is not None:
            self.directions[group.direction] += group.items
        if group.reason is not None:
            self.reasons[group.reason] += group.items
        if group.binding is not None:
            self.bound_by[group.binding] += group.items
        self.rounded_far += group.rounded_far
        if group.verdict != Verdict.BLOCKED and group.direction is not None:
            self.buckets[group.bucket] += group.items
            self.currencies[group.currency] += group.sums


def summarize(groups: Iterable[ItemGroup], findings: Findings) -> dict[str, Any]:
    """Return the document."""
    fold = _Fold()
    for group in groups:
        fold.add(group)
    to_write = fold.verdicts[Verdict.CHANGED] + fold.verdicts[Verdict.CLAMPED]
    return {
        "selected": findings.selection.selected,
        "left": findings.selection.left,
        "selected_as_missing": findings.selection.selected_as_missing,
        "items": fold.verdicts.total(),
        "to_write": to_write,
        "verdicts": {str(verdict): fold.verdicts[verdict] for verdict in Verdict},
        "directions": {str(direction): fold.directions[direction] for direction in Direction},
        "reasons": dict(sorted(fold.reasons.items())),
        "bound_by": dict(sorted(fold.bound_by.items())),
        "currencies": [sums.document(currency) for currency, sums in sorted(fold.currencies.items())],
        "histogram": histogram(fold.buckets),
        "top_movers": {"up": list(findings.movers_up), "down": list(findings.movers_down)},
        "not_applied": [not_applied_document(n) for n in findings.not_applied],
        "rounded_past_guardrail": fold.rounded_far,
        "reversibility": reversibility(to_write),
        "eta": None if findings.eta is None else list(findings.eta),
        "price_lists": list(findings.price_lists),
    }


def not_applied_document(found: NotApplied) -> dict[str, str]:
    """A leaf or guardrail that did not apply, as the summary shows it."""
    return {**asdict(found), "price_list_id": str(found.price_list_id)}


def histogram(buckets: Mapping[int, int]) -> list[dict[str, int | None]]:
    """The buckets in order, with `0..0` for prices that stay between the falls and the rises."""
    borders: list[int | None] = [None, *EDGES_BP, None]
    moved = [
        {"from_bp": low, "to_bp": high, "items": buckets.get(number, 0)}
        for number, (low, high) in enumerate(itertools.pairwise(borders), start=1)
    ]
    return [*moved[:FALLS], {"from_bp": 0, "to_bp": 0, "items": buckets.get(STAYS, 0)}, *moved[FALLS:]]


def reversibility(to_write: int) -> dict[str, Any]:
    """What a rollback can promise."""
    note = (
        "A rollback restores price and compare-at of every item that was applied, unless somebody changed it meanwhile."
        if to_write
        else "Nothing would be written, so there is nothing to restore."
    )
    return {"items": to_write, "note": note}
