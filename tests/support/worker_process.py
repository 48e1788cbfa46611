"""What a worker process of a test needs to call a store: `python worker.py '<JSON of a Post>'`."""

import json
import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

from calibr.catalog import open_connector
from calibr.connectors.shopify import ShopifyConnector, create
from calibr.core.ids import ConnectionId, TenantId
from calibr.db import Context, Database, Role, ServerUrl
from calibr.vault import Vault


@dataclass(frozen=True, slots=True)
class Post:
    """The login to a database, its master key, and the connection of a tenant; the script may take more words."""

    database: str
    master_key: str
    tenant: str
    connection: str

    @classmethod
    def of_this_process(cls) -> "Post":
        """The one that `command` was given."""
        return cls(**json.loads(sys.argv[1]))

    def command(self, script: Path, *more: object) -> list[str]:
        """What runs `script` as a worker of this post."""
        return [sys.executable, str(script), json.dumps(asdict(self)), *map(str, more)]

    def open(self) -> ShopifyConnector:
        """The connector as any worker opens it."""
        key, connection = self.master_key.encode(), UUID(self.connection)
        database = Database.connect(ServerUrl.parse(self.database), key, roles=(Role.WORKER,))
        worker = Context(TenantId(UUID(self.tenant)), "system:worker", connection)
        with database.session(worker, role=Role.WORKER) as session:
            factory = {"shopify": partial(create, allow_loopback=True)}
            connector = open_connector(session, ConnectionId(connection), Vault(key), factory)
        if not isinstance(connector, ShopifyConnector):
            raise TypeError(connector)
        return connector
