"""The pools of one process, one per role, and the one door to a tenant's rows."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final, Self

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

from calibr.core.errors import Forbidden, Unavailable
from calibr.core.ids import TenantId
from calibr.db.context import Context
from calibr.db.hints import Bell, Listener
from calibr.db.keys import Keys
from calibr.db.migrate import require_version
from calibr.db.roles import Role
from calibr.db.session import Entry, Isolation, Session, driver_connection, transaction
from calibr.db.url import ServerUrl

DISK_FULL: Final = "53100"
STOOD_STILL: Final = "25P03"
TROUBLE_S: Final = 10.0

# A role that could get around the walls, by itself or by becoming another one.
_ABOVE_THE_WALLS = """
  select r.rolname from pg_roles r
  where pg_has_role(current_user, r.oid, 'MEMBER')
    and (r.rolsuper or r.rolbypassrls or r.rolcreaterole
         or exists (select from pg_class c where c.relowner = r.oid and c.relnamespace in
                    (select oid from pg_namespace where nspname in ('calibr', 'sec'))))
  order by 1
"""
_DIRECTORY = text("select tenant_id from calibr.tenant_directory order by created_at, tenant_id")
# How long a request waits for a lock. A long transaction of a worker holds the event counter of its tenant: requests of
# this tenant that waited without end would take every connection, and all other tenants would stand still with it.
# Workers wait as long as it takes.
_WAITS = {Role.APP: "-c lock_timeout=5s", Role.WORKER: ""}
# How long a transaction may hold its locks while its process stands still, or after its machine was cut off.
_SILENCE = (
    "-c idle_in_transaction_session_timeout=60s "
    "-c tcp_keepalives_idle=30s -c tcp_keepalives_interval=10s -c tcp_keepalives_count=3"
)
# The other way round: a server that vanished from the network is given up within a minute, and not after two hours. The
# database URL may say otherwise; on a Unix socket all of this means nothing.
_NETWORK: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
# What DISCARD ALL does, except that prepared statements stay: the driver counts on them, and no plan holds a tenant.
_LEAVE_NOTHING = """
  close all; set session authorization default; reset all; unlisten *; select pg_advisory_unlock_all();
  discard temp; discard sequences
