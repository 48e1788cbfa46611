"""The embedded server: started, shared, stopped, and back after whatever happened to it."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from calibr.core.errors import Unavailable
from calibr.db import EmbeddedServer, ServerUrl
from calibr.db.embedded import binaries, can_host
from calibr.db.embedded.account import Account, server_account
from calibr.db.embedded.postmaster import PidFile, is_postmaster

SMALL = {"shared_buffers": "32MB", "min_wal_size": "80MB", "max_wal_size": "200MB"}
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")


@pytest.fixture
def server(server_area: Path) -> Iterator[EmbeddedServer]:
    started = EmbeddedServer(server_area, overrides=SMALL)
    started.start()
    yield started
    started.stop()


def test_data_survives_a_stop(server: EmbeddedServer, server_area: Path) -> None:
    _write_row(server.url)
    pid = server.pid
    server.stop()
    assert not _runs(pid, server_area)

    server.start()

    assert _read_row(server.url) == 1


def test_a_second_user_attaches_and_the_last_one_stops_it(server: EmbeddedServer, server_area: Path) -> None:
    second = EmbeddedServer(server_area)
    second.start()
    pid = server.pid
    assert second.pid == pid

    server.stop()
    assert _runs(pid, server_area)
    _write_row(second.url)

    second.stop()
    assert not _runs(pid, server_area)


def test_a_server_that_somebody_else_started_is_left_running(server: EmbeddedServer, server_area: Path) -> None:
    (server_area / "started").write_text("1 1")
    pid = server.pid

    server.stop()

    assert _runs(pid, server_area)


def test_starting_and_stopping_may_be_repeated(server: EmbeddedServer) -> None:
    assert server.start() == server.start()
    server.stop()
    server.stop()
    with pytest.raises(Unavailable, match="was not started"):
        _ = server.url


def test_it_comes_back_after_a_kill(server: EmbeddedServer, server_area: Path) -> None:
    """The connection that stays open is a backend that has to notice the death of its server first."""
    with psycopg.connect(server.url.conninfo(), autocommit=True):
        _write_row(server.url)
        os.kill(server.pid, signal.SIGKILL)

        again = EmbeddedServer(server_area, overrides=SMALL)
        assert _read_row(again.start()) == 1
    again.stop()


def test_a_server_that_came_back_is_stopped_by_whoever_leaves_last(server: EmbeddedServer, server_area: Path) -> None:
    os.kill(server.pid, signal.SIGKILL)
    again = EmbeddedServer(server_area, overrides=SMALL)
    again.start()
    pid = again.pid
    again.stop()
    assert _runs(pid, server_area)

    server.stop()

    assert not _runs(pid, server_area)


def test_it_comes_back_when_another_process_has_got_its_pid(server: EmbeddedServer, server_area: Path) -> None:
    _write_row(server.url)
    account, data = server_account((server_area / "pgdata").stat().st_uid), server_area / "pgdata"
    os.kill(server.pid, signal.SIGKILL)
    _await_end(server.pid, server_area)
    other = subprocess.Popen(["sleep", "60"], cwd="/", **account.popen())
    pid_file = data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
    (server_area / "run" / f".s.PGSQL.{lines[3]}.lock").write_text(f"{other.pid}\n")

    again = EmbeddedServer(server_area, overrides=SMALL)
    try:
        assert _read_row(again.start()) == 1
        assert other.poll() is None
    finally:
        again.stop()
        other.kill()
        other.wait()


def test_the_server_of_a_killed_program_is_found_and_stopped(server_area: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from calibr.db import EmbeddedServer\n"
        f"server = EmbeddedServer(Path({str(server_area)!r}), overrides={SMALL!r}); server.start()\n"
        "print(server.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        program.kill()
    assert _runs(pid, server_area)

    server = EmbeddedServer(server_area)
    server.start()
    assert server.pid == pid
    server.stop()

    assert not _runs(pid, server_area)


def test_a_program_that_just_ends_stops_its_server(server_area: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from calibr.db import EmbeddedServer\n"
        f"server = EmbeddedServer(Path({str(server_area)!r}), overrides={SMALL!r}); server.start(); print(server.pid)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert not _runs(int(done.stdout), server_area)


def test_an_interrupted_set_up_is_done_again(server_area: Path) -> None:
    (server_area / "pgdata.new").mkdir(parents=True)
    (server_area / "pgdata.new" / "PG_VERSION").write_text("18\n")
    (server_area / "superuser.password.partial").write_text("half")

    with EmbeddedServer(server_area, overrides=SMALL) as server:
        _write_row(server.url)

    assert not (server_area / "pgdata.new").exists()


def test_a_database_of_another_version_is_refused(server: EmbeddedServer, server_area: Path) -> None:
    server.stop()
    (server_area / "pgdata" / "PG_VERSION").write_text("17\n")

    with pytest.raises(Unavailable, match=r"made by PostgreSQL 17, but this is PostgreSQL 18\. Dump it"):
        server.start()


def test_a_lost_password_is_named(server: EmbeddedServer, server_area: Path) -> None:
    server.stop()
    (server_area / "superuser.password").unlink()

    with pytest.raises(Unavailable, match=r"superuser\.password is missing"):
        server.start()


def test_why_it_does_not_start_is_said(server_area: Path) -> None:
    server = EmbeddedServer(server_area, overrides=SMALL | {"shared_buffers": "much"})

    with pytest.raises(Unavailable, match='invalid value for parameter "shared_buffers": "much"'):
        server.start()


def test_a_path_too_long_for_a_socket_works_and_leaves_nothing(server_area: Path) -> None:
    deep = server_area / ("d" * 60) / ("e" * 40)
    server_area.mkdir()
    server_area.chmod(0o711)
    with EmbeddedServer(deep, overrides=SMALL) as server:
        folder = Path(server.url.host)
        _write_row(server.url)
        assert not folder.is_relative_to(deep)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    assert not folder.exists()


def test_only_this_machine_and_only_with_the_password(server: EmbeddedServer, server_area: Path) -> None:
    tcp = ServerUrl("127.0.0.1", server.tcp_port, "postgres", "postgres", server.url.password)
    with psycopg.connect(tcp.conninfo()) as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("127.0.0.1",)

    for url in (tcp, server.url):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(url.login("postgres", "wrong").conninfo())
    assert stat.S_IMODE((server_area / "superuser.password").stat().st_mode) == 0o600
    assert stat.S_IMODE((server_area / "pgdata").stat().st_mode) == 0o700


def test_no_permission_outside_the_data_directory_changes(server_area: Path) -> None:
    above = {folder: _rights(folder) for folder in server_area.resolve().parents}

    with EmbeddedServer(server_area, overrides=SMALL):
        pass

    assert {folder: _rights(folder) for folder in above} == above


@AS_ROOT
def test_a_private_folder_above_is_refused_and_stays_private(server_area: Path) -> None:
    private = server_area / "home"
    private.mkdir(parents=True)
    server_area.chmod(0o711)
    private.chmod(0o700)

    assert not can_host(private / "data")
    with pytest.raises(Unavailable, match=f"may not enter {private}"):
        EmbeddedServer(private / "data", overrides=SMALL).start()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


@AS_ROOT
def test_programs_in_a_private_folder_are_copied(server_area: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = binaries._packaged_programs()
    private = server_area / "home"
    package = packaged.parents[1]
    for folder in (package, *package.parent.glob(f"{package.name}.libs")):
        shutil.copytree(folder, private / folder.name, symlinks=True)
    private.chmod(0o700)
    server_area.chmod(0o711)
    monkeypatch.setattr(binaries, "_packaged_programs", lambda: private / package.name / "pginstall" / "bin")

    with EmbeddedServer(server_area / "data", overrides=SMALL) as server:
        running = Path(f"/proc/{server.pid}/exe").readlink()
        _write_row(server.url)

    assert running.is_relative_to(server_area / "data")
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


@AS_ROOT
def test_a_link_planted_by_the_servers_account_is_not_followed(server: EmbeddedServer, server_area: Path) -> None:
    server.stop()
    victim = server_area / "victim"
    victim.write_text("precious")
    (server_area / "pgdata" / "calibr.conf.partial").symlink_to(victim)
    (server_area / "pgdata" / "postmaster.pid").symlink_to(victim)

    with pytest.raises(OSError, match="symbolic links"):
        server.start()

    assert victim.read_text() == "precious"


def test_a_folder_that_only_the_pid_file_names_is_not_removed(server: EmbeddedServer, server_area: Path) -> None:
    victim = server_area / "victim"
    victim.mkdir()
    pid_file = server_area / "pgdata" / "postmaster.pid"
    lines = pid_file.read_text().split("\n")
    lines[4] = str(victim)
    pid_file.write_text("\n".join(lines))

    server.stop()

    assert victim.is_dir()


def test_an_ordinary_user_runs_it_himself() -> None:
    account = server_account(None)

    assert account.foreign == (os.geteuid() == 0)
    assert Account(os.geteuid(), os.getegid(), "me", foreign=False).popen() == {}


def _write_row(url: ServerUrl) -> None:
    with psycopg.connect(url.conninfo(), autocommit=True) as connection:
        connection.execute("create table t as select 1 as n")


def _read_row(url: ServerUrl) -> int:
    with psycopg.connect(url.conninfo()) as connection:
        row = connection.execute("select n from t").fetchone()
    assert row is not None
    return int(row[0])


def _runs(pid: int, area: Path) -> bool:
    found = PidFile.read(area / "pgdata")
    return found is not None and found.pid == pid and is_postmaster(pid, area / "pgdata")


def _await_end(pid: int, area: Path) -> None:
    deadline = time.monotonic() + 10
    while is_postmaster(pid, area / "pgdata") and time.monotonic() < deadline:
        time.sleep(0.01)


def _rights(folder: Path) -> tuple[int, int, int]:
    status = folder.stat()
    return status.st_mode, status.st_uid, status.st_gid
