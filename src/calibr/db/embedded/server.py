"""Supervises the embedded PostgreSQL: one server per data directory, shared by all processes that use it."""

import atexit
import fcntl
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from calibr.core.errors import Unavailable
from calibr.db.embedded.account import Account, server_account
from calibr.db.embedded.binaries import usable_programs
from calibr.db.embedded.cluster import SUPERUSER, Cluster
from calibr.db.embedded.launch import run_until_ready
from calibr.db.embedded.postmaster import PidFile, await_attachable, defuse_stale_pid, stop_postmaster
from calibr.db.embedded.tuning import server_settings
from calibr.db.url import ServerUrl

_START_TIMEOUT_S = 300.0
_STOP_TIMEOUT_S = 60.0
_ORPHANS_TIMEOUT_S = 60.0
_RETRY_S = 0.2
_ATTEMPTS = 5
_STARTED = "started"  # names the server that Calibr started, so that one which an administrator started is left alone
_SOCKET_PATH_LIMIT = 107  # of sun_path, in bytes, on Linux; the lock file's name is the longest
_LONGEST_SOCKET_NAME = "/.s.PGSQL.65535.lock"


@dataclass(slots=True)
class _Running:
    """A server that takes connections, and the lock that says that we use it."""

    cluster: Cluster
    pid_file: PidFile
    in_use: IO[bytes]


