"""Opens the database of an installation: the embedded server, or the one that the operator names."""

import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import structlog

from calibr.core.errors import Unavailable
from calibr.db.database import Database
from calibr.db.embedded import EmbeddedServer
from calibr.db.migrate import create_database, upgrade
from calibr.db.url import ServerUrl

_DATABASE = "calibr"
_WATCH_EVERY_S: Final = 0.5
_WATCH_AGAIN_S: Final = 2.0

log = structlog.stdlib.get_logger("calibr.db")


@dataclass(slots=True)
class OpenDatabase:
    """A database at the current schema. `close` also stops the embedded server when nobody else uses it."""

    database: Database
    admin: ServerUrl
    server: EmbeddedServer | None = None
    guardian: "Guardian | None" = None

    @classmethod
    def embedded(cls, data_dir: Path, master_key: bytes, *, overrides: dict[str, str] | None = None) -> Self:
        """Start (or attach to) the server of `data_dir` and bring its database to the current schema."""
        server = EmbeddedServer(data_dir, overrides=overrides)
        try:
            admin = create_database(server.start(), _DATABASE)
            upgrade(admin, master_key)
            guardian = Guardian(server)
            guardian.start()
            return cls(Database.connect(admin, master_key), admin, server, guardian)
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
        if self.guardian is not None:
            self.guardian.close()
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


class Guardian:
    """Watches over the embedded server, and starts it anew when its process has died: nobody else would."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="guardian", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self) -> None:
        """End the watch; a start that is under way comes to its end first."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(_WATCH_EVERY_S):
            try:
                if self._server.revive():
                    log.warning("db.server_revived")
            except (Unavailable, OSError) as error:
                log.warning("db.server_does_not_start", error=str(error)[:500])
                self._closed.wait(_WATCH_AGAIN_S)
