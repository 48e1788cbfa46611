"""The leaky bucket of one store as seen from outside: pure state, the caller brings the time.

The store tells size, rate and level with each answer; nothing of it is configured. An answer is older than the moment
at which it arrives, and other calls are under way then: it bounds our own count from both sides instead.

Callers book: points are taken at once, also those that are not there yet, and the caller starts when all that was
booked up to then is restored. So nobody polls, and a dear call is not overtaken by cheap ones for ever.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

from calibr.connectors.shopify.errors import CostReport

VERSION: Final = 1
AHEAD_S: Final = 0.1
"""One exchange books calls that start within this time of the first one: the others are for somebody else."""
_ROUNDING: Final = 1e-6
_FIRST_BACKOFF_S: Final = 0.05
_LONGEST_BACKOFF_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Reservation:
    """Points held for one call under way. `mark` is the sum of points settled when it was granted."""

    cost: int
    mark: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A call that is over: `spent` of its points are gone. `age_s` ago its answer, if there was one, came in."""

    held: Reservation
    spent: int
    report: CostReport | None = None
    age_s: float = 0.0
    refused: bool = False
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that wants its points within `left_s` seconds."""

    cost: int
    left_s: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a process tells and asks at once. Its calls that go on are `calls` and hold `held` points.

    `lives_s`: when nothing was heard of the process for so long, none of its calls can be under way any more.
    """

    process: str
    held: int
    calls: int
    lives_s: float
    ended: tuple[Ended, ...] = ()
    asked: tuple[Asked, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """When a call may start: in `wait_s`. Without `held` its points cannot be there in time, and nothing is held."""

    wait_s: float
    held: Reservation | None


@dataclass(frozen=True, slots=True)
class Turns:
    """An answer to an exchange: the turns of the first calls asked for. The others shall ask again.

    `paid_in_s`: by then all that anybody booked is restored, which may have become earlier; `paused_s`: nothing starts
    before.
    """

    given: tuple[Turn, ...]
    paid_in_s: float
    paused_s: float


@dataclass(frozen=True, slots=True)
class BucketView:
    """The bucket at one moment, for estimates and health. `known` is False until the first answer."""

    known: bool
    available: int
    maximum: int
    restore_rate: int
    granted: int
    refused: int


@dataclass(slots=True)
class Holder:
    """The points that a process holds, and until when we believe that it lives."""

    points: int
    ends_at: float


@dataclass(slots=True)
class Bucket:
    """Points that may still be spent; below zero what was booked and is not restored. Not thread-safe."""

    maximum: int = 0
    rate: int = 0
    level: float = 0.0
    at: float = 0.0
    settled: int = 0
    paused_until: float = 0.0
    refused_in_a_row: int = 0
    granted: int = 0
    refused: int = 0
    holders: dict[str, Holder] = field(default_factory=dict)
    booked: list[tuple[float, int]] = field(default_factory=list)
    """Start and cost of calls whose turn has not come."""

    @classmethod
    def of(cls, state: Any) -> Self:  # noqa: ANN401 - JSON
        """Read what `as_state` wrote; what another version wrote, or nothing, is an unknown bucket."""
        if not isinstance(state, dict) or state.get("version") != VERSION:
            return cls()
        values = {name: value for name, value in state.items() if name != "version"}
        values["holders"] = {name: Holder(**holder) for name, holder in values["holders"].items()}
        values["booked"] = [(start, cost) for start, cost in values["booked"]]
        return cls(**values)

    def as_state(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {"version": VERSION, **asdict(self)}

    def exchange(self, said: Exchange, now: float) -> Turns:
        """Note what ended, forget who is gone, and give turns to those who ask."""
        self._go_on(now)
        points = said.held + sum(ended.held.cost for ended in said.ended)
        own = self.holders[said.process] = Holder(points, now + said.lives_s)
        for ended in said.ended:
            self._end(ended, own, now)
        given = self._give(said, now)
        own.points += sum(turn.held.cost for turn in given if turn.held)
        if own.points == 0 and not said.calls:
            self.holders.pop(said.process)
        paid_in_s = max(0.0, -self.level) / self.rate if self.rate else 0.0
        self.booked = [(max(min(start, now + paid_in_s), self.paused_until), cost) for start, cost in self.booked]
        return Turns(given, paid_in_s, max(0.0, self.paused_until - now))

    def view(self, now: float) -> BucketView:
        """Describe the bucket as of `now`."""
        level = max(0, int(self._refilled(now)))
        return BucketView(self.rate > 0, level, self.maximum, self.rate, self.granted, self.refused)

    def _go_on(self, now: float) -> None:
        """Bring the state to `now`."""
        if now < self.at:  # the clock was set back: what was to come comes as much later
            behind = self.at - now
            self.paused_until -= behind
            self.booked = [(start - behind, cost) for start, cost in self.booked]
            for holder in self.holders.values():
                holder.ends_at -= behind
            self.at = now
        self.level = self._refilled(now)
        self.at = now
        self.booked = [(start, cost) for start, cost in self.booked if start > now]
        for name in [name for name, holder in self.holders.items() if holder.ends_at <= now]:
            # Nobody knows what it spent. As spent it is counted already; if it was not, an answer will give it back.
            self.settled += self.holders.pop(name).points

    def _give(self, said: Exchange, now: float) -> tuple[Turn, ...]:
        given: list[Turn] = []
        first: float | None = None
        for asked in said.asked:
            if not self.rate and (said.calls or first is not None):
                break  # how much there is only an answer can tell: one call of each process goes and asks
            wait = self._wait_for(asked.cost, now)
            if wait > asked.left_s:
                given.append(Turn(wait, None))
                continue
            first = wait if first is None else first
            if wait > first + AHEAD_S:
                break
            given.append(Turn(wait, self._book(asked.cost, now + wait, now)))
        return tuple(given)

    def _wait_for(self, cost: int, now: float) -> float:
        """Seconds until all that is booked and `cost` are restored, 0 for now."""
        # A call above the whole bucket would never be granted: let the store refuse it.
        missing = min(cost, self.maximum) - self.level if self.rate else 0.0
        return max(missing / self.rate if missing > _ROUNDING else 0.0, self.paused_until - now, 0.0)

    def _book(self, cost: int, start: float, now: float) -> Reservation:
        self.level -= cost
        self.granted += 1
        if start > now:
            self.booked.append((start, cost))
        return Reservation(cost, self.settled)

    def _end(self, ended: Ended, own: Holder, now: float) -> None:
        self.level = min(self.level + ended.held.cost - ended.spent, self.maximum)
        self.settled += ended.spent
        own.points -= ended.held.cost
        if ended.report is not None:
            self._bound(ended, ended.report, now)
        if ended.refused:
            self._slow_down(ended, now)
        elif ended.report is not None:
            self.refused_in_a_row = 0

    def _slow_down(self, ended: Ended, now: float) -> None:
        """Our count was too high. It alone could send us straight back: a store under strain refuses with any level."""
        self.refused += 1
        if ended.report is None:
            self.level = min(self.level, 0.0)
        backoff = min(_FIRST_BACKOFF_S * 2**self.refused_in_a_row, _LONGEST_BACKOFF_S)
        self.refused_in_a_row = min(self.refused_in_a_row + 1, 10)
        self.paused_until = max(self.paused_until, now + backoff, now + (ended.retry_after_s or 0.0))

    def _bound(self, ended: Ended, report: CostReport, now: float) -> None:
        """Fit the level between what the answer allows at most and at least.

        At most: the store had already charged all calls that had started. At least: it had charged none of those under
        way or booked, nor those that ended while this call ran.
        """
        self.maximum, self.rate = report.maximum, report.restore_rate
        came_at = now - ended.age_s
        available = min(report.available + ended.age_s * report.restore_rate, report.maximum)
        waiting = sum(cost for start, cost in self.booked if start > came_at)
        held = sum(holder.points for holder in self.holders.values())
        ended_meanwhile = max(0, self.settled - ended.spent - ended.held.mark)
        self.level = min(max(self.level, available - held - ended_meanwhile), available - waiting)

    def _refilled(self, now: float) -> float:
        return min(self.level + max(0.0, now - self.at) * self.rate, self.maximum)
