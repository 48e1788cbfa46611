"""Pooled connections: two tenants alternate on one, and nothing of one is there for the next."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError

from calibr.core.errors import Unavailable
from calibr.core.ids import TenantId, new_uuid
from calibr.db import Context, Database, EmbeddedServer, Role, ServerUrl, create_database, upgrade

PID = text("select pg_backend_pid()")
TENANT = text("select tenant_id from calibr.tenant")


@pytest.fixture
def single(admin_url: ServerUrl, master_key: bytes) -> Iterator[Database]:
    """A database with one pooled connection per role."""
    opened = Database.connect(admin_url, master_key, pool_size=1)
    yield opened
    opened.close()


def test_two_tenants_alternate_on_one_connection(single: Database, tenant: Context, other_tenant: Context) -> None:
    seen = []
    for context in (tenant, other_tenant) * 10:
        with single.session(context) as session:
            seen.append((session.execute(PID).scalar_one(), list(session.execute(TENANT).scalars())))

    assert len({pid for pid, _ in seen}) == 1
    assert [tenants for _, tenants in seen] == [[tenant.tenant_id], [other_tenant.tenant_id]] * 10


@pytest.mark.parametrize("fails", [False, True])
def test_the_next_user_finds_nothing(single: Database, tenant: Context, other_tenant: Context, fails: bool) -> None:  # noqa: FBT001
    def leave_things_behind() -> None:
        with single.session(tenant) as session:
            pid.append(session.execute(PID).scalar_one())
            session.execute(text("create temporary table left_behind as select tenant_id from calibr.tenant"))
            session.execute(text("select pg_advisory_lock(42)"))
            session.execute(text("set statement_timeout = '1min'"))
            session.execute(text("select set_config('calibr.ctx', current_setting('calibr.ctx'), false)"))
            session.execute(text("listen somebody"))
            if fails:
                raise ZeroDivisionError

    pid: list[int] = []
    try:
        leave_things_behind()
    except ZeroDivisionError:
        assert fails

    with single.session(other_tenant) as session:
        assert session.execute(PID).scalar_one() == pid[0]
        assert session.execute(text("select to_regclass('left_behind')")).scalar_one() is None
        assert (
            session.execute(
                text("select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()")
            ).scalar_one()
            == 0
        )
        assert session.execute(text("show statement_timeout")).scalar_one() == "0"
        assert session.execute(text("select count(*) from pg_listening_channels()")).scalar_one() == 0
        assert list(session.execute(TENANT).scalars()) == [other_tenant.tenant_id]


def test_requests_do_not_wait_for_locks_without_end_and_workers_do(single: Database, tenant: Context) -> None:
    found = []
    for role in (Role.APP, Role.WORKER) * 2:  # the second of each comes back out of the pool
        with single.session(tenant, role=role) as session:
            found.append(session.execute(text("show lock_timeout")).scalar_one())

    assert found == ["5s", "0"] * 2


def test_what_a_failing_statement_was_given_is_not_told(single: Database, tenant: Context) -> None:
    with pytest.raises(DataError) as failed, single.session(tenant) as session:
        session.execute(text("select cast(:hash as text), 1 / 0"), {"hash": "canary-4711"})

    assert "canary" not in str(failed.value)


def test_without_a_session_a_pooled_connection_shows_nothing(single: Database, tenant: Context) -> None:
    with single.session(tenant) as session:
        session.execute(text("select set_config('calibr.ctx', current_setting('calibr.ctx'), false)"))

    for role in Role:
        with single._engines[role].connect() as connection, pytest.raises(Exception, match="no tenant context"):
            connection.execute(TENANT)


def test_a_server_that_went_away_is_reported_and_found_again(server_area: Path, master_key: bytes) -> None:
    server = EmbeddedServer(server_area, overrides={"shared_buffers": "32MB", "fsync": "off"})
    admin = create_database(server.start(), "calibr")
    upgrade(admin, master_key)
    database = Database.connect(admin, master_key, pool_size=1)
    context = Context(TenantId(new_uuid()), "system:test", new_uuid())
    with database.session(context) as session:
        session.execute(TENANT)

    server.stop()
    for use in (database.ping, database.directory, lambda: database.session(context).__enter__()):
        with pytest.raises(Unavailable, match="does not answer"):
            use()
    database.close()


def test_a_transaction_that_stands_still_loses_its_locks_and_leaves_nothing(
    database: Database, tenant: Context
) -> None:
    rename = text("update calibr.app_user set name = :name || name where name = 'Ada'")
    usual: list[str] = []

    def stand_still_while_another_waits() -> None:
        with database.session(tenant) as stopped:
            usual.append(stopped.execute(text("show idle_in_transaction_session_timeout")).scalar_one())
            stopped.execute(text("set local idle_in_transaction_session_timeout = '200ms'"))
            stopped.execute(rename, {"name": "stopped "})
            with database.session(tenant) as other:
                other.execute(rename, {"name": "other "})

    with pytest.raises(Unavailable, match="stood still"):
        stand_still_while_another_waits()

    assert usual == ["1min"]
    with database.session(tenant) as session:
        assert set(session.execute(text("select name from calibr.app_user")).scalars()) == {"other Ada", "Bob"}


def test_the_usual_patience_with_the_network_gives_way_to_that_of_the_url(
    admin_url: ServerUrl, master_key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []
    connect = psycopg.connect

    def connecting(conninfo: str, **options: object) -> psycopg.Connection:
        asked.append(options)
        return connect(conninfo, **options)  # type: ignore[arg-type]

    patient = replace(admin_url, options=(*admin_url.options, ("connect_timeout", "77")))
    monkeypatch.setattr(psycopg, "connect", connecting)
    with closing(Database.connect(patient, master_key)):
        pass

    opened = [options for options in asked if options.get("application_name") == "calibr"]
    assert opened
    assert all("connect_timeout" not in options and options["keepalives_idle"] == 30 for options in opened)
