"""Ordered, idempotent delivery of the event log to subscribers: projections, webhooks, JetStream."""

from calibr.delivery.activity import Activity
from calibr.delivery.model import (
    Message,
    OnPoison,
    Outcome,
    Projection,
    Ready,
    Receiver,
    Subscription,
    SubscriptionKind,
    SubscriptionState,
    Verdict,
)
from calibr.delivery.reads import DeadLetter, Standing, list_dead_letters, list_subscriptions, standing
from calibr.delivery.relay import DeliverySettings, Relay, RelayHooks
from calibr.delivery.repository import get_subscription
from calibr.delivery.repository_activity import DayActivity, list_activity
from calibr.delivery.repository_lanes import due_subscriptions, streams
from calibr.delivery.service import (
    Created,
    KindRules,
    Kinds,
    NewSubscription,
    create_subscription,
    delete_subscription,
    ensure_projections,
    forget_old_messages,
    open_secrets,
    pause,
    redeliver,
    replay,
    resume,
    rotate_secret,
    update_subscription,
)
from calibr.delivery.subscribers import Kind, Subscribers

__all__ = [
    "Activity",
    "Created",
    "DayActivity",
    "DeadLetter",
    "DeliverySettings",
    "Kind",
    "KindRules",
    "Kinds",
    "Message",
    "NewSubscription",
    "OnPoison",
    "Outcome",
    "Projection",
    "Ready",
    "Receiver",
    "Relay",
    "RelayHooks",
    "Standing",
    "Subscribers",
    "Subscription",
    "SubscriptionKind",
    "SubscriptionState",
    "Verdict",
    "create_subscription",
    "delete_subscription",
    "due_subscriptions",
    "ensure_projections",
    "forget_old_messages",
    "get_subscription",
    "list_activity",
    "list_dead_letters",
    "list_subscriptions",
    "open_secrets",
    "pause",
    "redeliver",
    "replay",
    "resume",
    "rotate_secret",
    "standing",
    "streams",
    "update_subscription",
]
