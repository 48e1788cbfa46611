"""Whether a stream still holds what it acknowledged. Values and a lock, no connection.

What is watched for, and how it shows:

- deleted and made anew, or the server's store was lost: another time of creation;
- an older store came back (no fsync, a backup): the last number is below one that was seen;
- the same between two looks: an acknowledgement whose number was taken before, as numbers only ever grow;
- emptied by a purge: the server still calls events of the last minutes repeats, though it holds them no more.
"""

import threading
from dataclasses import dataclass
from typing import Any

from calibr.delivery.model import Outcome, Verdict

DELIVERED = Verdict(Outcome.DELIVERED)
HAS_SHRUNK = Verdict(Outcome.RETRY, "the stream has lost messages that it had acknowledged")


@dataclass(frozen=True, slots=True)
class Sight:
    """A stream at one moment. `window_s`: how long it knows repeats."""

    created: str
    first_seq: int
    last_seq: int
    window_s: float


@dataclass(frozen=True, slots=True)
class Expected:
    """What a stream must hold for the work since it was prepared to count."""

    created: str
    last_seq: int
    lowest_repeat: int | None

    def is_met_by(self, sight: Sight) -> bool:
        """Whether the stream is the same one and holds all of that."""
        is_whole = sight.created == self.created and sight.last_seq >= self.last_seq
        return is_whole and (self.lowest_repeat is None or sight.first_seq <= self.lowest_repeat)


class StreamWatch:
    """What all lanes of one receiver learn about their stream. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sight = Sight("", 0, 0, 0.0)
        self._seen = 0
        self._lowest_repeat: int | None = None
        self._has_shrunk = False
        self._is_told = False
        self._losses = 0

    def prepare(self, sight: Sight) -> dict[str, Any]:
        """Begin a batch; returns what identifies the stream.

        A loss that an acknowledgement gave away may not show in the numbers any more, since the stream has grown again.
        So it is told as a last number that is below any, each time a lower one. It is told until the work goes on.
        """
        with self._lock:
            self._sight, self._seen, self._lowest_repeat = sight, sight.last_seq, None
            self._is_told = self._has_shrunk
            return {"created": sight.created, "last_seq": -self._losses if self._has_shrunk else sight.last_seq}

    def begin(self) -> int:
        """Begin one publication; returns a number that its acknowledgement must exceed."""
        with self._lock:
            if self._is_told:
                self._has_shrunk = self._is_told = False
            return self._seen

    def judge(self, seq: int, *, is_repeat: bool, above: int) -> Verdict:
        """What an acknowledgement is worth; `above` is what `begin` returned before it was asked for."""
        with self._lock:
            if is_repeat:
                if seq < self._sight.first_seq:
                    reason = "the stream holds the event no more, but still takes it for a repeat"
                    return Verdict(Outcome.RETRY, reason, self._sight.window_s)
                self._lowest_repeat = seq if self._lowest_repeat is None else min(seq, self._lowest_repeat)
            elif seq <= above:
                self._losses += not self._has_shrunk
                self._has_shrunk, self._is_told = True, False
                return HAS_SHRUNK
            self._seen = max(self._seen, seq)
            return DELIVERED

    def expected(self) -> Expected | None:
        """What must be there now; None if it is known that something is missing. Ask before the stream is looked at."""
        with self._lock:
            if self._has_shrunk:
                return None
            return Expected(self._sight.created, self._seen, self._lowest_repeat)
