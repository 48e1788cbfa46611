"""The leaky bucket of one store as seen from outside: pure state, the caller brings the time.

The store tells size, rate and level with each answer; nothing of it is configured. An answer is older than the moment
at which it arrives, and other calls are under way then: it bounds our own count from both sides instead.

Callers book: points are taken at once, also those that are not there yet, and the caller starts when all that was
booked up to then is restored. So nobody polls, and a dear call is not overtaken by cheap ones for ever.

While nobody knows the level, one call of all processes goes and asks, a **probe**, and the others wait for its answer.
"""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

from calibr.connectors.shopify.errors import CostReport

VERSION: Final = 2
AHEAD_S: Final = 0.1
"""One exchange books calls that start within this time of the first one: the others are for somebody else."""
PROBE_S: Final = 5.0
"""A probe that nobody heard of for so long, as its process died, is not waited for any more."""
_CLOCK_STEP_S: Final = 1.0
_ROUNDING: Final = 1e-6
_FIRST_BACKOFF_S: Final = 0.05
_LONGEST_BACKOFF_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Reservation:
    """Points held for one call under way.

    `mark` is the sum of points settled when it was granted, `began_at` names the bucket that did it, and `number` the
    grant.
    """

    cost: int
    mark: int
    began_at: float = 0.0
    number: int = field(default=0, compare=False)


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
    """What a process tells and asks at once. Its calls that go on hold `held` points.

    `lives_s`: when nothing was heard of the process for so long, none of its calls can be under way any more.
    """

    process: str
    held: int
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
    """An answer to an exchange: a turn for each call asked for, or None for one that shall ask again.

    `is_known` is False while all wait for the answer to a probe; `paid_in_s`: by then all that anybody booked is
    restored, which may have become earlier; `paused_s`: nothing starts before.
    """

    given: tuple[Turn | None, ...]
    is_known: bool
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
class Booking:
    """When a call starts whose points are held already."""

    number: int
    start: float
    cost: int


