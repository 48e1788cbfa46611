"""Events reach a subscriber in order, whatever it answers, and whoever else works on the same lanes."""

import threading
import time
from dataclasses import replace
from uuid import UUID

import pytest
from offices import BLOCK, DELIVERED, KINDS, VAULT, Office, ScriptedReceiver, poison, retry
from sqlalchemy import text

from calibr.core.errors import Conflict, Invalid
from calibr.db import Database, Role
from calibr.delivery import (
    Message,
    Outcome,
    Ready,
    Standing,
    SubscriptionState,
    Verdict,
    due_subscriptions,
    get_subscription,
    list_dead_letters,
    open_secrets,
    pause,
    redeliver,
    replay,
    resume,
    rotate_secret,
    standing,
    update_subscription,
)
from calibr.events import list_audit


def look(office: Office, subscription_id: UUID) -> Standing:
    with office.database.session(office.context) as session:
        return standing(session, subscription_id)


def due(office: Office) -> list[UUID]:
    with office.database.session(office.context, role=Role.WORKER) as session:
        return due_subscriptions(session)


def test_every_event_arrives_once_and_each_aggregate_in_order(office: Office) -> None:
    hook = office.subscribe()
    for _ in range(5):
        office.happen("a", "b", "c", "a")

    office.deliver(hook, rounds=2)

    got = office.receiver.got
    assert len({m.event_id for m in got}) == len(got) == 21  # and the event that tells of the subscription
    for aggregate in ("a", "b", "c"):
        assert office.receiver.seqs(aggregate) == sorted(office.receiver.seqs(aggregate))
    assert look(office, hook).behind == 0
    assert due(office) == []


def test_the_body_is_what_stands_in_the_log(office: Office, database: Database) -> None:
    hook = office.subscribe()
    office.happen("a")

    office.deliver(hook)

    with database.session(office.context) as session:
        stored = session.execute(text("select event_id, body from calibr.event where aggregate_id = 'a'")).one()
    (message,) = [m for m in office.receiver.got if m.aggregate_id == "a"]
    assert (message.event_id, message.body) == (stored.event_id, stored.body)


@pytest.mark.parametrize(
    ("wanted", "count"), [(("subscription.paused",), 3), (("subscription.*",), 4), (("price.*",), 0)]
)
def test_a_filter_lets_through_what_it_names(office: Office, wanted: tuple[str, ...], count: int) -> None:
    hook = office.subscribe(event_types=wanted, from_seq=0)
    office.happen("a", "b", "a")

    office.deliver(hook)

    assert len(office.receiver.got) == count
    assert look(office, hook).behind == 0


def test_an_unknown_type_is_refused_by_name(office: Office) -> None:
    with pytest.raises(Invalid, match=r"event_types\[1\] is no event type"):
        office.subscribe(event_types=("price.changed", "prices.*"))


def test_an_event_that_is_refused_for_now_holds_up_its_lane_only(office: Office) -> None:
    hook = office.subscribe(lanes=64)
    office.happen("a", "b", "c", "d", "a")
    office.receiver.answer = retry("a")

    office.deliver(hook)

    assert office.receiver.seqs("a") == []
    assert [len(office.receiver.seqs(aggregate)) for aggregate in "bcd"] == [1, 1, 1]
    assert look(office, hook).last_error == "not now"

    office.receiver.answer = lambda _: DELIVERED
    office.deliver(hook, rounds=2)

    assert office.receiver.seqs("a") == sorted(office.receiver.seqs("a"))
    assert len(office.receiver.seqs("a")) == 2


def test_a_poisoned_aggregate_is_parked_and_the_lane_goes_on(office: Office) -> None:
    hook = office.subscribe(lanes=1)
    office.happen("a", "b", "a", "b")
    office.receiver.answer = poison("a")

    office.deliver(hook)
    office.happen("a", "b")
    office.receiver.answer = lambda _: DELIVERED
    office.deliver(hook)

    assert office.receiver.seqs("a") == []
    assert len(office.receiver.seqs("b")) == 3
    with office.database.session(office.context) as session:
        parked = list_dead_letters(session, hook)
        told = [e for e in list_audit(session, entity="subscription") if e.action == "subscription.key_parked"]
    assert [letter.aggregate_id for letter in parked] == ["a", "a", "a"]
    assert parked[0].reason == "never"
    assert len(told) == 1


