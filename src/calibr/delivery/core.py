"""What happens in one lane: deliver in order, retry, park. Pure but for the calls that it is given.

The whole order guarantee can be read here: a lane is one ordered list; nothing after an event that must be retried is
delivered before it, and everything after a parked event of its aggregate is parked behind it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from calibr.delivery.model import Message, OnPoison, Outcome, Verdict

Key = tuple[str, str]
Deliver = Callable[[Message], Verdict]
Schedule = Callable[[int], float | None]
"""Seconds until the next try after this many failures in a row; None when no further try is worth it."""

BLOCKED_DELAY_S = 60.0
FOLLOWS = "an earlier event of the same aggregate is parked"


@dataclass(frozen=True, slots=True)
class Rules:
    """How one lane is worked on. `has_time` says whether another delivery may begin under the lease."""

    deliver: Deliver
    schedule: Schedule
    on_poison: OnPoison
    has_time: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Parked:
    """An event that was not delivered. `opens`: it is the first of its aggregate."""

    message: Message
    reason: str
    attempts: int
    opens: bool


@dataclass(slots=True)
class Progress:
    """What came of the work on a lane: `pos` is how far everything is delivered or parked."""

    pos: int
    attempt: int
    delay_s: float | None = None
    error: str | None = None
    delivered: int = 0
    parked: list[Parked] = field(default_factory=list)


def work_lane(
    messages: Sequence[Message], *, begin: tuple[int, int], high: int, parked: set[Key], rules: Rules
) -> Progress:
    """Deliver `messages` of a lane in their order, until one must wait, or the time is up.

    `begin` is the position and the number of failures so far of the next event; `high` is the last number of the log
    that was looked at; `parked` are the keys with open dead letters, and grows.
    """
    progress = Progress(*begin)
    for message in messages:
        if message.key in parked:
            progress.parked.append(Parked(message, FOLLOWS, 0, opens=False))
        elif not rules.has_time() or not _deliver(message, progress, parked, rules):
            return progress
        progress.pos, progress.attempt = message.seq, 0
    progress.pos, progress.attempt = max(high, progress.pos), 0
    return progress


def _deliver(message: Message, progress: Progress, parked: set[Key], rules: Rules) -> bool:
    """Deliver one message; False if the lane has to wait for it."""
    verdict = rules.deliver(message)
    if verdict.outcome is Outcome.DELIVERED:
        progress.delivered += 1
        return True
    reason, attempts = verdict.reason or str(verdict.outcome), progress.attempt + 1
    delay_s = rules.schedule(attempts) if verdict.outcome is Outcome.RETRY else None
    if delay_s is None and rules.on_poison is OnPoison.PARK_KEY:
        progress.parked.append(Parked(message, reason, attempts, opens=True))
        parked.add(message.key)
        return True
    progress.attempt, progress.error = attempts, reason
    progress.delay_s = max(BLOCKED_DELAY_S if delay_s is None else delay_s, verdict.retry_after_s or 0.0)
    return False


@dataclass(frozen=True, slots=True)
class Redelivery:
    """What came of parked messages that were released: numbers that arrived, and keys that stay parked."""

    delivered: tuple[int, ...]
    refused: dict[Key, str]


def redeliver(messages: Sequence[Message], rules: Rules) -> Redelivery:
    """Deliver parked messages in their order; after one that fails its key stays parked."""
    delivered: list[int] = []
    refused: dict[Key, str] = {}
    for message in messages:
        if message.key in refused:
            continue
        if not rules.has_time():
            break
        verdict = rules.deliver(message)
        if verdict.outcome is Outcome.DELIVERED:
            delivered.append(message.seq)
        else:
            refused[message.key] = verdict.reason or str(verdict.outcome)
    return Redelivery(tuple(delivered), refused)
