"""The PostgreSQL that Calibr brings along: found in a wheel, run as an ordinary user, tuned for bulk work."""

from calibr.db.embedded.account import can_host
from calibr.db.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer", "can_host"]
