"""The bucket that processes share, by itself."""

import pytest

from calibr.connectors.shopify.bucket import PROBE_S, Asked, Bucket, Ended, Exchange, Reservation, Turn
from calibr.connectors.shopify.errors import CostReport


class Caller:
    """One process that speaks with a bucket."""

    def __init__(self, bucket: Bucket, name: str = "p") -> None:
        self.bucket = bucket
        self.name = name
        self.points = 0

    def ask(self, cost: int, now: float, left_s: float = 1e9) -> Turn | None:
        said = Exchange(self.name, self.points, 100.0, asked=(Asked(cost, left_s),))
        (turn,) = self.bucket.exchange(said, now).given
        if turn is not None and turn.held is not None:
            self.points += cost
        return turn

    def take(self, cost: int, now: float) -> Reservation:
        turn = self.ask(cost, now)
        assert turn is not None
        assert turn.held is not None
        return turn.held

    def end(self, ended: Ended, now: float) -> None:
        self.points -= ended.held.cost
        self.bucket.exchange(Exchange(self.name, self.points, 100.0, ended=(ended,)), now)

    def would_wait(self, cost: int, now: float) -> float:
        """How long a call would have to wait, without booking it."""
        other = Bucket.of(self.bucket.as_state(), now)
        turn = Caller(other, "curious").ask(cost, now)
        assert turn is not None
        return turn.wait_s


def known(available: int, rate: int = 100) -> Caller:
    caller = Caller(Bucket())
    caller.end(Ended(caller.take(0, 0.0), 0, CostReport(0, 0, 2_000, available, rate)), 0.0)
    return caller


def test_before_the_first_answer_the_cheapest_call_of_all_processes_goes_alone() -> None:
    bucket = Bucket()
    asked = (Asked(60, 9.0), Asked(10, 9.0), Asked(20, 9.0))

    turns = bucket.exchange(Exchange("p", 0, 100.0, asked=asked), 0.0)
    held = Reservation(10, 0)
    others = [
        bucket.exchange(Exchange(name, points, 100.0, asked=(Asked(1, 9.0),)), 4.9).given
        for name, points in (("p", held.cost), ("q", 0))
    ]
    answered = Ended(held, 10, CostReport(10, 10, 2_000, 1_990, 100))
    after = bucket.exchange(Exchange("p", 0, 100.0, (answered,), asked), 4.95)

    assert turns.given == (None, Turn(0.0, held), None)
    assert not turns.is_known
    assert others == [(None,), (None,)]
    assert after.is_known
    assert [turn and turn.wait_s for turn in after.given] == [0.0, 0.0, 0.0]


def test_a_probe_without_an_answer_leaves_it_to_the_next_call_of_anybody() -> None:
    caller = Caller(Bucket())
    other = Caller(caller.bucket, "q")

    caller.end(Ended(caller.take(10, 0.0), 10), 1.0)

    assert other.take(10, 1.0).cost == 10
    assert caller.ask(10, 1.0) is None


def test_a_probe_of_a_process_that_died_is_not_waited_for_long() -> None:
    bucket = Bucket()
    Caller(bucket, "dead").take(10, 0.0)
    others = [Caller(bucket, name) for name in ("q", "r")]

    assert [other.ask(10, PROBE_S - 0.01) for other in others] == [None, None]
    assert others[0].take(10, PROBE_S).cost == 10
    assert others[1].ask(10, PROBE_S) is None


def test_a_probe_is_not_waited_for_longer_than_a_call_may_take() -> None:
    bucket = Bucket()
    asked = (Asked(10, 9.0),)

    turns = [
        bucket.exchange(Exchange(name, 0, 1.5, asked=asked), now).given[0]
        for name, now in (("p", 0.0), ("q", 1.4), ("q", 1.5))
    ]

    assert [turn is None for turn in turns] == [False, True, False]


def test_a_probe_whose_turn_got_lost_on_its_way_is_given_again() -> None:
    caller = Caller(Bucket())
    caller.take(10, 0.0)
    caller.points = 0

    assert caller.take(10, 0.1).cost == 10


def test_a_probe_that_has_to_wait_for_the_end_of_a_pause_is_waited_for_after_it() -> None:
    caller = Caller(Bucket())
    caller.end(Ended(caller.take(10, 0.0), 0, refused=True, retry_after_s=20.0), 0.0)

    assert caller.ask(10, 0.0, left_s=30.0) == Turn(20.0, Reservation(10, 0))
    assert Caller(caller.bucket, "q").ask(10, 0.0, left_s=10.0) == Turn(20.0, None)
    assert Caller(caller.bucket, "q").ask(10, 20.0 + PROBE_S - 0.01) is None


