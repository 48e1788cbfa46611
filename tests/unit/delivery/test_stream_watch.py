"""What acknowledgements and looks at a stream are worth, without a server."""

from calibr.delivery import Outcome, Ready
from calibr.delivery.jetstream.watch import Sight, StreamWatch


def sight(last_seq: int, created: str = "then", first_seq: int = 1) -> Sight:
    return Sight(created, first_seq, last_seq, 120.0)


def acknowledge(watch: StreamWatch, seq: int, *, is_repeat: bool = False) -> Outcome:
    return watch.judge(seq, is_repeat=is_repeat, above=watch.begin()).outcome


def test_what_was_acknowledged_must_be_there() -> None:
    watch = StreamWatch()
    watch.prepare(sight(5))
    acknowledge(watch, 7)
    acknowledge(watch, 6, is_repeat=True)
    expected = watch.expected()
    assert expected is not None

    assert expected.is_met_by(sight(7))
    assert not expected.is_met_by(sight(6))
    assert not expected.is_met_by(sight(9, created="later"))
    assert not expected.is_met_by(sight(7, first_seq=7))


def test_acknowledgements_may_arrive_in_any_order_of_their_lanes() -> None:
    watch = StreamWatch()
    watch.prepare(sight(0))
    one, other = watch.begin(), watch.begin()

    assert watch.judge(2, is_repeat=False, above=one).outcome is Outcome.DELIVERED
    assert watch.judge(1, is_repeat=False, above=other).outcome is Outcome.DELIVERED

    expected = watch.expected()
    assert expected is not None
    assert expected.last_seq == 2


def test_a_number_that_was_taken_before_is_a_loss_until_the_work_goes_on() -> None:
    watch = StreamWatch()
    known = watch.prepare(sight(3))

    assert acknowledge(watch, 3) is Outcome.RETRY
    acknowledge(watch, 9)

    assert watch.expected() is None
    assert Ready(watch.prepare(sight(9))).has_lost(known)
    assert Ready(watch.prepare(sight(9))).has_lost(known)
    assert acknowledge(watch, 10) is Outcome.DELIVERED
    assert watch.expected() is not None
    assert watch.prepare(sight(10)) == {"created": "then", "last_seq": 10}


def test_each_loss_is_told_though_the_last_one_was_remembered() -> None:
    watch = StreamWatch()
    remembered = watch.prepare(sight(3))
    for _ in range(3):
        assert acknowledge(watch, 2) is Outcome.RETRY
        told = watch.prepare(sight(9))
        assert Ready(told).has_lost(remembered)
        remembered = told


def test_a_loss_that_shows_after_the_last_one_was_told_is_not_forgotten_by_other_lanes() -> None:
    watch = StreamWatch()
    watch.prepare(sight(3))
    acknowledge(watch, 2)
    watch.prepare(sight(9))
    above = watch.begin()
    watch.judge(8, is_repeat=False, above=above)

    watch.begin()

    assert watch.expected() is None