"""


class Database:
    """One per process. Thread-safe. `close` when done."""

    def __init__(self, engines: dict[Role, Engine], logins: dict[Role, ServerUrl], keys: Keys) -> None:
        """Use `connect`."""
        self._engines = engines
        self._open_apart = partial(_open, next(iter(logins.values())))
        self._bell = Bell(self._open_apart)
        self._full_at: float | None = None
        self._context_key = keys.context_key()

    @classmethod
    def connect(
        cls, server: ServerUrl, master_key: bytes, *, roles: Sequence[Role] = tuple(Role), pool_size: int = 10
    ) -> Self:
        """Open a pool per role; user and password of `server` are replaced by those of the role.

        Raises Unavailable when the server cannot be reached or is too old, and Forbidden `db.role` when a role could
        get around row-level security: the program must not run then.
        """
        keys = Keys(master_key)
        logins = {role: _login(server, keys, role) for role in roles}
        engines = {role: _engine(login, pool_size) for role, login in logins.items()}
        database = cls(engines, logins, keys)
        try:
            for engine in engines.values():
                _require_walled(engine)
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def session(
        self,
        context: Context,
        *,
        role: Role = Role.APP,
        isolation: Isolation = "read committed",
        snapshot: str | None = None,
    ) -> Iterator[Session]:
        """Open a transaction as a tenant: commits at the end, rolls back when anything raises.

        `snapshot` comes from `Session.export_snapshot` and implies repeatable read.
        """
        entry = Entry(context, self._context_key, isolation, snapshot, partial(self.session, context, role=role))
        with (
            self._typed(),
            _checked_out(self._engines[role]) as connection,
            transaction(connection, entry) as session,
        ):
            yield session
        if session.has_news:
            self._bell.ring()

    @contextmanager
    def _typed(self) -> Iterator[None]:
        """Say it plainly when the disk is full or the transaction stood still: nothing was changed, try again."""
        try:
            yield
        except (DBAPIError, psycopg.Error) as error:
            state = getattr(getattr(error, "orig", error), "sqlstate", None)
            if state == DISK_FULL:
                self._full_at = time.monotonic()
                message = "The disk of the database is full; nothing was changed."
                raise Unavailable("db.disk_full", message, retryable=True) from error
            if state == STOOD_STILL:
                message = "The transaction stood still for too long and was ended; nothing was changed."
                raise Unavailable("db.stood_still", message, retryable=True) from error
            raise

    def trouble(self) -> str | None:
        """What kept transactions from committing a moment ago; None if nothing did."""
        is_recent = self._full_at is not None and time.monotonic() - self._full_at < TROUBLE_S
        return "the disk of the database is full" if is_recent else None

    def listen(self, heard: Callable[[], None]) -> Listener:
        """Call back soon after any process committed events; a hint may be lost. The caller starts and closes it."""
        return Listener(self._open_apart, heard)

    def directory(self) -> list[TenantId]:
        """Return the ids of all tenants, oldest first. For workers, which then open a session for each."""
        with _checked_out(self._engines[Role.WORKER]) as connection:
            return [TenantId(tenant_id) for (tenant_id,) in connection.execute(_DIRECTORY)]

    @staticmethod
    def register_tenant(session: Session) -> None:
        """Put the tenant of the session into the directory, in its transaction. Its own rows are the caller's."""
        session.execute(text("insert into calibr.tenant_directory(tenant_id) values (:id)"), {"id": session.tenant_id})

    def ping(self) -> None:
        """Ask the server for an answer. Raises Unavailable `db.unreachable`."""
        for engine in self._engines.values():
            with _checked_out(engine):
                pass  # a connection that comes out of the pool has just answered

    def close(self) -> None:
        """Close all pools."""
        self._bell.close()
        for engine in self._engines.values():
            engine.dispose()


def _login(server: ServerUrl, keys: Keys, role: Role) -> ServerUrl:
    options = dict(server.options)
    options["options"] = f"{options.get('options', '')} {_SILENCE} {_WAITS[role]}".strip()
    return replace(server.login(role, keys.role_password(role)), options=tuple(options.items()))


def _engine(login: ServerUrl, pool_size: int) -> Engine:
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: _open(login),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        hide_parameters=True,  # hashes of tokens, sealed secrets and what people wrote must not get into logs
        pool_reset_on_return=None,
    )
    event.listen(engine, "reset", _reset)
    return engine


def _checked_out(engine: Engine) -> Connection:
    """Return a connection that answers. Raises Unavailable `db.unreachable` when there is none."""
    try:
        return engine.connect()
    except (OperationalError, PoolTimeout) as err:
        reason = str(getattr(err, "orig", err)).strip()
        raise Unavailable("db.unreachable", f"The database does not answer: {reason}", retryable=True) from err


def _open(login: ServerUrl) -> psycopg.Connection:
    usual = {name: value for name, value in _NETWORK.items() if name not in dict(login.options)}
    return psycopg.connect(login.conninfo(), application_name="calibr", **usual)


def _reset(connection: psycopg.Connection, _record: ConnectionPoolEntry, state: PoolResetState) -> None:
    """Leave nothing behind for the next user of a pooled connection: settings, temporary tables, locks, listeners."""
    if state.terminate_only or connection.closed:
        return
    connection.rollback()
    connection.autocommit = True
    connection.execute(_LEAVE_NOTHING, prepare=False)
    connection.autocommit = False


def _require_walled(engine: Engine) -> None:
    with _checked_out(engine) as connection:
        require_version(driver_connection(connection))
        above = list(connection.execute(text(_ABOVE_THE_WALLS)).scalars())
        user = connection.execute(text("select current_user")).scalar_one()
    if above:
        raise Forbidden(
            "db.role", f"The role {user} could get around row-level security as: {', '.join(above)}. Refusing to run."
        )
