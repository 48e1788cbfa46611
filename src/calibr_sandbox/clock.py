"""The sandbox's own time: it runs `factor` times as fast as the machine's, and can be moved ahead."""

import time

from calibr_sandbox.throttle import Clock


class SandboxClock:
    """Called, it gives seconds since the start that never go backwards; `now` is the time of day with them added."""

    def __init__(self, tick: Clock = time.monotonic, factor: float = 1.0) -> None:
        """Start at the machine's time of day."""
        self.factor = factor
        self._tick = tick
        self._started = tick()
        self._epoch = time.time()
        self._ahead = 0.0

    def __call__(self) -> float:
        """Seconds of the sandbox since its start."""
        return (self._tick() - self._started) * self.factor + self._ahead

    def now(self) -> float:
        """Seconds since 1970, by the sandbox's time."""
        return self._epoch + self()

    def advance(self, seconds: float) -> None:
        """Let this much time pass at once: buckets fill, tokens grow old. Raises ValueError for less than nothing."""
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"advance_s: {seconds} is no number of seconds from 0 up")
        self._ahead += seconds
