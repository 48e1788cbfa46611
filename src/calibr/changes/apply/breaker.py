"""Stops an apply run from hammering a store that does not answer: slower after each failed call, then not at all."""

import random
import threading
from collections import Counter
from enum import StrEnum

from calibr.changes.apply.settings import ApplySettings, backoff_s
from calibr.core.errors import CalibrError

OUTAGE = 2
"""Failed calls in a row that are more than bad luck: one alone slows nobody down."""


class Call(StrEnum):
    """Kinds of calls, counted apart: a store that can be read and takes no write is broken too."""

    READ = "read"
    WRITE = "write"


class Breaker:
    """Counts failed calls in a row. Shared by the batches of a run; thread-safe."""

    def __init__(self, settings: ApplySettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._failures: Counter[Call] = Counter()
        self._reason: CalibrError | None = None

    @property
    def reason(self) -> CalibrError | None:
        """Why the run must stop; None while it may go on."""
        return self._reason

    def trip(self, reason: CalibrError) -> None:
        """End the run: what waits for the store waits no longer."""
        self._reason = self._reason or reason

    def succeeded(self, call: Call) -> None:
        """A call was answered."""
        with self._lock:
            self._failures[call] = 0

    def failed(self, call: Call, error: CalibrError) -> None:
        """A call failed. One that will fail again by its nature stops the run at once."""
        with self._lock:
            self._failures[call] += 1
            if not error.retryable or self._failures[call] >= self._settings.give_up_after:
                self._reason = error

    def pause_s(self) -> float:
        """How long to wait before the next batch; 0 while the store answers."""
        with self._lock:
            failures = max(self._failures.values(), default=0)
        if failures < OUTAGE:
            return 0.0
        return backoff_s(self._settings, failures - 1, 0.5 + random.random() / 2)  # noqa: S311 - jitter
