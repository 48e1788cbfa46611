"""The receiver alone, against a real server: what it makes of every way in which a stream fails."""

import gc
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote
from uuid import UUID

import pytest
from nats_server import NatsServer, running_nats

from calibr.core.errors import Invalid
from calibr.core.ids import new_uuid
from calibr.delivery import Message, Outcome
from calibr.delivery.jetstream import JetStreamReceiver, jetstream_kind, stream_name

TENANT = UUID(int=7)
STREAM = stream_name(TENANT)
SUBJECT = f"calibr.{TENANT}.>"
TIMEOUT_S = 1.0
SLACK_S = 0.5
LANES = 8


def message(seq: int, aggregate_id: str = "a", body: bytes = b"{}") -> Message:
    return Message(TENANT, seq, new_uuid(), "price.changed", "listing", aggregate_id, datetime.now(UTC), body)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    yield from running_nats(tmp_path)


@pytest.fixture
def receiver(server: NatsServer) -> Iterator[JetStreamReceiver]:
    opened = JetStreamReceiver(server.url, TENANT, TIMEOUT_S)
    yield opened
    opened.close()


def send(receiver: JetStreamReceiver, *seqs: int) -> list[Outcome]:
    return [receiver.deliver(message(seq)).outcome for seq in seqs]


DELIVERED, RETRY, POISON = Outcome.DELIVERED, Outcome.RETRY, Outcome.POISON


def test_what_no_subject_or_header_can_hold_is_replaced(server: NatsServer, receiver: JetStreamReceiver) -> None:
    receiver.prepare()
    odd = message(1, " á\r\nX: 50%")._replace(type="a b.c>", aggregate_type="list*ing.x", is_replay=True)

    assert receiver.deliver(odd).outcome is DELIVERED

    (found,) = server.messages(STREAM)
    assert found["subject"] == f"calibr.{TENANT}.list_ing_x.a_b.c_"
    assert unquote(found["headers"]["Calibr-Aggregate-Id"]) == " á\r\nX: 50%"
    assert found["headers"]["Calibr-Replay"] == "true"
    assert found["headers"]["Nats-Msg-Id"] == str(odd.event_id)
    assert "X" not in found["headers"]


def test_a_repeat_is_delivered_and_kept_once(server: NatsServer, receiver: JetStreamReceiver) -> None:
    receiver.prepare()
    one, other = message(1), message(2)

    assert [receiver.deliver(m).outcome for m in (one, other, one)] == [DELIVERED] * 3

    assert receiver.confirm()
    assert [m["headers"]["Calibr-Seq"] for m in server.messages(STREAM)] == ["1", "2"]


def test_lanes_side_by_side_keep_their_order_and_confirm_each_for_itself(
    server: NatsServer, receiver: JetStreamReceiver
) -> None:
    """A confirmation that counted what another lane published meanwhile would be refused for nothing."""
    receiver.prepare()

    def work(lane: int) -> list[bool]:
        confirmed = []
        for batch in range(10):
            for number in range(10):
                assert receiver.deliver(message(batch * 10 + number, str(lane))).outcome is DELIVERED
            confirmed.append(receiver.confirm())
        return confirmed

    with ThreadPoolExecutor(LANES) as pool:
        assert all(all(confirmed) for confirmed in pool.map(work, range(LANES)))
    found = server.messages(STREAM)
    for lane in range(LANES):
        own = [int(m["headers"]["Calibr-Seq"]) for m in found if m["headers"]["Calibr-Aggregate-Id"] == str(lane)]
        assert own == list(range(100))


def test_receivers_that_make_the_stream_at_once_share_it(server: NatsServer) -> None:
    receivers = [JetStreamReceiver(server.url, TENANT, TIMEOUT_S) for _ in range(LANES)]
    with ThreadPoolExecutor(LANES) as pool:
        ready = list(pool.map(JetStreamReceiver.prepare, receivers))
    for receiver in receivers:
        receiver.close()

    assert [each.problem for each in ready] == [None] * LANES
    assert len({each.remote["created"] for each in ready}) == 1


def test_an_absent_server_costs_little_time_and_is_found_when_it_is_back(
    server: NatsServer, receiver: JetStreamReceiver
) -> None:
    receiver.prepare()
    server.kill()

    begun = time.monotonic()
    assert "cannot be reached" in (receiver.prepare().problem or "")
    assert send(receiver, 1) == [RETRY]
    assert not receiver.confirm()
    assert time.monotonic() - begun < 3 * TIMEOUT_S

    server.start()
    assert receiver.prepare().problem is None
    assert send(receiver, 1) == [DELIVERED]
    assert receiver.confirm()


