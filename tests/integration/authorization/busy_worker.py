"""A worker process that calls its store from several threads for some seconds, and tells what went wrong.

`python busy_worker.py '<JSON>'` with the login to the database, the master key, tenant, connection and seconds.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import UUID

from calibr.catalog import open_connector
from calibr.connectors.shopify import create
from calibr.core.ids import ConnectionId, TenantId
from calibr.db import Context, Database, Role, ServerUrl
from calibr.vault import Vault

THREADS = 4


def main() -> None:
    url, key, tenant, connection, seconds = json.loads(sys.argv[1])
    database = Database.connect(ServerUrl.parse(url), key.encode(), roles=(Role.WORKER,))
    worker = Context(TenantId(UUID(tenant)), "system:worker", UUID(connection))
    with database.session(worker, role=Role.WORKER) as session:
        factory = {"shopify": partial(create, allow_loopback=True)}
        connector = open_connector(session, ConnectionId(UUID(connection)), Vault(key.encode()), factory)
    until = time.monotonic() + seconds

    def call(_thread: int) -> tuple[int, list[str]]:
        calls, problems = 0, []
        while time.monotonic() < until:
            calls += 1
            problems += connector.check().problems
            time.sleep(0.02)
        return calls, problems

    with ThreadPoolExecutor(THREADS) as threads:
        done = list(threads.map(call, range(THREADS)))
    connector.close()
    sys.stdout.write(json.dumps({"calls": sum(n for n, _ in done), "problems": [p for _, ps in done for p in ps]}))


if __name__ == "__main__":
    main()
