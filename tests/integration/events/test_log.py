"""The event log: judged when emitted, appended last, canonical, never rewritten."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
import rfc8785
from sqlalchemy import select, text

from calibr.core.errors import Invalid
from calibr.core.ids import new_uuid
from calibr.db import Context, Database, Role, ServerUrl, Session
from calibr.events import Event, count_events, emit, emit_stream, list_audit
from calibr.events.tables import event as event_table
from calibr.registry import load_registry

MakeEvent = Callable[..., Event]


def test_events_are_numbered_in_the_order_in_which_they_were_emitted(
    database: Database, tenant: Context, make_event: MakeEvent
) -> None:
    for start in (0, 3):
        with database.session(tenant) as session:
            emit(session, *(make_event(f"t{number}") for number in range(start, start + 2)))
            emit(session, make_event(f"t{start + 2}"))

    with database.session(tenant) as session:
        assert [(entry.seq, entry.entity_id) for entry in list_audit(session)] == [(n + 1, f"t{n}") for n in range(6)]


def test_the_stored_bytes_are_the_canonical_envelope_and_their_hash_is_the_leaf(
    database: Database, tenant: Context, make_event: MakeEvent
) -> None:
    context = replace(tenant, causation_id=new_uuid())
    emitted = make_event(name='Ünïcode \U0001f600 "quoted" \n </script>')
    with database.session(context) as session:
        emit(session, emitted)
        at = session.now

    with database.session(tenant) as session:
        row = session.execute(select(event_table)).one()
    document = json.loads(row.body)
    assert row.body == rfc8785.dumps(document)
    assert row.leaf == hashlib.sha256(b"\0" + row.body).digest()
    assert load_registry().validate("envelope", "1.0.0", document) == []
    assert document == {
        "event_id": str(emitted.event_id),
        "tenant_id": str(tenant.tenant_id),
        "type": "token.revoked",
        "schema_version": "1.0.0",
        "aggregate_type": "token",
        "aggregate_id": "t1",
        "actor": tenant.actor,
        "correlation_id": str(context.correlation_id),
        "causation_id": str(context.causation_id),
        "at": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "payload": emitted.payload,
    }
    assert (row.event_id, row.actor, row.at, row.correlation_id) == (
        emitted.event_id, context.actor, at, context.correlation_id,
    )  # fmt: skip


def test_one_event_is_written_like_each_of_several(database: Database, tenant: Context, make_event: MakeEvent) -> None:
    context = replace(tenant, causation_id=new_uuid())
    alone, together = make_event("alone"), [make_event("first"), make_event("second")]
    with database.session(context) as session:
        emit(session, alone)
    with database.session(context) as session:
        emit(session, *together)

    with database.session(tenant) as session:
        rows = [dict(row._mapping) for row in session.execute(select(event_table).order_by(event_table.c.seq))]
    assert [row["event_id"] for row in rows] == [event.event_id for event in (alone, *together)]
    for row, event in zip(rows, (alone, *together), strict=True):
        told = json.loads(row["body"])
        columns = {name: str(row[name]) for name in told if name not in ("at", "payload")}
        assert columns == {name: str(told[name]) for name in columns} | {"aggregate_id": event.aggregate_id}
        assert f"{row['at']:%Y-%m-%dT%H:%M:%S.%fZ}" == told["at"]


def test_who_sees_the_heads_of_all_tenants_does_not_append_to_each(
    admin_url: ServerUrl, tenant: Context, other_tenant: Context
) -> None:
    append = """
      select calibr.append_event(gen_random_uuid(), 'token', 't1', 'token.revoked', '1.0.0', gen_random_uuid(), null,
                                 'user:x', now(), '{}')
    """
    count = "select count(*) from calibr.event where tenant_id = any(%s)"
    with psycopg.connect(admin_url.conninfo(), autocommit=True) as superuser:
        with pytest.raises(psycopg.errors.TooManyRows):
            superuser.execute(append)
        assert superuser.execute(count, [[tenant.tenant_id, other_tenant.tenant_id]]).fetchone() == (0,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": 5}, '$.name: 5 is not of type "string"'),
        ({"name": ""}, "$.name:"),
        ({"token_id": "x"}, "$.token_id:"),
        ({"more": 1}, "'more' was unexpected"),
    ],
)
def test_an_event_that_does_not_match_its_schema_is_refused(
    database: Database, tenant: Context, make_event: MakeEvent, change: dict[str, Any], said: str
) -> None:
    def emit_good_and_bad() -> None:
        with database.session(tenant) as session:
            session.execute(text("update calibr.app_user set name = 'x' || name"))
            emit(session, make_event())
            emit(session, make_event(), make_event(**change))

    with pytest.raises(Invalid, match=r"token\.revoked does not match event/token\.revoked 1\.0\.0") as caught:
        emit_good_and_bad()

    assert caught.value.code == "event.schema"
    assert said in str(caught.value)
    with database.session(tenant) as session:
        assert count_events(session) == 0
        assert session.execute(text("select min(name) from calibr.app_user")).scalar_one() == "Ada"


@pytest.mark.parametrize(
    ("text", "refused"), [("a\0b", True), ("\\\0", True), (r"a\u0000b", False), (r"\\u0000", False)]
)
def test_the_character_that_the_audit_view_cannot_show_is_refused(
    database: Database, tenant: Context, text: str, *, refused: bool
) -> None:
    event = Event("tenant.created", "tenant", "1", {"name": text, "admin_user_id": str(new_uuid())})

    with database.session(tenant) as session:
        if not refused:
            emit(session, event)
            return
        with pytest.raises(Invalid, match=r"U\+0000"):
            emit(session, event)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"type": "token.eaten"}, "token.eaten 1.0.0 has no schema"),
        ({"schema_version": "9.0.0"}, "token.revoked 9.0.0 has no schema"),
        ({"aggregate_type": "A Token"}, r"envelope 1.0.0: \$.aggregate_type"),
        ({"aggregate_id": ""}, r"envelope 1.0.0: \$.aggregate_id"),
    ],
)
def test_an_envelope_that_does_not_match_is_refused(
    database: Database, tenant: Context, make_event: MakeEvent, changes: dict[str, str], said: str
) -> None:
    with database.session(tenant) as session, pytest.raises(Invalid, match=said):
        emit(session, replace(make_event(), **changes))

    with database.session(tenant) as session:
        assert count_events(session) == 0


def test_an_actor_that_is_nobody_is_refused(database: Database, tenant: Context, make_event: MakeEvent) -> None:
    with database.session(replace(tenant, actor="Bob")) as session, pytest.raises(Invalid, match=r"\$.actor"):
        emit(session, make_event())


def test_events_are_appended_after_everything_else(database: Database, tenant: Context, make_event: MakeEvent) -> None:
    counts = []

    def count(session: Session) -> None:
        counts.append(count_events(session))

    with database.session(tenant) as session:
        emit(session, make_event())
        session.before_commit(count)
        count(session)

    assert counts == [0, 0]


def test_an_event_emitted_while_others_are_appended_is_not_lost(
    database: Database, tenant: Context, make_event: MakeEvent
) -> None:
    with database.session(tenant) as session:
        emit(session, make_event())
        session.before_commit(lambda late: emit(late, make_event("late")), last=True)

    with database.session(tenant) as session:
        assert [entry.entity_id for entry in list_audit(session)] == ["t1", "late"]


def test_an_event_is_written_once(database: Database, tenant: Context, make_event: MakeEvent) -> None:
    repeated = make_event()
    with database.session(tenant) as session:
        emit(session, repeated)

    with pytest.raises(psycopg.errors.UniqueViolation), database.session(tenant) as session:
        emit(session, repeated)

    with database.session(tenant) as session:
        emit(session, make_event())
    with database.session(tenant) as session:
        assert [entry.seq for entry in list_audit(session)] == [1, 2]


REWRITES = (
    "update calibr.event set body = 'x'",
    "update calibr.event set seq = seq + 1",
    "delete from calibr.event",
    "truncate calibr.event",
)


@pytest.mark.parametrize("statement", REWRITES)
@pytest.mark.parametrize("role", list(Role))
def test_no_role_of_the_application_may_rewrite_the_log(
    database: Database, tenant: Context, make_event: MakeEvent, role: Role, statement: str
) -> None:
    with database.session(tenant) as session:
        emit(session, make_event())

    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"),
        database.session(tenant, role=role) as session,
    ):
        session.raw.execute(statement.encode())


@pytest.mark.parametrize("statement", REWRITES)
def test_not_even_a_superuser_rewrites_the_log_by_mistake(
    database: Database, admin_url: ServerUrl, tenant: Context, make_event: MakeEvent, statement: str
) -> None:
    with database.session(tenant) as session:
        emit(session, make_event())

    with (
        psycopg.connect(admin_url.conninfo()) as superuser,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="event is append-only"),
    ):
        superuser.execute(statement.encode())


def test_the_audit_trail_is_read_page_by_page_and_by_entity(
    database: Database, tenant: Context, make_event: MakeEvent
) -> None:
    with database.session(tenant) as session:
        emit(session, *(make_event(f"t{number % 2}") for number in range(7)))

    with database.session(tenant) as session:
        first = list_audit(session, limit=3)
        second = list_audit(session, after_seq=first[-1].seq, limit=3)
        of_one = list_audit(session, entity="token", entity_id="t1")
        nothing = list_audit(session, entity="product")

    assert [entry.seq for entry in first + second] == [1, 2, 3, 4, 5, 6]
    assert [entry.seq for entry in of_one] == [2, 4, 6]
    assert nothing == []
    assert (first[0].action, first[0].actor, first[0].explain["name"]) == ("token.revoked", tenant.actor, "CI")


def test_another_tenant_reads_nothing(
    database: Database, tenant: Context, other_tenant: Context, make_event: MakeEvent
) -> None:
    with database.session(tenant) as session:
        emit(session, make_event())

    with database.session(other_tenant) as session:
        assert list_audit(session) == []
        assert count_events(session) == 0


def test_a_stream_is_appended_after_the_other_events_and_may_read(
    database: Database, tenant: Context, make_event: MakeEvent
) -> None:
    def stream(session: Session) -> Iterator[Event]:
        for name in session.execute(text("select name from calibr.app_user order by name")).scalars():
            yield make_event(name)

    with database.session(tenant) as session:
        emit_stream(session, stream(session))
        emit(session, make_event("first"))

    with database.session(tenant) as session:
        assert [entry.entity_id for entry in list_audit(session)] == ["first", "Ada", "Bob"]


def test_a_bad_event_in_a_stream_rolls_everything_back(
    database: Database, tenant: Context, make_event: MakeEvent
) -> None:
    def emit_a_bad_stream() -> None:
        with database.session(tenant) as session:
            session.execute(text("update calibr.app_user set name = 'x' || name"))
            emit_stream(session, iter([make_event(), make_event(name=5)]))

    with pytest.raises(Invalid, match=r"\$\.name"):
        emit_a_bad_stream()

    with database.session(tenant) as session:
        assert count_events(session) == 0
        assert session.execute(text("select min(name) from calibr.app_user")).scalar_one() == "Ada"
