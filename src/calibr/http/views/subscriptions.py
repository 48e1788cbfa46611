"""What the API shows of subscriptions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from calibr.delivery import Created, OnPoison, Standing, Subscription, SubscriptionKind, SubscriptionState


@dataclass(frozen=True, slots=True)
class SubscriptionView:
    """A subscriber. `failing_since`: nothing has arrived since then."""

    id: UUID
    kind: SubscriptionKind
    name: str
    event_types: list[str]
    lanes: int
    on_poison: OnPoison
    state: SubscriptionState
    reason: str | None
    config: dict[str, Any]
    created_by: str
    created_at: datetime
    failing_since: datetime | None


@dataclass(frozen=True, slots=True)
class SubscriptionDetail:
    """A subscriber, and how far it is."""

    subscription: SubscriptionView
    standing: Standing


@dataclass(frozen=True, slots=True)
class CreatedSubscription:
    """A subscriber with the secret that signs what it gets. It is shown this once: a repeat shows null."""

    subscription: SubscriptionView
    secret: str | None


@dataclass(frozen=True, slots=True)
class Redelivery:
    """How many dead letters are to be delivered again."""

    dead_letters: int


def subscription(found: Subscription) -> SubscriptionView:
    """The view of a subscription."""
    return SubscriptionView(
        id=found.id,
        kind=found.kind,
        name=found.name,
        event_types=list(found.event_types),
        lanes=found.lanes,
        on_poison=found.on_poison,
        state=found.state,
        reason=found.reason,
        config=found.config,
        created_by=found.created_by,
        created_at=found.created_at,
        failing_since=found.failing_since,
    )


def created(made: Created, *, with_secret: bool) -> CreatedSubscription:
    """The view of a new subscription, or of one with a new secret."""
    return CreatedSubscription(subscription(made.subscription), made.secret if with_secret else None)
