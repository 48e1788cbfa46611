"""Processes that share a pair of tokens whose end comes every second or two: no call fails, and nobody is shut out."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from merchants import CONSENT, Merchant
from rest import Team
from worker_process import Post

from calibr.db import Database, ServerUrl
from calibr_sandbox.catalog_writer import create_shop
from calibr_sandbox.config import SandboxConfig
from calibr_sandbox.server import running_sandbox
from calibr_sandbox.testing import SMALL_SHOP

PROCESSES = 3
SECONDS = 8
TIME_FACTOR = 1_500
"""An hour in 2.4 s, and the ten minutes of a code in 0.4 s."""


@pytest.fixture
def hasty(team: Team, tmp_path: Path) -> Iterator[Merchant]:
    config = SandboxConfig(tmp_path / "shop.db", time_factor=TIME_FACTOR, plan="enterprise")
    create_shop(config.db, SMALL_SHOP, config.currency)
    with running_sandbox(config) as store:
        yield Merchant(store.url, team)


@pytest.mark.slow
def test_processes_that_meet_the_end_of_a_token_again_and_again_go_on(
    hasty: Merchant, database: Database, admin_url: ServerUrl, master_key: bytes
) -> None:
    connection = hasty.connect(CONSENT)
    while hasty.state(connection) == "pending":  # a code may be over before it is redeemed
        httpx2.get(hasty.consent(connection), trust_env=False)
    post = Post(admin_url.uri(), master_key.decode(), str(hasty.team.principal.tenant_id), connection["id"])
    command = post.command(Path(__file__).with_name("busy_worker.py"), SECONDS)

    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(PROCESSES)]
    told = [worker.communicate(timeout=120) for worker in workers]

    assert [worker.returncode for worker in workers] == [0] * PROCESSES, told
    counts = [json.loads(out) for out, _ in told]
    assert [problem for each in counts for problem in each["problems"]] == []
    assert all(each["calls"] > 20 for each in counts)
    issued = [event["generation"] for event in hasty.events(database, "connection.token_issued")]
    assert issued == list(range(1, len(issued) + 1))
    assert 3 <= len(issued) <= 4 * SECONDS, "a token that ended is renewed once, not once for each who met it"
    assert hasty.state(connection) == "active"
