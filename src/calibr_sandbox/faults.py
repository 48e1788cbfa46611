"""Faults on demand: which call or webhook fails, and how. Seeded, so that a run can be repeated."""

import random
import time
from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

from calibr_sandbox.throttle import Clock

_LONGEST_DELAY_S: Final = 600.0


class FaultKind(StrEnum):
    """What can go wrong with a call, or with a webhook."""

    THROTTLE = "throttle"
    TOO_MANY_REQUESTS = "too_many_requests"
    SERVER_ERROR = "server_error"
    DROP_BEFORE = "drop_before_commit"
    DROP_AFTER = "drop_after_commit"
    DELAY_BEFORE = "delay_before"
    DELAY_AFTER = "delay_after"
    TRUNCATE = "truncate"
    """The answer breaks off in the middle of its body; the call was carried out."""
    SLOW_BODY = "slow_body"
    """The answer is whole, but its body trickles in; the call was carried out."""
    DUPLICATE_WEBHOOKS = "duplicate_webhooks"
    REORDER_WEBHOOKS = "reorder_webhooks"
    """A webhook is held back and comes after later ones."""


WEBHOOK_KINDS: Final = (FaultKind.DUPLICATE_WEBHOOKS, FaultKind.REORDER_WEBHOOKS)
_WITH_DELAY: Final = (FaultKind.DELAY_BEFORE, FaultKind.DELAY_AFTER, FaultKind.SLOW_BODY)


@dataclass(frozen=True, slots=True)
class FaultRule:
    """Let calls fail in one way: a share of them (`rate`), at most `count` of them if that is given.

    `burst` more calls fail right after each hit. `delay_s` and a random part of `delay_jitter_s` are how long a delay
    lasts, or how long a slow body takes. `retry_after_s` is what a 429 tells. `operations` limits the rule to GraphQL
    operations with these names, and alone lets it strike `oauth/access_token`. `between` limits it to a time: seconds
    since the server started, from and to.
    """

    kind: FaultKind
    rate: float = 1.0
    count: int | None = None
    seed: int = 1
    mutations_only: bool = False
    burst: int = 0
    delay_s: float = 0.2
    delay_jitter_s: float = 0.0
    retry_after_s: float = 2.0
    operations: tuple[str, ...] = ()
    between: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense, by the name of the field."""
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate: {self.rate} is not between 0 and 1")
        for name in ("count", "burst"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name}: {value} is negative")
        for name in ("delay_s", "delay_jitter_s", "retry_after_s"):
            value = getattr(self, name)
            if not 0 <= value <= _LONGEST_DELAY_S:
                raise ValueError(f"{name}: {value} is not between 0 and {_LONGEST_DELAY_S:g}")
        if self.between is not None and not 0 <= self.between[0] < self.between[1]:
            raise ValueError(f"between: {list(self.between)} is no span of time from 0 onwards")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one call. `delay_s` is how long it waits, or how long its body takes."""

    rule: FaultRule
    delay_s: float = 0.0

    @property
    def kind(self) -> FaultKind:
        """How it fails."""
        return self.rule.kind


class Faults:
    """The rules in force. Not thread-safe: the event loop owns it."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        """Start without any; `between` counts from now."""
        self._active: list[_ActiveRule] = []
        self._clock = clock
        self._started = clock()
        self.hits: Counter[str] = Counter()

    def add(self, rule: FaultRule) -> None:
        """Put a rule into force, after those that are."""
        self._active.append(_ActiveRule(rule))

    def clear(self) -> None:
        """Drop all rules; what they did stays counted."""
        self._active.clear()

    def rules(self) -> list[dict[str, object]]:
        """Describe the rules in force, with how many calls each made fail."""
        return [{**asdict(a.rule), "hits": a.hits} for a in self._active]

    def pick(self, *, is_mutation: bool, operation: str | None = None) -> Fault | None:
        """Decide the fate of one call: the first rule that strikes, or None."""
        now_s = self._clock() - self._started
        for active in self._active:
            if active.rule.kind in WEBHOOK_KINDS or not active.concerns(is_mutation=is_mutation, operation=operation):
                continue
            if active.strikes(now_s):
                self.hits[active.rule.kind.value] += 1
                return Fault(active.rule, active.delay_s())
        return None

    def pick_named(self, operation: str) -> Fault | None:
        """Decide the fate of a call that is no GraphQL: only rules that name it count, so the seeds of others hold."""
        now_s = self._clock() - self._started
        for active in self._active:
            if active.rule.kind not in WEBHOOK_KINDS and operation in active.rule.operations and active.strikes(now_s):
                self.hits[active.rule.kind.value] += 1
                return Fault(active.rule, active.delay_s())
        return None

    def pick_for_webhook(self) -> FaultKind | None:
        """Decide the fate of one webhook: the first rule that strikes, or None."""
        now_s = self._clock() - self._started
        for active in self._active:
            if active.rule.kind in WEBHOOK_KINDS and active.strikes(now_s):
                self.hits[active.rule.kind.value] += 1
                return active.rule.kind
        return None


class _ActiveRule:
    """A rule with its random numbers and its hits so far."""

    def __init__(self, rule: FaultRule) -> None:
        self.rule = rule
        self.hits = 0
        self._burst = 0
        self._random = random.Random(rule.seed)  # noqa: S311 - repeatable on purpose

    def concerns(self, *, is_mutation: bool, operation: str | None) -> bool:
        """Whether the rule is for such calls."""
        rule = self.rule
        return (is_mutation or not rule.mutations_only) and (not rule.operations or operation in rule.operations)

    def strikes(self, now_s: float) -> bool:
        """Whether it strikes this time. Draws a random number only where the rule is in force."""
        rule = self.rule
        if rule.between is not None and not rule.between[0] <= now_s < rule.between[1]:
            return False
        if rule.count is not None and self.hits >= rule.count:
            return False
        hit = self._burst > 0 or self._random.random() < rule.rate
        if self._burst > 0:
            self._burst -= 1
        elif hit:
            self._burst = rule.burst
        self.hits += hit
        return hit

    def delay_s(self) -> float:
        """How long a call waits."""
        rule = self.rule
        return rule.delay_s + self._random.random() * rule.delay_jitter_s if rule.kind in _WITH_DELAY else 0.0
