"""The database roles: who owns, who migrates, who works. None of them may get around row-level security.

Runs as the administrator that the operator gave us: the superuser of the embedded server, or on any other server a role
that has CREATEROLE and owns the database.
"""

from enum import StrEnum

import psycopg
from psycopg import sql

from calibr.core.errors import Conflict
from calibr.db.keys import Keys
from calibr.db.url import ServerUrl


class Role(StrEnum):
    """A role that the application logs in as."""

    APP = "calibr_app"
    WORKER = "calibr_worker"


OWNER = "calibr_owner"
MIGRATE = "calibr_migrate"
_LOGINS = (MIGRATE, *Role)
_HARMLESS = sql.SQL("nosuperuser nobypassrls nocreatedb nocreaterole noreplication")


def ensure_roles(admin: psycopg.Connection, server: ServerUrl, keys: Keys) -> None:
    """Create the roles that are missing and grant what they need on this database. May be repeated.

    Roles belong to the whole server. Raises Conflict `db.master_key` when they exist with passwords of another master
    key, since changing these would lock out the installation that they belong to.
    """
    existing = {name for (name,) in admin.execute("select rolname from pg_roles where rolname like 'calibr\\_%'")}
    if OWNER not in existing:
        admin.execute(sql.SQL("create role {} nologin {}").format(sql.Identifier(OWNER), _HARMLESS))
    for login in _LOGINS:
        if login not in existing:
            _create_login(admin, login, keys.role_password(login))
    # Without inheritance: migrations say `set role`, so that everything they make belongs to the owner.
    admin.execute(sql.SQL("grant {} to {} with inherit false, set true").format(_name(OWNER), _name(MIGRATE)))
    _grant_database(admin, server.database)
    for login in existing.intersection(_LOGINS):
        _require_password(server.login(login, keys.role_password(login)))


def _create_login(admin: psycopg.Connection, role: str, password: str) -> None:
    """Send the verifier instead of the password, so that the server's log cannot hold it."""
    verifier = admin.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    statement = sql.SQL("create role {} login {} password {}")
    admin.execute(statement.format(_name(role), _HARMLESS, sql.Literal(verifier)))


def _require_password(login: ServerUrl) -> None:
    try:
        psycopg.connect(login.conninfo()).close()
    except psycopg.OperationalError as err:
        raise Conflict(
            "db.master_key",
            f"The role {login.user} exists on this server, but its password does not come from this master key."
            " Use the master key of the installation that made it, or drop the roles calibr_* if that is gone.",
        ) from err


def _grant_database(admin: psycopg.Connection, database: str) -> None:
    name = _name(database)
    admin.execute(sql.SQL("revoke all on database {} from public").format(name))
    admin.execute(sql.SQL("revoke all on schema public from public"))
    admin.execute(sql.SQL("grant create on database {} to {}").format(name, _name(OWNER)))
    admin.execute(sql.SQL("grant connect on database {} to {}").format(name, _name(MIGRATE)))
    workers = sql.SQL(", ").join(_name(role) for role in Role)
    admin.execute(sql.SQL("grant connect, temporary on database {} to {}").format(name, workers))


def _name(identifier: str) -> sql.Identifier:
    return sql.Identifier(identifier)
