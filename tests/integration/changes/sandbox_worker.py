"""A worker process that applies one change to a sandbox store, to be killed at any moment.

`python sandbox_worker.py '<JSON>'` with the login to the database, the tenant, the change and the address of the store.
"""

import json
import sys
from dataclasses import dataclass
from uuid import UUID

from calibr.changes.apply import ApplySettings, run_apply
from calibr.connectors.port import Connector
from calibr.connectors.shopify import create
from calibr.core.ids import ConnectionId, PriceChangeId, TenantId
from calibr.db import Context, Database, Role, ServerUrl

SETTINGS = ApplySettings(
    batch_size=40,
    parallel_batches=3,
    lease_s=1.2,
    margin_s=0.3,
    backoff_base_s=0.05,
    backoff_cap_s=0.5,
    give_up_after=99,
)


@dataclass(frozen=True)
class Task:
    database: str
    master_key: str
    tenant: str
    change: str
    shop_url: str

    def connector(self, _: ConnectionId) -> Connector:
        connector = create({"shop_url": self.shop_url}, {"access_token": "shpat_sandbox"}, allow_loopback=True)
        connector.request_timeout_s = 0.3  # the store is on this machine and answers at once
        return connector


def main() -> None:
    task = Task(**json.loads(sys.argv[1]))
    database = Database.connect(ServerUrl.parse(task.database), task.master_key.encode(), roles=(Role.WORKER,))
    change_id = PriceChangeId(UUID(task.change))
    worker = Context(TenantId(UUID(task.tenant)), "system:worker", UUID(task.change))
    print("ready", flush=True)  # noqa: T201 - tells the test that the next moments matter
    run_apply(database, worker, change_id, task.connector, SETTINGS)


if __name__ == "__main__":
    main()
