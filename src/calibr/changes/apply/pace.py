"""How many rows may be on their way to a store at once: more while it keeps up, half as many when it throttles."""

import threading

from calibr.changes.apply.settings import ApplySettings

FLOOR = 25


class Pace:
    """Shared by the batches of a run; thread-safe."""

    def __init__(self, settings: ApplySettings) -> None:
        self._size = settings.batch_size
        self._most = settings.batch_size * settings.parallel_batches
        self._floor = min(FLOOR, self._size)
        self._rows = self._most
        self._lock = threading.Lock()

    @property
    def batch_size(self) -> int:
        """The size of the next batch."""
        return min(self._size, self._rows)

    @property
    def batches(self) -> int:
        """How many batches may be in flight."""
        return max(1, self._rows // self._size)

    @property
    def is_at_floor(self) -> bool:
        """Whether it cannot go slower."""
        return self._rows <= self._floor

    def kept_up(self) -> None:
        """A batch went through without being throttled."""
        with self._lock:
            self._rows = min(self._most, self._rows + self._size // 4 + 1)

    def throttled(self) -> None:
        """The store had no turn left for some rows of a batch."""
        with self._lock:
            self._rows = max(self._floor, self._rows // 2)
