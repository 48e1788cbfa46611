"""How fast events are appended and consumed, as ratios in one run on the embedded server (fsync on).

`python benchmarks/events.py [--rounds 15] [--events 20000] [--no-judge]` prints a table and exits 1 if a bound is
missed. Cases run in turn, a little of each at a time; a ratio is the median of those of the rounds.

The limits are the same rows in a table with the same columns and indexes, written and read by hand (`event_limits`).
Ours goes the whole way. Appending: BEGIN, the signed context, payload and envelope judged by their schemas and made
canonical, the counter without gaps, row-level security, COMMIT, on a connection that is there already, as the limit's
is; with taking it from the pool and giving it back clean stands beside it. Consuming: the relay with lanes, inbox and
positions, for a projection that parses each body and does nothing. The peers do the same work in their own way
(`event_peers`).
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson
import psycopg
from event_limits import PAGE, Limits, price_changed
from event_peers import Peer, PgQueuer, Procrastinate
from ratios import Table
from sqlalchemy import Connection, create_engine

from calibr.access import create_tenant
from calibr.core.ids import new_uuid
from calibr.db import Context, Database, OpenDatabase, Role, Session, create_database
from calibr.db.keys import Keys
from calibr.db.session import Entry, transaction
from calibr.delivery import (
    DeliverySettings,
    Message,
    Receiver,
    Relay,
    Subscription,
    ensure_projections,
    list_subscriptions,
)
from calibr.events import Event, emit
from calibr.monitor import configure_logging

MASTER_KEY: Final = b"of a benchmark, thrown away with its server"
SINGLES: Final = 40
"""Events of one round that are appended one by one."""
PAGES: Final = 4
"""Batches of one round."""
WARM_UP: Final = 2
PEER_ROUNDS: Final = 3
POOLED: Final = "append 200, from the pool and back"
ALONE: Final = "pgqueuer 1, without a transaction"
JOBS: Final = MappingProxyType({"procrastinate": 400, "pgqueuer": 2_000})

BOUND_APPEND: Final = 1.3
BOUND_CONSUME: Final = 2.0
BEHIND: Final = 1.0


@dataclass(frozen=True)
class Bench:
    """A tenant on a running server, the connections of the cases, and the peers."""

    database: Database
    context: Context
    entry: Entry
    connection: Connection
    limits: Limits
    peers: Sequence[Peer]

    def append_each(self, events: Sequence[Event]) -> None:
        """From BEGIN to COMMIT for each; the connection is there already, as it is for the limit."""
        for event in events:
            with transaction(self.connection, self.entry) as session:
                emit(session, event)

    def open_each(self, number: int) -> None:
        """BEGIN, the signed context, COMMIT: what every transaction of the product costs."""
        for _ in range(number):
            with transaction(self.connection, self.entry):
                pass

    def append_together(self, events: Sequence[Event]) -> None:
        """One transaction on the connection that is there already."""
        with transaction(self.connection, self.entry) as session:
            emit(session, *events)

    def append_all(self, events: Sequence[Event]) -> None:
        """One session of the product, from the pool and back to it."""
        with self.database.session(self.context) as session:
            emit(session, *events)


class Noop:
    """A projection that parses and does nothing."""

    event_types: tuple[str, ...] = ()

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen = 0

    def apply(self, _session: Session, messages: Sequence[Message]) -> None:
        """Parse each body."""
        for message in messages:
            orjson.loads(message.body)
        self.seen += len(messages)

    def clear(self, _session: Session) -> None:
        """There is nothing to forget."""


def measure_appends(bench: Bench, table: Table, rounds: int) -> None:
    """One event per commit, and batches, all cases in turn.

    The order changes from round to round: every 16 MiB of log the server makes a new file, which takes longer than any
    case, and in a fixed order it is always the same case that has to wait for it.
    """
    order = random.Random(1)  # noqa: S311 - no secret
    for number in range(WARM_UP + rounds):
        cases = _append_cases(bench)
        order.shuffle(cases)
        for case, work in cases:
            if number < WARM_UP:
                work()
            else:
                table.time(case, work)


def _append_cases(bench: Bench) -> list[tuple[str, Callable[[], object]]]:
    """What one round does, with events and rows made beforehand."""
    limits, ours = bench.limits, [[_events(PAGE) for _ in range(PAGES)] for _ in range(2)]
    one, rows = limits.rows(_events(SINGLES)), [[limits.rows(_events(PAGE)) for _ in range(PAGES)] for _ in range(2)]
    bodies, pages = [row[-1] for row in one], [[row[-1] for row in page] for page in rows[0]]
    cases: list[tuple[str, Callable[[], object]]] = [
        ("INSERT + commit", partial(limits.insert, one)),
        ("append 1", partial(bench.append_each, _events(SINGLES))),
        ("transaction without event", partial(bench.open_each, SINGLES)),
        ("COPY 200", partial(_each, partial(limits.copy, binary=False), rows[0])),
        ("COPY 200, binary", partial(_each, partial(limits.copy, binary=True), rows[1])),
        ("append 200", partial(_each, bench.append_together, ours[0])),
        (POOLED, partial(_each, bench.append_all, ours[1])),
    ]
    for peer in bench.peers:
        cases += [
            (f"{peer.name} 1", partial(peer.one_by_one, bodies)),
            (f"{peer.name} 200", partial(_each, peer.together, pages)),
        ]
        if isinstance(peer, PgQueuer):
            cases.append((ALONE, partial(peer.without_transaction, bodies)))
    return cases


def _untimed(_case: str, work: Callable[[], object]) -> None:
    work()


def _each(work: Callable[[Any], object], pages: Sequence[object]) -> None:
    for page in pages:
        work(page)


def _events(number: int) -> list[Event]:
    return [price_changed(new_uuid()) for _ in range(number)]


def measure_consumption(bench: Bench, table: Table, rounds: int, events: int) -> int:
    """Read a log from its beginning, by the bare cursor and by the relay in turn; returns how long the log is."""
    for _ in range(events // PAGE):
        bench.append_all(_events(PAGE))
    length = bench.limits.fill()
    for number in range(1 + rounds):
        timed = table.time if number else _untimed
        timed("bare cursor", lambda: _require(bench.limits.read(), length))
        timed("relay", lambda n=number: _require(_relay(bench, f"noop-{n}"), length))  # type: ignore[misc]
    return length


def _relay(bench: Bench, name: str) -> int:
    """Let a new projection catch up; returns how many events it was given."""
    projection = Noop(name)
    with bench.database.session(bench.context, role=Role.WORKER) as session:
        ensure_projections(session, [projection])
        subscription_id = next(s.id for s in list_subscriptions(session) if s.name == name)
    settings = DeliverySettings(slice_s=120.0)
    relay = Relay(bench.database, bench.context, settings, {name: projection}, _nobody, {})
    relay.run(subscription_id)
    return projection.seen


def _nobody(_session: Session, _subscription: Subscription) -> Receiver:
    raise AssertionError("a projection has no receiver")


def _require(seen: int, expected: int) -> None:
    if seen != expected:
        raise SystemExit(f"{seen} of {expected} events were consumed: nothing is proved")


def measure_peers(bench: Bench, table: Table) -> dict[str, float]:
    """Microseconds per job of each peer, in the best of some rounds."""
    body = bench.limits.rows(_events(1))[0][-1]
    best = {}
    for peer in bench.peers:
        peer.forget()
        for _ in range(PEER_ROUNDS):
            peer.together([body] * JOBS[peer.name])
            table.time(f"{peer.name} consume", lambda p=peer: _require(p.consume(), JOBS[p.name]))  # type: ignore[misc]
        best[peer.name] = min(table.seconds[f"{peer.name} consume"]) / JOBS[peer.name] * 1e6
    return best


def report(table: Table, length: int, peers: dict[str, float]) -> None:
    """Print what was found against the bounds."""
    per_event = {
        **dict.fromkeys(("INSERT + commit", "append 1", "transaction without event"), SINGLES),
        **dict.fromkeys(("COPY 200", "COPY 200, binary", "append 200", POOLED), PAGE * PAGES),
        **dict.fromkeys(("bare cursor", "relay"), length),
    }
    for case, number in per_event.items():
        each = statistics.median(table.seconds[case]) / number
        print(f"{case:36} {each * 1e6:10.1f} us each {1 / each:12,.0f} per second")
    for name, each_us in peers.items():
        print(f"{name + ' consume':36} {each_us:10.1f} us each {1e6 / each_us:12,.0f} per second")
    print()
    table.ratio("append 1", "INSERT + commit", BOUND_APPEND)
    table.ratio("append 200", "COPY 200", BOUND_APPEND)
    print(f"{f'{POOLED} / COPY 200':58s} {table.of(POOLED, 'COPY 200'):8.2f}")
    print(f"{'append 200 / COPY 200, binary':58s} {table.of('append 200', 'COPY 200, binary'):8.2f}")
    print(f"{f'append 1 / {ALONE}':58s} {table.of('append 1', ALONE):8.2f}")
    table.ratio("relay", "bare cursor", BOUND_CONSUME)
    relay_us = statistics.median(table.seconds["relay"]) / length * 1e6
    for name, each_us in peers.items():
        table.ratio("append 1", f"{name} 1", BEHIND)
        table.ratio("append 200", f"{name} 200", BEHIND)
        table.judge(f"consume, relay / {name}", relay_us / each_us, BEHIND)


@contextmanager
def opened_bench() -> Iterator[Bench]:
    """A server in a folder of its own, which its account can reach, with a tenant and everything that is compared."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=os.environ.get("CALIBR_BENCH_DIR")))
        Path(folder).chmod(0o711)
        # A vacuum would take one of the processors from whichever case comes next.
        overrides = {"autovacuum": "off"}
        opened = stack.enter_context(OpenDatabase.embedded(Path(folder) / "postgres", MASTER_KEY, overrides=overrides))
        made = create_tenant(opened.database, name="Bench", admin_name="Ada")
        context = Context(made.tenant_id, f"user:{made.user_id}", new_uuid())
        limits = stack.enter_context(closing(Limits(opened.admin, context)))
        peers: list[Peer] = [
            stack.enter_context(closing(kind(create_database(opened.admin, f"peer_{kind.name}"))))
            for kind in (Procrastinate, PgQueuer)
        ]
        keys = Keys(MASTER_KEY)
        login = opened.admin.login(Role.APP, keys.role_password(Role.APP))
        engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(login.conninfo()))
        stack.callback(engine.dispose)
        connection = stack.enter_context(engine.connect())
        yield Bench(opened.database, context, Entry(context, keys.context_key()), connection, limits, peers)


def main() -> int:
    """Measure, print, judge; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--events", type=int, default=20_000, help="how long the log is that is consumed")
    parser.add_argument("--no-judge", action="store_true", help="print, but do not fail")
    options = parser.parse_args()
    configure_logging(console=False, level="ERROR")  # the table is what there is to read
    table = Table()
    with opened_bench() as bench:
        measure_appends(bench, table, options.rounds)
        length = measure_consumption(bench, table, options.rounds // 3 or 1, options.events)
        report(table, length, measure_peers(bench, table))
    return 1 if table.missed and not options.no_judge else 0


if __name__ == "__main__":
    sys.exit(main())
