"""Two real processes at one real store: together they use the whole rate and are not refused, also when one dies."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2
import pytest
from worker_process import Post

from calibr.catalog import NewConnection, create_connection
from calibr.connectors.shopify import create
from calibr.connectors.shopify.bucket import PROBE_S
from calibr.db import Context, Database, ServerUrl
from calibr.vault import Vault
from calibr_sandbox.catalog_writer import create_shop
from calibr_sandbox.config import PLANS, SandboxConfig
from calibr_sandbox.server import RunningSandbox, running_sandbox
from calibr_sandbox.testing import SMALL_SHOP

PLAN = PLANS["standard"]
LEAST_USED = 0.97
SPEED = 2.0
"""The store's seconds in one of ours: 20 calls a second, which also a machine with other work can make."""


@dataclass(frozen=True)
class Moment:
    """What the store had counted at one moment of its own time."""

    at: float
    calls: int
    throttled: int
    points: int

    @property
    def restored(self) -> float:
        """All that its rate gave since its time began."""
        return self.at * PLAN.restore_per_s

    def share(self, since: "Moment", had: int) -> float:
        """How much was used of `had` points and of those restored since."""
        return (self.points - since.points) / (had + self.restored - since.restored)


@dataclass(frozen=True)
class Watch:
    """Looks at a store whose bucket was full when it was opened."""

    store: RunningSandbox

    def now(self) -> Moment:
        stats = self.store.shop.stats
        points, calls, throttled = stats.points_spent, stats.calls, stats.throttled
        return Moment(self.store.shop.clock(), calls, throttled, points)

    def least_left(self) -> Moment:
        """Of the moments of the next second, the one at which the least is left unused."""
        moments = [self.now()]
        while moments[-1].at < moments[0].at + 1.0:
            time.sleep(0.005)
            moments.append(self.now())
        return min(moments, key=lambda each: each.restored - each.points)

    def all_used(self, since: Moment, had: int) -> Moment:
        """The first moment, ten seconds later or more, at which nearly all points since a moment are used.

        What is not used stays in the bucket, unless that is full. So at such a moment nothing was ever left unwanted;
        at any other one some call may just be held up by the machine. Where there is none, the last one looked at.
        """
        while (moment := self.now()).at < since.at + 10.0 or (
            moment.share(since, had) < LEAST_USED and moment.at < since.at + 30.0
        ):
            time.sleep(0.005)
        return moment


@dataclass(frozen=True)
class Worker:
    """A running `tireless_worker.py`."""

    process: subprocess.Popen[bytes]

    def hear(self) -> bytes:
        """What it has told since it was asked last; waits for the first word."""
        return self.process.stdout.read1(1 << 16) if self.process.stdout else b""

    def begin(self) -> None:
        if self.process.stdin:
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@contextmanager
def at_work(post: Post) -> Iterator[Worker]:
    """A worker that is ready, until the end of the block."""
    command = post.command(Path(__file__).with_name("tireless_worker.py"))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            worker = Worker(process)
            assert worker.hear() == b"r"
            yield worker
        finally:
            process.kill()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunningSandbox]:
    config = SandboxConfig(tmp_path / "shop.db", plan="standard", time_factor=SPEED)
    create_shop(config.db, SMALL_SHOP, config.currency)
    with running_sandbox(config) as running:
        yield running


@pytest.fixture
def post(store: RunningSandbox, database: Database, tenant: Context, admin_url: ServerUrl, master_key: bytes) -> Post:
    token = store.shop.config.tokens[0]
    new = NewConnection("shopify", "Main store", {"shop_url": store.url}, {"access_token": token})
    shopify = partial(create, allow_loopback=True)
    with database.session(tenant) as session:
        made = create_connection(session, new, vault=Vault(master_key), connectors={"shopify": shopify})
    return Post(admin_url.uri(), master_key.decode(), str(tenant.tenant_id), str(made.id))


def ask(store: RunningSandbox, query: str) -> None:
    """Call the store as somebody who counts nowhere."""
    headers = {"X-Shopify-Access-Token": store.shop.config.tokens[0]}
    url = f"{store.url}/admin/api/2026-10/graphql.json"
    httpx2.post(url, json={"query": query}, headers=headers, trust_env=False).raise_for_status()


@pytest.mark.slow
def test_two_processes_use_the_whole_rate_and_one_goes_on_when_the_other_dies(
    store: RunningSandbox, post: Post
) -> None:
    watch = Watch(store)
    with ExitStack() as stack:
        dies, lives = (stack.enter_context(at_work(post)) for _ in range(2))
        began = watch.now()
        for worker in (dies, lives):
            worker.begin()
        together = watch.all_used(began, PLAN.bucket)
        dies.kill()
        heard = [dies.hear(), lives.hear()]
        killed = watch.least_left()
        alone = watch.all_used(killed, 0)

    assert together.share(began, PLAN.bucket) >= LEAST_USED
    assert alone.share(killed, 0) >= LEAST_USED
    assert alone.throttled < 0.01 * alone.calls
    assert [told.count(b"!") for told in heard] == [0, 0]
    fair = sum(map(len, heard)) / 4
    assert all(len(told) > fair for told in heard), "each gets its share"


@pytest.mark.slow
def test_a_process_killed_while_it_asks_for_the_level_holds_up_the_others_for_seconds_only(
    store: RunningSandbox, post: Post
) -> None:
    slow = {"kind": "delay_before", "count": 1, "delay_s": 12.0}
    httpx2.post(f"{store.url}/sandbox/faults", json=slow, trust_env=False).raise_for_status()
    with ExitStack() as stack:
        dies, lives = (stack.enter_context(at_work(post)) for _ in range(2))
        dies.begin()
        while not store.shop.faults.hits["delay_before"]:
            time.sleep(0.005)
        began = time.monotonic()
        lives.begin()
        dies.kill()
        first = lives.hear()
        waited = time.monotonic() - began
        stats = store.shop.stats

    assert first[:1] == b"."
    assert PROBE_S - 1.0 < waited < PROBE_S + 2.0
    assert stats.throttled == 0


@pytest.mark.slow
def test_six_processes_that_begin_at_an_empty_store_get_one_call_refused_at_most(
    store: RunningSandbox, post: Post
) -> None:
    watch = Watch(store)
    with ExitStack() as stack:
        workers = [stack.enter_context(at_work(post)) for _ in range(6)]
        ask(store, "{ shop { name } }")
        for bucket in store.shop.buckets.values():
            bucket.drain()
        began = watch.now()
        for worker in workers:
            worker.begin()
        ended = watch.all_used(began, 0)

    assert ended.throttled <= 1
    assert ended.share(began, 0) >= LEAST_USED
