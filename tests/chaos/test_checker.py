"""The checker itself: it finds each kind of violation that is planted into good evidence, and nothing else."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from check import Findings, check_plan, judge
from evidence import Change, Delivery, Event, Item, StoreWrite
from plan_root import root_of

CHECKER = Path(__file__).parent / "checker"
N = 6


def event(seq: int, kind: str, aggregate: str, payload: dict[str, object]) -> Event:
    document = {"event_id": f"e{seq}", "type": kind, "aggregate_type": "product", "aggregate_id": aggregate,
                "actor": "system:worker", "payload": payload}  # fmt: skip
    body = json.dumps(document).encode()
    return Event(
        seq,
        f"e{seq}",
        kind,
        "product",
        aggregate,
        body,
        hashlib.sha256(b"\0" + body).digest(),
        {"actor": "system:worker"},
    )


def told(seq: int, number: int) -> Event:
    before, after = {"unit_amount": 1000, "compare_at": None}, {"unit_amount": 900, "compare_at": None}
    return event(seq, "price.changed", f"p{number}", {"before": before, "after": after})


class Evidence:
    """A plan of six items, all applied and told but the last one, which somebody edited."""

    def __init__(self) -> None:
        states = dict.fromkeys(range(1, N), "applied") | {N: "drifted"}
        items = {str(n): Item(str(n), f"p{n}", "USD", (1000, None), (900, None), state) for n, state in states.items()}
        self.change = Change("c", "partially_applied", "root", "root", items)
        self.journal = [StoreWrite(1, "hand", str(N), "10.00", None, "1.23", None)]
        self.journal += [StoreWrite(1 + n, "api", str(n), "10.00", None, "9.00", None) for n in range(1, N)]
        self.events = [told(n, n) for n in range(1, N)]
        drifted = {"sent": False}
        self.events.append(event(N, "price_change.item_drifted", f"p{N}", drifted))
        self.deliveries = [Delivery(e.event_id, e.seq, e.aggregate_id, had_effect=True) for e in self.events]
        self.head = N

    def judged(self) -> Findings:
        return judge([self.change], self.journal, self.events, self.head, self.deliveries)

    def broken(self) -> set[str]:
        found = self.judged()
        return {name for name, offences in {**found.violations, **found.integrity}.items() if offences}

    def state(self, number: int, state: str) -> None:
        self.change.items[str(number)] = replace(self.change.items[str(number)], state=state)


@pytest.fixture
def evidence() -> Evidence:
    return Evidence()


def test_good_evidence_has_no_violation(evidence: Evidence) -> None:
    assert evidence.broken() == set()
    assert set(evidence.judged().document()["violations"]) == {
        *("lost_items", "duplicate_writes", "unaudited_changes", "external_edits_overwritten"),
        *("events_lost", "effects_twice", "reorders", "gaps"),
    }


def test_repeated_arrivals_without_effect_are_fine(evidence: Evidence) -> None:
    evidence.deliveries.append(replace(evidence.deliveries[0], had_effect=False))

    assert evidence.broken() == set()


def test_a_write_under_somebody_elses_edit_is_fine_if_it_is_told_as_possible(evidence: Evidence) -> None:
    evidence.journal = [StoreWrite(1, "api", str(N), "10.00", None, "9.00", None), *evidence.journal[1:]]
    evidence.events[-1] = event(N, "price_change.item_drifted", f"p{N}", {"sent": True})
    evidence.deliveries[-1] = Delivery(f"e{N}", N, f"p{N}", had_effect=True)

    assert evidence.broken() == set()


def test_an_item_that_is_left_open_is_lost(evidence: Evidence) -> None:
    evidence.state(2, "sending")

    assert "lost_items" in evidence.broken()


def test_an_applied_item_that_the_store_never_had_is_lost(evidence: Evidence) -> None:
    del evidence.journal[3]

    assert "lost_items" in evidence.broken()


def test_a_second_write_of_the_same_price_is_a_duplicate(evidence: Evidence) -> None:
    evidence.journal.append(StoreWrite(99, "api", "2", "9.00", None, "9.00", None))

    assert "duplicate_writes" in evidence.broken()


def test_a_write_of_something_else_is_a_duplicate(evidence: Evidence) -> None:
    evidence.journal.append(StoreWrite(99, "api", "2", "9.00", None, "8.00", None))

    assert "duplicate_writes" in evidence.broken()


def test_a_write_of_a_variant_that_is_in_no_plan_is_found(evidence: Evidence) -> None:
    evidence.journal.append(StoreWrite(99, "api", "77", "9.00", None, "8.00", None))

    assert {"duplicate_writes", "unaudited_changes"} <= evidence.broken()


def test_an_edit_that_is_written_over_is_found(evidence: Evidence) -> None:
    evidence.journal.append(StoreWrite(99, "api", str(N), "1.23", None, "9.00", None))

    assert "external_edits_overwritten" in evidence.broken()


def test_a_compare_at_price_that_somebody_set_counts_too(evidence: Evidence) -> None:
    evidence.journal[2] = replace(evidence.journal[2], compare_at_before="12.00")

    assert "external_edits_overwritten" in evidence.broken()


def test_a_write_without_an_event_is_unaudited(evidence: Evidence) -> None:
    evidence.events[2] = event(3, "price_change.item_noop", "p3", {})

    assert evidence.broken() == {"unaudited_changes"}


def test_an_event_without_a_write_is_found(evidence: Evidence) -> None:
    evidence.events.append(told(N + 1, N))
    evidence.head += 1

    assert "unaudited_changes" in evidence.broken()


def test_an_event_with_other_amounts_is_found(evidence: Evidence) -> None:
    wrong = {"before": {"unit_amount": 1, "compare_at": None}, "after": {"unit_amount": 900, "compare_at": None}}
    evidence.events[0] = event(1, "price.changed", "p1", wrong)

    assert "unaudited_changes" in evidence.broken()


def test_an_event_that_never_arrived_is_lost(evidence: Evidence) -> None:
    del evidence.deliveries[1]

    assert evidence.broken() == {"events_lost"}


def test_two_effects_of_one_event_are_found(evidence: Evidence) -> None:
    evidence.deliveries.append(evidence.deliveries[-1])

    assert "effects_twice" in evidence.broken()


def test_effects_out_of_order_are_found(evidence: Evidence) -> None:
    evidence.events.append(told(N + 1, 1))
    evidence.head += 1
    evidence.deliveries.insert(0, Delivery(f"e{N + 1}", N + 1, "p1", had_effect=True))

    assert "reorders" in evidence.broken()


@pytest.mark.parametrize("loss", ["in the middle", "at the end"])
def test_a_gap_in_the_log_is_found(evidence: Evidence, loss: str) -> None:
    del evidence.events[2 if loss == "in the middle" else -1]

    assert "gaps" in evidence.broken()


def test_bytes_that_were_changed_are_found(evidence: Evidence) -> None:
    evidence.events[1] = replace(evidence.events[1], body=evidence.events[1].body.replace(b"1000", b"1001"))

    assert "leaves_wrong" in evidence.broken()


def test_columns_that_tell_another_story_than_the_bytes_are_found(evidence: Evidence) -> None:
    evidence.events[1] = replace(evidence.events[1], columns={"actor": "user:somebody"})

    assert evidence.broken() == {"envelopes_wrong"}


def test_a_plan_that_was_changed_after_its_approval_is_found(evidence: Evidence) -> None:
    text = b"header\n" + b"".join(b"row %d\n" % n for n in range(N))
    change = replace(evidence.change, plan_root=root_of(text), approved_root=root_of(text))

    assert check_plan(change, text) == []
    assert len(check_plan(change, text.replace(b"row 3", b"row X"))) == 1
    assert len(check_plan(replace(change, approved_root="other"), text)) == 1
    assert len(check_plan(change, text + b"row 7\n")) == 2


def test_the_checker_shares_no_code_with_the_product() -> None:
    for path in CHECKER.glob("*.py"):
        lines = path.read_text().splitlines()
        assert [line for line in lines if line.startswith(("import calibr", "from calibr"))] == []
