"""Which calls a fault strikes."""

import pytest

from calibr_sandbox.faults import FaultKind, FaultRule, Faults


def _struck(rule: FaultRule, calls: int, *, is_mutation: bool = True) -> list[int]:
    faults = Faults()
    faults.add(rule)
    return [number for number in range(calls) if faults.pick(is_mutation=is_mutation)]


def test_the_same_seed_strikes_the_same_calls() -> None:
    first = _struck(FaultRule(FaultKind.DROP_AFTER, rate=0.2, seed=7), 500)

    assert first == _struck(FaultRule(FaultKind.DROP_AFTER, rate=0.2, seed=7), 500)
    assert first != _struck(FaultRule(FaultKind.DROP_AFTER, rate=0.2, seed=8), 500)
    assert 60 < len(first) < 140


def test_a_count_limits_the_hits() -> None:
    assert _struck(FaultRule(FaultKind.SERVER_ERROR, count=2), 10) == [0, 1]


def test_a_rule_for_mutations_leaves_queries_alone() -> None:
    assert _struck(FaultRule(FaultKind.THROTTLE, mutations_only=True), 5, is_mutation=False) == []


def test_the_first_rule_that_strikes_decides() -> None:
    faults = Faults()
    faults.add(FaultRule(FaultKind.DROP_BEFORE, count=1))
    faults.add(FaultRule(FaultKind.SERVER_ERROR))

    assert [faults.pick(is_mutation=True) for _ in range(2)] == [FaultKind.DROP_BEFORE, FaultKind.SERVER_ERROR]


@pytest.mark.parametrize(("fields", "message"), [({"rate": 1.5}, "rate: 1.5"), ({"count": -1}, "count: -1")])
def test_a_rule_that_makes_no_sense_is_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FaultRule(FaultKind.THROTTLE, **fields)  # type: ignore[arg-type]
