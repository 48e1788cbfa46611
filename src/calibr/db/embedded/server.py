"""Supervises the embedded PostgreSQL: one server per data directory, shared by all processes that use it."""

import atexit
import fcntl
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from calibr.core.errors import Unavailable
from calibr.db.embedded.account import Account, server_account
from calibr.db.embedded.binaries import environment, usable_programs
from calibr.db.embedded.cluster import SUPERUSER, Cluster
from calibr.db.embedded.postmaster import (
    PidFile,
    await_attachable,
    await_ready,
    defuse_stale_pid,
    is_postmaster,
    stop_postmaster,
)
from calibr.db.embedded.tuning import server_settings
from calibr.db.url import ServerUrl

_START_TIMEOUT_S = 300.0
_STOP_TIMEOUT_S = 60.0
_ORPHANS_TIMEOUT_S = 60.0
_ATTEMPTS = 5
_SOCKET_PATH_LIMIT = 107  # of sun_path, in bytes, on Linux; the lock file's name is the longest
_LONGEST_SOCKET_NAME = "/.s.PGSQL.65535.lock"
_LOG_LIMIT = 10 << 20
_LOG_TAIL = 2_000


@dataclass(slots=True)
class _Running:
    """A server that takes connections, and the lock that says that we use it."""

    cluster: Cluster
    pid_file: PidFile
    in_use: IO[bytes]
    process: subprocess.Popen[bytes] | None


class EmbeddedServer:
    """The server of one data directory, which belongs to it alone and is made when it does not exist.

    `start` attaches to the server when it runs already. `stop` stops it when Calibr started it and no other process uses
    it any more; each user holds a shared lock, which the kernel frees even after a `kill -9`. Both may be repeated.
    Nothing outside the data directory changes, besides a private socket folder in the temporary folder when the path of
    the data directory is too long for a Unix socket.
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

    def stop(self) -> None:
        """Stop using the server, and stop it when nobody else uses it. Waits until its process is gone."""
        running, self._running = self._running, None
        if running is None:
            return
        atexit.unregister(self.stop)
        with self._exclusively(), running.in_use:
            if self._is_last_user(running):
                stop_postmaster(running.pid_file.pid, running.cluster.data, timeout_s=_STOP_TIMEOUT_S)
                self._forget(running.pid_file)
        if running.process is not None:
            with suppress(subprocess.TimeoutExpired):
                running.process.wait(timeout=0 if is_postmaster(running.pid_file.pid, running.cluster.data) else 5)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
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
            if found is not None:
                return _Running(cluster, found, in_use, None)
            cluster.password()
            cluster.prepare(server_settings(self._overrides))
            process, started = self._launch(cluster)
            self._remember(started)
            return _Running(cluster, started, in_use, process)
        except BaseException:
            in_use.close()
            raise

    def _launch(self, cluster: Cluster) -> tuple[subprocess.Popen[bytes], PidFile]:
        """Start the process. A port that somebody else took in between, and backends that a killed server left, are waited out."""
        defuse_stale_pid(cluster.data)
        log_path = self._area / "server.log"
        deadline = time.monotonic() + _ORPHANS_TIMEOUT_S
        attempts = 0
        while True:
            socket_dir = self._socket_dir(cluster.account)
            with _fresh_log(log_path) as log:
                log_from = log.tell()
                process = self._spawn(cluster, socket_dir, log)
            try:
                started = await_ready(process, cluster.data, timeout_s=_START_TIMEOUT_S)
            except BaseException:
                stop_postmaster(process.pid, cluster.data, timeout_s=_STOP_TIMEOUT_S)
                raise
            if started is not None:
                return process, started
            said = log_path.read_bytes()[log_from:].decode(errors="replace")
            orphaned = "still in use" in said and time.monotonic() < deadline
            attempts += 0 if orphaned else 1
            if attempts >= _ATTEMPTS or not (orphaned or "could not bind" in said):
                raise Unavailable("db.start", f"The database in {self._area} does not start: {said[-_LOG_TAIL:].strip()}")
            time.sleep(0.2)

    def _spawn(self, cluster: Cluster, socket_dir: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
        command = [
            str(cluster.programs / "postgres"), "-D", str(cluster.data), "-p", str(_free_port()), "-k", str(socket_dir),
        ]  # fmt: skip
        return subprocess.Popen(  # noqa: S603 - our own program with our own paths
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=cluster.data,
            env=environment(),
            start_new_session=True,  # the terminal's Ctrl-C is ours to handle
            **cluster.account.popen(),
        )

    def _socket_dir(self, account: Account) -> Path:
        """Return a private folder with a short path. Sockets and locks of a dead server in it are removed."""
        folder = self._area / "run"
        if len(f"{folder}{_LONGEST_SOCKET_NAME}".encode()) > _SOCKET_PATH_LIMIT:
            folder = Path(tempfile.mkdtemp(prefix="calibr-"))
        folder.mkdir(mode=0o700, exist_ok=True)
        account.own(folder)
        for left in folder.glob(".s.PGSQL.*"):
            left.unlink()
        return folder

    def _is_last_user(self, running: _Running) -> bool:
        """Turn our shared lock into an exclusive one: that works when nobody else holds it."""
        found = PidFile.read(running.cluster.data)
        if found is None or self._remembered() != _identity(found):
            return False
        try:
            fcntl.flock(running.in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _remember(self, started: PidFile) -> None:
        (self._area / "started").write_text(_identity(started))

    def _remembered(self) -> str | None:
        try:
            return (self._area / "started").read_text()
        except OSError:
            return None

    def _forget(self, stopped: PidFile) -> None:
        (self._area / "started").unlink(missing_ok=True)
        if Path(stopped.socket_dir) != self._area / "run":
            shutil.rmtree(stopped.socket_dir, ignore_errors=True)


def _identity(server: PidFile) -> str:
    """Name a server so that a later one with the same pid is another."""
    return f"{server.pid} {server.started_at}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _fresh_log(path: Path) -> IO[bytes]:
    """Open the log for appending; one that has grown large is kept once as `.old`."""
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.replace(path.with_suffix(".old"))
    return path.open("ab")
