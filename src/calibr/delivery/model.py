"""What is delivered, to whom, and how a receiver answers. Values only."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from calibr.db import Session


class SubscriptionKind(StrEnum):
    """How events reach a subscriber."""

    PROJECTION = "projection"
    """Code of ours, in the transaction that moves the position."""
    WEBHOOK = "webhook"
    JETSTREAM = "jetstream"


class OnPoison(StrEnum):
    """What an event that cannot be delivered does to those after it."""

    BLOCK_LANE = "block_lane"
    """The lane waits and tries for ever."""
    PARK_KEY = "park_key"
    """The event and all later ones of its aggregate are parked; the rest of the lane goes on."""


class SubscriptionState(StrEnum):
    """Whether a subscription gets events."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"
    """By us, after days of nothing but failures."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who gets which events, and how. `remote` is what the receiver told of itself."""

    id: UUID
    kind: SubscriptionKind
    name: str
    event_types: tuple[str, ...]
    lanes: int
    on_poison: OnPoison
    state: SubscriptionState
    reason: str | None
    config: dict[str, Any]
    remote: dict[str, Any]
    created_by: str
    created_at: datetime
    failing_since: datetime | None


class Message(NamedTuple):
    """One event on its way. `body` is the canonical JSON of its envelope, byte for byte as it stands in the log."""

    tenant_id: UUID
    seq: int
    event_id: UUID
    type: str
    aggregate_type: str
    aggregate_id: str
    at: datetime
    body: bytes
    is_replay: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """The aggregate, whose events keep their order."""
        return self.aggregate_type, self.aggregate_id


class Outcome(StrEnum):
    """How a delivery ended."""

    DELIVERED = "delivered"
    RETRY = "retry"
    """Not accepted, or no answer: it may have arrived. Worth another try."""
    POISON = "poison"
    """Refused for good: another try would end the same way."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a receiver said to one message. `reason` is for people and never holds a body or a secret."""

    outcome: Outcome
    reason: str | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """What a receiver says of itself before some work: why it cannot take anything, or what it holds.

    `remote` is remembered with the subscription, `created` and `last_seq` of what keeps the messages. If it is another
    one the next time, or has become shorter, then messages are lost and all is sent anew.
    """

    remote: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None

    def has_lost(self, known: dict[str, Any]) -> bool:
        """Whether it no longer holds what it did when `known` was remembered."""
        if not known:
            return False
        return known.get("created") != self.remote.get("created") or (
            int(self.remote.get("last_seq", 0)) < int(known.get("last_seq", 0))
        )


class Receiver(Protocol):
    """Delivers single messages somewhere outside of the database. Thread-safe; `close` ends its connections.

    `deliver` returns within `timeout_s`, never raises for what a receiver does, and may deliver a message twice.
    """

    timeout_s: float

    def prepare(self) -> Ready:
        """Say whether it can take messages, and whether it still holds those that it took."""
        ...

    def confirm(self) -> bool:
        """Say whether everything that was delivered since `prepare` is still there; only then it is settled."""
        ...

    def deliver(self, message: Message) -> Verdict:
        """Hand one message over and say how it ended."""
        ...

    def close(self) -> None:
        """End connections and threads."""
        ...


class Projection(Protocol):
    """Code of ours that keeps tables in step with the log. Effects and position are one transaction."""

    name: str
    event_types: tuple[str, ...]

    def apply(self, session: Session, messages: Sequence[Message]) -> None:
        """Take messages in, in their order; each event comes once in the life of the projection."""
        ...

    def clear(self, session: Session) -> None:
        """Forget everything, so that a replay from the beginning rebuilds it."""
        ...