def test_a_level_that_is_older_than_the_bucket_takes_to_fill_is_asked_for_by_one_call() -> None:
    caller = known(0)

    assert [caller.take(10, 20.0).cost for _ in range(2)] == [10, 10]
    assert Caller(caller.bucket, "q").take(10, 20.1).cost == 10
    assert caller.ask(10, 20.1) is None
    assert caller.bucket.view(20.1).known


def test_a_call_without_an_answer_counts_as_spent() -> None:
    caller = known(100)

    caller.end(Ended(caller.take(100, 0.0), 100), 0.0)

    assert caller.would_wait(50, 0.0) == pytest.approx(0.5)


def test_a_call_that_never_left_costs_nothing() -> None:
    caller = known(100)

    caller.end(Ended(caller.take(100, 0.0), 0), 0.0)

    assert caller.would_wait(100, 0.0) == 0


def test_waits_for_exactly_the_missing_points_behind_all_that_is_booked() -> None:
    caller = known(40)

    assert caller.ask(100, 0.0) == Turn(pytest.approx(0.6), Reservation(100, 0))
    assert Caller(caller.bucket, "q").ask(50, 0.0) == Turn(pytest.approx(1.1), Reservation(50, 0))


def test_what_cannot_be_there_in_time_is_not_booked() -> None:
    caller = known(0)

    turn = caller.ask(100, 0.0, left_s=0.9)

    assert turn == Turn(1.0, None)
    assert caller.would_wait(10, 0.0) == pytest.approx(0.1)


def test_what_starts_much_later_than_the_first_is_left_to_others() -> None:
    caller = known(0)
    asked = tuple(Asked(5, 60.0) for _ in range(10))

    turns = caller.bucket.exchange(Exchange("p", 0, 100.0, asked=asked), 0.0)

    assert [turn and turn.wait_s for turn in turns.given[:3]] == pytest.approx([0.05, 0.1, 0.15])
    assert turns.given[3:] == (None,) * 7


def test_points_that_come_back_bring_what_is_booked_forward() -> None:
    caller = known(100)
    held = caller.take(100, 0.0)
    caller.take(50, 0.0)

    said = Exchange("p", 50, 100.0, ended=(Ended(held, 0),))

    assert caller.bucket.exchange(said, 0.0).paid_in_s == 0


def test_a_call_dearer_than_the_bucket_is_left_to_the_store() -> None:
    assert known(2_000).would_wait(5_000, 0.0) == 0


def test_refusals_in_a_row_wait_longer_each_time_and_an_answer_ends_that() -> None:
    caller = known(1_000)
    full = CostReport(10, None, 2_000, 1_000, 100)
    waits = []
    now = 0.0
    for _ in range(4):
        caller.end(Ended(caller.take(10, now), 0, full, refused=True), now)
        waits.append(caller.would_wait(10, now))
        now += waits[-1]

    assert waits == pytest.approx([0.05, 0.1, 0.2, 0.4])
    caller.end(Ended(caller.take(10, now), 10, CostReport(10, 10, 2_000, 1_000, 100)), now)
    caller.end(Ended(caller.take(10, now), 0, full, refused=True), now)
    assert caller.would_wait(10, now) == pytest.approx(0.05)


def test_an_answer_older_than_calls_of_another_process_does_not_give_their_points_back() -> None:
    caller = known(100)
    other = Caller(caller.bucket, "q")
    early, late = caller.take(10, 0.0), other.take(80, 0.0)

    other.end(Ended(late, 80, CostReport(80, 80, 2_000, 10, 100)), 0.0)
    caller.end(Ended(early, 10, CostReport(10, 10, 2_000, 90, 100)), 0.0)

    assert caller.bucket.view(0.0).available == 10


def test_an_answer_that_is_told_late_counts_with_what_was_restored_since() -> None:
    caller = known(0)

    caller.end(Ended(caller.take(0, 5.0), 0, CostReport(0, 0, 2_000, 300, 100), age_s=2.0), 5.0)

    assert caller.bucket.view(5.0).available == 500


def test_what_is_booked_and_not_sent_is_not_in_an_answer_yet() -> None:
    caller = known(100)
    sent = caller.take(100, 0.0)
    caller.take(50, 0.0)

    caller.end(Ended(sent, 100, CostReport(100, 100, 2_000, 0, 100)), 0.0)

    assert caller.would_wait(10, 0.0) == pytest.approx(0.6)


