"""Drift, and what is watched at a connection, as the API shows them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from calibr.catalog import Price
from calibr.drift import Drift, DriftState
from calibr.inbound import PrivacyRequest, Watch


@dataclass(frozen=True, slots=True)
class DriftPriceView:
    """Two amounts of minor units. A null compare-at is a value: there is none."""

    unit_amount: int
    compare_at: int | None


@dataclass(frozen=True, slots=True)
class DriftView:
    """A price that is not the one that Calibr put in force last. `observed` is null where there is no usable price."""

    id: UUID
    state: DriftState
    reason: str | None
    """Why it is gone: edited_back, vanished, changed."""
    connection_id: UUID
    external_id: str
    product_id: UUID
    price_list_id: UUID
    currency: str
    expected: DriftPriceView
    expected_since: datetime
    expected_change_id: UUID | None
    observed: DriftPriceView | None
    source: str
    """How it was noticed last: sync, webhook, reread."""
    writer: str | None
    observations: int
    opened_at: datetime
    observed_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    reassert_change_id: UUID | None
    """The price change that was made last to put the expected price back."""


@dataclass(frozen=True, slots=True)
class WebhookSubscriptionView:
    """What the store sends, and where to."""

    topic: str
    url: str


@dataclass(frozen=True, slots=True)
class WatchView:
    """The webhooks of a connection: where they arrive, what the store sends, and what became of it."""

    path: str
    url: str | None
    """Null where this server does not know how it is reached from outside."""
    topics: list[str]
    subscriptions: list[WebhookSubscriptionView]
    problem: str | None
    checked_at: datetime | None
    waiting: int
    failed: int
    last_received_at: datetime | None
    uninstalled_at: datetime | None
    reread_at: datetime | None
    reread_listings: int
    reread_differing: int


@dataclass(frozen=True, slots=True)
class PrivacyRequestView:
    """What a platform asked for on behalf of people."""

    id: UUID
    connection_id: UUID
    kind: str
    state: str
    reason: str | None
    received_at: datetime
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connection's webhooks arrive."""

    path: str
    url: str | None
    topics: list[str]


def drift(found: Drift) -> DriftView:
    """The view of one drift."""
    values = {name: getattr(found, name) for name in DriftView.__dataclass_fields__}
    return DriftView(**{**values, "expected": _price(found.expected), "observed": _price(found.observed)})


def watch(found: Watch, place: Place) -> WatchView:
    """The view of what is watched."""
    return WatchView(
        path=place.path,
        url=place.url,
        topics=place.topics,
        subscriptions=[WebhookSubscriptionView(each["topic"], each["url"]) for each in found.webhooks],
        problem=found.webhooks_problem,
        checked_at=found.webhooks_checked_at,
        waiting=found.waiting,
        failed=found.failed,
        last_received_at=found.last_received_at,
        uninstalled_at=found.uninstalled_at,
        reread_at=found.reread_at,
        reread_listings=found.reread_listings,
        reread_differing=found.reread_differing,
    )


def request(found: PrivacyRequest) -> PrivacyRequestView:
    """The view of a request about people's data."""
    return PrivacyRequestView(**{name: getattr(found, name) for name in PrivacyRequestView.__dataclass_fields__})


def _price(price: Price | None) -> DriftPriceView | None:
    return None if price is None else DriftPriceView(*price)
