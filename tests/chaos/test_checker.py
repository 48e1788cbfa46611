"""The checker itself: it finds each kind of violation that is planted into good evidence, and nothing else."""

import ast
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from check import VIOLATIONS, check_plan
from evidence import Delivery, StoreWrite, read_deliveries, read_store
from planted import AFTER, BEFORE, DAY, Case, N, drifted, event, told

from calibr.access import create_tenant
from calibr.core.ids import new_uuid
from calibr.db import Context, Database, ServerUrl
from calibr.events import list_audit

CHECKER = Path(__file__).parent / "checker"


@pytest.fixture
def case() -> Case:
    return Case()


def test_good_evidence_has_no_violation(case: Case) -> None:
    assert case.broken() == set()
    assert set(case.judged().document()["violations"]) == {
        *("lost_items", "duplicate_writes", "unaudited_changes", "external_edits_overwritten"),
        *("events_lost", "effects_twice", "reorders", "gaps"),
    }
    assert tuple(case.judged().violations) == VIOLATIONS


def test_repeated_arrivals_without_effect_are_fine(case: Case) -> None:
    case.deliveries.append(replace(case.deliveries[0], had_effect=False))

    assert case.broken() == set()


def test_a_write_under_somebody_elses_edit_is_fine_if_it_is_told_as_possible(case: Case) -> None:
    case.journal[0] = StoreWrite(1, "api", str(N), "10.00", None, "9.00", None)
    case.write(StoreWrite(90, "hand", str(N), "9.00", None, "1.23", None))
    case.exchange(-1, drifted(N, N, sent=True))

    assert case.broken() == set()


def test_a_rollback_accounts_for_its_own_writes(case: Case) -> None:
    items = {n: replace(i, before=AFTER, after=BEFORE, event_id=f"e{N + int(n)}") for n, i in case.change.items.items()}
    del items[str(N)]
    case.later = [replace(case.change, id="back", items=items, counts=None)]
    for n in range(1, N):
        case.write(StoreWrite(100 + n, "api", str(n), "9.00", None, "10.00", None, 7_000))
        case.append(told(N + n, n, AFTER, BEFORE, "back"))

    assert case.broken() == set()

    del case.journal[-1]
    case.shown[str(N - 1)] = ("9.00", None)
    assert {"lost_items", "unaudited_changes"} == case.broken()


@pytest.mark.parametrize("state", ["pending", "claimed", "sending", "unknown", "retry_wait"])
def test_an_item_that_is_left_open_is_lost(case: Case, state: str) -> None:
    case.item(2, state=state)

    assert case.broken() == {"lost_items"}


def test_an_applied_item_that_the_store_never_had_is_lost(case: Case) -> None:
    del case.journal[3], case.shown["3"]

    assert "lost_items" in case.broken()


def test_a_change_that_does_not_come_to_its_end_is_lost(case: Case) -> None:
    case.change = replace(case.change, state="applying")

    assert case.broken() == {"lost_items"}


def test_an_item_that_is_said_to_be_edited_by_nobody_is_lost(case: Case) -> None:
    case.item(2, state="drifted")
    del case.journal[2], case.shown["2"]
    case.exchange(1, drifted(2, 2, sent=False))

    assert case.broken() == {"lost_items"}


def test_an_item_that_is_said_to_have_been_there_already_is_lost_if_it_was_not(case: Case) -> None:
    case.item(2, state="noop")
    del case.journal[2], case.shown["2"]
    case.exchange(1, event(2, "price_change.item_noop", "p2", {}))

    assert case.broken() == {"lost_items"}


def test_a_second_write_of_the_same_price_is_a_duplicate(case: Case) -> None:
    case.write(StoreWrite(99, "api", "2", "9.00", None, "9.00", None))

    assert case.broken() == {"duplicate_writes", "unaudited_changes"}


def test_a_write_of_something_else_is_a_duplicate(case: Case) -> None:
    case.write(StoreWrite(99, "api", "2", "9.00", None, "8.00", None))

    assert case.broken() == {"duplicate_writes", "unaudited_changes"}


