"""Delivers to one subscription for a while: claims lanes, delivers, settles. Any number of workers may do it."""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog

from calibr.core.errors import Invalid
from calibr.db import Context, Database, Role, Session
from calibr.delivery import repository
from calibr.delivery.core import Progress, Rules, Schedule, redeliver, work_lane
from calibr.delivery.health import judge_failing, tell_parked
from calibr.delivery.model import Message, Projection, Ready, Receiver, Subscription, SubscriptionKind
from calibr.delivery.repository_lanes import (
    ClaimedLane,
    LaneSettlement,
    Window,
    claim_lanes,
    holds,
    lock_lanes,
    read_window,
    reset_lanes,
    settle_lanes,
    take_in,
)

log = structlog.stdlib.get_logger("calibr.delivery")

OpenReceiver = Callable[[Session, Subscription], Receiver]
"""Opens the receiver of a subscription; the relay closes it."""

OnDelivered = Callable[[SubscriptionKind, int], None]
"""Told how many messages were delivered, after they were settled; for metrics."""

REDELIVERED_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """Times in seconds. `window`: how many numbers of the log are looked at in one go."""

    lease_s: float = 60.0
    margin_s: float = 3.0
    lanes_at_once: int = 8
    window: int = 1_000
    projection_window: int = 2_000
    slice_s: float = 5.0

    def require_safe_lease(self, timeout_s: float) -> None:
        """Refuse a lease that could end while a delivery under it is still on its way."""
        if self.lease_s <= timeout_s + self.margin_s:
            raise Invalid(
                "delivery.lease_too_short",
                f"delivery_lease_s is {self.lease_s}: it must exceed the time of one delivery, {timeout_s}, and the "
                f"margin, {self.margin_s}",
            )


def _tell_nobody(_kind: SubscriptionKind, _number: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class RelayHooks:
    """How the process around a relay stops it in an orderly way, and hears about its progress."""

    stop: threading.Event = field(default_factory=threading.Event)
    on_delivered: OnDelivered = _tell_nobody


@dataclass(frozen=True, slots=True)
class Relay:
    """Delivers the events of one tenant. `owner` names this process in leases, for people."""

    database: Database
    context: Context
    settings: DeliverySettings
    projections: Mapping[str, Projection]
    open_receiver: OpenReceiver
    schedules: Mapping[SubscriptionKind, Schedule]
    hooks: RelayHooks = field(default_factory=RelayHooks)
    owner: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}")

    def run(self, subscription_id: UUID) -> None:
        """Deliver until nothing is due, the time slice is over, or the process stops."""
        with self.session() as session:
            subscription = repository.get_subscription(session, subscription_id)
        until = time.monotonic() + self.settings.slice_s
        if subscription.kind is SubscriptionKind.PROJECTION:
            projection = self.projections.get(subscription.name)
            while projection is not None and self._goes_on(until) and self._project(subscription, projection):
                pass
            return
        with self.session() as session:
            receiver = self.open_receiver(session, subscription)
        try:
            self.settings.require_safe_lease(receiver.timeout_s)
            while self._goes_on(until) and _Round(self, subscription, receiver).run():
                pass
        finally:
            receiver.close()

    def session(self) -> AbstractContextManager[Session]:
        """A transaction of the worker."""
        return self.database.session(self.context, role=Role.WORKER)

    def _goes_on(self, until: float) -> bool:
        return not self.hooks.stop.is_set() and time.monotonic() < until

    def _project(self, subscription: Subscription, projection: Projection) -> bool:
        """Take one window in: effects, inbox and positions are one transaction. False if nothing is due."""
        with self.session() as session:
            lanes = lock_lanes(session, subscription.id)
            if not lanes:
                return False
            window = _read(session, subscription, lanes, self.settings.projection_window)
            messages = sorted((m for each in window.messages.values() for m in each), key=_by_seq)
            fresh = take_in(session, projection.name, [m.event_id for m in messages]) if messages else set()
            projection.apply(session, [m for m in messages if m.event_id in fresh])
            settle_lanes(session, subscription.id, [LaneSettlement(lane, max(lane.pos, window.high)) for lane in lanes])
        self.hooks.on_delivered(subscription.kind, len(fresh))
        return True


def _read(session: Session, subscription: Subscription, lanes: Sequence[ClaimedLane], size: int) -> Window:
    return read_window(session, lanes, count=subscription.lanes, event_types=subscription.event_types, size=size)


def _by_seq(message: Message) -> int:
    return message.seq


