"""A simulated worker: the real core over the world's database and store, stopped or lost at any of its effects."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from world import CALL_S, PERMISSIONS, STORE_DELAY_S, World

from calibr.changes.apply.core import Decide, run_batch
from calibr.changes.apply.decide import ClaimedItem, Permission
from calibr.changes.lease import LeaseLost
from calibr.connectors.port import RemotePrice, WriteOutcome, WriteResult

STEP_S = 0.01


class Crash(BaseException):
    """The worker is gone: what it knew is lost, what it did stays."""


Fate = Callable[[str], str]
"""What happens to a call: `ok`, `lost_before`, `lost_after`, `late`, `throttled`, `refused_read`."""


def kind_fate(_call: str) -> str:
    """A store on a good day."""
    return "ok"


@dataclass
class Effects:
    """Counts effects and lets the worker crash before or after a chosen one. Half steps: 2n before, 2n + 1 after."""

    crash_at: int | None = None
    pause: Callable[[str], None] = lambda _: None
    passed: int = 0
    names: list[str] = field(default_factory=list)

    def point(self, name: str) -> None:
        """One place where the process may be gone."""
        self.pause(name)
        if self.passed == self.crash_at:
            raise Crash(name)
        self.passed += 1
        self.names.append(name)


@dataclass
class SimulatedWorker:
    """One process. Also the `ItemStore` and the `Remote` of its run."""

    world: World
    effects: Effects = field(default_factory=Effects)
    fate: Fate = kind_fate
    fence: int = 0
    until: float = 0.0

    def run(self) -> None:
        """Work as long as there is something to do; returns when the change is over, paused, or in other hands."""
        world = self.world
        self.effects.point("take")
        asked = world.now
        fence = world.take()
        if fence is None:
            return
        self.fence, self.until = fence, asked + world.settings.lease_s
        try:
            self._work()
        except LeaseLost:
            return

    def _work(self) -> None:
        world, idle = self.world, 0
        while not world.is_over and idle < 200:
            self._transaction_begins("claim")
            items = world.claim(self.fence, world.settings.batch_size)
            self.effects.point("claimed")
            if items:
                run_batch(self, self, world.settings, items)
                idle = 0
                continue
            self._transaction_begins("finish")
            world.lock(self.fence)
            world.finish()
            self.effects.point("finished")
            if world.state not in PERMISSIONS:
                return
            idle += 1
            world.pass_time(0.1)

    def _alive(self) -> None:
        """What a living process does all the time: time passes, and the heartbeat renews the lease."""
        self.world.pass_time(STEP_S)
        if self.world.fence == self.fence:
            self.world.renew(self.fence)
            self.until = max(self.until, self.world.lease_until)

    def _transaction_begins(self, name: str) -> None:
        self.effects.point(name)
        self._alive()

    def _require(self, left_s: float) -> None:
        if self.world.now + left_s >= self.until:
            raise LeaseLost("price_change.lease_lost", "too late", retryable=True)

    # -- core.ItemStore

    def settle(self, decide: Decide) -> list[ClaimedItem]:
        """One transaction: nothing of it happens if the process is lost before the commit."""
        self._transaction_begins("settle")
        permission = PERMISSIONS.get(self.world.lock(self.fence), Permission.HOLD)
        sent = self.world.write_down(self.fence, list(decide(permission)))
        self.effects.point("settled")
        return sent

    # -- core.Remote

    def read(self, items: Sequence[ClaimedItem]) -> dict[str, RemotePrice] | None:
        """Read current prices."""
        self._transaction_begins("read")
        self._require(0.0)
        if self.fate("read") == "refused_read":
            self.world.pass_time(CALL_S)
            return None
        shown = {str(i.external_id): self.world.remote(str(i.external_id)) for i in items}
        self.effects.point("has_read")
        return shown

    def write(self, items: Sequence[ClaimedItem]) -> dict[str, WriteResult]:
        """Send; a crash right after sending leaves a write that lands at the latest moment it can."""
        self._transaction_begins("write")
        self._require(CALL_S)
        fate = self.fate("write")
        if fate == "throttled":
            return {str(i.external_id): WriteResult(str(i.external_id), WriteOutcome.RETRY) for i in items}
        if fate == "lost_before":
            self.world.pass_time(CALL_S)
            return {}
        latest = self.world.now + CALL_S + STORE_DELAY_S - STEP_S
        on_the_way = [(latest, str(i.external_id), i.after) for i in items]
        self.world.late += on_the_way
        self.effects.point("sent")  # lost here, the write lands late
        if fate == "late":
            self.world.pass_time(CALL_S)
            return {}
        for each in on_the_way:
            if each in self.world.late:
                self.world.late.remove(each)
                self.world.land(each[1], each[2])
        self.effects.point("written")  # lost here, the answer is lost
        if fate == "lost_after":
            self.world.pass_time(CALL_S)
            return {}
        return {
            str(i.external_id): WriteResult(
                str(i.external_id), WriteOutcome.WRITTEN, self.world.remote(str(i.external_id))
            )
            for i in items
        }
