"""Applying a plan: what is written, what is left alone, and what becomes of every doubt."""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import psycopg
import pytest
from journeys import QUICK, Journey
from sqlalchemy import text
from stores import FakeConnector, Shop

from calibr.changes import service
from calibr.changes.apply import RunHooks, item_store, run_apply
from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.changes.model import Item, Price
from calibr.changes.reads import list_items, list_work, progress
from calibr.connectors.port import Capability, PriceWrite, WriteOutcome, WriteResult
from calibr.core.errors import Upstream
from calibr.core.ids import ConnectionId
from calibr.db import Context, Database, ServerUrl

UNREACHABLE = Upstream("upstream.unreachable", "the store does not answer", retryable=True)
UNAUTHORIZED = Upstream("upstream.unauthorized", "the store refuses the token")


@pytest.fixture
def journey(database: Database, shop: Shop, approver: Context) -> Journey:
    return Journey.begin(database, shop, approver).to(ChangeState.APPLYING)


def items_of(journey: Journey) -> dict[str, Item]:
    with journey.database.session(journey.author) as session:
        return {f"e{n}": item for n, item in enumerate(list_items(session, journey.id, limit=500))}


def versions(journey: Journey, external_id: str) -> list[tuple[int, int | None, str, bool]]:
    wanted = text(
        "select unit_amount, compare_at, source, valid_to is null from calibr.price_version "
        "where product_id = :id order by valid_from"
    )
    with journey.database.session(journey.author) as session:
        rows = session.execute(wanted, {"id": journey.shop.product(external_id)})
        return [tuple(row) for row in rows]


class Raiser:
    """Raises the first `times` times that it is called."""

    def __init__(self, times: int, error: Exception) -> None:
        self.left = times
        self.error = error

    def __call__(self, *_: object) -> None:
        if self.left:
            self.left -= 1
            raise self.error


