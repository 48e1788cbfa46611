"""Faults on demand: which call fails, and how. Seeded, so that a run can be repeated."""

import asyncio
import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

_SEND: Final = "calibr_sandbox.send"


class FaultKind(StrEnum):
    """What can go wrong with a call."""

    THROTTLE = "throttle"
    TOO_MANY_REQUESTS = "too_many_requests"
    SERVER_ERROR = "server_error"
    DROP_BEFORE = "drop_before_commit"
    DROP_AFTER = "drop_after_commit"


@dataclass(frozen=True, slots=True)
class FaultRule:
    """Let calls fail in one way: a share of them (`rate`), at most `count` of them if that is given."""

    kind: FaultKind
    rate: float = 1.0
    count: int | None = None
    seed: int = 1
    mutations_only: bool = False

    def __post_init__(self) -> None:
        """Refuse a rate that is no share and a negative count."""
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate: {self.rate} is not between 0 and 1")
        if self.count is not None and self.count < 0:
            raise ValueError(f"count: {self.count} is negative")


class Faults:
    """The rules in force. Not thread-safe: the event loop owns it."""

    def __init__(self) -> None:
        """Start without any."""
        self._active: list[_ActiveRule] = []

    def add(self, rule: FaultRule) -> None:
        """Put a rule into force, after those that are."""
        self._active.append(_ActiveRule(rule))

    def clear(self) -> None:
        """Drop all rules."""
        self._active.clear()

    def rules(self) -> list[dict[str, object]]:
        """Describe the rules in force, with how many calls each made fail."""
        return [{"kind": a.rule.kind, "rate": a.rule.rate, "count": a.rule.count, "hits": a.hits} for a in self._active]

    def pick(self, *, is_mutation: bool) -> FaultKind | None:
        """Decide the fate of one call: the first rule that strikes, or None."""
        for active in self._active:
            if active.strikes(is_mutation=is_mutation):
                return active.rule.kind
        return None


class _ActiveRule:
    """A rule with its random numbers and its hits so far."""

    def __init__(self, rule: FaultRule) -> None:
        self.rule = rule
        self.hits = 0
        self._random = random.Random(rule.seed)  # noqa: S311 - repeatable on purpose

    def strikes(self, *, is_mutation: bool) -> bool:
        rule = self.rule
        if (rule.mutations_only and not is_mutation) or (rule.count is not None and self.hits >= rule.count):
            return False
        hit = self._random.random() < rule.rate
        self.hits += hit
        return hit


def remember_send(app: ASGIApp) -> ASGIApp:
    """Keep the server's own `send` in the scope, where no middleware has wrapped it yet."""

    async def remembering(scope: Scope, receive: Receive, send: Send) -> None:
        scope[_SEND] = send
        await app(scope, receive, send)

    return remembering


async def drop_connection(scope: Scope) -> None:
    """Cut the connection without an answer, as a lost network does.

    ASGI has no word for it; uvicorn's `send` belongs to an object that holds the transport.
    """
    transport = getattr(getattr(scope.get(_SEND), "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("the server does not let the sandbox cut a connection")
    transport.abort()
    # The server learns of the loss in the next turn of the loop, and then expects no answer anymore.
    await asyncio.sleep(0)
