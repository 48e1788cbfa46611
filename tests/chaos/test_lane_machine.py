"""One lane under workers that are lost, overtaken and wake up late: one effect an event, in order by aggregate."""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from calibr.delivery.core import Key, Rules, redeliver, work_lane
from calibr.delivery.model import Message, OnPoison, Outcome, Verdict

KEYS = "abc"
WINDOW = 6
ATTEMPTS = 3
AT = datetime(2026, 1, 1, tzinfo=UTC)
DELIVERED = Verdict(Outcome.DELIVERED)
VERDICTS = st.sampled_from([Outcome.DELIVERED, Outcome.DELIVERED, Outcome.DELIVERED, Outcome.RETRY, Outcome.POISON])


class Lost(BaseException):
    """The worker is gone."""


@dataclass
class Subscriber:
    """What a careful subscriber keeps: effects in the order of first arrival, by event."""

    raw: list[int] = field(default_factory=list)
    effects: list[tuple[str, int]] = field(default_factory=list)

    def take(self, message: Message) -> None:
        self.raw.append(message.seq)
        if (message.aggregate_id, message.seq) not in self.effects:
            self.effects.append((message.aggregate_id, message.seq))


@dataclass
class Lane:
    """The lane's row, its dead letters and the log: what survives."""

    log: list[Message] = field(default_factory=list)
    pos: int = 0
    attempt: int = 0
    fence: int = 0
    parked: list[Message] = field(default_factory=list)
    released: set[Key] = field(default_factory=set)

    def happen(self, key: str) -> None:
        seq = len(self.log) + 1
        self.log.append(Message(UUID(int=9), seq, UUID(int=seq), "t", "x", key, AT, b"{}"))

    @property
    def parked_keys(self) -> set[Key]:
        return {message.key for message in self.parked}


@dataclass
class Deliverer:
    """A worker in a thread of its own; it halts before and after each delivery."""

    lane: Lane
    subscriber: Subscriber
    outcome: Outcome = Outcome.DELIVERED
    is_over: bool = False
    is_lost: bool = False
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    halted: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def start(self) -> None:
        threading.Thread(target=self._work, daemon=True).start()
        self.halted.acquire()

    def step(self) -> None:
        if not self.is_over:
            self.go.release()
            self.halted.acquire()

    def _halt(self) -> None:
        self.halted.release()
        self.go.acquire()
        if self.is_lost:
            raise Lost

    def _deliver(self, message: Message) -> Verdict:
        self._halt()
        outcome, self.outcome = self.outcome, Outcome.DELIVERED
        if outcome is Outcome.DELIVERED:
            self.subscriber.take(message)
        self._halt()
        return Verdict(outcome, "not now")

    def _work(self) -> None:
        try:
            self._round()
        except Lost:
            pass
        finally:
            self.is_over = True
            self.halted.release()

    def _round(self) -> None:
        lane = self.lane
        lane.fence += 1  # the claim: whoever held the lane before is overtaken
        fence, pos, attempt = lane.fence, lane.pos, lane.attempt
        rules = Rules(
            self._deliver, lambda failures: 1.0 if failures < ATTEMPTS else None, OnPoison.PARK_KEY, lambda: True
        )
        self._redeliver(fence, rules)
        high = min(len(lane.log), pos + WINDOW)
        progress = work_lane(lane.log[pos:high], begin=(pos, attempt), high=high, parked=lane.parked_keys, rules=rules)
        if lane.fence == fence:  # the settlement, one transaction
            lane.pos, lane.attempt = max(lane.pos, progress.pos), progress.attempt
            known = {message.seq for message in lane.parked}
            lane.parked += [p.message for p in progress.parked if p.message.seq not in known]

    def _redeliver(self, fence: int, rules: Rules) -> None:
        lane = self.lane
        waiting = sorted((m for m in lane.parked if m.key in lane.released), key=lambda m: m.seq)
        if not waiting:
            return
        result = redeliver(waiting, rules)
        if lane.fence == fence:
            lane.parked = [m for m in lane.parked if m.seq not in result.delivered]
            lane.released -= {*result.refused} | ({m.key for m in waiting} - lane.parked_keys)


class LaneMachine(RuleBasedStateMachine):
    """I4 to I7: every event arrives, with one effect, in the order of its aggregate; a stale fence moves nothing."""

    @initialize()
    def begin(self) -> None:
        self.lane, self.subscriber = Lane(), Subscriber()
        self.workers: list[Deliverer] = []

    @rule(keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=4))
    def events_happen(self, keys: list[str]) -> None:
        for key in keys:
            self.lane.happen(key)

    @precondition(lambda self: len(self.alive) < 3)
    @rule()
    def a_worker_claims_the_lane(self) -> None:
        worker = Deliverer(self.lane, self.subscriber)
        self.workers.append(worker)
        worker.start()

    @precondition(lambda self: self.alive)
    @rule(which=st.integers(0, 5), steps=st.integers(1, 6), outcome=VERDICTS)
    def a_worker_goes_on(self, which: int, steps: int, outcome: Outcome) -> None:
        worker = self.alive[which % len(self.alive)]
        worker.outcome = outcome
        for _ in range(steps):
            worker.step()

    @precondition(lambda self: self.alive)
    @rule(which=st.integers(0, 5))
    def a_worker_is_lost(self, which: int) -> None:
        worker = self.alive[which % len(self.alive)]
        worker.is_lost = True
        worker.step()

    @precondition(lambda self: self.lane.parked)
    @rule()
    def dead_letters_are_released(self) -> None:
        self.lane.released |= self.lane.parked_keys

    @invariant()
    def each_aggregate_keeps_its_order(self) -> None:
        if hasattr(self, "lane"):
            for key in KEYS:
                seqs = [seq for aggregate, seq in self.subscriber.effects if aggregate == key]
                assert seqs == sorted(seqs)

    @invariant()
    def nothing_is_passed_over(self) -> None:
        if hasattr(self, "lane"):
            settled = {message.seq for message in self.lane.log[: self.lane.pos]}
            arrived = {seq for _, seq in self.subscriber.effects} | {message.seq for message in self.lane.parked}
            assert settled <= arrived

    def teardown(self) -> None:
        """In the end everything has arrived, once."""
        if not hasattr(self, "lane"):
            return
        for worker in self.alive:
            worker.is_lost = True
            worker.step()
        for _ in range(100):
            self.lane.released |= self.lane.parked_keys
            last = Deliverer(self.lane, self.subscriber)
            last.start()
            while not last.is_over:
                last.step()
        assert sorted(seq for _, seq in self.subscriber.effects) == [m.seq for m in self.lane.log]
        self.each_aggregate_keeps_its_order()

    @property
    def alive(self) -> list[Deliverer]:
        """Workers that have not ended."""
        return [worker for worker in self.workers if not worker.is_over] if hasattr(self, "workers") else []


LaneMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLane = LaneMachine.TestCase