def test_rows_that_wait_for_the_store_and_rows_that_wait_for_us_are_settled_together(
    journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = FakeConnector.write_prices, []

    def busy(connector: FakeConnector, writes: Iterable[PriceWrite], **_: object) -> list[WriteResult]:
        tries.append(0)
        if len(tries) > 1:
            return real(connector, writes)
        return [
            WriteResult(write.external_id, WriteOutcome.RETRY, retry_after_s=None if number else 1)
            for number, write in enumerate(writes)
        ]

    monkeypatch.setattr(FakeConnector, "write_prices", busy)

    assert journey.run().state is ChangeState.APPLIED


def test_a_settlement_that_fails_leaves_neither_event_nor_state(
    journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_session: object, written: list[object], **_: object) -> None:
        if written:
            raise RuntimeError("after the events, before the commit")

    with monkeypatch.context() as broken:
        broken.setattr(item_store, "record_prices", fail)
        with pytest.raises(RuntimeError):
            journey.run()

    assert journey.audit("price.changed") == []
    assert ItemState.APPLIED not in {item.state for item in items_of(journey).values()}


def test_every_written_price_has_its_event_and_its_version(journey: Journey) -> None:
    done = journey.run()

    assert done.state is ChangeState.APPLIED
    changed = journey.audit("price.changed")
    assert len(changed) == len(journey.shop.store.journal) == 10
    entry = next(e for e in changed if e.entity_id == str(journey.shop.product("e0")))
    assert entry.explain["before"] == {"unit_amount": 1000, "compare_at": None}
    assert entry.explain["after"] == entry.explain["observed"] == {"unit_amount": 900, "compare_at": None}
    assert (entry.explain["plan_root"], entry.explain["rule_hash"]) == (done.plan_root, done.rule_hash)
    assert (entry.actor, entry.correlation_id) == ("system:worker", done.correlation_id)
    assert items_of(journey)["e0"].event_id == entry.id
    assert versions(journey, "e0") == [(1000, None, "ingest", False), (900, None, "change", True)]
    (ended,) = journey.audit("price_change.applied")
    assert ended.explain["counts"] == {"applied": 10}


def test_progress_and_counts_follow_the_items(journey: Journey, database: Database) -> None:
    told: Counter[ItemState] = Counter()
    hooks = RunHooks(on_settled=lambda state, number: told.update({state: number}))

    journey.run(hooks=hooks)

    with database.session(journey.author) as session:
        seen = progress(session, journey.id)
    assert (seen.to_write, seen.done, seen.counts) == (10, 10, {ItemState.APPLIED: 10})
    assert told[ItemState.APPLIED] == 10


@pytest.mark.parametrize("other", [Price(1234, None), Price(1003, 5000)])
def test_what_somebody_else_changed_is_reported_and_never_written(journey: Journey, other: Price) -> None:
    store = journey.shop.store
    store.prices["e3"] = other

    done = journey.run()

    assert done.state is ChangeState.PARTIALLY_APPLIED
    assert done.counts == {ItemState.APPLIED: 9, ItemState.DRIFTED: 1}
    assert store.prices["e3"] == other
    assert "e3" not in dict(store.journal)
    item = items_of(journey)["e3"]
    assert (item.state, item.observed) == (ItemState.DRIFTED, other)
    (told,) = journey.audit("price_change.item_drifted")
    assert (told.explain["observed"], told.explain["sent"]) == (other.payload(), False)
    assert versions(journey, "e3") == [(1003, None, "ingest", True)]


def test_a_price_that_is_already_there_is_not_claimed_as_ours(journey: Journey) -> None:
    journey.shop.store.prices["e0"] = Price(900, None)

    done = journey.run()

    assert (done.state, done.counts[ItemState.NOOP]) == (ChangeState.APPLIED, 1)
    assert "e0" not in dict(journey.shop.store.journal)
    assert len(journey.audit("price_change.item_noop")) == 1
    assert len(journey.audit("price.changed")) == 9


def test_a_store_that_refuses_everything_fails_the_change(journey: Journey) -> None:
    journey.shop.store.on_write = lambda _: WriteOutcome.REJECTED

    done = journey.run()

    assert done.state is ChangeState.FAILED
    assert done.counts == {ItemState.REJECTED: 10}
    assert items_of(journey)["e0"].last_error == "fake: said so"
    assert len(journey.audit("price_change.item_rejected")) == 10
    assert journey.audit("price.changed") == []


def test_a_listing_that_is_gone_is_rejected(journey: Journey) -> None:
    del journey.shop.store.prices["e5"]

    done = journey.run()

    assert done.counts == {ItemState.APPLIED: 9, ItemState.REJECTED: 1}
    assert (items_of(journey)["e5"].last_error or "").startswith("listing_gone")


def test_a_throttled_write_waits_for_its_turn_without_using_up_attempts(journey: Journey) -> None:
    seen: Counter[str] = Counter()

    def throttle(write: object) -> WriteOutcome | None:
        external_id = write.external_id  # type: ignore[attr-defined]
        seen[external_id] += 1
        return WriteOutcome.RETRY if external_id in {"e0", "e4"} and seen[external_id] < 4 else None

    journey.shop.store.on_write = throttle
    journey.shop.store.code = "upstream.throttled"
    done = journey.run(replace(QUICK, max_attempts=2, give_up_after=10))

    assert done.state is ChangeState.APPLIED
    assert seen["e0"] == 4
    assert items_of(journey)["e0"].attempt == 1
    assert len(journey.shop.store.journal) == len(journey.audit("price.changed")) == 10


def test_a_price_that_the_store_never_takes_is_given_up(journey: Journey) -> None:
    journey.shop.store.on_write = lambda write: WriteOutcome.RETRY if write.external_id == "e1" else None

    done = journey.run(replace(QUICK, max_attempts=2))

    assert done.counts == {ItemState.APPLIED: 9, ItemState.REJECTED: 1}
    assert (items_of(journey)["e1"].last_error or "").startswith("attempts_exhausted")


@pytest.mark.parametrize("code", ["upstream.unauthorized", "upstream.unreachable"])
def test_a_store_that_takes_nothing_at_all_pauses_the_change(journey: Journey, code: str) -> None:
    journey.shop.store.on_write = lambda _: WriteOutcome.RETRY
    journey.shop.store.code = code

    paused = journey.run()

    assert paused.state is ChangeState.PAUSED
    assert paused.error == {"code": code, "message": "said so", "faults": []}
    assert journey.shop.store.journal == []


def test_a_lost_answer_is_settled_by_reading_and_not_written_twice(journey: Journey) -> None:
    store = journey.shop.store
    lost: set[str] = set()

    def lose(write: object) -> WriteOutcome | None:
        external_id = write.external_id  # type: ignore[attr-defined]
        if external_id in lost:
            return None
        lost.add(external_id)
        store.put(write)  # type: ignore[arg-type]
        return WriteOutcome.UNKNOWN

    store.on_write = lose
    done = journey.run(replace(QUICK, give_up_after=99))

    assert done.counts == {ItemState.APPLIED: 10}
    assert Counter(external_id for external_id, _ in store.journal).most_common(1)[0][1] == 1
    assert len(journey.audit("price.changed")) == 10


def test_a_request_that_never_arrived_is_sent_again_after_the_store_was_read(journey: Journey) -> None:
    swallowed: set[str] = set()

    def swallow(write: object) -> WriteOutcome | None:
        external_id = write.external_id  # type: ignore[attr-defined]
        first = external_id not in swallowed
        swallowed.add(external_id)
        return WriteOutcome.UNKNOWN if first and external_id in {"e1", "e2"} else None

    journey.shop.store.on_write = swallow
    done = journey.run()

    assert done.counts == {ItemState.APPLIED: 10}
    assert {i: items_of(journey)[i].attempt for i in ("e0", "e1")} == {"e0": 1, "e1": 2}


def test_a_lost_answer_and_a_change_by_somebody_else_is_drift_that_says_it_was_sent(journey: Journey) -> None:
    store = journey.shop.store

    def overtake(write: object) -> WriteOutcome | None:
        if write.external_id == "e4":  # type: ignore[attr-defined]
            store.prices["e4"] = Price(77, None)
            return WriteOutcome.UNKNOWN
        return None

    store.on_write = overtake
    done = journey.run()

    assert done.counts == {ItemState.APPLIED: 9, ItemState.DRIFTED: 1}
    (told,) = journey.audit("price_change.item_drifted")
    assert told.explain["sent"] is True
    assert store.prices["e4"] == Price(77, None)


def test_an_answer_that_the_store_does_not_confirm_is_not_believed(journey: Journey) -> None:
    store = journey.shop.store
    real, first = store.put, {"e2"}

    def forget(write: object) -> None:
        if write.external_id in first:  # type: ignore[attr-defined]
            first.clear()
            return
        real(write)  # type: ignore[arg-type]

    store.put = forget  # type: ignore[method-assign]
    done = journey.run()

    assert done.counts == {ItemState.APPLIED: 10}
    assert items_of(journey)["e2"].attempt == 2
    assert store.prices["e2"] == Price(902, None)


def test_a_store_that_is_away_for_a_moment_only_costs_time(journey: Journey) -> None:
    journey.shop.store.on_read = Raiser(2, UNREACHABLE)

    assert journey.run().counts == {ItemState.APPLIED: 10}


def test_a_store_that_stays_away_pauses_the_change_and_resuming_goes_on(journey: Journey, database: Database) -> None:
    store = journey.shop.store
    store.on_read = Raiser(1000, UNREACHABLE)

    paused = journey.run()
    store.on_read = lambda _: None
    with database.session(journey.approver) as session:
        service.resume(session, journey.id)
    done = journey.run()

    assert (paused.state, paused.error) == (
        ChangeState.PAUSED,
        {"code": "upstream.unreachable", "message": "the store does not answer", "faults": []},
    )
    assert len(journey.audit("price_change.paused")) == 1
    assert done.state is ChangeState.APPLIED
    assert done.error is None
    assert len(store.journal) == 10


def test_refused_credentials_pause_at_once(journey: Journey) -> None:
    journey.shop.store.on_read = Raiser(1000, UNAUTHORIZED)

    paused = journey.run()

    assert paused.state is ChangeState.PAUSED
    assert paused.error is not None
    assert paused.error["code"] == "upstream.unauthorized"
    assert journey.shop.store.reads == 0


def test_after_a_pause_nothing_more_is_sent(journey: Journey, database: Database) -> None:
    store = journey.shop.store
    once = threading.Event()

    def pause(_: object) -> WriteOutcome | None:
        if not once.is_set():
            once.set()
            with database.session(journey.approver) as session:
                service.pause(session, journey.id)
        return None

    store.on_write = pause
    paused = journey.run(replace(QUICK, parallel_batches=1))
    sent = len(store.journal)

    assert paused.state is ChangeState.PAUSED
    assert sent == QUICK.batch_size
    assert paused.counts[ItemState.APPLIED] == sent
    assert paused.counts == Counter(item.state for item in items_of(journey).values())
    with database.session(journey.author) as session:
        assert list_work(session) == []
    with database.session(journey.approver) as session:
        service.resume(session, journey.id)
    assert journey.run().counts == {ItemState.APPLIED: 10}
    assert len(store.journal) == 10


def test_a_pause_still_settles_what_may_have_been_written(journey: Journey, database: Database) -> None:
    store = journey.shop.store
    once = threading.Event()

    def lose(write: object) -> WriteOutcome | None:
        if once.is_set():
            return None
        once.set()
        store.put(write)  # type: ignore[arg-type]
        with database.session(journey.approver) as session:
            service.pause(session, journey.id)
        return WriteOutcome.UNKNOWN

    store.on_write = lose
    paused = journey.run(replace(QUICK, parallel_batches=1, batch_size=1))

    assert paused.counts == {ItemState.PENDING: 9, ItemState.APPLIED: 1}
    assert len(store.journal) == len(journey.audit("price.changed")) == 1


def test_an_abort_gives_up_the_rest(journey: Journey, database: Database) -> None:
    store = journey.shop.store
    once = threading.Event()

    def abort(_: object) -> WriteOutcome | None:
        if not once.is_set():
            once.set()
            with database.session(journey.approver) as session:
                service.abort(session, journey.id)
        return None

    store.on_write = abort
    done = journey.run(replace(QUICK, parallel_batches=1))

    assert done.state is ChangeState.ABORTED
    assert done.counts == {ItemState.APPLIED: 3, ItemState.CANCELLED: 7}
    assert len(store.journal) == len(journey.audit("price.changed")) == 3
    (told,) = journey.audit("price_change.aborted")
    assert told.explain["counts"] == {"applied": 3, "cancelled": 7}
    another = Journey.begin(database, journey.shop, journey.approver).to(ChangeState.APPLYING)
    assert another.change.state is ChangeState.APPLYING


def test_an_abort_of_a_paused_change_needs_no_store(journey: Journey, database: Database) -> None:
    with database.session(journey.approver) as session:
        service.pause(session, journey.id)
        service.abort(session, journey.id)
    journey.shop.store.on_read = Raiser(1000, UNREACHABLE)

    done = journey.run()

    assert (done.state, done.counts) == (ChangeState.ABORTED, {ItemState.CANCELLED: 10})
    assert journey.shop.store.journal == []


def test_a_store_that_cannot_be_written_refuses_the_change(journey: Journey, database: Database) -> None:
    def read_only(_: ConnectionId) -> FakeConnector:
        connector = FakeConnector(journey.shop.store)
        connector.capabilities = frozenset({Capability.READ_PRICES})
        return connector

    done = run_apply(database, journey.worker, journey.id, read_only, QUICK)

    assert (done.state, done.counts) == (ChangeState.FAILED, {ItemState.CANCELLED: 10})
    assert done.error is not None
    assert done.error["code"] == "connector_read_only"


def test_a_lease_that_is_too_short_writes_nothing(journey: Journey) -> None:
    paused = journey.run(replace(QUICK, lease_s=0.4))

    assert paused.state is ChangeState.PAUSED
    assert paused.error is not None
    assert paused.error["code"] == "apply.lease_too_short"
    assert journey.shop.store.reads == 0


def test_rows_that_are_not_those_that_were_approved_are_not_written(journey: Journey, admin_url: ServerUrl) -> None:
    with psycopg.connect(admin_url.conninfo()) as admin:
        admin.execute(
            "update calibr.price_change_item set after_amount = 1 where change_id = %s and product_id = %s",
            (journey.id, journey.shop.product("e7")),
        )

    done = journey.run()

    assert (done.state, done.counts) == (ChangeState.FAILED, {ItemState.CANCELLED: 10})
    assert done.error is not None
    assert done.error["code"] == "apply.plan_differs"
    assert journey.shop.store.reads == 0
    assert len(journey.audit("price_change.failed")) == 1


def test_only_one_worker_at_a_time_works_on_a_change(journey: Journey, database: Database) -> None:
    store = journey.shop.store
    others = []

    def meanwhile(_: object) -> WriteOutcome | None:
        if not others:
            others.append(None)
            others[0] = run_apply(database, journey.worker, journey.id, journey.shop.connector_for, QUICK).state  # type: ignore[call-overload]
        return None

    store.on_write = meanwhile
    done = journey.run()

    assert others == [ChangeState.APPLYING]
    assert done.counts == {ItemState.APPLIED: 10}
    assert len(store.journal) == 10


def test_a_worker_that_was_overtaken_changes_nothing(journey: Journey, database: Database) -> None:
    store = journey.shop.store
    stolen = threading.Event()

    def steal(_: object) -> WriteOutcome | None:
        if not stolen.is_set():
            stolen.set()
            with database.session(journey.author) as session:
                session.execute(
                    text("update calibr.price_change set fence = fence + 1, lease_until = null where id = :id"),
                    {"id": journey.id},
                )
        return None

    store.on_write = steal
    overtaken = journey.run(replace(QUICK, parallel_batches=1))
    settled = {state for state in overtaken.counts if overtaken.counts[state]}

    assert overtaken.state is ChangeState.APPLYING
    assert settled == {ItemState.PENDING, ItemState.SENDING}
    assert journey.audit("price.changed") == []
    done = journey.run()
    assert done.counts == {ItemState.APPLIED: 10}
    assert len(store.journal) == len(journey.audit("price.changed")) == 10


def test_a_run_that_is_stopped_in_order_goes_on_later(journey: Journey) -> None:
    stop = threading.Event()

    def stopping(_: object) -> WriteOutcome | None:
        stop.set()
        return None

    journey.shop.store.on_write = stopping
    stopped = journey.run(replace(QUICK, parallel_batches=1), RunHooks(stop=stop))
    done = journey.run()

    assert stopped.state is ChangeState.APPLYING
    assert stopped.counts[ItemState.APPLIED] == 3
    assert done.counts == {ItemState.APPLIED: 10}
    assert len(journey.shop.store.journal) == 10


def test_a_plan_without_anything_to_write_is_applied_at_once(database: Database, shop: Shop, approver: Context) -> None:
    journey = Journey.begin(database, shop, approver, transform={"price": []}).to(ChangeState.APPLYING)

    done = journey.run()

    assert (done.state, done.counts) == (ChangeState.APPLIED, {ItemState.SKIPPED: 10})
    assert shop.store.journal == []