@dataclass(slots=True)
class Bucket:
    """Points that may still be spent; below zero what was booked and is not restored. Not thread-safe."""

    began_at: float = 0.0
    maximum: int = 0
    rate: int = 0
    level: float = 0.0
    at: float = 0.0
    heard_at: float = 0.0
    """When the store told its level last."""
    prober: str = ""
    """The process whose call goes and asks, if it is not over; `probed_until`: how long the others wait for it."""
    probed_until: float = 0.0
    settled: int = 0
    paused_until: float = 0.0
    refused_in_a_row: int = 0
    granted: int = 0
    refused: int = 0
    holders: dict[str, Holder] = field(default_factory=dict)
    booked: list[Booking] = field(default_factory=list)
    """Calls whose turn has not come."""

    @classmethod
    def of(cls, state: Any, now: float) -> Self:  # noqa: ANN401 - JSON
        """Read what `as_state` wrote. Nothing, and what another version or a clock that was ahead wrote, is unknown."""
        if not isinstance(state, dict) or state.get("version") != VERSION:
            return cls(began_at=now)
        try:
            values = {name: value for name, value in state.items() if name != "version"}
            values["holders"] = {name: Holder(**holder) for name, holder in values["holders"].items()}
            values["booked"] = [Booking(**booking) for booking in values["booked"]]
            found = cls(**values)
            return found if found.at <= now + _CLOCK_STEP_S else cls(began_at=now)
        except (AttributeError, KeyError, TypeError, ValueError):
            return cls(began_at=now)

    def as_state(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {"version": VERSION, **asdict(self)}

    def exchange(self, said: Exchange, now: float) -> Turns:
        """Note what ended, forget who is gone, and give turns to those who ask."""
        now = max(now, self.at)
        self._go_on(now)
        points = said.held + sum(ended.held.cost for ended in said.ended)
        own = self.holders[said.process] = Holder(points, now + said.lives_s)
        for ended in said.ended:
            self._end(ended, own, now)
        if said.process == self.prober and (said.ended or not said.held):
            self.prober, self.probed_until = "", now
        is_known = self.is_known(now)
        given = self._book_ahead(said.asked, now) if is_known else self._probe(said, now)
        own.points += sum(turn.held.cost for turn in given if turn and turn.held)
        if own.points == 0:
            self.holders.pop(said.process)
        paid_in_s = max(0.0, -self.level) / self.rate if self.rate else 0.0
        for booking in self.booked:
            booking.start = max(min(booking.start, now + paid_in_s), self.paused_until)
        return Turns(tuple(given), is_known, paid_in_s, max(0.0, self.paused_until - now))

    def is_known(self, now: float) -> bool:
        """Whether the store told its level in the time that it takes to fill: others may have used it since."""
        return self.rate > 0 and now - self.heard_at <= self.maximum / self.rate

    def view(self, now: float) -> BucketView:
        """Describe the bucket as of `now`."""
        level = max(0, int(self._refilled(now)))
        return BucketView(self.rate > 0, level, self.maximum, self.rate, self.granted, self.refused)

    def _go_on(self, now: float) -> None:
        """Bring the state to `now`."""
        self.level = self._refilled(now)
        self.at = now
        self.booked = [booking for booking in self.booked if booking.start > now]
        for name in [name for name, holder in self.holders.items() if holder.ends_at <= now]:
            # Nobody knows what it spent. As spent it is counted already; if it was not, an answer will give it back.
            self.settled += self.holders.pop(name).points

    def _book_ahead(self, asked: tuple[Asked, ...], now: float) -> list[Turn | None]:
        given: list[Turn | None] = []
        last = math.inf
        for each in asked:
            wait = self._wait_for(each.cost, now)
            if wait > each.left_s:
                given.append(Turn(wait, None))
                continue
            last = min(last, wait + AHEAD_S)
            if wait > last:
                break
            given.append(Turn(wait, self._book(each.cost, now + wait, now)))
        return given + [None] * (len(asked) - len(given))

    def _probe(self, said: Exchange, now: float) -> list[Turn | None]:
        """Let the cheapest call go, which is refused the least, unless another one is under way."""
        wait = max(0.0, self.paused_until - now)
        given = [Turn(wait, None) if wait > asked.left_s else None for asked in said.asked]
        may_go = [place for place, turn in enumerate(given) if turn is None]
        if may_go and self.probed_until <= now:
            cheapest = min(may_go, key=lambda place: said.asked[place].cost)
            given[cheapest] = Turn(wait, self._book(said.asked[cheapest].cost, now + wait, now))
            self.prober, self.probed_until = said.process, now + wait + min(PROBE_S, said.lives_s)
        return given

    def _wait_for(self, cost: int, now: float) -> float:
        """Seconds until all that is booked and `cost` are restored, 0 for now."""
        # A call above the whole bucket would never be granted: let the store refuse it.
        missing = min(cost, self.maximum) - self.level
        return max(missing / self.rate if missing > _ROUNDING else 0.0, self.paused_until - now, 0.0)

    def _book(self, cost: int, start: float, now: float) -> Reservation:
        self.level -= cost
        self.granted += 1
        if start > now:
            self.booked.append(Booking(self.granted, start, cost))
        return Reservation(cost, self.settled, self.began_at, self.granted)

    def _end(self, ended: Ended, own: Holder, now: float) -> None:
        own.points -= ended.held.cost
        self.settled += ended.spent
        if ended.held.began_at == self.began_at:  # or else it was never booked here, and its mark means nothing
            self.level = min(self.level + ended.held.cost - ended.spent, self.maximum)
            self.booked = [booking for booking in self.booked if booking.number != ended.held.number]
            if ended.report is not None:
                self._bound(ended, ended.report, now)
        if ended.refused:
            self._slow_down(ended, now)
        elif ended.report is not None:
            self.refused_in_a_row = 0

    def _slow_down(self, ended: Ended, now: float) -> None:
        """Our count was too high. It alone could send us straight back: a store under strain refuses with any level.

        Calls that were under way together are refused together: that counts once.
        """
        self.refused += 1
        if ended.report is None:
            self.level = min(self.level, 0.0)
        came_at = now - ended.age_s
        if came_at >= self.paused_until:
            backoff = min(_FIRST_BACKOFF_S * 2**self.refused_in_a_row, _LONGEST_BACKOFF_S)
            self.refused_in_a_row = min(self.refused_in_a_row + 1, 10)
            self.paused_until = came_at + backoff
        self.paused_until = max(self.paused_until, came_at + (ended.retry_after_s or 0.0))

    def _bound(self, ended: Ended, report: CostReport, now: float) -> None:
        """Fit the level between what the answer allows at most and at least.

        At most: the store had already charged all calls that had started. At least: it had charged none of those under
        way or booked, nor those that ended while this call ran.
        """
        self.maximum, self.rate = report.maximum, report.restore_rate
        came_at = now - ended.age_s
        self.heard_at = max(self.heard_at, came_at)
        available = min(report.available + ended.age_s * report.restore_rate, report.maximum)
        waiting = sum(booking.cost for booking in self.booked if booking.start > came_at)
        held = sum(holder.points for holder in self.holders.values())
        ended_meanwhile = max(0, self.settled - ended.spent - ended.held.mark)
        self.level = min(max(self.level, available - held - ended_meanwhile), available - waiting)

    def _refilled(self, now: float) -> float:
        return min(self.level + max(0.0, now - self.at) * self.rate, self.maximum)
