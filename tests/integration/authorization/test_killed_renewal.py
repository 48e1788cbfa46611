"""A process that is killed while it renews a pair of tokens leaves a connection that works."""

import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from dying_worker import Task
from merchants import CREDENTIALS, Merchant

from calibr.db import Database, ServerUrl
from calibr.http import ApiServices


def die(merchant: Merchant, connection: dict[str, str], admin_url: ServerUrl, master_key: bytes, dies: str) -> None:
    tenant = str(merchant.team.principal.tenant_id)
    task = Task(admin_url.uri(), master_key.decode(), tenant, connection["id"], dies)
    command = [sys.executable, str(Path(__file__).with_name("dying_worker.py")), json.dumps(asdict(task))]
    done = subprocess.run(command, check=False, capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.slow
@pytest.mark.parametrize("dies", ["asked", "kept"])
@pytest.mark.parametrize("times", [1, 3])
def test_whenever_it_dies_the_next_process_goes_on(
    merchant: Merchant,
    database: Database,
    services: ApiServices,
    admin_url: ServerUrl,
    master_key: bytes,
    dies: str,
    times: int,
) -> None:
    connection = merchant.connected_by_consent()
    for _ in range(times):
        merchant.in_store("clock", {"advance_s": 3_700})
        die(merchant, connection, admin_url, master_key, dies)

    worker = merchant.open(database, connection, services.vault, services.connectors)
    health = worker.check()
    worker.close()

    generations = [event["generation"] for event in merchant.events(database, "connection.token_issued")]
    assert health.ok, health.problems
    # What was kept before the death is what the next process uses; what was not, it asks for again.
    assert generations == list(range(1, (2 if dies == "asked" else times + 1) + 1))
    assert merchant.events(database, "connection.unauthorized") == []
    assert len(merchant.in_store("tokens")["tokens"]) == 1


@pytest.mark.slow
def test_client_credentials_survive_it_too(
    merchant: Merchant, database: Database, services: ApiServices, admin_url: ServerUrl, master_key: bytes
) -> None:
    connection = merchant.connect(CREDENTIALS)
    for dies in ("asked", "kept"):
        die(merchant, connection, admin_url, master_key, dies)

    worker = merchant.open(database, connection, services.vault, services.connectors)
    health = worker.check()
    worker.close()

    assert health.ok
    assert [event["generation"] for event in merchant.events(database, "connection.token_issued")] == [1]