def test_a_write_of_a_variant_that_is_in_no_plan_is_found(case: Case) -> None:
    case.write(StoreWrite(99, "api", "77", "9.00", None, "8.00", None))

    assert case.broken() == {"duplicate_writes", "unaudited_changes"}


def test_an_edit_that_is_written_over_is_found(case: Case) -> None:
    case.write(StoreWrite(99, "api", str(N), "1.23", None, "9.00", None, 7_000))

    assert "external_edits_overwritten" in case.broken()
    assert "6000 ms before" in case.judged().document()["evidence"]["external_edits_overwritten"][0]


def test_an_edit_that_is_written_over_after_our_own_write_is_found(case: Case) -> None:
    case.write(StoreWrite(98, "hand", "2", "9.00", None, "5.00", None))
    case.write(StoreWrite(99, "api", "2", "5.00", None, "9.00", None))

    assert {"external_edits_overwritten", "duplicate_writes"} <= case.broken()


def test_an_edit_that_came_after_the_reading_is_raced_and_not_overwritten(case: Case) -> None:
    case.journal[0] = StoreWrite(1, "hand", "2", "10.00", None, "9.99", None, 5_001)
    case.journal[2] = replace(case.journal[2], price_before="9.99")
    case.item(N, state="applied", event_id=f"e{N}")
    case.exchange(-1, told(N, N))
    case.write(StoreWrite(99, "api", str(N), "10.00", None, "9.00", None, 6_000))

    assert case.broken() == set()
    assert case.judged().document()["raced"] == 1

    case.journal[0] = replace(case.journal[0], at_ms=4_999)
    assert case.broken() == {"external_edits_overwritten"}


def test_a_write_over_an_unseen_edit_is_no_race_once_its_lease_was_over(case: Case) -> None:
    """A stopped worker that wakes up, and writes what another one has settled as edited."""
    case.journal[0] = StoreWrite(1, "hand", str(N), "10.00", None, "1.23", None, 5_500)
    case.exchange(-1, drifted(N, N, sent=True))
    case.write(StoreWrite(99, "api", str(N), "1.23", None, "9.00", None, 6_000))
    assert case.broken() == set()

    case.journal[-1] = replace(case.journal[-1], at_ms=5_001 + 120_000)
    assert case.broken() == {"external_edits_overwritten"}


def test_an_item_that_is_said_to_be_edited_otherwise_than_it_was_is_lost(case: Case) -> None:
    case.item(N, observed=(123, None))
    assert case.broken() == set()

    case.item(N, observed=(124, None))
    assert case.broken() == {"lost_items"}


def test_a_write_that_came_before_its_mark_is_found(case: Case) -> None:
    case.journal[2] = replace(case.journal[2], at_ms=4_998)
    assert case.broken() == set()

    case.journal[2] = replace(case.journal[2], at_ms=4_997)
    assert case.broken() == {"writes_unmarked"}


def test_a_compare_at_price_that_somebody_set_counts_too(case: Case) -> None:
    case.journal[2] = replace(case.journal[2], compare_at_before="12.00")

    assert case.broken() == {"external_edits_overwritten"}


def test_a_write_without_an_event_is_unaudited(case: Case) -> None:
    case.exchange(2, event(3, "price_change.item_noop", "p3", {}))

    assert case.broken() == {"unaudited_changes"}


def test_an_event_without_a_write_is_found(case: Case) -> None:
    case.append(told(N + 1, N))

    assert case.broken() == {"unaudited_changes"}


def test_a_second_event_of_one_write_is_found(case: Case) -> None:
    case.append(told(N + 1, 2))

    assert case.broken() == {"unaudited_changes"}


def test_an_event_with_other_amounts_is_found(case: Case) -> None:
    case.exchange(0, told(1, 1, (1, None)))

    assert case.broken() == {"unaudited_changes"}


def test_an_event_of_another_change_does_not_account_for_a_write(case: Case) -> None:
    case.exchange(0, told(1, 1, change="another"))

    assert case.broken() == {"unaudited_changes"}


def test_an_item_that_names_an_event_which_is_not_its_own_is_found(case: Case) -> None:
    case.item(2, event_id="e3")

    assert case.broken() == {"unaudited_changes"}


def test_an_event_that_never_arrived_is_lost(case: Case) -> None:
    del case.deliveries[1]

    assert case.broken() == {"events_lost"}


