"""What bulk operations wait at: a delay, unless they are hurried, canceled, or the server closes."""

import threading
import time
from collections.abc import Callable
from typing import Final

_LOOK_EVERY_S: Final = 0.05


class Gate:
    """Shared by all operations of a shop."""

    def __init__(self) -> None:
        """Start open."""
        self._closing = threading.Event()
        self._hurried = 0

    @property
    def is_closing(self) -> bool:
        """Whether the server is about to stop."""
        return self._closing.is_set()

    def close(self) -> None:
        """Let nobody wait or work any longer."""
        self._closing.set()

    def advance(self) -> None:
        """Let everybody who waits now go on."""
        self._hurried += 1

    def wait(self, seconds: float, is_canceled: Callable[[], bool]) -> bool:
        """Let the time pass; False when the operation was canceled or the server closes."""
        deadline, hurried = time.monotonic() + seconds, self._hurried
        while (left := deadline - time.monotonic()) > 0 and hurried == self._hurried:
            if self._closing.wait(min(left, _LOOK_EVERY_S)) or is_canceled():
                return False
        return not self._closing.is_set() and not is_canceled()
