"""Faults on demand: which call fails, and how. Seeded, so that a run can be repeated."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_SEND: Final = "calibr_sandbox.send"
_LONGEST_DELAY_S: Final = 600.0


class FaultKind(StrEnum):
    """What can go wrong with a call."""

    THROTTLE = "throttle"
    TOO_MANY_REQUESTS = "too_many_requests"
    SERVER_ERROR = "server_error"
    DROP_BEFORE = "drop_before_commit"
    DROP_AFTER = "drop_after_commit"
    DELAY_BEFORE = "delay_before_commit"
    DELAY_AFTER = "delay_after_commit"
    TRUNCATE = "truncate"
    """The answer breaks off in the middle of its body; the call was carried out."""


@dataclass(frozen=True, slots=True)
class FaultRule:
    """Let calls fail in one way: a share of them (`rate`), at most `count` of them if that is given.

    `burst` more calls fail right after each hit. `delay_s` and a random part of `jitter_s` are how long a delay lasts;
    `retry_after_s` is what a 429 tells. `operations` limits the rule to GraphQL operations with these names.
    """

    kind: FaultKind
    rate: float = 1.0
    count: int | None = None
    seed: int = 1
    mutations_only: bool = False
    burst: int = 0
    delay_s: float = 0.2
    jitter_s: float = 0.0
    retry_after_s: float = 2.0
    operations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what makes no sense, by the name of the field."""
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate: {self.rate} is not between 0 and 1")
        for name in ("count", "burst"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name}: {value} is negative")
        for name in ("delay_s", "jitter_s", "retry_after_s"):
            value = getattr(self, name)
            if not 0 <= value <= _LONGEST_DELAY_S:
                raise ValueError(f"{name}: {value} is not between 0 and {_LONGEST_DELAY_S:g}")


DEFAULT: Final[tuple[FaultRule, ...]] = (
    FaultRule(FaultKind.DROP_AFTER, rate=0.02, seed=11, mutations_only=True),
    FaultRule(FaultKind.DROP_BEFORE, rate=0.01, seed=12),
    FaultRule(FaultKind.TOO_MANY_REQUESTS, rate=0.03, seed=13, retry_after_s=0.2),
    FaultRule(FaultKind.SERVER_ERROR, rate=0.02, seed=14),
    FaultRule(FaultKind.TRUNCATE, rate=0.01, seed=15),
    FaultRule(FaultKind.DELAY_BEFORE, rate=0.005, seed=16, delay_s=0.05, jitter_s=0.2),
    FaultRule(FaultKind.DELAY_AFTER, rate=0.005, seed=17, delay_s=0.05, jitter_s=0.2),
    FaultRule(FaultKind.THROTTLE, rate=0.005, seed=18, burst=5),
)
"""A bad day: what `--faults default` stands for."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one call."""

    rule: FaultRule
    delay_s: float = 0.0

    @property
    def kind(self) -> FaultKind:
        """How it fails."""
        return self.rule.kind


class Faults:
    """The rules in force. Not thread-safe: the event loop owns it."""

    def __init__(self) -> None:
        """Start without any."""
        self._active: list[_ActiveRule] = []
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
        for active in self._active:
            if active.strikes(is_mutation=is_mutation, operation=operation):
                self.hits[active.rule.kind.value] += 1
                return Fault(active.rule, active.delay_s())
        return None


def read_rule(body: Mapping[str, Any]) -> FaultRule:
    """Make a rule of what somebody wrote. Raises ValueError that names the field and the rule."""
    known = {field.name for field in fields(FaultRule)}
    unknown = sorted(body.keys() - known)
    if unknown:
        raise ValueError(f"{unknown[0]}: is not known; a fault may have {', '.join(sorted(known))}")
    values = dict(body)
    try:
        values["kind"] = FaultKind(values.get("kind", ""))
    except ValueError:
        raise ValueError(f"kind: {body.get('kind')!r} is not one of {', '.join(FaultKind)}") from None
    _check_types(values)
    if "operations" in values:
        values["operations"] = tuple(values["operations"])
    return FaultRule(**values)


def read_rules(document: object) -> list[FaultRule]:
    """Make rules of a JSON document: a list, or an object with `faults`. Raises ValueError that names the rule."""
    listed = document.get("faults") if isinstance(document, dict) else document
    if not isinstance(listed, list):
        raise TypeError("a fault file holds a JSON list of rules")
    rules = []
    for index, body in enumerate(listed):
        if not isinstance(body, dict):
            raise TypeError(f"rule {index}: {body!r} is no object")
        try:
            rules.append(read_rule(body))
        except (TypeError, ValueError) as error:
            raise ValueError(f"rule {index}: {error}") from error
    return rules


def as_document(rules: Sequence[FaultRule]) -> list[dict[str, object]]:
    """The rules as a fault file holds them."""
    return [{key: value for key, value in asdict(rule).items() if value not in (None, (), [])} for rule in rules]


def _check_types(values: Mapping[str, Any]) -> None:
    wanted: dict[str, tuple[type, ...]] = {
        **dict.fromkeys(("rate", "delay_s", "jitter_s", "retry_after_s"), (int, float)),
        **dict.fromkeys(("count", "seed", "burst"), (int,)),
        "mutations_only": (bool,),
        "operations": (list, tuple),
    }
    for name, types in wanted.items():
        value = values.get(name)
        wrong = value is not None and (not isinstance(value, types) or (bool not in types and isinstance(value, bool)))
        if wrong:
            raise ValueError(f"{name}: {value!r} is not {' or '.join(each.__name__ for each in types)}")


_DELAYS: Final = (FaultKind.DELAY_BEFORE, FaultKind.DELAY_AFTER)


class _ActiveRule:
    """A rule with its random numbers and its hits so far."""

    def __init__(self, rule: FaultRule) -> None:
        self.rule = rule
        self.hits = 0
        self._burst = 0
        self._random = random.Random(rule.seed)  # noqa: S311 - repeatable on purpose

    def strikes(self, *, is_mutation: bool, operation: str | None) -> bool:
        rule = self.rule
        if (rule.mutations_only and not is_mutation) or (rule.count is not None and self.hits >= rule.count):
            return False
        if rule.operations and operation not in rule.operations:
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
        return self.rule.delay_s + self._random.random() * self.rule.jitter_s if self.rule.kind in _DELAYS else 0.0


def remember_send(app: ASGIApp) -> ASGIApp:
    """Keep the server's own `send` in the scope, where no middleware has wrapped it yet."""

    async def remembering(scope: Scope, receive: Receive, send: Send) -> None:
        scope[_SEND] = send
        await app(scope, receive, send)

    return remembering


async def drop_connection(scope: Scope, *, after_sending: bool = False) -> None:
    """Cut the connection, as a lost network does: at once, or once what was sent has left.

    ASGI has no word for it; uvicorn's `send` belongs to an object that holds the transport.
    """
    transport = getattr(getattr(scope.get(_SEND), "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("the server does not let the sandbox cut a connection")
    if after_sending:
        transport.close()
    else:
        transport.abort()
    # The server learns of the loss in the next turn of the loop, and then expects no answer anymore.
    await asyncio.sleep(0)


async def send_half(response: Response, scope: Scope, send: Send) -> None:
    """Send a response that breaks off in the middle of its body."""
    body = bytes(response.body)
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    await drop_connection(scope, after_sending=True)