def test_only_events_after_the_subscription_are_expected(case: Case) -> None:
    del case.deliveries[:2]
    case.starts_after = 2

    assert case.broken() == set()


def test_two_effects_of_one_event_are_found(case: Case) -> None:
    case.deliveries.append(case.deliveries[-1])

    assert case.broken() == {"effects_twice"}


def test_effects_out_of_order_are_found(case: Case) -> None:
    case.append(event(N + 1, "price_change.item_noop", "p1", {}))
    case.deliveries.insert(0, case.deliveries.pop())

    assert case.broken() == {"reorders"}


@pytest.mark.parametrize(
    "wrong", [{"is_signed": False}, {"leaf": "00"}, {"event_id": "e77", "seq": 0, "had_effect": False}]
)
def test_an_arrival_that_is_not_what_the_log_holds_is_found(case: Case, wrong: dict[str, object]) -> None:
    case.deliveries.append(replace(case.deliveries[2], **{"had_effect": False, **wrong}))  # type: ignore[arg-type]

    assert case.broken() == {"deliveries_wrong"}


@pytest.mark.parametrize(("number", "name"), [(-1, "events_lost"), (1, "effects_twice")])
def test_a_projection_that_counted_wrong_is_found(case: Case, number: int, name: str) -> None:
    case.activity.counted[DAY, "price.changed"] += number

    assert case.broken() == {name}


@pytest.mark.parametrize("loss", ["in the middle", "at the end"])
def test_a_gap_in_the_log_is_found(case: Case, loss: str) -> None:
    del case.events[2 if loss == "in the middle" else -1]

    assert "gaps" in case.broken()


def test_an_event_beyond_the_counter_is_found(case: Case) -> None:
    case.head -= 1

    assert case.broken() == {"gaps"}


def test_bytes_that_were_changed_are_found(case: Case) -> None:
    case.events[1] = replace(case.events[1], body=case.events[1].body.replace(b"1000", b"1001"))

    assert "leaves_wrong" in case.broken()


def test_columns_that_tell_another_story_than_the_bytes_are_found(case: Case) -> None:
    case.events[1] = replace(case.events[1], columns={"actor": "user:somebody"})

    assert case.broken() == {"envelopes_wrong"}


def test_a_write_of_an_item_that_failed_needs_its_event_too(case: Case) -> None:
    case.item(2, state="failed", event_id=None)
    case.exchange(1, event(2, "price_change.item_failed", "p2", {}))

    assert case.broken() == {"unaudited_changes"}


def test_an_event_of_a_product_in_no_plan_is_found(case: Case) -> None:
    case.append(told(N + 1, 77))

    assert case.broken() == {"unaudited_changes"}


def test_a_price_that_somebody_had_written_already_needs_no_write_of_ours(case: Case) -> None:
    case.item(2, state="noop")
    case.journal[2] = replace(case.journal[2], source="hand")
    case.exchange(1, event(2, "price_change.item_noop", "p2", {}))
    assert case.broken() == set()

    case.journal[2] = replace(case.journal[2], price="8.00")
    case.shown["2"] = ("8.00", None)
    assert case.broken() == {"lost_items"}


def test_a_journal_whose_writes_do_not_follow_each_other_is_found(case: Case) -> None:
    case.write(StoreWrite(98, "hand", "2", "7.00", None, "5.00", None))

    assert case.broken() == {"journal_wrong"}


def test_a_journal_with_a_hole_is_found(case: Case) -> None:
    case.shown["2"] = ("8.00", None)

    assert case.broken() == {"journal_wrong"}


def test_counts_that_are_not_those_of_the_items_are_found(case: Case) -> None:
    case.change = replace(case.change, counts={"applied": N})

    assert case.broken() == {"counts_wrong"}


def test_a_plan_that_was_changed_after_its_approval_is_found(case: Case) -> None:
    change, text = case.change, case.change.text

    assert check_plan(change, text) == []
    assert len(check_plan(replace(change, approved_root="other"), text)) == 1
    case.item(3, row="p3|list|USD|1000||899|")
    assert len(check_plan(case.change)) == 1
    assert len(check_plan(case.change, text)) == 2


