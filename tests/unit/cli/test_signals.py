"""A Ctrl-C that Python lost while it cleaned up is not forgotten."""

import os
import signal
from collections.abc import Iterator

import pytest

from calibr.cli import signals


@pytest.fixture(autouse=True)
def _handled() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signals.install()
    yield
    signals._state.raised = None
    for number, handler in before.items():
        signal.signal(number, handler)


class Closing:
    """Is interrupted while it is taken apart, where Python prints exceptions and goes on."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1_000):
            pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_lost_signal_is_raised_at_the_next_round() -> None:
    lost = Closing()
    del lost

    with pytest.raises(KeyboardInterrupt):
        signals.raise_again()


def test_nothing_is_raised_unless_a_signal_came() -> None:
    signals.raise_again()