class _Round:
    """One claim of some lanes of a subscription, from the claim to the settlement of each."""

    def __init__(self, relay: Relay, subscription: Subscription, receiver: Receiver) -> None:
        self._relay = relay
        self._subscription = subscription
        self._receiver = receiver
        self._ends = 0.0

    def run(self) -> bool:
        """Deliver what is before the lanes that could be claimed; False if there was none, or no answer."""
        if not self._prepare():
            return False
        settings, id_ = self._relay.settings, self._subscription.id
        # Counted from before the database was asked: the local clock only ever ends the right early.
        self._ends = time.monotonic() + settings.lease_s - settings.margin_s - self._receiver.timeout_s
        with self._relay.session() as session:
            lanes = claim_lanes(
                session, id_, owner=self._relay.owner, limit=settings.lanes_at_once, lease_s=settings.lease_s
            )
            if not lanes:
                return False
            window = _read(session, self._subscription, lanes, settings.window)
            parked = repository.parked_keys(session, id_, [lane.number for lane in lanes])
        with ThreadPoolExecutor(len(lanes), "lane") as pool:
            done = list(pool.map(lambda lane: self._work(lane, window, parked[lane.number]), lanes))
        return any(done)

    def _prepare(self) -> bool:
        """Ask the receiver whether it is there and still holds what it took."""
        ready = self._receiver.prepare()
        if ready.problem is not None:
            log.warning("delivery.not_ready", subscription_id=str(self._subscription.id), reason=ready.problem)
            with self._relay.session() as session:
                repository.note_outcome(session, self._subscription.id, failed=True)
            return False
        if ready.remote == self._subscription.remote:
            return True
        return self._remember(ready)

    def _remember(self, ready: Ready) -> bool:
        """Keep what the receiver holds now; begin anew if that is less than it was."""
        id_ = self._subscription.id
        with self._relay.session() as session:
            known = repository.lock_subscription(session, id_)
            if ready.has_lost(known.remote):
                ready = self._receiver.prepare()  # another worker may have been faster in telling of newer messages
                if ready.problem is not None:
                    return False
            if ready.has_lost(known.remote):
                log.warning("delivery.rebuilt", subscription_id=str(id_), known=known.remote, found=ready.remote)
                reset_lanes(session, id_, pos=0, replay_to=0)
            self._subscription = repository.update_subscription(session, id_, {"remote": ready.remote})
        return True

    def _work(self, lane: ClaimedLane, window: Window, parked: set[tuple[str, str]]) -> bool:
        """Deliver one lane and settle it. False where it has to wait."""
        if lane.released:
            self._redeliver(lane, parked)
        rules = self._rules()
        progress = work_lane(
            window.messages[lane.number], begin=(lane.pos, lane.attempt), high=window.high, parked=parked, rules=rules
        )
        if progress.delivered and not self._receiver.confirm():
            log.warning("delivery.not_confirmed", subscription_id=str(self._subscription.id), lane=lane.number)
            progress = Progress(lane.pos, lane.attempt + 1, delay_s=0.5, error="the receiver lost what it had taken")
        self._settle(lane, progress)
        return progress.error is None

    def _rules(self) -> Rules:
        schedule = self._relay.schedules[self._subscription.kind]
        return Rules(self._receiver.deliver, schedule, self._subscription.on_poison, self._has_time)

    def _has_time(self) -> bool:
        return time.monotonic() < self._ends and not self._relay.hooks.stop.is_set()

    def _settle(self, lane: ClaimedLane, progress: Progress) -> None:
        id_ = self._subscription.id
        with self._relay.session() as session:
            if not holds(session, id_, lane):
                log.warning("delivery.lane_overtaken", subscription_id=str(id_), lane=lane.number, fence=lane.fence)
                return
            repository.park(session, id_, lane.number, progress.parked)
            tell_parked(session, self._subscription, [p for p in progress.parked if p.opens])
            settlement = LaneSettlement(lane, progress.pos, progress.attempt, progress.delay_s, progress.error)
            settle_lanes(session, id_, [settlement])
        if progress.delivered or progress.error is not None:
            # On its own: everybody else locks the subscription before its lanes, and would wait for us in a circle.
            with self._relay.session() as session:
                judge_failing(session, self._subscription, failed=not progress.delivered)
        if progress.delivered:
            self._relay.hooks.on_delivered(self._subscription.kind, progress.delivered)
        if progress.error is not None:
            log.info(
                "delivery.waits", subscription_id=str(id_), lane=lane.number, attempt=progress.attempt,
                delay_s=progress.delay_s, reason=progress.error,
            )  # fmt: skip

    def _redeliver(self, lane: ClaimedLane, parked: set[tuple[str, str]]) -> None:
        """Deliver what was parked in this lane and is released; what the time does not reach stays released."""
        id_ = self._subscription.id
        with self._relay.session() as session:
            messages = repository.released_messages(session, id_, lane.number, REDELIVERED_AT_ONCE)
        result = redeliver(messages, self._rules())
        if result.delivered and not self._receiver.confirm():
            return
        with self._relay.session() as session:
            if not holds(session, id_, lane):
                return
            repository.resolve(session, id_, result.delivered, state="delivered")
            delivered = set(result.delivered)
            for key, reason in result.refused.items():
                first = next(m for m in messages if m.key == key and m.seq not in delivered)
                repository.park_again(session, id_, lane.number, first, reason)
            parked.clear()
            parked.update(repository.parked_keys(session, id_, [lane.number])[lane.number])
