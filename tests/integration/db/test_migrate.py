"""Roles and migrations, also for an administrator who is no superuser, and the refusal to run above the walls."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text

from calibr.core.errors import Conflict, Forbidden, Invalid, Unavailable
from calibr.core.ids import TenantId, new_uuid
from calibr.db import (
    Context,
    Database,
    EmbeddedServer,
    OpenDatabase,
    Role,
    ServerUrl,
    create_database,
    migrate,
    upgrade,
)
from calibr.db.walls import findings

OTHER_KEY = b"another master key of enough bytes"


@pytest.fixture
def fresh_server(server_area: Path) -> Iterator[ServerUrl]:
    """A server that never saw Calibr: its roles are part of what is tested."""
    with EmbeddedServer(server_area, overrides={"fsync": "off", "shared_buffers": "32MB"}) as server:
        yield server.url


def test_an_administrator_without_superuser_rights_can_set_everything_up(
    fresh_server: ServerUrl, master_key: bytes
) -> None:
    admin = fresh_server.login("operator", "secret")
    with psycopg.connect(fresh_server.conninfo(), autocommit=True) as superuser:
        superuser.execute("create role operator login password 'secret' nosuperuser createrole createdb")
    create_database(admin, "pricing")

    with OpenDatabase.external(admin.on("pricing").uri(), master_key) as opened:
        context = Context(TenantId(new_uuid()), "system:test", new_uuid())
        with opened.database.session(context) as session:
            Database.register_tenant(session)
            session.execute(text("insert into calibr.tenant values (:id, 'One')"), {"id": context.tenant_id})
        assert opened.database.directory() == [context.tenant_id]
        upgrade(opened.admin, master_key)

    with psycopg.connect(fresh_server.on("pricing").conninfo()) as superuser:
        assert findings(superuser) == []


def test_several_processes_may_upgrade_at_once(fresh_server: ServerUrl, master_key: bytes) -> None:
    admin = create_database(fresh_server, "calibr")

    with ThreadPoolExecutor(3) as threads:
        done = [threads.submit(upgrade, admin, master_key) for _ in range(3)]

    assert [each.result() for each in done] == [None, None, None]


def test_another_master_key_is_refused_and_changes_nothing(fresh_server: ServerUrl, master_key: bytes) -> None:
    admin = create_database(fresh_server, "calibr")
    upgrade(admin, master_key)

    with pytest.raises(Conflict, match="does not come from this master key"):
        upgrade(admin, OTHER_KEY)
    Database.connect(admin, master_key).close()


def test_a_database_of_another_installation_is_refused(
    make_database: Callable[[], ServerUrl], master_key: bytes
) -> None:
    admin = make_database()
    with psycopg.connect(admin.conninfo()) as superuser:
        superuser.execute("update sec.key set ipad = opad")

    with pytest.raises(Conflict, match="another master key"):
        upgrade(admin, master_key)


def test_a_migration_that_waits_for_a_lock_gives_up(
    make_database: Callable[[], ServerUrl], master_key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert migrate._LOCK_TIMEOUT == "5s"
    monkeypatch.setattr(migrate, "_LOCK_TIMEOUT", "200ms")
    admin = make_database()
    with psycopg.connect(admin.conninfo()) as blocker:
        blocker.execute("lock table calibr.alembic_version")
        with pytest.raises(Unavailable, match="something else holds a lock"):
            upgrade(admin, master_key)
        blocker.rollback()

    upgrade(admin, master_key)


def test_a_database_of_a_later_program_is_refused(make_database: Callable[[], ServerUrl], master_key: bytes) -> None:
    admin = make_database()
    with psycopg.connect(admin.conninfo()) as superuser:
        superuser.execute("update calibr.alembic_version set version_num = '9999'")

    with pytest.raises(Unavailable, match="a later version of Calibr"):
        upgrade(admin, master_key)


@pytest.mark.parametrize(
    "privilege",
    ["alter role calibr_app bypassrls", "alter role calibr_app superuser", "grant calibr_owner to calibr_app"],
)
def test_a_role_above_the_walls_is_refused(fresh_server: ServerUrl, master_key: bytes, privilege: str) -> None:
    admin = create_database(fresh_server, "calibr")
    upgrade(admin, master_key)
    with psycopg.connect(admin.conninfo()) as superuser:
        superuser.execute(sql.SQL(privilege))

    with pytest.raises(Forbidden, match="Refusing to run"):
        Database.connect(admin, master_key)
    Database.connect(admin, master_key, roles=[Role.WORKER]).close()


def test_an_unreachable_server_is_named_without_its_password(master_key: bytes) -> None:
    nowhere = ServerUrl("127.0.0.1", 1, "calibr", "operator", "top-secret")

    with pytest.raises(Unavailable, match=r"operator@127\.0\.0\.1:1/calibr cannot be reached") as caught:
        upgrade(nowhere, master_key)
    assert "top-secret" not in str(caught.value)


def test_a_short_master_key_is_refused(admin_url: ServerUrl) -> None:
    with pytest.raises(Invalid, match="at least 32 bytes; this one has 5"):
        upgrade(admin_url, b"short")