def test_retries_that_are_used_up_park_the_aggregate(office: Office) -> None:
    hook = office.subscribe(lanes=1)
    office.happen("a", "b")
    office.receiver.answer = retry("a")

    office.deliver(hook, rounds=4)

    assert len(office.receiver.seqs("b")) == 1
    with office.database.session(office.context) as session:
        (letter,) = list_dead_letters(session, hook)
    assert (letter.aggregate_id, letter.attempts) == ("a", 3)


def test_a_lane_that_blocks_waits_for_ever(office: Office) -> None:
    hook = office.subscribe(lanes=1, on_poison=BLOCK)
    office.happen("a", "b")
    office.receiver.answer = poison("a")

    office.deliver(hook, rounds=3)

    assert office.receiver.seqs("b") == []
    assert look(office, hook).parked == 0
    assert look(office, hook).waiting_lanes == 1


def test_dead_letters_are_delivered_again_in_order_before_what_follows(office: Office) -> None:
    hook = office.subscribe(lanes=1)
    office.happen("a", "a")
    office.receiver.answer = poison("a")
    office.deliver(hook)
    office.happen("a", "b")
    office.receiver.answer = lambda _: DELIVERED

    with office.database.session(office.context) as session:
        assert redeliver(session, hook, ("test", "a")) == 2
    office.happen("a")
    office.deliver(hook, rounds=2)

    assert len(office.receiver.seqs("a")) == 4
    assert office.receiver.seqs("a") == sorted(office.receiver.seqs("a"))
    assert look(office, hook).parked == 0
    assert due(office) == []


def test_dead_letters_that_are_refused_again_stay_parked(office: Office) -> None:
    hook = office.subscribe(lanes=1)
    office.happen("a", "a", "b")
    office.receiver.answer = poison("a")
    office.deliver(hook)

    with office.database.session(office.context) as session:
        redeliver(session, hook)
    office.deliver(hook, rounds=2)

    assert office.receiver.seqs("a") == []
    assert look(office, hook).parked == 2
    assert due(office) == []


def test_nothing_to_redeliver_is_said(office: Office) -> None:
    hook = office.subscribe()

    with pytest.raises(Conflict, match="no such dead letters"), office.database.session(office.context) as session:
        redeliver(session, hook, ("test", "a"))


def test_a_replay_delivers_everything_again_and_says_so(office: Office) -> None:
    hook = office.subscribe(from_seq=0)
    office.happen("a", "b")
    office.deliver(hook)
    first = [m.event_id for m in office.receiver.got]
    office.receiver.got.clear()

    with office.database.session(office.context) as session:
        replay(session, hook, 0, projections={})
    office.happen("c")
    office.deliver(hook)

    again = [m.event_id for m in office.receiver.got if m.is_replay]
    assert again[: len(first)] == first or set(first) <= set(again)
    assert [m.is_replay for m in office.receiver.got if m.aggregate_id == "c"] == [False]


def test_a_paused_subscription_gets_nothing_and_loses_nothing(office: Office) -> None:
    hook = office.subscribe()
    with office.database.session(office.context) as session:
        pause(session, hook)
    office.happen("a")
    assert due(office) == []

    with office.database.session(office.context) as session:
        resume(session, hook)
    office.deliver(hook)

    assert len(office.receiver.seqs("a")) == 1


def test_a_worker_that_was_overtaken_moves_nothing(office: Office) -> None:
    hook = office.subscribe(lanes=1)
    office.happen("a")
    began, go_on = threading.Event(), threading.Event()

    def stall(_: Message) -> Verdict:
        began.set()
        go_on.wait(10)
        return Verdict(Outcome.RETRY, "a late answer")

    office.settings = replace(office.settings, lease_s=0.4)
    zombie = threading.Thread(target=lambda: office.relay(ScriptedReceiver(stall, timeout_s=0.1)).run(hook))
    zombie.start()
    assert began.wait(5)
    time.sleep(0.5)
    office.deliver(hook)
    stand = look(office, hook)
    go_on.set()
    zombie.join()

    assert len(office.receiver.seqs("a")) == 1
    assert look(office, hook) == stand
    assert stand.last_error is None


