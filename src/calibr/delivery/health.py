"""What the relay learns about a subscription: keys that had to be parked, days of nothing but failures."""

from collections.abc import Sequence
from typing import Final

from calibr.db import Session
from calibr.delivery import repository
from calibr.delivery.core import Parked
from calibr.delivery.model import Subscription, SubscriptionKind, SubscriptionState
from calibr.events import Event, JsonValue, emit

AGGREGATE: Final = "subscription"
DISABLED_AFTER_S: Final = 5 * 86_400.0
"""A webhook that took nothing for five days is switched off, as Svix does."""


def tell_parked(session: Session, subscription: Subscription, opened: Sequence[Parked]) -> None:
    """Append an event for each aggregate that is parked from now on.

    Only for the first of its events: the news of a parked key may itself end up parked, and must not make more news.
    """
    for parked in opened:
        payload: dict[str, JsonValue] = {
            "name": subscription.name,
            "aggregate_type": parked.message.aggregate_type,
            "aggregate_id": parked.message.aggregate_id,
            "event_id": str(parked.message.event_id),
            "seq": parked.message.seq,
            "attempts": parked.attempts,
            "reason": parked.reason[:1000],
        }
        emit(session, Event("subscription.key_parked", AGGREGATE, str(subscription.id), payload))


def judge_failing(session: Session, subscription: Subscription, *, failed: bool) -> None:
    """Note whether anything arrives, and disable a webhook that has taken nothing for five days."""
    repository.note_outcome(session, subscription.id, failed=failed)
    if not failed or subscription.kind is not SubscriptionKind.WEBHOOK:
        return
    if repository.failing_for_s(session, subscription.id) >= DISABLED_AFTER_S:
        reason = "nothing was delivered for five days"
        repository.update_subscription(
            session, subscription.id, {"state": SubscriptionState.DISABLED, "reason": reason}
        )
        emit(
            session,
            Event(
                "subscription.disabled",
                AGGREGATE,
                str(subscription.id),
                {"name": subscription.name, "reason": reason},
            ),
        )
