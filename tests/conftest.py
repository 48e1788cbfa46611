"""What the tests share: one PostgreSQL for all workers, one migrated database per worker, fresh tenants per test."""

import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql
from sqlalchemy import text

from calibr.core.ids import TenantId, UserId, new_uuid
from calibr.db import Context, Database, EmbeddedServer, ServerUrl, create_database, upgrade
from calibr.db.embedded.postmaster import PidFile, stop_postmaster

# A shell that starts the tests in the background lets them ignore Ctrl-C, and so would every program that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

MASTER_KEY = b"test master key, 32 bytes or more"
AREA_VARIABLE = "CALIBR_TEST_AREA"
MEMORY_DISK = Path("/dev/shm")  # noqa: S108 - a private folder is made inside
ENOUGH_MEMORY = 4 << 30
# A test server may lose its data with the machine: it is thrown away in any case.
SMALL_SERVER = {
    "shared_buffers": "128MB",
    "max_connections": "200",
    "min_wal_size": "80MB",
    "max_wal_size": "1GB",
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


def pytest_configure(config: pytest.Config) -> None:
    quiet = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]  # the machine is shared; fixtures are tenants
    settings.register_profile("default", max_examples=100, deadline=None, suppress_health_check=quiet)
    settings.register_profile("thorough", max_examples=2_000, deadline=None, suppress_health_check=quiet)
    settings.load_profile(os.environ.get("CALIBR_HYPOTHESIS_PROFILE", "default"))
    if not hasattr(config, "workerinput"):
        os.environ[AREA_VARIABLE] = str(_make_area())


def pytest_unconfigure(config: pytest.Config) -> None:
    area = os.environ.get(AREA_VARIABLE)
    if area is not None and not hasattr(config, "workerinput"):
        _clear(Path(area))


def _make_area() -> Path:
    """Make this run's folder. As root the server's account must be able to pass; pytest's own folders forbid that."""
    roomy = MEMORY_DISK.is_dir() and shutil.disk_usage(MEMORY_DISK).free >= ENOUGH_MEMORY
    base = MEMORY_DISK if roomy else Path(tempfile.gettempdir())
    for left in base.glob(f"calibr-test-{os.getuid()}-*"):
        if _is_abandoned(left):
            _clear(left)
    area = Path(tempfile.mkdtemp(prefix=f"calibr-test-{os.getuid()}-", dir=base))
    area.chmod(0o711)
    (area / "run.pid").write_text(str(os.getpid()))
    return area


def _is_abandoned(area: Path) -> bool:
    """Say whether the run that made a folder was killed before it could clear it."""
    try:
        os.kill(int((area / "run.pid").read_text()), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        return False
    return False


def _clear(area: Path) -> None:
    for data in area.rglob("pgdata"):
        found = PidFile.read(data)
        if found is not None:
            stop_postmaster(found.pid, data, timeout_s=20)
    shutil.rmtree(area, ignore_errors=True)


@pytest.fixture(scope="session")
def test_area() -> Path:
    """A folder of this run that a server's account can reach. Cleared at the end."""
    return Path(os.environ[AREA_VARIABLE])


@pytest.fixture
def server_area(test_area: Path) -> Iterator[Path]:
    """A fresh data directory for a server of the test's own. What still runs there afterwards is stopped."""
    area = test_area / f"own-{uuid4().hex[:12]}"
    yield area
    _clear(area)


@pytest.fixture(scope="session")
def master_key() -> bytes:
    return MASTER_KEY


@pytest.fixture(scope="session")
def server_url(test_area: Path) -> Iterator[ServerUrl]:
    """The superuser's login to the server that all workers share. The last one to leave stops it."""
    with EmbeddedServer(test_area / "shared", overrides=SMALL_SERVER) as server:
        yield server.url


@pytest.fixture(scope="session")
def template_database(server_url: ServerUrl, test_area: Path) -> str:
    """The name of a migrated database, made by whichever worker comes first."""
    name = "calibr_template"
    with _locked(test_area / "template.lock"):
        upgrade(create_database(server_url, name), MASTER_KEY)
    return name


@pytest.fixture(scope="session")
def make_database(server_url: ServerUrl, template_database: str, test_area: Path) -> Callable[[], ServerUrl]:
    """Makes a database at the current schema, and returns the superuser's login to it."""

    def make() -> ServerUrl:
        name = f"calibr_{uuid4().hex[:16]}"
        copy = sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template_database))
        with _locked(test_area / "template.lock"):
            with psycopg.connect(server_url.conninfo(), autocommit=True) as admin:
                admin.execute(copy)
            upgrade(server_url.on(name), MASTER_KEY)  # grants on a database are not copied with it
        return server_url.on(name)

    return make


@pytest.fixture(scope="session")
def admin_url(make_database: Callable[[], ServerUrl]) -> ServerUrl:
    """The superuser's login to this worker's database. Only tests of the walls themselves need it."""
    return make_database()


@pytest.fixture(scope="session")
def database(admin_url: ServerUrl) -> Iterator[Database]:
    """This worker's database. Rows that a test leaves belong to its own tenants."""
    opened = Database.connect(admin_url, MASTER_KEY, pool_size=5)
    yield opened
    opened.close()


@dataclass(frozen=True, slots=True)
class Members:
    """A tenant with two people."""

    author: Context
    approver: Context


@pytest.fixture(scope="session")
def make_tenant(database: Database) -> Callable[[], Members]:
    """Makes a tenant with an author and an approver."""
    return lambda: add_tenant(database)


@pytest.fixture
def members(make_tenant: Callable[[], Members]) -> Members:
    """A fresh tenant's author and approver, as contexts."""
    return make_tenant()


@pytest.fixture
def tenant(members: Members) -> Context:
    """A fresh tenant, acting as its author."""
    return members.author


@pytest.fixture
def approver(members: Members) -> Context:
    """The same tenant as `tenant`, acting as its approver."""
    return members.approver


@pytest.fixture
def other_tenant(make_tenant: Callable[[], Members]) -> Context:
    """Another fresh tenant, acting as its author."""
    return make_tenant().author


def add_tenant(database: Database, tenant_id: TenantId | None = None) -> Members:
    tenant_id = tenant_id or TenantId(new_uuid())
    author, approver = UserId(new_uuid()), UserId(new_uuid())
    context = Context(tenant_id, f"user:{author}", new_uuid())
    with database.session(context) as session:
        Database.register_tenant(session)
        for statement in (
            "insert into calibr.tenant(tenant_id, name) values (:tenant, 'Test')",
            "insert into calibr.tenant_head(tenant_id) values (:tenant)",
            "insert into calibr.app_user(tenant_id, id, name, role) values (:tenant, :author, 'Ada', 'author')",
            "insert into calibr.app_user(tenant_id, id, name, role) values (:tenant, :approver, 'Bob', 'approver')",
        ):
            session.execute(text(statement), {"tenant": tenant_id, "author": author, "approver": approver})
    return Members(context, replace(context, actor=f"user:{approver}"))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
