"""PostgreSQL: the embedded server, roles, migrations, and the one door through which a tenant's rows are reached."""

from calibr.db.context import Context
from calibr.db.database import Database
from calibr.db.embedded import EmbeddedServer
from calibr.db.migrate import create_database, upgrade
from calibr.db.opening import OpenDatabase
from calibr.db.roles import Role
from calibr.db.session import DATABASE_ERRORS, Session
from calibr.db.url import ServerUrl

__all__ = [
    "DATABASE_ERRORS",
    "Context",
    "Database",
    "EmbeddedServer",
    "OpenDatabase",
    "Role",
    "ServerUrl",
    "Session",
    "create_database",
    "upgrade",
]
