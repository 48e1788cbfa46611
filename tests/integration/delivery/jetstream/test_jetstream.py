"""Events in a real JetStream: in order, without repeats, and all there again after the stream was lost."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from nats_server import NatsServer, running_nats
from offices import VAULT, Office

from calibr.core.errors import Invalid
from calibr.db import Database, Session
from calibr.delivery import (
    NewSubscription,
    Receiver,
    Relay,
    Subscription,
    SubscriptionKind,
    create_subscription,
    get_subscription,
    list_dead_letters,
    standing,
)
from calibr.delivery.jetstream import JetStreamReceiver, jetstream_kind, stream_name
from calibr.events import Event, emit

TIMEOUT_S = 1.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    yield from running_nats(tmp_path)


@pytest.fixture
def subscribed(office: Office, server: NatsServer) -> UUID:
    return subscribe(office, server)


def subscribe(office: Office, server: NatsServer) -> UUID:
    kinds = {SubscriptionKind.JETSTREAM: jetstream_kind(server.url, TIMEOUT_S).rules}
    with office.database.session(office.context) as session:
        new = NewSubscription("jetstream", "stream", {}, lanes=4, from_seq=0)
        return create_subscription(session, new, kinds=kinds, vault=VAULT).subscription.id


def deliver(office: Office, server: NatsServer, subscription_id: UUID) -> None:
    kind = jetstream_kind(server.url, TIMEOUT_S)

    def open_receiver(session: Session, subscription: Subscription) -> Receiver:
        return kind.open(subscription, [], session)

    schedules = {SubscriptionKind.JETSTREAM: lambda _: 0.05}
    settings = office.settings.__class__(lease_s=3.0, margin_s=0.2)
    assert kind.schedule(1) is not None
    Relay(office.database, office.context, settings, {}, open_receiver, schedules).run(subscription_id)


def seqs(office: Office, server: NatsServer) -> list[int]:
    return [int(m["headers"]["Calibr-Seq"]) for m in server.messages(stream_name(office.context.tenant_id))]


def behind(office: Office, subscription_id: UUID) -> int:
    with office.database.session(office.context) as session:
        return standing(session, subscription_id).behind


def test_events_are_published_in_the_order_of_their_aggregate(
    office: Office, server: NatsServer, subscribed: UUID
) -> None:
    for _ in range(3):
        office.happen(*"abcdef")

    deliver(office, server, subscribed)

    messages = server.messages(stream_name(office.context.tenant_id))
    assert sorted(seqs(office, server)) == list(range(1, 20))
    for aggregate in "abcdef":
        own = [int(m["headers"]["Calibr-Seq"]) for m in messages if m["headers"]["Calibr-Aggregate-Id"] == aggregate]
        assert own == sorted(own)
    one = messages[-1]
    assert one["subject"] == f"calibr.{office.context.tenant_id}.test.subscription.paused"
    assert json.loads(one["body"])["event_id"] == one["headers"]["Nats-Msg-Id"]
    assert behind(office, subscribed) == 0


def test_a_server_that_is_away_loses_nothing(office: Office, server: NatsServer, subscribed: UUID) -> None:
    office.happen("a", "b")
    server.kill()
    deliver(office, server, subscribed)
    assert behind(office, subscribed) > 0
    with office.database.session(office.context) as session:
        assert get_subscription(session, subscribed).failing_since is not None

    server.start()
    deliver(office, server, subscribed)

    assert sorted(seqs(office, server)) == [1, 2, 3]


def test_a_restart_with_the_same_store_repeats_nothing(office: Office, server: NatsServer, subscribed: UUID) -> None:
    office.happen("a", "b")
    deliver(office, server, subscribed)
    server.kill()
    server.start()
    office.happen("a")

    deliver(office, server, subscribed)

    assert sorted(seqs(office, server)) == [1, 2, 3, 4]


@pytest.mark.parametrize("loss", ["deleted", "empty store"])
def test_a_lost_stream_is_filled_anew_from_the_log(
    office: Office, server: NatsServer, subscribed: UUID, loss: str
) -> None:
    office.happen(*"abcabc")
    deliver(office, server, subscribed)
    if loss == "deleted":
        server.delete_stream(stream_name(office.context.tenant_id))
    else:
        server.forget()
        server.start()
    office.happen("d")

    deliver(office, server, subscribed)

    assert sorted(seqs(office, server)) == list(range(1, 9))
    assert behind(office, subscribed) == 0


def test_a_stream_that_is_lost_while_nothing_happens_is_filled_anew(
    office: Office, server: NatsServer, subscribed: UUID
) -> None:
    office.happen(*"abc")
    deliver(office, server, subscribed)
    server.delete_stream(stream_name(office.context.tenant_id))

    begun = time.monotonic()
    deliver(office, server, subscribed)

    assert sorted(seqs(office, server)) == [1, 2, 3, 4]
    assert time.monotonic() - begun > TIMEOUT_S  # until no lane of another worker can be in the middle of its events


def test_an_acknowledgement_of_a_stream_that_is_gone_settles_nothing(
    office: Office, server: NatsServer, subscribed: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.happen(*"abc")
    whole = JetStreamReceiver.confirm
    asked = []

    def after_a_loss(receiver: JetStreamReceiver) -> bool:
        asked.append(receiver)
        if len(asked) == 1:
            server.delete_stream(stream_name(office.context.tenant_id))
        return whole(receiver)

    monkeypatch.setattr(JetStreamReceiver, "confirm", after_a_loss)
    deliver(office, server, subscribed)
    time.sleep(0.6)
    deliver(office, server, subscribed)

    assert sorted(seqs(office, server)) == [1, 2, 3, 4]
    assert behind(office, subscribed) == 0


def test_an_event_that_is_too_large_is_parked(office: Office, tmp_path: Path, database: Database) -> None:
    del database
    (tmp_path / "small").mkdir()
    for server in running_nats(tmp_path / "small", max_payload=1_500):
        hook = subscribe(office, server)
        with office.database.session(office.context) as session:
            emit(session, Event("subscription.paused", "test", "a", {"name": "x" * 2_000}))
        deliver(office, server, hook)
        with office.database.session(office.context) as session:
            (letter,) = list_dead_letters(session, hook)[:1]
        assert letter.reason == "the event is larger than the server takes"


def test_a_configuration_is_refused_by_field(server: NatsServer) -> None:
    with pytest.raises(Invalid) as refused:
        jetstream_kind(server.url, 1.0).rules.judge({"url": "nats://10.0.0.1"})

    assert refused.value.faults[0].path == "$.config.url"
