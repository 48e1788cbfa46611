"""One throttle per store: calls wait here, first come first served, until the bucket holds their points.

The bucket is the same for all processes where somebody keeps it (`use_budget`). The callers of this process speak with
it together: one of them tells what has ended and asks for everybody in line, and the others wait for what it brings. So
there is no thread in the background, and under load there are few exchanges for many calls.
"""

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition
from typing import Any, Final

from calibr.connectors.port.budget import BudgetKeeper, BudgetState
from calibr.connectors.shopify.bucket import Asked, Bucket, BucketView, Ended, Exchange, Reservation, Turns
from calibr.connectors.shopify.errors import THROTTLED, CostReport, ThrottledError
from calibr.core.errors import CalibrError
from calibr.core.ids import new_uuid

Clock = Callable[[], float]
"""Seconds that never go backwards."""

CALL_S: Final = 80.0
ASKED_AT_ONCE: Final = 64
TELL_AFTER_S: Final = 0.1
"""What ended is told after so long while others wait in line, who would tell it soon anyway."""
ALONE_S: Final = 5.0
"""When the keeper failed, this process counts alone for so long, and then tries again."""


@dataclass(slots=True, eq=False)
class _Ticket:
    """A call in line. With `held` it has its points and may go at `starts_at`; `late_s`: too late, only in so long."""

    cost: int
    until: float
    held: Reservation | None = None
    starts_at: float = 0.0
    late_s: float | None = None
    is_gone: bool = False


