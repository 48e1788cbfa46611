"""A call that lost its time on the way to the wire must not be sent any more: somebody else may own its rows."""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from odd_server import OddServer, answer, odd_server

from calibr.connectors.shopify.bucket import Reservation
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.config import parse_config
from calibr.connectors.shopify.documents import SHOP
from calibr.connectors.shopify.errors import CallError, ThrottledError
from calibr.connectors.shopify.throttle import Throttle

GOOD = b'{"data": {"shop": {"name": "Test", "currencyCode": "USD"}}}'
LEFT_S = 5.0
LOOKS_BEFORE_THE_BODY = 4
"""For the points, at the start of the exchange, before the head and before the body."""


@dataclass
class Sleep:
    """A clock that can be told that the process was stopped for longer than a call may take."""

    slept_s: float = 0.0
    looks: list[float] = field(default_factory=list)
    stop_at_look: int | None = None

    def clock(self) -> float:
        if len(self.looks) == self.stop_at_look:
            self.stop()
        self.looks.append(time.monotonic() + self.slept_s)
        return self.looks[-1]

    def stop(self) -> None:
        self.slept_s = 100.0


class SleepyThrottle(Throttle):
    """Grants points, and then something happens."""

    def __init__(self, sleep: Sleep, then: Callable[[], None] = lambda: None) -> None:
        self.then = then
        super().__init__(sleep.clock)

    def acquire(self, cost: int, until: float, *, first: bool = False) -> Reservation:
        held = super().acquire(cost, until, first=first)
        self.then()
        return held


@pytest.fixture
def server() -> Iterator[OddServer]:
    with odd_server(answer(GOOD)) as running:
        yield running


@pytest.fixture
def sleep() -> Sleep:
    return Sleep()


def call(server: OddServer, throttle: Throttle) -> None:
    config = parse_config({"shop_url": server.url}, {"access_token": "shpat_test"})
    client = ShopifyClient(config, throttle, connections=1)
    try:
        client.call(SHOP, {}, rows=1, until=throttle.clock() + LEFT_S)
    finally:
        client.close()


def arrived(server: OddServer) -> list[bytes]:
    """Bodies of requests that a store would act on."""
    return [body for head, _, body in (r.partition(b"\r\n\r\n") for r in server.requests) if body]


def test_a_call_in_time_is_sent(server: OddServer, sleep: Sleep) -> None:
    call(server, SleepyThrottle(sleep))

    assert len(arrived(server)) == 1


def test_a_call_that_slept_before_it_was_sent_is_not(server: OddServer, sleep: Sleep) -> None:
    throttle = SleepyThrottle(sleep, sleep.stop)
    with pytest.raises(ThrottledError):
        call(server, throttle)

    assert arrived(server) == []
    assert throttle.view().refused == 0, "the store has refused nothing, and nobody else has to slow down"


def test_a_call_whose_connection_took_too_long_is_not_sent(
    server: OddServer, sleep: Sleep, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = socket.create_connection

    def slow(*args: object, **kwargs: object) -> socket.socket:
        sleep.stop()
        return connect(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_connection", slow)

    with pytest.raises(ThrottledError):
        call(server, SleepyThrottle(sleep))

    assert arrived(server) == []


def test_a_process_stopped_at_any_look_at_the_clock_either_sent_before_or_never(
    server: OddServer, sleep: Sleep
) -> None:
    call(server, SleepyThrottle(sleep))
    outcomes = []
    for number in range(1, len(sleep.looks)):
        server.requests.clear()
        outcomes.append((_is_refused(server, SleepyThrottle(Sleep(stop_at_look=number))), len(arrived(server))))

    assert set(outcomes) == {(True, 0), (False, 1)}
    assert outcomes.count((True, 0)) >= LOOKS_BEFORE_THE_BODY


def _is_refused(server: OddServer, throttle: Throttle) -> bool:
    try:
        call(server, throttle)
    except CallError as error:
        return not error.maybe_executed
    return False
