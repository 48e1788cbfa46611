"""Stops an apply run from hammering a store that does not answer: slower after each failed call, then not at all."""

import random
import threading

from calibr.changes.apply.settings import ApplySettings, backoff_s
from calibr.core.errors import CalibrError


class Breaker:
    """Counts failed calls in a row. Shared by the batches of a run; thread-safe."""

    def __init__(self, settings: ApplySettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._failures = 0
        self._reason: CalibrError | None = None

    @property
    def reason(self) -> CalibrError | None:
        """Why the run must stop; None while it may go on."""
        return self._reason

    def succeeded(self) -> None:
        """A call was answered."""
        with self._lock:
            self._failures = 0

    def failed(self, error: CalibrError) -> None:
        """A call failed. One that will fail again by its nature stops the run at once."""
        with self._lock:
            self._failures += 1
            if not error.retryable or self._failures >= self._settings.give_up_after:
                self._reason = error

    def pause_s(self) -> float:
        """How long to wait before the next batch; 0 while the store answers."""
        with self._lock:
            failures = self._failures
        return backoff_s(self._settings, failures, 0.5 + random.random() / 2) if failures else 0.0  # noqa: S311 - jitter
