"""Kills workers, stops them for longer than their lease, and edits prices by hand, paced by how much is done."""

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from calibr.cli.client import Client
from calibr.cli.demo.processes import Launched
from calibr.cli.failures import FAILED, CliError
from calibr.cli.rehearse.stage import LOOPBACK, Stage
from calibr.cli.rehearse.wish import LEASE_S, TIMES

LOOK_EVERY_S: Final = 0.05
STUCK_S: Final = 60.0
SPREAD: Final = 0.9
OVER: Final = frozenset({"applied", "partially_applied", "failed", "aborted"})


@dataclass(slots=True)
class Harm:
    """What was done, and how long after each kill the work went on: another worker took over, or more was done."""

    kills: int = 0
    zombies: int = 0
    edits: int = 0
    pauses: int = 0
    interruptions: int = 0
    resumed_s: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Worker:
    launched: Launched
    stopped_until: float = 0.0


class Crew:
    """The workers of a rehearsal: always as many as wanted, whoever is killed."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._workers = [self._start() for _ in range(stage.plan.workers)]

    def wait_ready(self) -> None:
        """Wait until all of them are at work."""
        for worker in self._workers:
            worker.launched.await_ready()

    def kill(self, chance: random.Random) -> None:
        """Kill one of the workers that are not stopped, and start another one."""
        living = [w for w in self._workers if not w.stopped_until]
        victim = chance.choice(living or self._workers)
        victim.launched.process.kill()
        victim.launched.process.wait()
        self._stage.processes.running.remove(victim.launched)
        self._workers[self._workers.index(victim)] = self._start()

    def stop_one(self, chance: random.Random) -> bool:
        """Stop a worker for longer than its lease. It wakes up as a zombie."""
        living = [w for w in self._workers if not w.stopped_until]
        if len(living) < 2:  # noqa: PLR2004 - somebody has to take over
            return False
        victim = chance.choice(living)
        os.kill(victim.launched.process.pid, signal.SIGSTOP)
        victim.stopped_until = time.monotonic() + LEASE_S * (1.1 + 0.4 * chance.random())
        return True

    def wake(self, *, everybody: bool = False) -> None:
        """Let stopped workers go on whose time has come."""
        for worker in self._workers:
            if worker.stopped_until and (everybody or worker.stopped_until <= time.monotonic()):
                os.kill(worker.launched.process.pid, signal.SIGCONT)
                worker.stopped_until = 0.0

    def end(self) -> None:
        """Kill them all: there is nothing left to do."""
        for worker in self._workers:
            worker.launched.process.kill()
            worker.launched.end()
            self._stage.processes.running.remove(worker.launched)
        self._workers.clear()

    def _start(self) -> _Worker:
        environment = {**LOOPBACK, **TIMES, "CALIBR_WORKER_BATCH": str(self._stage.plan.batch)}
        environment |= {"CALIBR_LOG_LEVEL": "info", "CALIBR_LOG_FORMAT": "json"}
        arguments = ["calibr", "worker", "--json", "--data-dir", str(self._stage.place.data_dir)]
        return _Worker(self._stage.processes.launch("worker", arguments, environment))


@dataclass(slots=True)
class Nemesis:
    """Does so much harm to one change, evenly over its items. `told` hears of the progress."""

    stage: Stage
    crew: Crew
    change_id: str
    kills: int
    zombies: int
    edits: int
    told: Callable[[int, int, Harm], None]
    harm: Harm = field(default_factory=Harm)

    def run(self, chance: random.Random) -> str:
        """Go on until the change has ended; returns its state. Raises CliError when nothing moves any more."""
        edits = Edits(self.stage, self.change_id, self.edits, chance)
        edits.before()
        self.stage.author.post(f"/v1/price-changes/{self.change_id}/apply")
        moved_at, before, killed_at = time.monotonic(), (0, 0), 0.0
        while True:
            state, done, total, fence = self._look()
            now = time.monotonic()
            if (done, fence) > before:
                if killed_at and fence > before[1]:  # with the same fence it was another worker that was killed
                    self.harm.resumed_s.append(now - killed_at)
                    self.harm.interruptions += 1
                killed_at = 0.0
                moved_at, before = now if done > before[0] else moved_at, (done, fence)
            if state in OVER:
                self.crew.wake(everybody=True)
                return state
            if state == "paused":  # the circuit breaker waits for a person; here somebody looks and goes on
                self.stage.author.post(f"/v1/price-changes/{self.change_id}/resume")
                self.harm.pauses += 1
            if now - moved_at > STUCK_S:
                raise CliError(f"nothing has moved for {STUCK_S:.0f} s: {done} of {total} items are done", FAILED)
            struck_at = self._harm(done / max(total, 1), chance, killed_at, now)
            if struck_at != killed_at:  # what the victim had settled before its end does not count as going on
                killed_at, (_, done, total, fence) = struck_at, self._look()
                before = (done, fence)
            edits.during(done / max(total, 1))
            self.harm.edits = edits.made
            self.crew.wake()
            self.told(done, total, self.harm)
            time.sleep(LOOK_EVERY_S)

    def _harm(self, share: float, chance: random.Random, killed_at: float, now: float) -> float:
        """One kill or stop at a time, and the next one only once the work has gone on."""
        if killed_at or not share:
            return killed_at
        # Zombies first, as there are few: where many items are done at once, kills are due all the time.
        is_due = self.harm.zombies < self.zombies and share >= SPREAD * (self.harm.zombies + 0.5) / self.zombies
        if is_due and self.crew.stop_one(chance):
            self.harm.zombies += 1
            return 0.0
        if self.harm.kills < self.kills and share >= SPREAD * self.harm.kills / self.kills:
            self.crew.kill(chance)
            self.harm.kills += 1
            return now
        return 0.0

    def _look(self) -> tuple[str, int, int, int]:
        counts: dict[str, int]
        with self.stage.admin() as admin:
            row = admin.execute(
                "select state, counts, fence from calibr.price_change where id = %s", [self.change_id]
            ).fetchone()
        state, counts, fence = (str(row[0]), dict(row[1]), int(row[2])) if row else ("", {}, 0)
        open_ = sum(counts.get(s, 0) for s in ("pending", "claimed", "sending", "unknown", "retry_wait"))
        total = sum(n for s, n in counts.items() if s != "skipped")
        return state, total - open_, total, fence


class Edits:
    """Prices that somebody else changes: some before the run, some far ahead of it, some behind it.

    Never right where the run is: between reading a price and writing it nobody can see an edit, since a store has no
    compare-and-set for prices. Here it would only be chance.
    """

    def __init__(self, stage: Stage, change_id: str, count: int, chance: random.Random) -> None:
        self._stage = stage
        self._chance = chance
        self._count = count
        self._variants = _variants(stage, change_id) if count else []
        # An edit of a base price also moves what follows it, so that it must be behind the run on every list.
        self._phases = [(0.15, 0.85, 1.0), (0.75, 0.0, 0.3 / stage.plan.price_lists)]
        self.made = 0

    def before(self) -> None:
        """A third of the edits, anywhere, while nothing runs; and some of fixed prices, where there are such."""
        self._edit(0.0, 1.0)
        if self._stage.plan.market:
            chosen = self._chance.sample(self._variants, min(len(self._variants), -(-self._count // 3)))
            prices = [{"variant": variant, "price": "4.56"} for variant in dict.fromkeys(chosen)]
            path = f"/sandbox/price-lists/{_list_number(self._stage)}/prices"
            with_store(self._stage, path, {"prices": prices, "who": "somebody else"})
            self.made += len(prices)

    def during(self, share: float) -> None:
        """The next third of them, once enough is done."""
        if self._phases and share >= self._phases[0][0]:
            _, low, high = self._phases.pop(0)
            self._edit(low, high)

    def _edit(self, low: float, high: float) -> None:
        places = self._variants[int(len(self._variants) * low) : int(len(self._variants) * high)]
        chosen: Sequence[str] = self._chance.sample(places, min(len(places), -(-self._count // 3)))
        if chosen:
            body = {"edits": [{"id": v, "price": "3.21"} for v in chosen], "who": "somebody else"}
            with_store(self._stage, "/sandbox/edits", body)
            self.made += len(chosen)


def _variants(stage: Stage, change_id: str) -> list[str]:
    """The store's numbers of all items that will be written, in the order of the plan."""
    with stage.admin() as admin:
        rows = admin.execute(
            "select l.external_id from calibr.price_change_item i"
            " join calibr.listing l on l.tenant_id = i.tenant_id and l.product_id = i.product_id"
            " join calibr.price_list p on p.tenant_id = i.tenant_id and p.id = i.price_list_id"
            " where i.change_id = %s and i.state = 'pending' order by p.is_base, i.price_list_id, i.product_id",
            [change_id],
        ).fetchall()
    return [str(row[0]) for row in rows]


def _list_number(stage: Stage) -> str:
    """The store's number of the price list beside the base prices."""
    with stage.admin() as admin:
        row = admin.execute("select external_id from calibr.price_list where not is_base").fetchone()
    return str(row[0]) if row else ""


def with_store(stage: Stage, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Speak with the admin side of the store: POST with a body, else GET."""
    client = Client(stage.store.url, None)
    try:
        return client.get(path) if body is None else client.post(path, body)
    finally:
        client.close()