def test_a_server_that_never_answers_holds_no_lane_for_longer_than_the_limit(
    server: NatsServer, receiver: JetStreamReceiver
) -> None:
    server.suspend()

    def timed(seq: int) -> tuple[Outcome, float]:
        begun = time.monotonic()
        return send(receiver, seq)[0], time.monotonic() - begun

    with ThreadPoolExecutor(LANES) as pool:
        results = list(pool.map(timed, range(LANES)))
    server.resume()

    assert {outcome for outcome, _ in results} == {RETRY}
    assert max(seconds for _, seconds in results) < TIMEOUT_S + SLACK_S


def test_a_publication_that_was_given_up_is_not_sent_when_the_server_is_back(
    server: NatsServer, receiver: JetStreamReceiver
) -> None:
    """By then its lane may belong to another worker, whose events it would overtake."""
    receiver.prepare()
    send(receiver, 1)
    server.kill()
    assert send(receiver, 2, 3) == [RETRY, RETRY]

    server.start()
    time.sleep(0.6)

    assert server.last_seq(STREAM) == 1
    assert receiver.prepare().remote["last_seq"] == 1


@pytest.mark.parametrize(("size", "outcome"), [(700, DELIVERED), (950, POISON), (2_000, POISON)])
def test_an_event_that_does_not_fit_with_its_headers_is_poison(tmp_path: Path, size: int, outcome: Outcome) -> None:
    for server in running_nats(tmp_path, max_payload=1_000):
        receiver = JetStreamReceiver(server.url, TENANT, TIMEOUT_S)
        receiver.prepare()

        assert receiver.deliver(message(1, body=b"x" * size)).outcome is outcome
        assert send(receiver, 2) == [DELIVERED]
        receiver.close()


def test_an_event_that_is_too_large_for_the_stream_is_poison(server: NatsServer, receiver: JetStreamReceiver) -> None:
    server.make_stream(STREAM, subjects=[SUBJECT], max_msg_size=400)
    receiver.prepare()

    assert receiver.deliver(message(1, body=b"x" * 500)).outcome is POISON
    assert send(receiver, 2) == [DELIVERED]


def test_a_full_stream_of_ours_refuses_and_drops_nothing(server: NatsServer, receiver: JetStreamReceiver) -> None:
    receiver.prepare()
    server.edit_stream(STREAM, max_msgs=2)

    assert send(receiver, 1, 2, 3) == [DELIVERED, DELIVERED, RETRY]

    assert [m["headers"]["Calibr-Seq"] for m in server.messages(STREAM)] == ["1", "2"]
    server.edit_stream(STREAM, max_msgs=-1)
    assert send(receiver, 3) == [DELIVERED]


def test_a_deleted_stream_takes_nothing_and_is_made_anew(server: NatsServer, receiver: JetStreamReceiver) -> None:
    known = receiver.prepare().remote
    send(receiver, 1, 2)
    server.delete_stream(STREAM)

    assert send(receiver, 3) == [RETRY]
    assert not receiver.confirm()

    begun = time.monotonic()
    ready = receiver.prepare()
    assert time.monotonic() - begun > TIMEOUT_S
    assert ready.has_lost(known)
    assert ready.remote["last_seq"] == 0
    assert send(receiver, 1) == [DELIVERED]
    assert receiver.confirm()


def test_a_missing_stream_is_made_anew_only_when_no_lane_can_be_in_the_middle_of_its_events(
    server: NatsServer, receiver: JetStreamReceiver
) -> None:
    """Or the rest of that lane's events would be the first ones in the new stream."""
    receiver.prepare()
    send(receiver, 1, 2)
    server.delete_stream(STREAM)
    other = JetStreamReceiver(server.url, TENANT, TIMEOUT_S, had_stream=True)
    with ThreadPoolExecutor(1) as pool:
        preparing = pool.submit(other.prepare)
        time.sleep(TIMEOUT_S / 3)
        assert send(receiver, 3) == [RETRY]
        assert preparing.result().remote["last_seq"] == 0
    other.close()

    assert server.last_seq(STREAM) == 0


def test_a_stream_made_anew_by_somebody_between_two_events_is_noticed_at_once(
    server: NatsServer, receiver: JetStreamReceiver
) -> None:
    known = receiver.prepare().remote
    send(receiver, 1, 2, 3)
    server.delete_stream(STREAM)
    server.make_stream(STREAM, subjects=[SUBJECT])

    assert send(receiver, 4) == [RETRY]
    assert not receiver.confirm()
    assert receiver.prepare().has_lost(known)


