"""Which calls a fault strikes."""

import orjson
import pytest

from calibr_sandbox.fault_file import PRESETS, as_document, read_rules
from calibr_sandbox.faults import FaultKind, FaultRule, Faults
from calibr_sandbox.testing import ManualClock


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


def test_a_rule_strikes_only_within_its_time() -> None:
    clock = ManualClock(now=100.0)
    faults = Faults(clock)
    faults.add(FaultRule(FaultKind.SERVER_ERROR, between=(2, 5)))

    struck = []
    for clock.now in (100.0, 101.9, 102.0, 104.9, 105.0):
        struck.append(faults.pick(is_mutation=True) is not None)

    assert struck == [False, False, True, True, False]


def test_rules_for_webhooks_strike_no_calls_and_the_other_way_round() -> None:
    faults = Faults()
    faults.add(FaultRule(FaultKind.DUPLICATE_WEBHOOKS))
    faults.add(FaultRule(FaultKind.SERVER_ERROR))

    fault = faults.pick(is_mutation=True)

    assert fault is not None
    assert (fault.kind, faults.pick_for_webhook()) == (FaultKind.SERVER_ERROR, FaultKind.DUPLICATE_WEBHOOKS)
    assert faults.hits == {"server_error": 1, "duplicate_webhooks": 1}


@pytest.mark.parametrize("kind", [FaultKind.DELAY_BEFORE, FaultKind.DELAY_AFTER, FaultKind.SLOW_BODY])
def test_a_delay_stays_within_its_jitter(kind: FaultKind) -> None:
    faults = Faults()
    faults.add(FaultRule(kind, delay_s=0.1, delay_jitter_s=0.2))

    delays = [fault.delay_s for _ in range(50) if (fault := faults.pick(is_mutation=True))]

    assert len(set(delays)) > 40
    assert all(0.1 <= delay <= 0.3 for delay in delays)


def test_the_default_faults_read_back_as_they_are_printed() -> None:
    printed = orjson.loads(orjson.dumps(as_document(PRESETS["default"])))

    assert read_rules(printed) == list(PRESETS["default"])
    assert {rule.kind for rule in PRESETS["default"]} == set(FaultKind) - {FaultKind.SLOW_BODY}


def test_a_fault_file_may_be_an_object_with_faults_and_rates_of_webhooks() -> None:
    rule = {"kind": "throttle", "operations": ["CalibrPrices"], "between": [0, 1.5]}

    rules = read_rules({"faults": [rule], "webhooks": {"duplicate_webhooks": 0.25}})

    assert rules == [
        FaultRule(FaultKind.THROTTLE, operations=("CalibrPrices",), between=(0, 1.5)),
        FaultRule(FaultKind.DUPLICATE_WEBHOOKS, rate=0.25),
    ]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "a fault file holds a JSON list"),
        ([1], "rule 0: 1 is no object"),
        ([{"kind": "throttle"}, {"kind": "sabotage"}], "rule 1: kind: 'sabotage' is not one of throttle"),
        ([{"kind": "throttle", "rte": 1}], "rule 0: rte: is not known"),
        ([{"kind": "throttle", "rate": "1"}], "rule 0: rate: '1' is not a whole number or a number"),
        ([{"kind": "throttle", "rate": 2}], "rule 0: rate: 2 is not between 0 and 1"),
        ([{"kind": "throttle", "rate": None}], "rule 0: rate: None is not a whole number or a number"),
        ([{"kind": "throttle", "count": True}], "rule 0: count: True is not a whole number or null"),
        ([{"kind": "delay_before", "delay_s": -1}], "rule 0: delay_s: -1 is not between"),
        ([{"kind": "throttle", "operations": [1]}], "rule 0: operations: 1 is not text"),
        ([{"kind": "throttle", "operations": "CalibrPrices"}], "rule 0: operations: 'CalibrPrices' is not a list"),
        ([{"kind": "throttle", "between": [1]}], r"rule 0: between: \[1\] is not two numbers"),
        ([{"kind": "throttle", "between": [5, 2]}], r"rule 0: between: \[5, 2\] is no span of time"),
        ({"fautls": []}, "fautls: is not known; a fault file holds faults and webhooks"),
        ({"faults": {}}, "a fault file holds a JSON list of rules, not an object"),
        ({"webhooks": 1}, "webhooks: 1 is no object of rates"),
        ({"webhooks": {"throttle": 1}}, "webhooks: 'throttle' is not one of duplicate_webhooks, reorder_webhooks"),
        ({"webhooks": {"reorder_webhooks": 2}}, "webhooks: reorder_webhooks: rate: 2 is not between 0 and 1"),
    ],
)
def test_a_bad_fault_file_is_refused_by_rule_and_field(document: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_rules(document)
