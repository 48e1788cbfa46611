"""What a price change and its items are, as plain values. Amounts are integers of minor units of the row's currency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.core.ids import PriceChangeId, PriceListId, ProductId, UserId
from calibr.core.written_json import Json
from calibr.pricing import Verdict


@dataclass(frozen=True, slots=True)
class Documents:
    """The rules of a change as somebody wrote them: parsed, numbers in their written form, not yet checked."""

    selector: Json
    transform: Json
    guardrails: Json


@dataclass(frozen=True, slots=True)
class NewPriceChange:
    """What a person asks for. `price_list_ids` None means: the base price list of every connection."""

    name: str
    documents: Documents
    price_list_ids: Sequence[PriceListId] | None = None


@dataclass(frozen=True, slots=True)
class NewRelease:
    """Fixed prices to take away: of which products (a parsed selector document), on which price lists."""

    name: str
    selector: Json
    price_list_ids: Sequence[PriceListId]


@dataclass(frozen=True, slots=True)
class EditedPriceChange:
    """What a person edits; None leaves a part as it is."""

    name: str | None = None
    selector: Json | None = None
    transform: Json | None = None
    guardrails: Json | None = None
    price_list_ids: Sequence[PriceListId] | None = None


@dataclass(frozen=True, slots=True)
class PriceChange:
    """One governed change. The three rule documents are RFC 8785 text, exactly as `rule_hash` covers them."""

    id: PriceChangeId
    revision: int
    name: str
    state: ChangeState
    selector_json: str
    transform_json: str
    guardrails_json: str
    price_list_ids: tuple[PriceListId, ...]
    rule_hash: str
    engine: str | None
    computed_at: datetime | None
    plan_root: str | None
    summary: Mapping[str, Any] | None
    rollback_of: PriceChangeId | None
    retry_of: PriceChangeId | None
    created_by: UserId
    editors: tuple[UserId, ...]
    created_at: datetime
    updated_at: datetime
    submitted_by: UserId | None
    submitted_at: datetime | None
    approved_by: UserId | None
    approved_root: str | None
    approved_at: datetime | None
    applied_by: UserId | None
    apply_started_at: datetime | None
    finished_at: datetime | None
    reason: str | None
    error: Mapping[str, Any] | None
    correlation_id: UUID
    counts: Mapping[ItemState, int]
    reasserts: bool = False
    """Its plan puts back prices that were applied before; it was made of drift and not computed from rules."""
    releases: bool = False
    """Its plan takes fixed prices away, so that price lists follow the base prices again."""

    @property
    def has_fixed_plan(self) -> bool:
        """Whether its plan was made at once and not computed by rules: nothing can be edited or computed in it."""
        return self.rollback_of is not None or self.reasserts or self.releases


@dataclass(frozen=True, slots=True)
class ItemKey:
    """An item within its plan; also the order of the plan."""

    price_list_id: PriceListId
    product_id: ProductId


@dataclass(frozen=True, slots=True)
class Reassertion:
    """A price to put back on one product."""

    key: ItemKey
    unit_amount: int
    compare_at: int | None


@dataclass(frozen=True, slots=True)
class Price:
    """Two amounts as a store shows them. A null compare-at is a value: there is none.

    `relative`: on a price list beside the base prices, no price is fixed and this one follows the base price; without
    an amount it stands for whatever that gives.
    """

    unit_amount: int | None
    compare_at: int | None
    relative: bool = False

    def is_shown_by(self, observed: "Price") -> bool:
        """Whether a store that shows `observed` has this price."""
        if self.relative and self.unit_amount is None:
            return observed.relative
        return self == observed

    def payload(self) -> dict[str, int | None]:
        """The form that events and the API carry; `relative` is told where it is true."""
        amounts = {"unit_amount": self.unit_amount, "compare_at": self.compare_at}
        return {**amounts, "relative": True} if self.relative else amounts


@dataclass(frozen=True, slots=True)
class Item:
    """One row of a plan as people read it, with the product's SKU and title as they are now."""

    key: ItemKey
    sku: str | None
    title: str | None
    currency: str
    before: Price
    after: Price
    verdict: str
    reason: str | None
    binding: str | None
    violated: str | None
    state: ItemState
    attempt: int
    observed: Price | None
    observed_at: datetime | None
    last_error: str | None
    event_id: UUID | None

    @property
    def is_written(self) -> bool:
        """Whether an apply run writes it to the store."""
        return self.verdict in {Verdict.CHANGED, Verdict.CLAMPED}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an apply run is. `to_write` leaves out what the rules skipped; `done` are items that are over."""

    state: ChangeState
    to_write: int
    done: int
    counts: Mapping[ItemState, int]