class Throttle:
    """Grants points to concurrent calls. Thread-safe; holds no lock while a call, or an exchange, is under way."""

    def __init__(self, clock: Clock = time.monotonic, *, call_s: float = CALL_S) -> None:
        """`call_s`: no call is under way for longer."""
        self.clock = clock
        self._call_s = call_s
        self._process = new_uuid().hex
        self._keeper: BudgetKeeper | None = None
        self._account = ""
        self._alone_until = 0.0
        self._bucket = Bucket()
        """As of the last exchange; what counts when this process is alone."""
        self._ahead = 0.0
        """How much the clock of the bucket is ahead of ours."""
        self._changed = Condition()
        self._line: deque[_Ticket] = deque()
        self._ended: list[tuple[float, Ended]] = []
        self._points = 0
        self._calls = 0
        self._is_telling = False
        self._told_at = 0.0
        self._needs_answer = False

    def use_budget(self, keeper: BudgetKeeper, account: str) -> None:
        """Count together with all who use this account there."""
        self._keeper, self._account = keeper, account

    def acquire(self, cost: int, until: float, *, first: bool = False) -> Reservation:
        """Wait until `cost` points are there and hold them; `first` keeps the place of a call that was refused.

        Raises `ThrottledError` as soon as it is certain that they will not be there at `until`.
        """
        ticket = _Ticket(cost, until)
        with self._changed:
            self._line.appendleft(ticket) if first else self._line.append(ticket)
            try:
                return self._wait_in_line(ticket)
            except BaseException:
                ticket.is_gone = True
                if ticket.held is not None:
                    self._end(Ended(ticket.held, 0))
                raise
            finally:
                self._line.remove(ticket)
                self._changed.notify_all()
                if ticket.is_gone:
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
            self._tell()
            self._changed.notify_all()

    def _end(self, ended: Ended) -> None:
        self._ended.append((self.clock(), ended))
        self._points -= ended.held.cost
        self._calls -= 1
        self._needs_answer = False

    def _tell(self) -> None:
        """Tell what ended, unless somebody does or soon will: who waits in line, or else the next call that ends."""
        while self._ended and not self._is_telling:
            if self._line and self._is_shared() and self.clock() < self._told_at + TELL_AFTER_S:
                return
            self._exchange()

    def _wait_in_line(self, ticket: _Ticket) -> Reservation:
        while True:
            now = self.clock()
            left = ticket.until - now
            # The deadline goes first: a write sent after it could land when somebody else already owns its rows.
            if left <= 0 or ticket.late_s is not None:
                raise _out_of_time(ticket.late_s)
            wait = left
            if ticket.held is not None and self._may_go(ticket):
                if ticket.starts_at <= now:
                    return ticket.held
                wait = ticket.starts_at - now
            elif self._line[0] is ticket and not self._is_telling and not self._needs_answer:
                self._exchange()
                continue
            self._changed.wait(min(wait, left))

    def _may_go(self, ticket: _Ticket) -> bool:
        """First come first served; but a refused call that came back to the front has no turn before an answer comes.

        Then whoever has one goes before it: nobody else could bring that answer.
        """
        first = self._line[0]
        return first is ticket or (first.held is None and self._needs_answer)

    def _exchange(self) -> None:
        """Tell what ended and ask for all who have no turn yet. The lock is free while somebody else is spoken to."""
        asking = [ticket for ticket in self._line if ticket.held is None and ticket.late_s is None][:ASKED_AT_ONCE]
        ended, self._ended = self._ended, []
        now = self.clock()
        said = Exchange(
            process=self._process,
            held=self._points,
            calls=self._calls,
            lives_s=self._call_s,
            ended=tuple(_aged(each, now - at) for at, each in ended),
            asked=tuple(Asked(ticket.cost, ticket.until - now) for ticket in asking),
        )
        self._is_telling = True
        try:
            with self._unlocked():
                bucket, ahead, turns = self._spoken(said)
        except BaseException:
            self._ended = [*ended, *self._ended]
            raise
        finally:
            self._is_telling = False
            self._changed.notify_all()
        self._bucket, self._ahead, self._told_at = bucket, ahead, self.clock()
        self._seat(asking, turns)
        self._changed.notify_all()

    def _seat(self, asking: list[_Ticket], turns: Turns) -> None:
        """Give the turns to the tickets; those who have one already may go earlier, or later after a refusal."""
        now = self.clock()
        for ticket, turn in zip(asking, turns.given, strict=False):
            if turn.held is None:
                ticket.late_s = turn.wait_s
                continue
            ticket.held, ticket.starts_at = turn.held, now + turn.wait_s
            self._points += turn.held.cost
            self._calls += 1
            if ticket.is_gone:
                self._end(Ended(turn.held, 0))
        for ticket in self._line:
            ticket.starts_at = max(min(ticket.starts_at, now + turns.paid_in_s), now + turns.paused_s)
        self._needs_answer = bool(asking) and not turns.given and not self._ended

    def _spoken(self, said: Exchange) -> tuple[Bucket, float, Turns]:
        """The bucket after an exchange, and how much its clock is ahead of ours."""
        if self._keeper is not None and self._is_shared():
            try:
                return self._spoken_to(self._keeper, said)
            except CalibrError as error:
                logging.getLogger(__name__).warning(
                    "the shared rate limit cannot be used now, counting alone: %s", error.message
                )
                self._alone_until = self.clock() + ALONE_S
        turns = self._bucket.exchange(said, self.clock() + self._ahead)
        return self._bucket, self._ahead, turns

    def _spoken_to(self, keeper: BudgetKeeper, said: Exchange) -> tuple[Bucket, float, Turns]:
        found: list[tuple[Bucket, float, Turns]] = []

        def change(state: BudgetState | None, now: float) -> dict[str, Any]:
            bucket = Bucket.of(state)
            found.append((bucket, now - self.clock(), bucket.exchange(said, now)))
            return bucket.as_state()

        keeper.change(self._account, change)
        return found[-1]

    def _is_shared(self) -> bool:
        return self._keeper is not None and self.clock() >= self._alone_until

    @contextmanager
    def _unlocked(self) -> Iterator[None]:
        self._changed.release()
        try:
            yield
        finally:
            self._changed.acquire()


def _aged(ended: Ended, seconds: float) -> Ended:
    return Ended(ended.held, ended.spent, ended.report, seconds, ended.refused, ended.retry_after_s)


def _out_of_time(late_s: float | None) -> ThrottledError:
    retry_after_s = None if late_s is None else math.ceil(late_s)
    message = "The store's rate limit leaves no room for this call in time; nothing was sent."
    return ThrottledError(THROTTLED, message, retryable=True, retry_after_s=retry_after_s)