class EmbeddedServer:
    """The server of one data directory, which belongs to it alone and is made when it does not exist.

    `start` attaches to the server when it runs already. `stop` stops it when Calibr started it and no other process
    uses it any more; each user holds a shared lock, which the kernel frees even after a `kill -9`. Both may be
    repeated. Nothing outside the data directory changes, besides a private folder for the socket in the temporary
    folder when the path of the data directory is too long for a Unix socket.
    """

    def __init__(self, data_dir: Path, *, overrides: dict[str, str] | None = None) -> None:
        """`overrides` are settings of PostgreSQL that win over ours."""
        self._area = data_dir.absolute()
        self._overrides = overrides or {}
        self._running: _Running | None = None

    def start(self) -> ServerUrl:
        """Return the superuser's login to the database `postgres`, once the server takes connections.

        Raises Unavailable when it cannot be started, with the last lines of its log.
        """
        if self._running is None:
            account = self._prepare_area()
            with self._exclusively():
                self._running = self._attach_or_launch(account)
            atexit.register(self.stop)
        return self.url

    def revive(self) -> bool:
        """Start the server anew, at the same place, if its process has died; returns whether it had.

        What was committed is there again: PostgreSQL recovers by its log. Any process that uses the server may call
        this; one of them starts it. Raises Unavailable when it does not start, for example while the disk is full.
        """
        running = self._require()
        if await_attachable(running.cluster.data, timeout_s=_START_TIMEOUT_S) is not None:
            return False
        with self._exclusively():
            found = await_attachable(running.cluster.data, timeout_s=_START_TIMEOUT_S)
            if found is None:
                found = self._launch(running.cluster, running.pid_file)
                (self._area / _STARTED).write_text(_identity(found))
            running.pid_file = found
        return True

    def stop(self) -> None:
        """Stop using the server, and stop it when nobody else uses it. Waits until its process is gone."""
        running, self._running = self._running, None
        if running is None:
            return
        atexit.unregister(self.stop)
        with self._exclusively(), running.in_use:
            current = PidFile.read(running.cluster.data)  # another user may have started it anew after a crash
            if current is not None and self._is_ours_alone(running, current):
                stop_postmaster(current.pid, running.cluster.data, timeout_s=_STOP_TIMEOUT_S)
                self._forget(current)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def url(self) -> ServerUrl:
        """The superuser's login over the Unix socket."""
        running = self._require()
        return ServerUrl(
            host=running.pid_file.socket_dir,
            port=running.pid_file.port,
            database="postgres",
            user=SUPERUSER,
            password=running.cluster.password(),
        )

    @property
    def tcp_port(self) -> int:
        """The port on 127.0.0.1."""
        return self._require().pid_file.port

    @property
    def pid(self) -> int:
        """The process of the server."""
        return self._require().pid_file.pid

    def _require(self) -> _Running:
        if self._running is None:
            raise Unavailable("db.stopped", f"The database in {self._area} was not started.")
        return self._running

    def _prepare_area(self) -> Account:
        self._area.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = self._area / "pgdata"
        account = server_account(data.stat().st_uid if data.exists() else None)
        if not account.foreign:
            return account
        blocker = account.blocked_by(self._area)
        if blocker is not None:
            raise Unavailable(
                "db.data_dir",
                f"As root, PostgreSQL runs as the user {account.name}, who may not enter {blocker}."
                f" Choose a data directory elsewhere; Calibr changes no permission outside {self._area}.",
            )
        self._area.chmod(self._area.stat().st_mode | 0o011)
        return account

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        """Hold the lock under which the server is started and stopped."""
        with (self._area / "start.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _attach_or_launch(self, account: Account) -> _Running:
        cluster = Cluster(self._area, account, usable_programs(self._area, account))
        in_use = (self._area / "users.lock").open("ab")
        try:
            fcntl.flock(in_use, fcntl.LOCK_SH)
            found = await_attachable(cluster.data, timeout_s=_START_TIMEOUT_S)
            if found is None:
                found = self._launch(cluster)
                (self._area / _STARTED).write_text(_identity(found))
            return _Running(cluster, found, in_use)
        except BaseException:
            in_use.close()
            raise

    def _launch(self, cluster: Cluster, before: PidFile | None = None) -> PidFile:
        """Start the server, where it was `before` if it had died.

        A port that somebody else took in between, and backends that a killed server left, are waited out.
        """
        cluster.password()
        cluster.create_if_missing()
        defuse_stale_pid(cluster.data)
        socket_dir = self._socket_dir(cluster.account, before)
        deadline = time.monotonic() + _ORPHANS_TIMEOUT_S
        attempts = 0
        while True:
            port = _free_port() if before is None else before.port
            cluster.configure(server_settings(self._overrides) | _listening(socket_dir, port))
            said = run_until_ready(cluster, self._area / "server.log", timeout_s=_START_TIMEOUT_S)
            started = PidFile.read(cluster.data)
            if said is None and started is not None and Path(started.socket_dir) == socket_dir:
                return started
            orphaned = "still in use" in (said or "") and time.monotonic() < deadline
            attempts += 0 if orphaned else 1
            if attempts >= _ATTEMPTS or not (orphaned or "could not bind" in (said or "")):
                raise Unavailable("db.start", f"The database in {self._area} does not start: {said}")
            time.sleep(_RETRY_S)

    def _socket_dir(self, account: Account, before: PidFile | None) -> Path:
        """Return a private folder with a short path. Sockets and locks of a dead server in it are removed."""
        folder = self._area / "run" if before is None else Path(before.socket_dir)
        if before is None and len(f"{folder}{_LONGEST_SOCKET_NAME}".encode()) > _SOCKET_PATH_LIMIT:
            folder = Path(tempfile.mkdtemp(prefix="calibr-"))
        folder.mkdir(mode=0o700, exist_ok=True)
        account.own(folder)
        for left in folder.glob(".s.PGSQL.*"):
            left.unlink()
        return folder

    def _is_ours_alone(self, running: _Running, current: PidFile) -> bool:
        """Say whether Calibr started the server and nobody else uses it: then our shared lock can become exclusive."""
        started = self._area / _STARTED
        if not started.exists() or started.read_text() != _identity(current):
            return False
        try:
            fcntl.flock(running.in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _forget(self, stopped: PidFile) -> None:
        (self._area / _STARTED).unlink(missing_ok=True)
        if Path(stopped.socket_dir) != self._area / "run":
            shutil.rmtree(stopped.socket_dir, ignore_errors=True)


def _identity(server: PidFile) -> str:
    """Name a server so that a later one with the same pid is another.

    The socket's folder is part of it, since we remove it afterwards, perhaps as root: the pid file that names it
    belongs to the account of the server, and must not be able to send us elsewhere.
    """
    return f"{server.pid} {server.started_at} {server.socket_dir}"


def _listening(socket_dir: Path, port: int) -> dict[str, str]:
    quoted = str(socket_dir).replace('"', '""')
    return {"port": str(port), "unix_socket_directories": f'"{quoted}"'}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