def test_a_process_that_is_gone_holds_nothing_and_an_answer_gives_its_points_back() -> None:
    caller = known(2_000)
    gone = Caller(caller.bucket, "gone")
    gone.take(500, 0.0)
    unsent = CostReport(10, 10, 2_000, 1_990, 100)

    caller.end(Ended(caller.take(10, 99.0), 10, unsent), 99.0)
    assert "gone" in caller.bucket.holders
    caller.bucket.level = 0.0
    caller.end(Ended(caller.take(10, 100.0), 10, unsent), 100.0)
    caller.end(Ended(caller.take(10, 100.0), 10, unsent), 100.0)

    assert "gone" not in caller.bucket.holders
    assert caller.bucket.view(100.0).available == 1_990


def test_a_clock_that_is_set_back_stops_nobody() -> None:
    caller = known(0)
    now = 1_000.0
    caller.end(Ended(caller.take(10, now), 0, CostReport(10, None, 2_000, 0, 100), refused=True), now)

    assert caller.would_wait(10, now - 0.5) == pytest.approx(0.1)
    assert Caller(Bucket.of(caller.bucket.as_state(), now - 900)).take(10, now - 900).cost == 10


def test_an_answer_to_a_call_that_a_lost_bucket_granted_does_not_tell_the_level() -> None:
    early = known(1_000).take(10, 5.0)
    caller = Caller(Bucket.of(None, 6.0))
    probe = caller.take(10, 6.0)

    late = Ended(early, 10, CostReport(10, 10, 2_000, 900, 100), age_s=1.0)
    caller.bucket.exchange(Exchange("q", 0, 100.0, ended=(late,)), 6.0)
    assert Caller(caller.bucket, "r").ask(10, 6.0) is None
    caller.end(Ended(probe, 10, CostReport(10, 10, 2_000, 300, 100)), 6.0)
    assert caller.bucket.view(6.0).available == 290, "less what ended while it ran"


def test_follows_a_rate_that_the_store_changes() -> None:
    caller = known(0)

    caller.end(Ended(caller.take(10, 1.0), 10, CostReport(10, 10, 1_000, 0, 50)), 1.0)

    view = caller.bucket.view(1.0)
    assert (view.maximum, view.restore_rate) == (1_000, 50)
    assert caller.would_wait(50, 1.0) == pytest.approx(1.0)


@pytest.mark.parametrize("state", [None, {}, {"version": 0, "level": 3}])
def test_a_state_of_another_version_is_an_unknown_bucket(state: object) -> None:
    assert Bucket.of(state, 0.0) == Bucket()


def test_calls_that_are_refused_together_slow_down_once() -> None:
    caller = known(2_000)
    held = [caller.take(10, 1.0) for _ in range(8)]

    for each in held:
        caller.end(Ended(each, 0, refused=True, age_s=0.01), 1.1)

    assert caller.bucket.refused == 8
    assert caller.bucket.paused_until == pytest.approx(1.09 + 0.05)


def test_what_a_refusal_asks_for_counts_from_its_answer_on() -> None:
    caller = known(2_000)
    held = caller.take(10, 1.0)

    caller.end(Ended(held, 0, refused=True, age_s=60.0, retry_after_s=30.0), 62.0)

    assert caller.bucket.paused_until < 62.0


def test_a_booking_that_was_given_up_takes_no_points_when_an_answer_comes() -> None:
    caller = known(2_000)
    probe = caller.take(10, 1.0)
    caller.end(Ended(probe, 0, refused=True, retry_after_s=20.0), 1.0)
    for each in [caller.take(50, 1.1) for _ in range(30)]:
        caller.end(Ended(each, 0), 1.2)

    caller.end(Ended(caller.take(0, 1.3), 0, CostReport(0, 0, 2_000, 1_900, 100)), 1.4)

    assert caller.bucket.level == pytest.approx(1_900, abs=20)


@pytest.mark.parametrize("change", [{"holders": 7}, {"booked": [1]}, {"more": 1}, {"at": None}, {"holders": {"p": {}}}])
def test_a_row_that_cannot_be_read_is_one_that_nobody_knows(change: dict[str, object]) -> None:
    state = known(2_000).bucket.as_state() | change

    assert Bucket.of(state, 5.0) == Bucket(began_at=5.0)
