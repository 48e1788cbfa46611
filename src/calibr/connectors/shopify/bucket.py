"""The leaky bucket of one store as seen from outside: pure state, the caller brings the time.

The store tells size, rate and level with each answer; nothing of it is configured. An answer is older than the moment
at which it arrives, and other calls are under way then: it bounds our own count from both sides instead.
"""

from dataclasses import dataclass
from typing import Final

from calibr.connectors.shopify.errors import CostReport

FOREVER: Final = 1e9
_ROUNDING: Final = 1e-6
_FIRST_BACKOFF_S: Final = 0.05
_LONGEST_BACKOFF_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Reservation:
    """Points held for one call under way. `mark` is the sum of points settled when it was granted."""

    cost: int
    mark: int


@dataclass(frozen=True, slots=True)
class BucketView:
    """The bucket at one moment, for estimates and health. `known` is False until the first answer."""

    known: bool
    available: int
    maximum: int
    restore_rate: int
    granted: int
    refused: int


class Bucket:
    """Points that may still be spent. Times are seconds of one monotonic clock. Not thread-safe."""

    def __init__(self) -> None:
        self._maximum = 0
        self._rate = 0
        self._level = 0.0
        self._at = 0.0
        self._held = 0
        self._under_way = 0
        self._settled = 0
        self._paused_until = 0.0
        self._refused_in_a_row = 0
        self._granted = 0
        self._refused = 0

    def wait_for(self, cost: int, now: float) -> float:
        """Seconds until `cost` points may be taken, 0 for now; `FOREVER` while only an answer can tell."""
        if now < self._paused_until:
            return self._paused_until - now
        if not self._rate:
            return 0.0 if self._under_way == 0 else FOREVER
        # A call above the whole bucket would never be granted: let the store refuse it.
        missing = min(cost, self._maximum) - self._refilled(now)
        return missing / self._rate if missing > _ROUNDING else 0.0

    def take(self, cost: int, now: float) -> Reservation:
        """Hold `cost` points for a call that starts now."""
        self._level = self._refilled(now) - cost
        self._at = now
        self._held += cost
        self._under_way += 1
        self._granted += 1
        return Reservation(cost, self._settled)

    def settle(self, held: Reservation, report: CostReport | None, now: float) -> None:
        """End a call that may have been executed; without a report all of its points count as spent."""
        spent = held.cost if report is None or report.actual is None else report.actual
        self._end(held, spent, now)
        if report is not None:
            self._refused_in_a_row = 0
            self._bound(held, report, spent)

    def refuse(self, held: Reservation, report: CostReport | None, now: float) -> None:
        """End a call that the store refused for want of points: nothing was spent, and our count was too high."""
        self._end(held, 0, now)
        self._refused += 1
        if report is not None:
            self._bound(held, report, 0)
        else:
            self._level = min(self._level, 0.0)
        # The level alone could send us straight back (a store under strain refuses whatever the bucket holds).
        backoff = min(_FIRST_BACKOFF_S * 2**self._refused_in_a_row, _LONGEST_BACKOFF_S)
        self._refused_in_a_row = min(self._refused_in_a_row + 1, 10)
        self.pause(backoff, now)

    def cancel(self, held: Reservation, now: float) -> None:
        """End a call that never reached the store."""
        self._end(held, 0, now)

    def pause(self, seconds: float, now: float) -> None:
        """Grant nothing for a while; a longer pause that is already running stays."""
        self._paused_until = max(self._paused_until, now + seconds)

    def view(self, now: float) -> BucketView:
        """Describe the bucket as of `now`."""
        level = max(0, int(self._refilled(now)))
        return BucketView(self._rate > 0, level, self._maximum, self._rate, self._granted, self._refused)

    def _end(self, held: Reservation, spent: int, now: float) -> None:
        self._level = min(self._refilled(now) + held.cost - spent, self._maximum)
        self._at = now
        self._held -= held.cost
        self._under_way -= 1
        self._settled += spent

    def _bound(self, held: Reservation, report: CostReport, spent: int) -> None:
        """Fit the level between what the answer allows at most and at least.

        At most: the store had already charged all calls under way. At least: it had charged neither them nor those that
        ended while this call ran.
        """
        self._maximum, self._rate = report.maximum, report.restore_rate
        ended_meanwhile = self._settled - spent - held.mark
        at_least = report.available - self._held - ended_meanwhile
        self._level = min(max(self._level, at_least), report.available)

    def _refilled(self, now: float) -> float:
        return min(self._level + (now - self._at) * self._rate, self._maximum)
