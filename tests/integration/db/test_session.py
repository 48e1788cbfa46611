"""The one session door: signed context, commit and rollback, pools that leave nothing behind."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import Trace
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DataError, OperationalError

from calibr.db import Context, Database, Role, ServerUrl, Session
from calibr.db.keys import Keys
from calibr.db.session import Entry, driver_connection, transaction

NAMES = text("select name from calibr.app_user order by name")
RENAME = text("""
  create function pg_temp.prefix(added text) returns void language sql
  as $$ update calibr.app_user set name = added || name $$
""")
PREFIX = b"pg_temp.prefix($)"
TWICE = text("""
  create function pg_temp.twice(n int) returns void language sql as $$ insert into once values (n), (n) $$
""")


def test_a_tenant_sees_its_own_rows_only(database: Database, tenant: Context, other_tenant: Context) -> None:
    rename = text("update calibr.app_user set name = 'Renamed'  || id")
    with database.session(tenant) as session:
        session.execute(rename)

    with database.session(other_tenant) as session:
        assert list(session.execute(NAMES).scalars()) == ["Ada", "Bob"]


def test_an_exception_rolls_everything_back(database: Database, tenant: Context) -> None:
    def write_and_fail() -> None:
        with database.session(tenant) as session:
            session.execute(text("update calibr.app_user set name = 'x' || name"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()

    with database.session(tenant) as session:
        assert list(session.execute(NAMES).scalars()) == ["Ada", "Bob"]


def test_now_is_the_start_of_the_transaction_by_the_clock_of_the_database(database: Database, tenant: Context) -> None:
    with database.session(tenant) as session:
        assert session.now == session.execute(text("select transaction_timestamp()")).scalar_one()
        assert abs(session.now - datetime.now(UTC)) < timedelta(minutes=1)


def test_hooks_run_once_in_order_and_the_last_ones_last(database: Database, tenant: Context) -> None:
    calls: list[str] = []

    def chained(session: Session) -> None:
        calls.append("chained")
        session.before_commit(lambda _: calls.append("late"))

    with database.session(tenant) as session:
        session.before_commit(lambda _: calls.append("flush"), last=True)
        session.before_commit(chained)
        session.before_commit(lambda _: calls.append("second"))

    assert calls == ["chained", "second", "late", "flush"]


def test_a_hook_that_raises_rolls_back(database: Database, tenant: Context) -> None:
    def fail(session: Session) -> None:
        session.execute(text("select 1/0"))

    def write_with_hook() -> None:
        with database.session(tenant) as session:
            session.execute(text("update calibr.app_user set name = 'x' || name"))
            session.before_commit(fail)

    with pytest.raises(DataError, match="division by zero"):
        write_with_hook()

    with database.session(tenant) as session:
        assert list(session.execute(NAMES).scalars()) == ["Ada", "Bob"]


def test_a_snapshot_shows_the_same_to_another_session(database: Database, tenant: Context) -> None:
    with database.session(tenant, isolation="repeatable read") as first:
        snapshot = first.export_snapshot()
        with database.session(tenant) as writer:
            writer.execute(text("update calibr.app_user set name = 'x' || name"))
        with database.session(tenant, role=Role.WORKER, snapshot=snapshot) as second:
            assert list(second.execute(NAMES).scalars()) == ["Ada", "Bob"]


def test_who_exported_a_snapshot_may_stand_still_while_others_work_on_it(database: Database, tenant: Context) -> None:
    with database.session(tenant, isolation="repeatable read") as first:
        first.execute(text("set local idle_in_transaction_session_timeout = '50ms'"))
        first.export_snapshot()
        time.sleep(0.2)
        assert list(first.execute(NAMES).scalars()) == ["Ada", "Bob"]


def test_copy_goes_through_a_temporary_table(database: Database, tenant: Context) -> None:
    with database.session(tenant) as session:
        session.execute(text("create temporary table load(n int) on commit drop"))
        assert session.copy_in("copy load from stdin", [b"1\n2", b"3\n"]) == 2
        assert b"".join(session.copy_out("copy (select sum(n) from load) to stdout")) == b"24\n"


def test_the_directory_lists_all_tenants_to_the_worker(
    database: Database, tenant: Context, other_tenant: Context
) -> None:
    assert {tenant.tenant_id, other_tenant.tenant_id} <= set(database.directory())


def test_a_connection_that_dies_before_the_context_is_signed_is_reported_like_any_lost_one(
    admin_url: ServerUrl, tenant: Context, master_key: bytes
) -> None:
    keys = Keys(master_key)
    login = admin_url.login(Role.APP, keys.role_password(Role.APP))
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(login.conninfo()))

    with engine.connect() as connection:
        backend = driver_connection(connection).info.backend_pid
        with psycopg.connect(admin_url.conninfo()) as admin:
            admin.execute("select pg_terminate_backend(%s, 5000)", [backend])
        with pytest.raises(OperationalError), transaction(connection, Entry(tenant, keys.context_key())):
            pass

        assert connection.invalidated
    engine.dispose()


@pytest.mark.parametrize("role", [Role.APP, Role.WORKER])
def test_a_later_session_is_of_the_same_tenant_and_role(database: Database, tenant: Context, role: Role) -> None:
    who = text("select current_user, (select string_agg(name, ',' order by name) from calibr.app_user)")
    with database.session(tenant, role=role) as session:
        first, again = session.execute(who).one(), session.again

    with again() as later:
        assert later.execute(who).one() == first
        assert later.context == tenant


def test_a_session_that_no_database_opened_has_no_later_one(database: Database, tenant: Context) -> None:
    with database.session(tenant) as session, pytest.raises(RuntimeError):
        _ = Session(session.connection, tenant, session.now).again


def test_deferred_calls_come_in_their_order_and_before_whatever_follows(database: Database, tenant: Context) -> None:
    with database.session(tenant) as session:
        session.execute(RENAME)
        for number in range(7):  # more than wait at a time
            session.defer(PREFIX, (f"{number} ",))
        assert list(session.execute(NAMES).scalars()) == ["6 5 4 3 2 1 0 Ada", "6 5 4 3 2 1 0 Bob"]
        session.defer(PREFIX, ("7 ",))
        session.defer(PREFIX, ("8 ",))

    with database.session(tenant) as session:
        assert list(session.execute(NAMES).scalars()) == ["8 7 6 5 4 3 2 1 0 Ada", "8 7 6 5 4 3 2 1 0 Bob"]


def test_the_last_call_and_the_commit_take_one_round_trip(database: Database, tenant: Context, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    with sent.open("w") as file, database.session(tenant) as session:
        driver = driver_connection(session.connection)
        session.execute(RENAME)
        driver.pgconn.trace(file.fileno())
        driver.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        session.defer(PREFIX, ("x",))
    driver.pgconn.untrace()

    kinds = [line.split("\t")[2] for line in sent.read_text().splitlines() if line.startswith("F")]
    first_sync = kinds.index("Sync")
    assert kinds[:first_sync].count("Parse") == 2
    with database.session(tenant) as session:
        assert list(session.execute(NAMES).scalars()) == ["xAda", "xBob"]


def test_a_deferred_call_that_fails_undoes_the_transaction(database: Database, tenant: Context) -> None:
    def write_and_fail() -> None:
        with database.session(tenant) as session:
            session.execute(text("update calibr.app_user set name = 'x' || name"))
            session.defer(b"1 / $::int", (0,))

    for _ in range(2):
        with pytest.raises(psycopg.errors.DivisionByZero):
            write_and_fail()

    with database.session(tenant) as session:
        assert list(session.execute(NAMES).scalars()) == ["Ada", "Bob"]


def test_a_commit_that_fails_says_so_also_behind_a_deferred_call(database: Database, tenant: Context) -> None:
    def write_twice() -> None:
        with database.session(tenant) as session:
            session.execute(text("create temporary table once(n int unique deferrable initially deferred)"))
            session.execute(text("update calibr.app_user set name = 'x' || name"))
            session.execute(TWICE)
            session.defer(b"pg_temp.twice($::int)", (1,))

    with pytest.raises(psycopg.errors.UniqueViolation):
        write_twice()

    with database.session(tenant) as session:
        assert list(session.execute(NAMES).scalars()) == ["Ada", "Bob"]


def test_a_connection_that_dies_before_the_last_call_is_reported_like_any_lost_one(
    admin_url: ServerUrl, database: Database, tenant: Context
) -> None:
    def write_and_lose() -> None:
        with database.session(tenant) as session:
            backend = driver_connection(session.connection).info.backend_pid
            session.execute(text("update calibr.app_user set name = 'x' || name"))
            with psycopg.connect(admin_url.conninfo()) as admin:
                admin.execute("select pg_terminate_backend(%s, 5000)", [backend])
            session.defer(b"sec.tenant()", ())

    with pytest.raises((OperationalError, psycopg.OperationalError)):
        write_and_lose()

    with database.session(tenant) as session:
        assert list(session.execute(NAMES).scalars()) == ["Ada", "Bob"]
