"""Starts the server process, which lives on when we do not: others may use it, and the next start finds it."""

import subprocess
from pathlib import Path
from typing import IO

from calibr.db.embedded.binaries import environment
from calibr.db.embedded.cluster import Cluster
from calibr.db.embedded.postmaster import PidFile, stop_postmaster

_LOG_LIMIT = 10 << 20
_LOG_TAIL = 2_000
_STOP_TIMEOUT_S = 60.0


def run_until_ready(cluster: Cluster, log_path: Path, *, timeout_s: float) -> str | None:
    """Start the server and return None once it takes connections, or the end of its log when it did not get there.

    Recovery after an unclean stop can take long. When we are interrupted meanwhile, the server is stopped again.
    """
    with _open_log(log_path) as log:
        said_from = log.tell()
        command = [
            str(cluster.programs / "pg_ctl"),
            "start",
            "--silent",
            "-w",
            f"--timeout={timeout_s:.0f}",
            "-D",
            str(cluster.data),
        ]
        try:
            done = subprocess.run(  # noqa: S603 - our own program with our own paths
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=cluster.data,
                env=environment(),
                start_new_session=True,  # the terminal's Ctrl-C is ours to handle
                **cluster.account.popen(),
            )
        except BaseException:
            _stop_half_started(cluster.data)
            raise
    if done.returncode == 0:
        return None
    _stop_half_started(cluster.data)
    return log_path.read_bytes()[said_from:].decode(errors="replace")[-_LOG_TAIL:].strip()


def _stop_half_started(data: Path) -> None:
    left = PidFile.read(data)
    if left is not None:
        stop_postmaster(left.pid, data, timeout_s=_STOP_TIMEOUT_S)


def _open_log(path: Path) -> IO[bytes]:
    """Open the log for appending; one that has grown large is kept once as `.old`."""
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.replace(path.with_suffix(".old"))
    return path.open("ab")
