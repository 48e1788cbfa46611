"""Ctrl-C and SIGTERM end a command through every `finally`; a step that must not be cut in two can put them off."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final


class Terminated(BaseException):
    """SIGTERM arrived. No `except Exception` may swallow it."""


@dataclass(slots=True)
class _State:
    """What the handler looks at: how many steps hold signals back, and the signal that came meanwhile."""

    holding: int = 0
    held: int | None = None


_state: Final = _State()


def install() -> None:
    """Handle SIGINT and SIGTERM. A signal that this process was started to ignore stays ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _arrived)


@contextmanager
def held_back() -> Iterator[None]:
    """Put signals off to the end of the block, so that a started process is always known to those who end it."""
    _state.holding += 1
    try:
        yield
    finally:
        _state.holding -= 1
    held = _state.held
    if held is not None and _state.holding == 0:
        _state.held = None
        _raise_for(held)


def _arrived(number: int, _frame: FrameType | None) -> None:
    if _state.holding:
        _state.held = number
    else:
        _raise_for(number)


def _raise_for(number: int) -> None:
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated
