"""A worker process that renews the token of its connection and dies at a chosen moment.

`python dying_worker.py '<JSON>'`; `dies` is `asked` (the store has answered, nothing is kept) or `kept` (committed,
never used).
"""

import json
import os
import signal
import sys
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from calibr.catalog.grants import GrantKeeper
from calibr.catalog.service import open_connector
from calibr.connectors.port.credentials import Credential, Issue, Issued
from calibr.connectors.shopify import ShopifyConnector, create
from calibr.core.ids import ConnectionId, TenantId
from calibr.db import Context, Database, Role, ServerUrl
from calibr.vault import Vault


@dataclass(frozen=True)
class Task:
    database: str
    master_key: str
    tenant: str
    connection: str
    dies: str


class DyingKeeper(GrantKeeper):
    """Renews as the real one does, up to the moment of death."""

    dies: str = ""

    def renew(self, seen: int, issue: Issue) -> Credential:
        def ask(refresh_token: str | None) -> Issued:
            issued = issue(refresh_token)
            if DyingKeeper.dies == "asked":
                os.kill(os.getpid(), signal.SIGKILL)
            return issued

        super().renew(seen, ask)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("dead")


def main() -> None:
    task = Task(**json.loads(sys.argv[1]))
    vault = Vault(task.master_key.encode())
    database = Database.connect(ServerUrl.parse(task.database), task.master_key.encode(), roles=(Role.WORKER,))
    worker = Context(TenantId(UUID(task.tenant)), "system:worker", UUID(task.connection))
    connection_id = ConnectionId(UUID(task.connection))
    with database.session(worker, role=Role.WORKER) as session:
        factory = {"shopify": partial(create, allow_loopback=True)}
        connector = open_connector(session, connection_id, vault, factory)
        DyingKeeper.dies = task.dies
        keeper = DyingKeeper(session.again, connection_id, vault, 0)
    if not isinstance(connector, ShopifyConnector):
        raise TypeError(connector)
    connector.use_keeper(keeper)
    connector.check()


if __name__ == "__main__":
    main()
