"""What the API shows of price changes and their items."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import WithJsonSchema

from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.changes.model import Item, Price, PriceChange, Progress
from calibr.changes.reads_price_lists import ListEffect, Outcome
from calibr.pricing import Verdict

RawObject = Annotated[Any, WithJsonSchema({"type": "object"})]
OptionalObject = Annotated[Any, WithJsonSchema({"type": ["object", "null"]})]
RawArray = Annotated[Any, WithJsonSchema({"type": "array"})]
"""JSON that is sent as it is stored."""


@dataclass(frozen=True, slots=True)
class ProgressView:
    """How far an apply run is. `to_write` leaves out what the rules skipped; `done` are items that are over."""

    to_write: int
    done: int
    counts: dict[str, int]
    """By state of the item."""


@dataclass(frozen=True, slots=True)
class PriceChangeBrief:
    """A price change without its rules and its summary."""

    id: UUID
    revision: int
    name: str
    state: ChangeState
    price_list_ids: list[UUID]
    rule_hash: str
    engine: str | None
    computed_at: datetime | None
    plan_root: str | None
    rollback_of: UUID | None
    retry_of: UUID | None
    reasserts: bool
    """Whether it puts back prices that had drifted; it was made of drift and not computed from rules."""
    releases: bool
    """Whether it takes fixed prices of price lists away, so that they follow the base prices again."""
    created_by: UUID
    created_at: datetime
    updated_at: datetime
    submitted_by: UUID | None
    submitted_at: datetime | None
    approved_by: UUID | None
    approved_root: str | None
    approved_at: datetime | None
    applied_by: UUID | None
    apply_started_at: datetime | None
    finished_at: datetime | None
    reason: str | None
    error: OptionalObject
    progress: ProgressView


@dataclass(frozen=True, slots=True)
class PriceChangeView(PriceChangeBrief):
    """A price change. The three documents are shown in the canonical form that `rule_hash` covers."""

    selector: RawObject
    transform: RawObject
    guardrails: RawArray
    summary: OptionalObject
    rollbacks: list[UUID]


@dataclass(frozen=True, slots=True)
class PriceView:
    """Two amounts of minor units. A null compare-at is a value: there is none.

    `relative`: no price is fixed on the price list, this one follows the base price. Without an amount it is whatever
    the store makes of that.
    """

    unit_amount: int | None
    compare_at: int | None
    relative: bool = False


@dataclass(frozen=True, slots=True)
class ItemView:
    """One row of a plan: what a product's price on a price list was, becomes, and was seen to be in the store."""

    price_list_id: UUID
    product_id: UUID
    sku: str | None
    title: str | None
    currency: str
    before: PriceView
    after: PriceView
    verdict: Verdict
    reason: str | None
    binding: str | None
    violated: str | None
    state: ItemState
    attempt: int
    observed: PriceView | None
    observed_at: datetime | None
    last_error: str | None
    event_id: UUID | None


@dataclass(frozen=True, slots=True)
class ListEffectView:
    """What buyers of a price list pay for a product before and after the plan."""

    price_list_id: UUID
    name: str
    is_base: bool
    currency: str
    markets: list[str]
    before: PriceView
    after: PriceView
    outcome: Outcome
    is_estimate: bool
    """Whether the amount after is ours, in proportion to the base price; the store computes the real one."""


def list_effect(found: ListEffect) -> ListEffectView:
    """The view of what a plan makes of a product on a price list."""
    price_list = found.price_list
    return ListEffectView(
        price_list_id=price_list.id,
        name=price_list.name,
        is_base=price_list.is_base,
        currency=price_list.currency,
        markets=list(found.markets),
        before=_price(found.before),
        after=_price(found.after),
        outcome=found.outcome,
        is_estimate=found.is_estimate,
    )


def brief(change: PriceChange, progress: Progress) -> PriceChangeBrief:
    """The view for lists."""
    return PriceChangeBrief(**_shared(change, progress))


def full(change: PriceChange, progress: Progress, rollbacks: list[PriceChange]) -> PriceChangeView:
    """The view of one."""
    return PriceChangeView(
        **_shared(change, progress),
        selector=orjson.Fragment(change.selector_json),
        transform=orjson.Fragment(change.transform_json),
        guardrails=orjson.Fragment(change.guardrails_json),
        summary=change.summary,
        rollbacks=[rollback.id for rollback in rollbacks],
    )


def item(found: Item) -> ItemView:
    """The view of an item."""
    return ItemView(
        price_list_id=found.key.price_list_id,
        product_id=found.key.product_id,
        sku=found.sku,
        title=found.title,
        currency=found.currency,
        before=_price(found.before),
        after=_price(found.after),
        verdict=Verdict(found.verdict),
        reason=found.reason,
        binding=found.binding,
        violated=found.violated,
        state=found.state,
        attempt=found.attempt,
        observed=_price(found.observed) if found.observed is not None else None,
        observed_at=found.observed_at,
        last_error=found.last_error,
        event_id=found.event_id,
    )


def _progress(found: Progress) -> ProgressView:
    return ProgressView(found.to_write, found.done, {state.value: number for state, number in found.counts.items()})


def _price(price: Price) -> PriceView:
    return PriceView(price.unit_amount, price.compare_at, price.relative)


SHARED = tuple(name for name in PriceChangeBrief.__dataclass_fields__ if name not in {"price_list_ids", "progress"})


def _shared(change: PriceChange, progress: Progress) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(change, name) for name in SHARED}
    values["price_list_ids"] = list(change.price_list_ids)
    values["progress"] = _progress(progress)
    return values
