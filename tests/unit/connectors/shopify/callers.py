"""A simulated store and processes that call it: the discrete events of calls, latencies and refunds, no real time."""

import heapq
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from calibr.connectors.shopify.bucket import Asked, Bucket, Ended, Exchange, Reservation, Turns
from calibr.connectors.shopify.errors import CostReport

PATIENCE_S = 30.0
CALL_S = 5.0
TELL_EVERY_S = 0.1


@dataclass
class StoreBucket:
    """The store's side: whole points in answers, refund of what a call did not use."""

    maximum: int
    rate: int
    level: float = 0.0
    at: float = 0.0

    def refill(self, now: float) -> None:
        self.level = min(self.level + (now - self.at) * self.rate, self.maximum)
        self.at = now

    def start(self, requested: int, now: float) -> bool:
        self.refill(now)
        if requested > self.level:
            return False
        self.level -= requested
        return True

    def finish(self, requested: int, actual: int | None, now: float) -> CostReport:
        self.refill(now)
        if actual is not None:
            self.level = min(self.level + requested - actual, self.maximum)
        return CostReport(requested, actual, self.maximum, math.floor(self.level), self.rate)


@dataclass
class Process:
    """Calls that want to go, those under way, and what ended and was not told yet."""

    name: str
    line: list[int]
    ended: list[tuple[float, Ended]] = field(default_factory=list)
    points: int = 0
    served: int = 0
    booked: int = 0
    is_dead: bool = False


@dataclass
class Simulation:
    """Processes with callers that always have a next call; one bucket for all, kept as JSON between exchanges.

    `latency()` is drawn for the way there, the work and the way back.
    """

    store: StoreBucket
    workers: int
    latency: Callable[[], float]
    requested: Callable[[], int]
    actual: Callable[[int], int]
    processes: int = 1
    state: str = "null"
    spent: int = 0
    calls: int = 0
    throttled: int = 0

    def __post_init__(self) -> None:
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._ids = iter(range(10**9))
        self.all = [
            Process(f"p{number}", [self.requested() for _ in range(self.workers)]) for number in range(self.processes)
        ]
        for process in self.all:
            self._at(0.0, lambda now, process=process: self._beat(process, now))

    def run(self, until: float) -> None:
        while self._events[0][0] < until:
            now, _, act = heapq.heappop(self._events)
            act(now)

    def kill(self, process: Process) -> None:
        """Its calls that were sent go on in the store; nobody hears of them, and nobody starts those it has booked."""
        process.is_dead = True

    def bucket(self) -> Bucket:
        """The count that the processes share, as of the last exchange."""
        return Bucket.of(json.loads(self.state), math.inf)

    def _at(self, when: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._ids), act))

    def _beat(self, process: Process, now: float) -> None:
        """Tell and ask now and then, whatever happens in between."""
        if not process.is_dead:
            self._exchange(process, now)
            self._at(now + TELL_EVERY_S, lambda at: self._beat(process, at))

    def _exchange(self, process: Process, now: float) -> None:
        ended, process.ended = process.ended, []
        told = tuple(
            Ended(each.held, each.spent, each.report, now - at, each.refused, each.retry_after_s) for at, each in ended
        )
        asked = tuple(Asked(cost, PATIENCE_S) for cost in process.line) if not process.booked else ()
        said = Exchange(process.name, process.points, CALL_S, told, asked)
        for turn, each in zip(self._spoken(said, now).given, asked, strict=True):
            if turn is not None and turn.held is not None:
                process.line.remove(each.cost)
                process.points += each.cost
                process.booked += 1
                self._send(process, turn.held, now + turn.wait_s)

    def _spoken(self, said: Exchange, now: float) -> Turns:
        bucket = Bucket.of(json.loads(self.state), now)
        turns = bucket.exchange(said, now)
        self.state = json.dumps(bucket.as_state())
        return turns

    def _send(self, process: Process, held: Reservation, when: float) -> None:
        cost = held.cost

        def leave(at: float) -> None:
            if not process.is_dead:
                process.booked -= 1
                self._at(at + self.latency(), arrive)
                if process.line and not process.booked:
                    self._exchange(process, at)

        def arrive(at: float) -> None:
            started = self.store.start(cost, at)
            self._at(at + self.latency(), lambda done: finish(done, started=started))

        def finish(at: float, *, started: bool) -> None:
            actual = self.actual(cost) if started else None
            self.spent += actual or 0
            report = self.store.finish(cost, actual, at)
            self._at(at + self.latency(), lambda back: self._returned(process, held, report, back))

        self._at(when, leave)

    def _returned(self, process: Process, held: Reservation, report: CostReport, now: float) -> None:
        self.calls += 1
        self.throttled += report.actual is None
        if process.is_dead:
            return
        process.points -= held.cost
        process.ended.append((now, Ended(held, report.actual or 0, report, refused=report.actual is None)))
        if report.actual is None:
            process.line.insert(0, held.cost)
        else:
            process.served += report.actual
            process.line.append(self.requested())
        if not process.booked:
            self._exchange(process, now)
