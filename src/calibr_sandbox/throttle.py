"""The leaky bucket: points are taken before a query runs, what it did not use comes back afterwards."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from calibr_sandbox.config import Plan

Clock = Callable[[], float]
"""Seconds that never go backwards."""


@dataclass(frozen=True, slots=True)
class ThrottleStatus:
    """What a response says about the bucket."""

    maximum_available: int
    currently_available: int
    restore_rate: int


class Bucket:
    """The points of one access token. Not thread-safe: the event loop owns it."""

    def __init__(self, plan: Plan, clock: Clock, pace: float = 1.0) -> None:
        """Start full. `pace` is how many of the clock's seconds pass in one second of the callers."""
        self._plan = plan
        self._shown_rate = max(1, round(plan.restore_per_s * pace))
        self._clock = clock
        self._points = float(plan.bucket)
        self._refilled_at = clock()

    def take(self, requested: int) -> bool:
        """Take `requested` points if the bucket holds them all; take nothing otherwise."""
        self._refill()
        if requested > self._points:
            return False
        self._points -= requested
        return True

    def refund(self, points: int) -> None:
        """Give back points that a query had reserved and did not use."""
        self._refill()
        self._points = min(float(self._plan.bucket), self._points + points)

    def drain(self) -> None:
        """Empty the bucket, so that the next query is throttled."""
        self._refill()
        self._points = 0.0

    def status(self) -> ThrottleStatus:
        """Describe the bucket as of now, in whole points."""
        self._refill()
        return ThrottleStatus(self._plan.bucket, math.floor(self._points), self._shown_rate)

    def _refill(self) -> None:
        now = self._clock()
        restored = (now - self._refilled_at) * self._plan.restore_per_s
        self._points = min(float(self._plan.bucket), self._points + restored)
        self._refilled_at = now
