"""A stream that is lost again and again while events are published and read: none is missing or has effect twice."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest
from follower import Follower
from nats.js.errors import BadRequestError
from nats_server import NatsServer, running_nats
from offices import VAULT, Office

from calibr.db import Session
from calibr.delivery import (
    NewSubscription,
    Receiver,
    Relay,
    Subscription,
    SubscriptionKind,
    create_subscription,
    standing,
)
from calibr.delivery.jetstream import jetstream_kind, stream_name

TIMEOUT_S = 0.6
PATIENCE_S = 20.0
ROUNDS = 40
AGGREGATES = "abcdefgh"
EVENTS = ROUNDS * len(AGGREGATES) + 1


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    yield from running_nats(tmp_path)


def subscribe(office: Office, server: NatsServer) -> UUID:
    kinds = {SubscriptionKind.JETSTREAM: jetstream_kind(server.url, TIMEOUT_S).rules}
    with office.database.session(office.context) as session:
        new = NewSubscription("jetstream", "stream", {}, lanes=8, from_seq=0)
        return create_subscription(session, new, kinds=kinds, vault=VAULT).subscription.id


def work(office: Office, server: NatsServer, subscription_id: UUID, stop: threading.Event) -> None:
    """One worker: delivers until it is told to stop."""

    kind = jetstream_kind(server.url, TIMEOUT_S)

    def open_receiver(session: Session, subscription: Subscription) -> Receiver:
        return kind.open(subscription, [], session)

    settings = office.settings.__class__(lease_s=3.0, margin_s=0.2, lanes_at_once=4, window=50)
    schedules = {SubscriptionKind.JETSTREAM: lambda _: 0.05}
    relay = Relay(office.database, office.context, settings, {}, open_receiver, schedules)
    while not stop.is_set():
        relay.run(subscription_id)
        time.sleep(0.01)


def is_settled(office: Office, subscription_id: UUID) -> bool:
    with office.database.session(office.context) as session:
        return standing(session, subscription_id).behind == 0


def lose(server: NatsServer, name: str, loss: str) -> None:
    if loss == "deleted":
        server.delete_stream(name)
    elif loss == "made anew":
        server.delete_stream(name)
        with suppress(BadRequestError):  # a worker was faster
            server.make_stream(name, subjects=[f"{name.replace('calibr-', 'calibr.')}.>"])
    elif loss == "empty store":
        server.forget()
        server.start()
    else:
        server.kill()
        server.start()


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("workers", "loss"), [(1, "deleted"), (3, "deleted"), (3, "made anew"), (3, "empty store"), (3, "killed")]
)
def test_consumers_see_every_event_and_none_has_effect_twice(
    office: Office, server: NatsServer, workers: int, loss: str
) -> None:
    subscription_id, name = subscribe(office, server), stream_name(office.context.tenant_id)
    for _ in range(ROUNDS):
        office.happen(*AGGREGATES)
    stop = threading.Event()
    with Follower(server.url, name) as follower, ThreadPoolExecutor(workers) as pool:
        try:
            running = [pool.submit(work, office, server, subscription_id, stop) for _ in range(workers)]
            for share in (0.3, 0.8):
                wait_for(lambda share=share: len(follower.inbox) >= share * EVENTS)
                lose(server, name, loss)
            wait_for(lambda: len(follower.inbox) == EVENTS and is_settled(office, subscription_id))
        finally:
            stop.set()
        for each in running:
            each.result()

    found = {int(m["headers"]["Calibr-Seq"]) for m in server.messages(name)}
    assert found == set(range(1, EVENTS + 1))
    assert follower.repeats > 0 or loss == "killed"
    if loss != "made anew":  # then one event of a lane can be ahead, see `receiver`
        assert follower.reorders() == 0
