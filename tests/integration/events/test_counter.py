"""The counter of each tenant: no gaps, and what a reader has seen is never followed by something earlier."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from sqlalchemy import text

from calibr.db import Context, Database, Session
from calibr.events import Event, count_events, emit, list_audit

WRITERS = 4
TRANSACTIONS = 40


class Regret(Exception):
    """Raised after the events were appended, right before COMMIT."""


def test_concurrent_writers_and_rollbacks_leave_no_gap_and_a_reader_misses_nothing(
    database: Database, tenant: Context, other_tenant: Context, make_event: Callable[..., Event]
) -> None:
    done = threading.Event()
    with ThreadPoolExecutor(WRITERS + 1) as threads:
        reader = threads.submit(_follow, database, tenant, done)
        writers = [
            threads.submit(_write, database, (tenant, other_tenant), make_event, seed) for seed in range(WRITERS)
        ]
        committed = [writer.result() for writer in writers]
        done.set()
        followed = reader.result()

    assert 0 < sum(map(len, committed)) < WRITERS * TRANSACTIONS
    for context in (tenant, other_tenant):
        expected = sum(size for commits in committed for owner, size in commits if owner == context)
        with database.session(context) as session:
            seqs = list(session.execute(text("select seq from calibr.event order by seq")).scalars())
            head = session.execute(text("select seq from calibr.tenant_head")).scalar_one()
        assert seqs == list(range(1, expected + 1))
        assert head == expected
    with database.session(tenant) as session:
        assert followed == list(range(1, count_events(session) + 1))


def _write(
    database: Database, contexts: tuple[Context, Context], make_event: Callable[..., Event], seed: int
) -> list[tuple[Context, int]]:
    chance = random.Random(seed)  # noqa: S311 - a test that can be repeated
    committed = []
    for _ in range(TRANSACTIONS):
        context, size = chance.choice(contexts), chance.randint(1, 5)
        with suppress(Regret), database.session(context) as session:
            emit(session, *(make_event() for _ in range(size)))
            if chance.random() < 0.3:
                session.before_commit(_regret, last=True)
            else:
                committed.append((context, size))
    return committed


def _regret(session: Session) -> None:
    """Runs after the events were appended: the counter was already raised."""
    assert count_events(session) > 0
    raise Regret


def _follow(database: Database, context: Context, done: threading.Event) -> list[int]:
    """Read like a subscriber: always from the last number seen."""
    seen = [0]
    while True:
        finished = done.is_set()
        with database.session(context) as session:
            page = [entry.seq for entry in list_audit(session, after_seq=seen[-1], limit=7)]
        seen.extend(page)
        if finished and not page:
            return seen[1:]
