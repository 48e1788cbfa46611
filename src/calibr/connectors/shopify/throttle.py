"""One throttle per store: calls wait here, first come first served, until the bucket holds their points.

The bucket is the same for all processes where somebody keeps it (`use_budget`). The callers of this process speak with
it together: one of those in line tells what has ended and asks for all of them. So there is no thread in the
background, and under load there are few exchanges for many calls.

Whoever is in line wakes by itself when there is something to do, so nobody depends on being woken by another one. Who
has a turn goes when its time comes, whatever the others do.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Condition
from typing import Any, Final

from calibr.connectors.port.budget import BudgetChange, BudgetKeeper, BudgetState
from calibr.connectors.shopify.bucket import Asked, Bucket, BucketView, Ended, Exchange, Reservation, Turns
from calibr.connectors.shopify.errors import THROTTLED, UNAVAILABLE, UNREACHABLE, CallError, CostReport, ThrottledError
from calibr.core.errors import CalibrError
from calibr.core.ids import new_uuid

Clock = Callable[[], float]
"""Seconds that never go backwards."""

CALL_S: Final = 80.0
TELL_AFTER_S: Final = 0.1
"""What ended is told after so long while others wait in line, who may tell it sooner when they ask."""
ASK_AGAIN_S: Final = 0.1
"""While another process has a probe under way."""
REST_S: Final = 0.5
"""When the keeper failed, it is tried again after so long."""

_NO_ANSWER: Final = CallError(UNREACHABLE, "The store answers no other call in time; nothing was sent.", retryable=True)
_NO_COUNT: Final = CallError(
    UNAVAILABLE, "The database that counts the store's points does not answer; nothing was sent.", retryable=True
)


@dataclass(slots=True, eq=False)
class _Ticket:
    """A call in line. With `held` it has its points and goes at `starts_at`; `late_s`: too late, only in so long.

    `lacks`: what it waits for, where that is not a turn.
    """

    cost: int
    until: float
    held: Reservation | None = None
    starts_at: float = 0.0
    late_s: float | None = None
    lacks: CallError | None = None
    is_gone: bool = False


@dataclass(slots=True)
class _Alone:
    """Keeps the count of a process that nobody shares it with."""

    clock: Clock
    state: BudgetState | None = None

    def change(self, _account: str, change: BudgetChange) -> None:
        """See `BudgetKeeper`; a throttle has one exchange at a time."""
        self.state = change(self.state, self.clock())


class Throttle:
    """Grants points to concurrent calls. Thread-safe; holds no lock while a call, or an exchange, is under way."""

    def __init__(self, clock: Clock = time.monotonic, *, call_s: float = CALL_S) -> None:
        """`call_s`: no call is under way for longer."""
        self.clock = clock
        self._call_s = call_s
        self._process = new_uuid().hex
        self._keeper: BudgetKeeper = _Alone(clock)
        self._account = ""
        self._bucket = Bucket()
        """As of the last exchange; `_ahead` is how much its clock is ahead of ours."""
        self._ahead = 0.0
        self._changed = Condition()
        self._line: list[_Ticket] = []
        self._ended: list[tuple[float, Ended]] = []
        self._points = 0
        self._is_exchanging = False
        self._tell_at = self._ask_at = self._rest_until = 0.0

    def use_budget(self, keeper: BudgetKeeper, account: str) -> None:
        """Count together with all who use this account there. While that is not possible, nothing is granted."""
        self._keeper, self._account = keeper, account

    def acquire(self, cost: int, until: float, *, first: bool = False) -> Reservation:
        """Wait until `cost` points are there and hold them; a call that was refused goes before those without a turn.

        Raises `ThrottledError` as soon as it is certain that they will not be there at `until`, and `CallError` if
        nobody could say by then how many there are: no other call brought an answer, or the keeper does not answer.
        """
        ticket = _Ticket(cost, until)
        with self._changed:
            self._line.insert(0 if first else len(self._line), ticket)
            try:
                return self._turn_of(ticket)
            except BaseException:
                ticket.is_gone = True
                if ticket.held is not None:
                    self._end(Ended(ticket.held, 0))
                raise
            finally:
                self._line.remove(ticket)
                self._changed.notify_all()
                if ticket.is_gone:  # who has a turn goes now, and tells when its call has ended
                    self._tell()

    def settle(self, held: Reservation, report: CostReport | None) -> None:
        """Give back what an ended call did not spend; without a report all of it counts as spent."""
        spent = held.cost if report is None or report.actual is None else report.actual
        self._over(Ended(held, spent, report))

    def refuse(self, held: Reservation, error: ThrottledError) -> None:
        """Give back the points of a refused call and slow down as the store asked."""
        self._over(Ended(held, 0, error.report, refused=True, retry_after_s=error.retry_after_s))

    def cancel(self, held: Reservation) -> None:
        """Give back the points of a call that never reached the store."""
        self._over(Ended(held, 0))

    def view(self) -> BucketView:
        """Describe the bucket as of now, by what this process knows of it."""
        with self._changed:
            return self._bucket.view(self.clock() + self._ahead)

    def _over(self, ended: Ended) -> None:
        with self._changed:
            self._end(ended)
            self._changed.notify_all()
            self._tell()

    def _end(self, ended: Ended) -> None:
        self._ended.append((self.clock(), ended))
        self._points -= ended.held.cost
        self._ask_at = 0.0

    def _tell(self) -> None:
        """Tell what ended if nobody in line will do it."""
        while not self._line and self._due_at() <= self.clock():
            self._exchange()

    def _turn_of(self, ticket: _Ticket) -> Reservation:
        while True:
            now = self.clock()
            # The deadline goes first: a write sent after it could land when somebody else already owns its rows.
            if ticket.until <= now or ticket.late_s is not None:
                raise _out_of_time(ticket)
            if ticket.held is not None and ticket.starts_at <= now:
                return ticket.held
            due = self._due_at()
            if due <= now:
                self._exchange()
            else:
                wakes_at = min(due, ticket.until, math.inf if ticket.held is None else ticket.starts_at)
                self._changed.wait(wakes_at - now)

    def _due_at(self) -> float:
        """When there is something to tell or to ask."""
        if self._is_exchanging:
            return math.inf
        tell_at = (self._tell_at if self._line else 0.0) if self._ended else math.inf
        ask_at = self._ask_at if self._asking() else math.inf
        return max(min(tell_at, ask_at), self._rest_until)

    def _asking(self) -> list[_Ticket]:
        """Those in line, once all turns that were given are taken: other processes come in between."""
        if any(ticket.held is not None for ticket in self._line):
            return []
        return [ticket for ticket in self._line if ticket.late_s is None]

    def _exchange(self) -> None:
        """Tell what ended and ask for those in line. The lock is free while the keeper is spoken to."""
        asking = self._asking()
        ended, self._ended = self._ended, []
        now = self.clock()
        said = Exchange(
            process=self._process,
            held=self._points,
            lives_s=self._call_s,
            ended=tuple(replace(each, age_s=now - at) for at, each in ended),
            asked=tuple(Asked(ticket.cost, ticket.until - now) for ticket in asking),
        )
        self._is_exchanging = True
        turns: Turns | None = None
        try:
            turns = self._spoken(said)
        finally:
            self._is_exchanging = False
            self._changed.notify_all()
            if turns is None:
                self._ended = [*ended, *self._ended]
                self._rest_until = self.clock() + REST_S
                for ticket in self._line:
                    ticket.lacks = _NO_COUNT
        if turns is not None:
            self._seat(asking, turns)

    def _seat(self, asking: list[_Ticket], turns: Turns) -> None:
        """Give the turns to the tickets; those who have one already may go earlier, or later after a refusal."""
        now = self.clock()
        for ticket, turn in zip(asking, turns.given, strict=True):
            if turn is not None and turn.held is not None:
                ticket.held, ticket.starts_at = turn.held, now + turn.wait_s
                self._points += turn.held.cost
                if ticket.is_gone:
                    self._end(Ended(turn.held, 0))
            elif turn is not None:
                ticket.late_s = turn.wait_s
        for ticket in self._line:
            ticket.lacks = None if turns.is_known else _NO_ANSWER
            ticket.starts_at = max(min(ticket.starts_at, now + turns.paid_in_s), now + turns.paused_s)
            if ticket.held is not None and ticket.starts_at > ticket.until:
                ticket.late_s = ticket.starts_at - now
        self._tell_at = now + TELL_AFTER_S
        self._ask_at = now + ASK_AGAIN_S if not turns.is_known and not self._ended else 0.0

    def _spoken(self, said: Exchange) -> Turns | None:
        """What the bucket answers; None if it cannot be reached now."""
        found: list[tuple[Bucket, float, Turns]] = []

        def change(state: BudgetState | None, now: float) -> dict[str, Any]:
            bucket = Bucket.of(state, now)
            found.append((bucket, now - self.clock(), bucket.exchange(said, now)))
            return bucket.as_state()

        try:
            with self._unlocked():
                self._keeper.change(self._account, change)
        except CalibrError as error:
            logging.getLogger(__name__).warning("the shared rate limit cannot be used now: %s", error.message)
            return None
        self._bucket, self._ahead, turns = found[-1]
        return turns

    @contextmanager
    def _unlocked(self) -> Iterator[None]:
        self._changed.release()
        try:
            yield
        finally:
            self._changed.acquire()


def _out_of_time(ticket: _Ticket) -> CallError:
    if ticket.late_s is None and ticket.lacks is not None:
        return replace(ticket.lacks)
    retry_after_s = None if ticket.late_s is None else math.ceil(ticket.late_s)
    message = "The store's rate limit leaves no room for this call in time; nothing was sent."
    return ThrottledError(THROTTLED, message, retryable=True, retry_after_s=retry_after_s)
