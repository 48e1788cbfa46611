"""A projection is in step with the log: each event counts once, also under several workers, and can be rebuilt."""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

import pytest
from offices import Office
from sqlalchemy import text

from calibr.db import Database, Role, Session
from calibr.delivery import Message, ensure_projections, forget_old_messages, list_activity, list_subscriptions, replay


def activity_id(office: Office) -> UUID:
    with office.database.session(office.context, role=Role.WORKER) as session:
        ensure_projections(session, office.projections)
        ensure_projections(session, office.projections)
        (found,) = [s for s in list_subscriptions(session) if s.name == "activity"]
    return found.id


def counts(office: Office) -> dict[str, int]:
    with office.database.session(office.context) as session:
        return {row.type: row.events for row in list_activity(session, date(2020, 1, 1))}


def test_the_projection_counts_every_event_once(office: Office) -> None:
    office.happen(*"abcdefghij")
    projection = activity_id(office)
    for _ in range(3):
        office.happen(*"abcdefghij")

    workers = [threading.Thread(target=lambda: office.deliver(projection, rounds=2)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert counts(office) == {"subscription.paused": 40}


def test_a_replay_rebuilds_the_same_projection(office: Office) -> None:
    projection = activity_id(office)
    office.happen(*"abc")
    office.deliver(projection)
    before = counts(office)

    for _ in range(2):
        with office.database.session(office.context) as session:
            replay(session, projection, 0, projections={p.name: p for p in office.projections})
        office.deliver(projection)

    assert counts(office) == {**before, "subscription.replayed": 2}


def test_a_position_that_goes_back_has_no_effect_twice(office: Office, database: Database) -> None:
    projection = activity_id(office)
    office.happen(*"abc")
    office.deliver(projection)
    with database.session(office.context) as session:
        session.execute(text("update calibr.lane set pos = 0 where subscription_id = :id"), {"id": projection})

    office.deliver(projection)

    assert counts(office) == {"subscription.paused": 3}


@dataclass
class Failing:
    """A projection that fails after its effect."""

    name: str = "failing"
    event_types: tuple[str, ...] = ()
    fails: bool = True
    seen: Counter[int] = field(default_factory=Counter)

    def apply(self, session: Session, messages: Sequence[Message]) -> None:
        session.execute(
            text("insert into calibr.event_activity(tenant_id, day, type, events) values (:t, '2026-01-01', 'f', 1)"),
            {"t": session.tenant_id},
        )
        if self.fails:
            raise RuntimeError("after the effect")
        self.seen.update(m.seq for m in messages)

    def clear(self, session: Session) -> None:
        pass


def test_a_projection_that_fails_leaves_neither_effect_nor_position(office: Office) -> None:
    failing = Failing()
    office.projections = (failing,)
    with office.database.session(office.context, role=Role.WORKER) as session:
        ensure_projections(session, office.projections)
        (found,) = list_subscriptions(session)
    office.happen("a", "b")

    with pytest.raises(RuntimeError):
        office.deliver(found.id)
    assert counts(office) == {}
    failing.fails = False
    office.deliver(found.id)

    assert counts(office) == {"f": 1}
    assert set(failing.seen.values()) == {1}
    assert len(failing.seen) == 2


def test_the_inbox_forgets_after_thirty_days(office: Office, database: Database) -> None:
    projection = activity_id(office)
    office.happen("a", "b")
    office.deliver(projection)
    with database.session(office.context, role=Role.WORKER) as session:
        assert forget_old_messages(session) == 0
        rows = "select count(*) from calibr.inbox where consumer = 'activity'"
        assert session.execute(text(rows)).scalar_one() == 2


def test_the_outbox_view_has_the_columns_of_debezium(office: Office, database: Database) -> None:
    office.happen("a")

    with database.session(office.context) as session:
        row = session.execute(
            text("select id, aggregatetype, aggregateid, type, payload from calibr.outbox where aggregateid = 'a'")
        ).one()

    assert (row.aggregatetype, row.type, row.payload["payload"]) == ("test", "subscription.paused", {"name": "x"})
