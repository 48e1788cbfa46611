"""One throttle per connection: calls wait here, first come first served, until the bucket holds their points."""

import math
import time
from collections import deque
from collections.abc import Callable
from threading import Condition

from calibr.connectors.shopify.bucket import FOREVER, Bucket, BucketView, Reservation
from calibr.connectors.shopify.errors import THROTTLED, CostReport, ThrottledError

Clock = Callable[[], float]
"""Seconds that never go backwards."""


class Throttle:
    """Grants points to concurrent calls. Thread-safe; holds no lock while a call is under way."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self._bucket = Bucket()
        self._changed = Condition()
        self._line: deque[object] = deque()

    def acquire(self, cost: int, until: float, *, first: bool = False) -> Reservation:
        """Wait until `cost` points are there and hold them; `first` keeps the place of a call that was refused.

        Raises `ThrottledError` as soon as it is certain that they will not be there at `until`.
        """
        ticket = object()
        with self._changed:
            self._line.appendleft(ticket) if first else self._line.append(ticket)
            try:
                return self._wait_in_line(ticket, cost, until)
            finally:
                self._line.remove(ticket)
                self._changed.notify_all()

    def settle(self, held: Reservation, report: CostReport | None) -> None:
        """Give back what an ended call did not spend; without a report all of it counts as spent."""
        with self._changed:
            self._bucket.settle(held, report, self.clock())
            self._changed.notify_all()

    def refuse(self, held: Reservation, error: ThrottledError) -> None:
        """Give back the points of a refused call and slow down as the store asked."""
        with self._changed:
            now = self.clock()
            self._bucket.refuse(held, error.report, now)
            if error.retry_after_s is not None:
                self._bucket.pause(error.retry_after_s, now)
            self._changed.notify_all()

    def cancel(self, held: Reservation) -> None:
        """Give back the points of a call that never reached the store."""
        with self._changed:
            self._bucket.cancel(held, self.clock())
            self._changed.notify_all()

    def view(self) -> BucketView:
        """Describe the bucket as of now."""
        with self._changed:
            return self._bucket.view(self.clock())

    def _wait_in_line(self, ticket: object, cost: int, until: float) -> Reservation:
        while True:
            now = self.clock()
            left = until - now
            wait = self._bucket.wait_for(cost, now) if self._line[0] is ticket else FOREVER
            # The deadline goes first: a write sent after it could land when somebody else already owns its rows.
            if left <= 0 or left < wait < FOREVER:
                raise _out_of_time(wait)
            if wait <= 0:
                return self._bucket.take(cost, now)
            self._changed.wait(min(wait, left))


def _out_of_time(wait: float) -> ThrottledError:
    retry_after_s = math.ceil(wait) if wait < FOREVER else None
    message = "The store's rate limit leaves no room for this call in time; nothing was sent."
    return ThrottledError(THROTTLED, message, retryable=True, retry_after_s=retry_after_s)
