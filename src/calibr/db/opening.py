"""Opens the database of an installation: the embedded server, or the one that the operator names."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from calibr.db.database import Database
from calibr.db.embedded import EmbeddedServer
from calibr.db.migrate import create_database, upgrade
from calibr.db.url import ServerUrl

_DATABASE = "calibr"


@dataclass(slots=True)
class OpenDatabase:
    """A database at the current schema. `close` also stops the embedded server when nobody else uses it."""

    database: Database
    admin: ServerUrl
    server: EmbeddedServer | None = None

    @classmethod
    def embedded(cls, data_dir: Path, master_key: bytes, *, overrides: dict[str, str] | None = None) -> Self:
        """Start (or attach to) the server of `data_dir` and bring its database to the current schema."""
        server = EmbeddedServer(data_dir, overrides=overrides)
        try:
            admin = create_database(server.start(), _DATABASE)
            upgrade(admin, master_key)
            return cls(Database.connect(admin, master_key), admin, server)
        except BaseException:
            server.stop()
            raise

    @classmethod
    def external(cls, url: str, master_key: bytes) -> Self:
        """Bring the database of `url` to the current schema; its role needs CREATEROLE and must own the database."""
        admin = ServerUrl.parse(url)
        upgrade(admin, master_key)
        return cls(Database.connect(admin, master_key), admin)

    def close(self) -> None:
        """Close the pools, then let go of the server."""
        self.database.close()
        if self.server is not None:
            self.server.stop()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()
