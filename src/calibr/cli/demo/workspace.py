"""The demo's own directory: made for one run, removed with it, or by the next run when it was left behind.

A lock tells a directory in use from one that a killed run left. The kernel frees the lock with the process.
"""

import fcntl
import json
import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from calibr.cli.failures import FAILED, CliError
from calibr.cli.signals import held_back
from calibr.db.embedded import can_host
from calibr.db.embedded.postmaster import PidFile, is_postmaster, stop_postmaster

_LOCK: Final = "lock"
_PROCESSES: Final = "processes.json"
_STOP_TIMEOUT_S: Final = 30.0
_POLL_S: Final = 0.05
_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Workspace:
    """One run's directory. Everything that the demo writes stands below it."""

    root: Path

    @property
    def data_dir(self) -> Path:
        """The data directory of the server: database and key."""
        return self.root / "calibr"

    @property
    def store_file(self) -> Path:
        """The sandbox store's state."""
        return self.root / "store.db"

    @property
    def logs(self) -> Path:
        """What the started processes say."""
        return self.root / "logs"

    def remember(self, pids: list[int]) -> None:
        """Note the processes that were started, so that a later run can end them if this one cannot."""
        draft = self.root / f"{_PROCESSES}.new"
        draft.write_text(json.dumps(pids))
        draft.replace(self.root / _PROCESSES)


@contextmanager
def workspace() -> Iterator[Workspace]:
    """Make the directory of this run and remove it at the end; remove what killed runs left behind."""
    base = _base()
    _remove_abandoned(base)
    # It gets its real name when it is locked already: another run must never take it for an abandoned one.
    draft = Path(tempfile.mkdtemp(prefix=f".{_prefix()}", dir=base))
    root = base / draft.name.removeprefix(".")
    with (draft / _LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        draft.rename(root)
        try:
            yield _furnished(root)
        finally:
            with held_back():
                _stop_servers(root)
                shutil.rmtree(root, ignore_errors=True)


def _furnished(root: Path) -> Workspace:
    """As root the database's account has to pass through; the files inside are private themselves."""
    if os.geteuid() == 0:
        root.chmod(0o711)
    made = Workspace(root)
    made.logs.mkdir(mode=0o700)
    return made


def _base() -> Path:
    """A directory for temporary files in which the database's account can work: as root that is another one."""
    candidates = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108 - mkdtemp makes a private name
    for candidate in candidates:
        if candidate.is_dir() and os.access(candidate, os.W_OK) and can_host(candidate / "calibr-demo"):
            return candidate.resolve()
    listed = ", ".join(dict.fromkeys(map(str, candidates)))
    raise CliError(f"no directory for the demo: none of {listed} can be written and entered by the database", FAILED)


def _prefix() -> str:
    return f"calibr-demo-{os.geteuid()}-"


def _remove_abandoned(base: Path) -> None:
    for root in base.glob(f"{_prefix()}*"):
        with suppress(OSError):
            status = root.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
                _remove_if_abandoned(root)


def _remove_if_abandoned(root: Path) -> None:
    with (root / _LOCK).open("ab") as lock:
        if not _is_free(lock):
            return
        for pid in _remembered(root):
            _end(pid, root)
        _stop_servers(root)
        shutil.rmtree(root, ignore_errors=True)


def _is_free(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remembered(root: Path) -> list[int]:
    try:
        pids = json.loads((root / _PROCESSES).read_text())
    except (OSError, ValueError):
        return []
    return [pid for pid in pids if isinstance(pid, int)] if isinstance(pids, list) else []


def _end(pid: int, root: Path) -> None:
    """End a process of a killed run, if the pid is still its own: its command line names the directory."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        if _names(pid, root):
            with suppress(ProcessLookupError):
                os.kill(pid, how)
        while _names(pid, root) and time.monotonic() < deadline:
            time.sleep(_POLL_S)


def _names(pid: int, root: Path) -> bool:
    try:
        return str(root).encode() in (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False


def _stop_servers(root: Path) -> None:
    """Stop a database that outlived the server process which started it."""
    for data in root.glob("*/**/pgdata"):
        found = PidFile.read(data)
        if found is not None and is_postmaster(found.pid, data):
            stop_postmaster(found.pid, data, timeout_s=_STOP_TIMEOUT_S)