def test_a_stream_made_anew_that_is_longer_than_the_old_one_is_not_confirmed(
    server: NatsServer, receiver: JetStreamReceiver
) -> None:
    known = receiver.prepare().remote
    send(receiver, 1)
    server.delete_stream(STREAM)
    other = JetStreamReceiver(server.url, TENANT, TIMEOUT_S)
    other.prepare()
    send(other, *range(10))
    other.close()

    assert send(receiver, 2) == [DELIVERED]
    assert not receiver.confirm()
    assert receiver.prepare().has_lost(known)


def test_an_older_store_is_noticed_by_its_last_number(server: NatsServer, receiver: JetStreamReceiver) -> None:
    receiver.prepare()
    send(receiver, 1, 2)
    old = server.keep()
    receiver.prepare()
    send(receiver, 3, 4)
    assert receiver.confirm()
    known = receiver.prepare().remote

    server.fall_back(old)

    assert not receiver.confirm()
    assert receiver.prepare().has_lost(known)


def test_an_older_store_in_the_middle_of_a_batch_is_told_though_it_has_grown_again(
    server: NatsServer, receiver: JetStreamReceiver
) -> None:
    receiver.prepare()
    send(receiver, 1)
    old = server.keep()
    known = receiver.prepare().remote
    send(receiver, 2, 3)
    server.fall_back(old)

    assert send(receiver, 4) == [RETRY]
    assert not receiver.confirm()
    for seq in range(5):
        send(receiver, seq)
    assert not receiver.confirm()

    assert [receiver.prepare().has_lost(known) for _ in range(2)] == [True, True]
    assert send(receiver, 1) == [DELIVERED]
    assert receiver.confirm()
    assert receiver.prepare().remote["last_seq"] == server.last_seq(STREAM)


def test_a_repeat_that_the_stream_holds_no_more_is_published_once_it_is_forgotten(
    server: NatsServer, receiver: JetStreamReceiver
) -> None:
    """After a purge the server still knows the ids of the last minutes, and takes a replay for repeats."""
    server.make_stream(STREAM, subjects=[SUBJECT], duplicate_window=1.0)
    receiver.prepare()
    one = message(1)
    receiver.deliver(one)
    server.purge(STREAM)

    assert receiver.deliver(one).outcome is DELIVERED
    assert not receiver.confirm()
    receiver.prepare()
    verdict = receiver.deliver(one)
    assert (verdict.outcome, verdict.retry_after_s) == (RETRY, 1.0)

    time.sleep(1.2)
    assert receiver.deliver(one).outcome is DELIVERED
    assert receiver.confirm()
    assert len(server.messages(STREAM)) == 1


@pytest.mark.parametrize("config", [{"subjects": ["other.>"]}, {"subjects": [SUBJECT], "no_ack": True}])
def test_a_stream_of_that_name_that_does_not_take_our_events_is_a_problem(
    server: NatsServer, receiver: JetStreamReceiver, config: dict[str, object]
) -> None:
    server.make_stream(STREAM, **config)

    assert receiver.prepare().problem == f"the stream {STREAM} must take {SUBJECT} and acknowledge it"


def test_another_stream_that_takes_our_subjects_is_a_problem_and_gets_nothing(
    server: NatsServer, receiver: JetStreamReceiver
) -> None:
    server.make_stream("all", subjects=["calibr.>"])

    assert "subjects overlap" in (receiver.prepare().problem or "")
    assert send(receiver, 1) == [RETRY]
    assert server.last_seq("all") == 0


@pytest.mark.parametrize("server_answers", [True, False])
def test_closing_ends_the_thread_whatever_the_server_does(
    server: NatsServer, caplog: pytest.LogCaptureFixture, *, server_answers: bool
) -> None:
    receiver = JetStreamReceiver(server.url, TENANT, TIMEOUT_S)
    receiver.prepare()
    if not server_answers:
        server.suspend()
        assert send(receiver, 1) == [RETRY]

    begun = time.monotonic()
    receiver.close()
    receiver.close()

    assert time.monotonic() - begun < TIMEOUT_S + SLACK_S
    gc.collect()
    assert not caplog.records  # such as tasks that were destroyed
    assert not [thread for thread in threading.enumerate() if thread.name == "nats"]
    assert send(receiver, 2) == [RETRY]
    assert receiver.prepare().problem is not None


def test_closing_ends_what_is_on_its_way(server: NatsServer, caplog: pytest.LogCaptureFixture) -> None:
    server.suspend()
    receiver = JetStreamReceiver(server.url, TENANT, TIMEOUT_S)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send, receiver, 1)
        time.sleep(TIMEOUT_S / 4)
        receiver.close()
        assert sending.result() == [RETRY]

    gc.collect()
    assert not caplog.records


def test_without_the_client_library_a_subscription_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "nats", None)

    with pytest.raises(Invalid, match=r"pip install calibr\[nats\]"):
        jetstream_kind("nats://127.0.0.1:1", TIMEOUT_S).rules.judge({})