def test_files_are_read_as_the_store_and_the_subscriber_write_them(tmp_path: Path, case: Case) -> None:
    store, deliveries = tmp_path / "store.db", tmp_path / "deliveries.jsonl"
    with closing(sqlite3.connect(store)) as file:
        file.executescript("""
          CREATE TABLE journal (seq INTEGER, source TEXT, variant_id INTEGER, price TEXT, compare_at_price TEXT,
                                price_before TEXT, compare_at_price_before TEXT, at_ms INTEGER,
                                price_list_id INTEGER);
          CREATE TABLE variant (id INTEGER, price TEXT, compare_at_price TEXT);
          CREATE TABLE fixed_price (price_list_id INTEGER, variant_id INTEGER, price TEXT, compare_at_price TEXT);
          INSERT INTO journal VALUES (1, 'api', 7, '9.00', NULL, '10.00', '12.00', 55, NULL);
          INSERT INTO journal VALUES (2, 'api', 7, '8.00', NULL, NULL, NULL, 56, 3);
          INSERT INTO journal VALUES (3, 'api', 8, NULL, NULL, '8.00', NULL, 57, 3);
          INSERT INTO fixed_price VALUES (3, 7, '8.00', NULL);
          INSERT INTO variant VALUES (7, '9.00', NULL);
        """)
    deliveries.write_text('{"id": "e1", "key": "p1", "effect": true, "signed": false, "leaf": "ab"}\n{"id": "e2", "ke')

    journal, shown = read_store(store)

    assert journal == [
        StoreWrite(1, "api", "7", "10.00", "12.00", "9.00", None, 55),
        StoreWrite(2, "api", "3/7", None, None, "8.00", None, 56),
        StoreWrite(3, "api", "3/8", "8.00", None, None, None, 57),
    ]
    assert (journal[0].before("USD"), journal[0].after("JPY")) == ((1000, 1200), (9, None))
    assert shown == {"7": ("9.00", None), "3/7": ("8.00", None), "3/8": (None, None)}
    assert read_deliveries(deliveries, case.events) == [
        Delivery("e1", 1, "p1", had_effect=True, is_signed=False, leaf="ab")
    ]


def run_checker(admin_url: ServerUrl, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, CHECKER, *arguments],
        env={"CHECK_DATABASE": admin_url.conninfo(), "PATH": ""},
        capture_output=True,
        check=False,
    )


def test_a_real_log_is_judged_by_the_program_itself(
    make_database: Callable[[], ServerUrl], master_key: bytes, tmp_path: Path
) -> None:
    admin_url, deliveries = make_database(), tmp_path / "deliveries.jsonl"
    with closing(Database.connect(admin_url, master_key, pool_size=1)) as database:
        tenant_id = create_tenant(database, name="Shop", admin_name="Ada").tenant_id
        with database.session(Context(tenant_id, "system:test", new_uuid())) as session:
            logged = [str(entry.id) for entry in list_audit(session)]
    lines = [json.dumps({"id": event_id, "key": event_id, "effect": True}) for event_id in logged]
    deliveries.write_text("".join(f"{line}\n" for line in lines[1:]))

    done = run_checker(admin_url, "--tenant", str(tenant_id), "--deliveries", str(deliveries))
    verdict = json.loads(done.stdout)

    # One never arrived, and the projection, which nobody ran, counted none of three types.
    assert verdict["violations"] == dict.fromkeys(VIOLATIONS, 0) | {"events_lost": 4}
    assert not any(verdict["integrity"].values())
    assert done.returncode == 1

    with psycopg.connect(admin_url.conninfo()) as admin:
        admin.execute("alter table calibr.event disable trigger user")
        admin.execute("delete from calibr.event where seq = 2")
    verdict = json.loads(run_checker(admin_url, "--tenant", str(tenant_id)).stdout)
    assert verdict["violations"] == dict.fromkeys(VIOLATIONS, 0) | {"gaps": 1}


def test_the_checker_shares_no_code_with_the_product() -> None:
    own = {path.stem for path in CHECKER.glob("*.py")}
    imported = set()
    for path in CHECKER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).partition(".")[0])
    assert imported - own - sys.stdlib_module_names == {"psycopg"}