def test_a_lease_shorter_than_a_delivery_is_refused(office: Office) -> None:
    hook = office.subscribe()
    office.receiver.timeout_s = 5.0

    with pytest.raises(Invalid, match="must exceed the time of one delivery"):
        office.deliver(hook)


def test_what_a_receiver_lost_is_sent_anew(office: Office) -> None:
    hook = office.subscribe(from_seq=0)
    office.happen("a", "b")
    office.receiver.ready = lambda: Ready({"created": "1"})
    office.deliver(hook)
    first = len(office.receiver.got)

    office.receiver.ready = lambda: Ready({"created": "2"})
    office.deliver(hook)

    assert first == 3
    assert len(office.receiver.got) == 6
    with office.database.session(office.context) as session:
        assert get_subscription(session, hook).remote == {"created": "2"}


def test_what_is_not_confirmed_is_not_settled(office: Office) -> None:
    hook = office.subscribe(lanes=1)
    office.happen("a")
    office.receiver.confirmed = lambda: False
    office.deliver(hook)
    assert look(office, hook).behind > 0

    office.receiver.confirmed = lambda: True
    time.sleep(0.6)
    office.deliver(hook)

    assert len(office.receiver.seqs("a")) == 2
    assert look(office, hook).behind == 0


def test_a_webhook_that_takes_nothing_for_five_days_is_disabled(office: Office, database: Database) -> None:
    hook = office.subscribe(lanes=1)
    office.happen("a")
    office.receiver.answer = retry("a", str(hook))
    office.deliver(hook)
    with database.session(office.context) as session:
        session.execute(text("update calibr.subscription set failing_since = now() - interval '5 days'"))

    office.deliver(hook, rounds=2)

    with database.session(office.context) as session:
        found = get_subscription(session, hook)
        told = [e.action for e in list_audit(session, entity="subscription")]
    assert found.state is SubscriptionState.DISABLED
    assert found.reason == "nothing was delivered for five days"
    assert told.count("subscription.disabled") == 1


def test_one_delivery_ends_the_count_of_days(office: Office, database: Database) -> None:
    hook = office.subscribe(lanes=1)
    office.receiver.answer = lambda _: Verdict(Outcome.RETRY, "down")
    office.deliver(hook)
    with database.session(office.context) as session:
        assert get_subscription(session, hook).failing_since is not None

    office.receiver.answer = lambda _: DELIVERED
    time.sleep(0.05)
    office.deliver(hook)

    with database.session(office.context) as session:
        assert get_subscription(session, hook).failing_since is None


def test_several_workers_deliver_each_event_once(office: Office) -> None:
    hook = office.subscribe(lanes=16)
    for _ in range(20):
        office.happen(*(f"k{number}" for number in range(20)))
    workers = [threading.Thread(target=lambda: office.deliver(hook, rounds=3)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    office.deliver(hook)

    assert len(office.receiver.got) == 401
    for number in range(20):
        assert office.receiver.seqs(f"k{number}") == sorted(office.receiver.seqs(f"k{number}"))


def test_both_secrets_sign_for_a_day_after_a_rotation(office: Office, database: Database) -> None:
    hook = office.subscribe()
    with database.session(office.context) as session:
        before = open_secrets(session, hook, VAULT)
        renewed = rotate_secret(session, hook, kinds=KINDS, vault=VAULT).secret
        after = open_secrets(session, hook, VAULT)

    assert after == [renewed, *before]


def test_an_edit_changes_what_is_delivered_from_then_on(office: Office, database: Database) -> None:
    hook = office.subscribe()
    with database.session(office.context) as session:
        update_subscription(session, hook, kinds=KINDS, event_types=["price.*"])
    office.happen("a")

    office.deliver(hook)

    assert office.receiver.got == []
