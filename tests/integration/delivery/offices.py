"""A tenant whose events go to a subscriber that remembers what it got, and says what the test wants."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from uuid import UUID

from calibr.core.ids import new_uuid
from calibr.db import Context, Database, Session
from calibr.delivery import (
    Activity,
    DeliverySettings,
    KindRules,
    Message,
    NewSubscription,
    OnPoison,
    Outcome,
    Projection,
    Ready,
    Relay,
    Subscription,
    SubscriptionKind,
    Verdict,
    create_subscription,
)
from calibr.events import Event, emit
from calibr.vault import Vault

VAULT = Vault(b"0123456789abcdef0123456789abcdef")
KINDS = {SubscriptionKind.WEBHOOK: KindRules(dict, lambda: "whsec_test")}
DELIVERED = Verdict(Outcome.DELIVERED)


@dataclass
class ScriptedReceiver:
    """A subscriber in memory. `answer` says how a delivery ends."""

    answer: Callable[[Message], Verdict] = lambda _: DELIVERED
    ready: Callable[[], Ready] = Ready
    confirmed: Callable[[], bool] = lambda: True
    timeout_s: float = 0.1
    got: list[Message] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def prepare(self) -> Ready:
        return self.ready()

    def confirm(self) -> bool:
        return self.confirmed()

    def deliver(self, message: Message) -> Verdict:
        verdict = self.answer(message)
        if verdict.outcome is Outcome.DELIVERED:
            with self.lock:
                self.got.append(message)
        return verdict

    def close(self) -> None:
        pass

    def seqs(self, aggregate_id: str | None = None) -> list[int]:
        return [m.seq for m in self.got if aggregate_id in {None, m.aggregate_id}]


@dataclass
class Office:
    """A tenant whose events go to one scripted subscriber."""

    database: Database
    context: Context
    receiver: ScriptedReceiver = field(default_factory=ScriptedReceiver)
    settings: DeliverySettings = field(
        default_factory=lambda: DeliverySettings(lease_s=2.0, margin_s=0.1, slice_s=30.0)
    )
    max_attempts: int = 3
    projections: tuple[Projection, ...] = (Activity(),)

    def subscribe(self, **wanted: object) -> UUID:
        new = replace(NewSubscription("webhook", f"hook {new_uuid()}", {}), **wanted)  # type: ignore[arg-type]
        with self.database.session(self.context) as session:
            return create_subscription(session, new, kinds=KINDS, vault=VAULT).subscription.id

    def relay(self, receiver: ScriptedReceiver | None = None) -> Relay:
        def open_receiver(_session: Session, _subscription: Subscription) -> ScriptedReceiver:
            return receiver or self.receiver

        schedules = {SubscriptionKind.WEBHOOK: lambda attempt: 0.01 if attempt < self.max_attempts else None}
        projections = {projection.name: projection for projection in self.projections}
        return Relay(self.database, self.context, self.settings, projections, open_receiver, schedules)

    def deliver(self, subscription_id: UUID, rounds: int = 1) -> None:
        for number in range(rounds):
            time.sleep(0.02 if number else 0)
            self.relay().run(subscription_id)

    def happen(self, *aggregates: str) -> None:
        """One event of each aggregate, in one transaction."""
        with self.database.session(self.context) as session:
            emit(session, *(_event(aggregate) for aggregate in aggregates))


def _event(aggregate: str) -> Event:
    return Event("subscription.paused", "test", aggregate, {"name": "x"})


def retry(*aggregates: str) -> Callable[[Message], Verdict]:
    """Answers that refuse some aggregates for now."""
    return lambda m: Verdict(Outcome.RETRY, "not now") if m.aggregate_id in aggregates else DELIVERED


def poison(*aggregates: str) -> Callable[[Message], Verdict]:
    """Answers that refuse some aggregates for good."""
    return lambda m: Verdict(Outcome.POISON, "never") if m.aggregate_id in aggregates else DELIVERED


BLOCK = OnPoison.BLOCK_LANE
