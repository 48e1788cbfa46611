"""Brings a database to the current schema: roles, schemas, migrations, the key of the tenant context."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from calibr.core.errors import Conflict, Unavailable
from calibr.db.keys import Keys, padded
from calibr.db.roles import MIGRATE, OWNER, ensure_roles
from calibr.db.url import ServerUrl

MINIMUM_VERSION = 180_000
_MIGRATION_LOCK = 0x63616C69627201  # "calibr", 1
_LOCK_WAIT = "120s"
_LOCK_TIMEOUT = "5s"
_STATEMENT_TIMEOUT = "15min"
_SCRIPTS = Path(__file__).parent / "migrations"


def create_database(admin: ServerUrl, name: str) -> ServerUrl:
    """Create a database when it does not exist, and return the administrator's login to it."""
    with _connect(admin) as connection:
        known = connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone()
        if known is None:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    return admin.on(name)


def upgrade(admin: ServerUrl, master_key: bytes) -> None:
    """Bring the database to the current schema. May be repeated, and run by several processes at once.

    Raises Unavailable when the server is older than PostgreSQL 18, cannot be reached, or is at a later migration than
    this program knows, and Conflict `db.master_key` when the database belongs to another master key. A statement that
    waits more than 5 s for a lock (Unavailable `db.locked`), or runs more than 15 minutes, fails and leaves the schema
    as it was before its migration.
    """
    keys = Keys(master_key)
    with _connect(admin) as connection:
        require_version(connection)
        connection.execute(sql.SQL("set lock_timeout = {}").format(sql.Literal(_LOCK_WAIT)))
        try:
            connection.execute("select pg_advisory_lock(%s)", [_MIGRATION_LOCK])
            ensure_roles(connection, admin, keys)
            _migrate(admin.login(MIGRATE, keys.role_password(MIGRATE)), keys)
        except (psycopg.errors.LockNotAvailable, OperationalError) as err:
            if not _waited_in_vain(err):
                raise
            message = "The migration gave up: something else holds a lock on the database. Try again."
            raise Unavailable("db.locked", message, retryable=True) from err


def head_revision() -> str:
    """Return the newest migration that this program knows."""
    return str(ScriptDirectory(str(_SCRIPTS)).get_current_head())


def current_revision(admin: ServerUrl, master_key: bytes) -> str | None:
    """Return the migration that the database is at; None when it has none of ours. Changes nothing.

    Raises Unavailable when the server is too old or cannot be reached, or the roles are not those of this master key.
    """
    with _connect(admin) as connection:
        require_version(connection)
        found = connection.execute("select 1 from pg_roles where rolname = %s", [MIGRATE]).fetchone()
    if found is None:
        return None
    migrator = admin.login(MIGRATE, Keys(master_key).role_password(MIGRATE))
    try:
        with _as_owner(migrator) as owner:
            table = owner.execute("select to_regclass('calibr.alembic_version')").fetchone()
            if table is None or table[0] is None:
                return None
            row = owner.execute("select version_num from calibr.alembic_version").fetchone()
    except psycopg.OperationalError as err:
        raise Unavailable("db.master_key", f"The role {MIGRATE} cannot log in with this master key: {err}") from err
    return None if row is None else str(row[0])


def require_version(connection: psycopg.Connection) -> None:
    """Raise Unavailable `db.version` when the server is too old."""
    version = connection.info.server_version
    if version < MINIMUM_VERSION:
        raise Unavailable("db.version", f"Calibr needs PostgreSQL 18 or newer; this server is {version // 10_000}.")


def _migrate(migrator: ServerUrl, keys: Keys) -> None:
    engine = create_engine("postgresql+psycopg://", creator=lambda: _as_owner(migrator), poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("create schema if not exists sec")
        connection.exec_driver_sql("create schema if not exists calibr")
    with engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
        config.attributes["connection"] = connection
        _upgrade_to_head(config)
    with _as_owner(migrator) as raw:
        _ensure_context_key(raw, keys)


def _upgrade_to_head(config: Config) -> None:
    try:
        command.upgrade(config, "head")
    except CommandError as err:
        if not isinstance(err.__cause__, ResolutionError):
            raise
        message = "The database was migrated by a later version of Calibr. Use that one."
        raise Unavailable("db.schema", message) from err


def _waited_in_vain(error: Exception) -> bool:
    return isinstance(getattr(error, "orig", error), psycopg.errors.LockNotAvailable)


def _ensure_context_key(owner: psycopg.Connection, keys: Keys) -> None:
    """Store the padded key once. Another one in its place means another installation, whose secrets stay closed."""
    ipad, opad = padded(keys.context_key())
    owner.execute("insert into sec.key(id, ipad, opad) values (1, %s, %s) on conflict do nothing", [ipad, opad])
    stored = owner.execute("select ipad, opad from sec.key where id = 1").fetchone()
    if stored != (ipad, opad):
        raise Conflict("db.master_key", "This database was set up with another master key. Use that one.")


def _as_owner(migrator: ServerUrl) -> psycopg.Connection:
    connection = psycopg.connect(migrator.conninfo(), autocommit=True)
    for name, value in (("role", OWNER), ("lock_timeout", _LOCK_TIMEOUT), ("statement_timeout", _STATEMENT_TIMEOUT)):
        connection.execute("select set_config(%s, %s, false)", [name, value])
    connection.autocommit = False
    return connection


@contextmanager
def _connect(admin: ServerUrl) -> Iterator[psycopg.Connection]:
    """Open the administrator's connection in autocommit mode."""
    try:
        connection = psycopg.connect(admin.conninfo(), autocommit=True)
    except psycopg.OperationalError as err:
        raise Unavailable("db.unreachable", f"The database {admin} cannot be reached: {err}", retryable=True) from err
    with connection:
        yield connection
