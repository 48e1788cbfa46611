"""Carries webhooks to one address, in a thread of its own: in order, but for retries and what is held back."""

import heapq
import http.client
import itertools
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult

RETRIES: Final = 8
"""How often a webhook is sent again; after so many failures in a row a subscription made over the API is gone."""
RETRYING_S: Final = 4 * 3600.0
"""Over how long Shopify spreads the retries; each pause is twice the one before."""
HELD_S: Final = 2.0
"""How long a webhook is held back when no later one comes."""
MAX_WAITING: Final = 10_000
"""Webhooks beyond that are dropped: the subscriber is not there, and they fill the memory."""

COUNTED: Final = ("queued", "delivered", "failed_tries", "given_up", "dropped")

_CONNECT_S: Final = 1.0
_TOTAL_S: Final = 5.0
_PORT: Final = 80
_MAX_STATUS_LINE: Final = 1_024
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r\n]")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is sent: the same bytes and headers at every try."""

    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, order=True)
class _Parcel:
    """A delivery on its way: not before `due` (monotonic seconds), then in the order of `number`."""

    due: float
    number: int
    tries: int
    delivery: Delivery


class Courier:
    """Sends to one address. Its thread starts with the first delivery and ends with `stop`."""

    def __init__(self, address: SplitResult, speed: float, on_dead: Callable[[], None] | None = None) -> None:
        """Send to this address, with pauses shortened by `speed`.

        `on_dead` is called, in the courier's thread, when a webhook has failed at every try and nothing else arrived.
        """
        self._speed, self._on_dead = speed, on_dead
        self._failures = 0
        self.url = address.geturl()
        self._host, self._port = address.hostname or "", address.port or _PORT
        self._target = (address.path or "/") + (f"?{address.query}" if address.query else "")
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._waiting: list[_Parcel] = []
        self._held: list[_Parcel] = []
        self._counts = Counter(dict.fromkeys(COUNTED, 0))
        self._thread: threading.Thread | None = None
        self._is_stopped = False
        self._is_finishing = False

    def take(self, delivery: Delivery, *, is_held: bool = False) -> None:
        """Send it as soon as possible; one that is held goes after the next later one."""
        with self._changed:
            if len(self._waiting) + len(self._held) >= MAX_WAITING:
                self._counts["dropped"] += 1
                return
            self._counts["queued"] += 1
            due = time.monotonic() + (HELD_S if is_held else 0)
            parcel = _Parcel(due, next(self._numbers), 1, delivery)
            if is_held:
                self._held.append(parcel)
            else:
                heapq.heappush(self._waiting, parcel)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="webhooks", daemon=True)
                self._thread.start()
            self._changed.notify()

    def counts(self) -> dict[str, int]:
        """What became of the deliveries so far: `queued` counts all that were taken."""
        with self._changed:
            return dict(self._counts)

    def finish(self) -> None:
        """Send what waits, and then nothing more."""
        with self._changed:
            self._is_finishing = True
            self._changed.notify()

    def stop(self) -> None:
        """Send nothing more. A try under way may end after this."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()

    def _work(self) -> None:
        while (parcel := self._next()) is not None:
            was_taken = self._post(parcel.delivery)
            with self._changed:
                if was_taken:
                    self._counts["delivered"] += 1
                    self._failures = 0
                    self._release(parcel.number)
                else:
                    self._put_back(parcel)
                is_dead = parcel.tries > RETRIES and self._failures > RETRIES and not self._is_stopped
            if is_dead and self._on_dead is not None:
                self._on_dead()

    def _next(self) -> _Parcel | None:
        """Wait for a parcel that is due; None once the courier is stopped."""
        with self._changed:
            while not self._is_stopped:
                now = time.monotonic()
                if self._held and self._held[0].due <= now:
                    heapq.heappush(self._waiting, self._held.pop(0))
                if self._waiting and self._waiting[0].due <= now:
                    return heapq.heappop(self._waiting)
                if self._is_finishing and not self._waiting and not self._held:
                    return None
                next_due = [parcels[0].due for parcels in (self._waiting, self._held) if parcels]
                self._changed.wait(max(0.0, min(next_due) - now) if next_due else None)
            return None

    def _release(self, arrived: int) -> None:
        """A webhook has arrived: those that were taken before it and held back may follow."""
        now = time.monotonic()
        for held in [parcel for parcel in self._held if parcel.number < arrived]:
            self._held.remove(held)
            heapq.heappush(self._waiting, _Parcel(now, held.number, held.tries, held.delivery))

    def _put_back(self, parcel: _Parcel) -> None:
        self._counts["failed_tries"] += 1
        self._failures += 1
        if parcel.tries > RETRIES:
            self._counts["given_up"] += 1
            return
        due = time.monotonic() + pause_after(parcel.tries) / self._speed
        heapq.heappush(self._waiting, _Parcel(due, parcel.number, parcel.tries + 1, parcel.delivery))

    def _post(self, delivery: Delivery) -> bool:
        """Whether the receiver took it: any 2xx, within the time. A redirect is a failure, as at Shopify's."""
        deadline = time.monotonic() + _TOTAL_S
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_CONNECT_S)
        try:
            connection.connect()
            connection.sock.settimeout(_left(deadline))
            connection.request("POST", self._target, delivery.body, dict(delivery.headers))
            status = _read_status(connection.sock, deadline)
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()
        return http.client.OK <= status < http.client.MULTIPLE_CHOICES


def pause_after(tries: int) -> float:
    """How many seconds Shopify waits after so many failed tries: doubling pauses that fill four hours."""
    return RETRYING_S * (1 << (tries - 1)) / ((1 << RETRIES) - 1)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time for an answer is over")
    return left


def _read_status(sock: socket.socket, deadline: float) -> int:
    """Read the status line by hand: http.client renews its timeout with every byte. Raises ValueError for another."""
    received = b""
    while b"\n" not in received:
        sock.settimeout(_left(deadline))
        part = sock.recv(_MAX_STATUS_LINE)
        received += part
        if not part or len(received) > 64 * _MAX_STATUS_LINE:
            raise ValueError("the answer has no status line")
    match = _STATUS.match(received)
    if match is None:
        raise ValueError("the answer is not HTTP")
    return int(match[1])
