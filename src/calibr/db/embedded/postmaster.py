"""The server process: told apart from others by its pid file, awaited, stopped by its pid."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from calibr.core.errors import Unavailable
from calibr.db.embedded.private_files import overwrite

_PROC = Path("/proc")
_NEVER_A_PID = 2_147_483_647  # above every kernel's limit: a pid that belongs to nobody
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class PidFile:
    """What a running server writes into `postmaster.pid`."""

    pid: int
    started_at: int
    port: int
    socket_dir: str
    ready: bool

    @classmethod
    def read(cls, data: Path) -> Self | None:
        """Return the content, or None when there is none or it is not complete yet."""
        try:
            lines = (data / "postmaster.pid").read_text().splitlines()
            return cls(
                pid=int(lines[0]),
                started_at=int(lines[2]),
                port=int(lines[3]),
                socket_dir=lines[4].strip(),
                ready=len(lines) > 7 and lines[7].strip() == "ready",  # noqa: PLR2004 - the eighth line is the status
            )
        except (OSError, ValueError, IndexError):
            return None


def is_postmaster(pid: int, data: Path) -> bool:
    """Say whether a process is the server of this data directory, and not another one that got its pid."""
    if not _PROC.is_dir():
        return str(data.resolve()) in _command(pid)
    try:
        command = (_PROC / str(pid) / "cmdline").read_bytes()
        works_in = (_PROC / str(pid) / "cwd").readlink()
    except OSError:
        return False
    return works_in == data.resolve() and b"\0-D\0" in command and not command.startswith(b"postgres: ")


def defuse_stale_pid(data: Path) -> None:
    """Make a pid file harmless whose pid belongs to another process by now.

    PostgreSQL would refuse to start. The file is not removed, because its other lines let PostgreSQL see whether
    backends of the dead server still hold the shared memory; only the pid becomes one that nobody can have.
    """
    path = data / "postmaster.pid"
    try:
        lines = path.read_text().split("\n")
    except OSError:
        return
    lines[0] = str(_NEVER_A_PID)
    overwrite(path, "\n".join(lines))


def await_attachable(data: Path, *, timeout_s: float) -> PidFile | None:
    """Return the pid file of a server that others started, once it is ready; None when there is none (any more)."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = PidFile.read(data)
        if found is None or not is_postmaster(found.pid, data):
            return None
        if found.ready:
            return found
        time.sleep(_POLL_S)
    raise Unavailable(
        "db.start", f"The running database did not become ready within {timeout_s:.0f} s.", retryable=True
    )


def stop_postmaster(pid: int, data: Path, *, timeout_s: float) -> None:
    """Stop a server by its pid and wait until it is gone: first fast, then, after `timeout_s`, at once.

    Nothing happens when the pid is not that of the server of `data`.
    """
    for how in (signal.SIGINT, signal.SIGQUIT):
        if not is_postmaster(pid, data):
            return
        with suppress(ProcessLookupError):
            os.kill(pid, how)
        if _await_gone(pid, data, timeout_s):
            return
    raise Unavailable("db.stop", f"The database (process {pid}) did not stop.")


def _await_gone(pid: int, data: Path, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while is_postmaster(pid, data):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _command(pid: int) -> str:
    """Return the command line of a process where there is no /proc."""
    listed = subprocess.run(  # noqa: S603 - a fixed program and a number
        ["/bin/ps", "-o", "command=", "-p", str(pid)], check=False, capture_output=True, text=True
    )
    return listed.stdout
