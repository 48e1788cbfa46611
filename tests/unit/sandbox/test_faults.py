"""Which calls a fault strikes."""

import pytest

from calibr_sandbox.faults import DEFAULT, FaultKind, FaultRule, Faults, as_document, read_rules


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

    picked = [faults.pick(is_mutation=True) for _ in range(2)]

    assert [fault and fault.kind for fault in picked] == [FaultKind.DROP_BEFORE, FaultKind.SERVER_ERROR]


@pytest.mark.parametrize(("fields", "message"), [({"rate": 1.5}, "rate: 1.5"), ({"count": -1}, "count: -1")])
def test_a_rule_that_makes_no_sense_is_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FaultRule(FaultKind.THROTTLE, **fields)  # type: ignore[arg-type]


def test_a_burst_strikes_the_calls_after_a_hit_too() -> None:
    struck = _struck(FaultRule(FaultKind.THROTTLE, rate=0.02, seed=3, burst=4), 400)

    assert len(struck) >= 20
    assert struck[:5] == list(range(struck[0], struck[0] + 5))


def test_a_rule_for_operations_leaves_others_alone() -> None:
    faults = Faults()
    faults.add(FaultRule(FaultKind.SERVER_ERROR, operations=("CalibrPrices",)))

    assert faults.pick(is_mutation=False, operation="CalibrShop") is None
    assert faults.pick(is_mutation=False, operation="CalibrPrices") is not None


def test_a_delay_stays_within_its_jitter() -> None:
    faults = Faults()
    faults.add(FaultRule(FaultKind.DELAY_BEFORE, delay_s=0.1, jitter_s=0.2))

    delays = [fault.delay_s for _ in range(50) if (fault := faults.pick(is_mutation=True))]

    assert len(set(delays)) > 40
    assert all(0.1 <= delay <= 0.3 for delay in delays)


def test_the_default_faults_read_back_as_they_are_printed() -> None:
    assert read_rules(as_document(DEFAULT)) == list(DEFAULT)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "a fault file holds a JSON list"),
        ([1], "rule 0: 1 is no object"),
        ([{"kind": "throttle"}, {"kind": "sabotage"}], "rule 1: kind: 'sabotage' is not one of throttle"),
        ([{"kind": "throttle", "rte": 1}], "rule 0: rte: is not known"),
        ([{"kind": "throttle", "rate": "1"}], "rule 0: rate: '1' is not int or float"),
        ([{"kind": "throttle", "rate": 2}], "rule 0: rate: 2 is not between 0 and 1"),
        ([{"kind": "delay_before_commit", "delay_s": -1}], "rule 0: delay_s: -1 is not between"),
    ],
)
def test_a_bad_fault_file_is_refused_by_rule_and_field(document: object, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        read_rules(document)
