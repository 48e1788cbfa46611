"""Finding places in the log: a time, one thing's events, a rare type, without reading all of it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from calibr.db import Context, Database
from calibr.events import Event, EventFilter, emit, head_seq, list_events, reads, seq_before

MakeEvent = Callable[..., Event]
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_APPEND = text("""
  select calibr.append_events(array[gen_random_uuid()], array['token'], array[cast(:name as text)],
    array['token.revoked'], array['1.0.0'], gen_random_uuid(), null, 'user:x', :at, array['{}'::bytea])
""")


def append_at(database: Database, tenant: Context, *minutes: float) -> None:
    """Append events that began so many minutes after `BEGAN`, in this order."""
    for index, minute in enumerate(minutes):
        with database.session(tenant) as session:
            session.execute(_APPEND, {"name": f"t{index}", "at": BEGAN + timedelta(minutes=minute)})


def naive_first(minutes: list[float], since: float) -> int:
    """The number before the first event from `since` on, by looking at all of them."""
    return next((index for index, minute in enumerate(minutes) if minute >= since), len(minutes))


@pytest.mark.parametrize("since", [-500, 0, 1, 59, 60, 119.5, 120, 121, 180, 600, 1199, 1200, 5000])
@pytest.mark.parametrize(
    "minutes",
    [
        [],
        [0],
        list(range(0, 1200, 60)),
        [0, 130, 120, 125, 119, 121, 120, 500, 460, 1200],
        [0] * 5 + [120] * 7 + [600] * 3,
        [100, 60, 45, 110, 130, 90, 128, 127, 600],
    ],
    ids=["nothing", "one", "in order", "out of order", "many at once", "every second one late"],
)
def test_a_time_is_found_in_a_log_whose_times_are_only_nearly_in_order(
    database: Database, tenant: Context, minutes: list[float], since: float
) -> None:
    append_at(database, tenant, *minutes)

    with database.session(tenant) as session:
        found = seq_before(session, BEGAN + timedelta(minutes=since))

    assert found == naive_first(minutes, since)


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_a_time_at_the_edge_of_the_calendar_has_a_place(database: Database, tenant: Context, moment: datetime) -> None:
    append_at(database, tenant, 0, 1)

    with database.session(tenant) as session:
        assert seq_before(session, moment) == (0 if moment.year == 1 else 2)


def test_a_rare_type_costs_one_window_a_page_and_is_found_at_last(
    database: Database, tenant: Context, make_event: MakeEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "WINDOW", 10)
    rare = Event("user.created", "user", "u1", {"user_id": "00000000-0000-0000-0000-000000000001", "name": "Ada",
                                                "role": "author"})  # fmt: skip
    with database.session(tenant) as session:
        emit(session, *(make_event(f"t{number}") for number in range(25)), rare)

    with database.session(tenant) as session:
        pages, after = [], 0
        while after < head_seq(session):
            pages.append(list_events(session, EventFilter(type="user.*"), after=after, limit=5))
            after = pages[-1].looked_to

    assert [page.looked_to for page in pages] == [10, 20, 26]
    assert [[event.seq for event in page.events] for page in pages] == [[], [], [26]]


def test_the_events_of_one_thing_are_on_one_page_however_far_apart_they_are(
    database: Database, tenant: Context, make_event: MakeEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "WINDOW", 10)
    with database.session(tenant) as session:
        emit(session, make_event("mine"), *(make_event(f"t{n}") for n in range(40)), make_event("mine"))

    wanted = EventFilter(aggregate_type="token", aggregate_id="mine")
    with database.session(tenant) as session:
        whole = list_events(session, wanted, after=0, limit=10)
        first = list_events(session, wanted, after=0, limit=1)
        second = list_events(session, wanted, after=first.looked_to, limit=1)

    assert ([event.seq for event in whole.events], whole.looked_to, whole.head) == ([1, 42], 42, 42)
    assert [event.seq for event in (*first.events, *second.events)] == [1, 42]
