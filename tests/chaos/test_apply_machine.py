"""Several workers on one plan, stepped, stopped, lost and woken late in any order that Hypothesis can think of."""

import os
import threading
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from workers import Crash, Effects, SimulatedWorker
from world import World

from calibr.changes.lifecycle import ChangeState
from calibr.changes.model import Price

ITEMS = 8
MOST_WORKERS = 3
EXPOSED = {"has_read", "settle", "settled", "write", "sent"}
"""Between reading and writing an edit cannot be seen: the window that a store without compare-and-set leaves."""
FATES = st.sampled_from(["ok", "ok", "ok", "lost_before", "lost_after", "late", "throttled", "refused_read"])


@dataclass
class Stepped:
    """A worker in a thread of its own that moves only when it is told to."""

    world: World
    fate: str = "ok"
    at: str = "not started"
    is_over: bool = False
    _go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _is_lost: bool = False

    def start(self) -> None:
        threading.Thread(target=self._work, daemon=True).start()
        self._arrived.acquire()

    def step(self) -> None:
        if not self.is_over:
            self._go.release()
            self._arrived.acquire()

    def lose(self) -> None:
        self._is_lost = True
        self.step()

    def _pause(self, name: str) -> None:
        self.at = name
        self._arrived.release()
        self._go.acquire()
        if self._is_lost:
            raise Crash(name)

    def _work(self) -> None:
        worker = SimulatedWorker(self.world, Effects(pause=self._pause), self._take_fate)
        try:
            worker.run()
        except Crash:
            pass
        finally:
            self.is_over, self.at = True, "over"
            self._arrived.release()

    def _take_fate(self, call: str) -> str:
        fate, self.fate = self.fate, "ok"
        return fate if (fate == "refused_read") == (call == "read") else "ok"


class ApplyMachine(RuleBasedStateMachine):
    """P1 to P10 of an apply run hold after each step of anybody."""

    @initialize()
    def begin(self) -> None:
        self.world = World.of(ITEMS)
        self.workers: list[Stepped] = []

    @precondition(lambda self: len(self.alive) < MOST_WORKERS)
    @rule()
    def start_a_worker(self) -> None:
        worker = Stepped(self.world)
        self.workers.append(worker)
        worker.start()

    @precondition(lambda self: self.alive)
    @rule(which=st.integers(0, 9), steps=st.integers(1, 12), fate=FATES)
    def go_on(self, which: int, steps: int, fate: str) -> None:
        worker = self.alive[which % len(self.alive)]
        worker.fate = fate
        for _ in range(steps):
            worker.step()

    @precondition(lambda self: self.alive)
    @rule(which=st.integers(0, 9))
    def lose(self, which: int) -> None:
        self.alive[which % len(self.alive)].lose()

    @rule(seconds=st.floats(0.1, 4.0))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @precondition(lambda self: not self.world.late and not any(w.at in EXPOSED for w in self.alive))
    @rule(product=st.integers(1, ITEMS))
    def somebody_edits(self, product: int) -> None:
        self.world.land(str(product), Price(7, None), by_us=False)

    @precondition(lambda self: self.world.state is ChangeState.APPLYING)
    @rule()
    def pause(self) -> None:
        self.world.state = ChangeState.PAUSED

    @precondition(lambda self: self.world.state is ChangeState.PAUSED)
    @rule()
    def resume(self) -> None:
        self.world.state = ChangeState.APPLYING

    @precondition(lambda self: self.world.state in {ChangeState.APPLYING, ChangeState.PAUSED})
    @rule()
    def abort(self) -> None:
        self.world.state = ChangeState.ABORTING

    @invariant()
    def nothing_is_broken(self) -> None:
        if hasattr(self, "world"):
            assert self.world.violations() == {}

    def teardown(self) -> None:
        """Whatever happened, the next workers bring it to its end."""
        if not hasattr(self, "world"):
            return
        for worker in self.alive:
            worker.lose()
        if self.world.state is ChangeState.PAUSED:
            self.world.state = ChangeState.APPLYING
        for _ in range(200):
            if self.world.is_over:
                break
            SimulatedWorker(self.world).run()
            self.world.pass_time(0.5)
        self.world.pass_time(10)
        assert self.world.is_over
        assert self.world.violations() == {}

    @property
    def alive(self) -> list[Stepped]:
        """Workers that have not ended."""
        return [worker for worker in self.workers if not worker.is_over] if hasattr(self, "workers") else []


EXAMPLES = int(os.environ.get("CALIBR_CHAOS_EXAMPLES", "60"))
ApplyMachine.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestApply = ApplyMachine.TestCase
