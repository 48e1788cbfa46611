"""Events of an iterator: read at the end of the transaction, in batches, with everything that `emit` promises."""

from collections.abc import Callable, Iterator

import pytest

from calibr.core.errors import Invalid
from calibr.db import Context, Database
from calibr.events import Event, count_events, emit, emit_stream, list_audit, log

MakeEvent = Callable[..., Event]


def test_a_stream_is_appended_after_what_was_emitted_and_in_its_order(
    database: Database, tenant: Context, make_event: MakeEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "_BATCH", 3)
    with database.session(tenant) as session:
        emit_stream(session, (make_event(f"s{n}") for n in range(7)))
        emit(session, make_event("first"))
        emit_stream(session, iter([make_event("last")]))

    with database.session(tenant) as session:
        entries = [(entry.seq, entry.entity_id) for entry in list_audit(session)]
    assert entries == list(enumerate(["first", *(f"s{n}" for n in range(7)), "last"], start=1))


def test_a_stream_is_not_read_before_the_end(database: Database, tenant: Context, make_event: MakeEvent) -> None:
    read: list[int] = []

    def events() -> Iterator[Event]:
        read.append(len(read))
        yield make_event("t1")

    with database.session(tenant) as session:
        emit_stream(session, events())
        assert read == []

    assert read == [0]


def test_one_bad_event_of_a_stream_undoes_the_transaction(
    database: Database, tenant: Context, make_event: MakeEvent
) -> None:
    bad = Event("token.revoked", "token", "t2", {"unknown": True})

    with pytest.raises(Invalid), database.session(tenant) as session:
        emit_stream(session, iter([make_event("t1"), bad]))

    with database.session(tenant) as session:
        assert count_events(session) == 0
