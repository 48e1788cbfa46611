"""The processes of the demo: the sandbox store and the server. Started as anybody would, ended by their pids.

They run in sessions of their own: Ctrl-C reaches the demo alone, which then ends them in order.
"""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from calibr.cli.demo.workspace import Workspace
from calibr.cli.failures import FAILED, REFUSED, CliError
from calibr.cli.signals import held_back

_READY_TIMEOUT_S: Final = 180.0
_END_TIMEOUT_S: Final = 30.0
_LOG_TAIL: Final = 1_500
_LAST_WORDS_S: Final = 2.0


@dataclass(slots=True)
class Launched:
    """A process that was started. `said` is what it told once it was ready."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where it listens, once it is ready."""
        return str(self.said["url"])

    def await_ready(self) -> dict[str, Any]:
        """Wait for the JSON line that says it is ready.

        Raises CliError with the end of its log when it ends or stays silent instead.
        """
        if not self.said:
            self.said = _await_ready(self.process, self.name, self.log)
        return self.said

    def end(self) -> None:
        """End it. May be repeated."""
        _end(self.process)


@dataclass(slots=True)
class Processes:
    """Starts processes in one workspace, and ends all of them, last one first."""

    place: Workspace
    running: list[Launched] = field(default_factory=list)

    def launch(self, name: str, arguments: Sequence[str], environment: dict[str, str] | None = None) -> Launched:
        """Start `python -m ...` without waiting: several can get ready at the same time."""
        log = self.place.logs / f"{name}.log"
        with log.open("ab") as errors, held_back():
            process = subprocess.Popen(  # noqa: S603 - our own modules with our own arguments
                [sys.executable, "-m", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=_environment(environment or {}),
                start_new_session=True,
            )
            launched = Launched(name, process, log)
            self.running.append(launched)
            self.place.remember([each.process.pid for each in self.running])
        return launched

    def end_all(self) -> None:
        """End everything, in the reverse order of the starts. May be repeated."""
        while self.running:
            self.running[-1].end()
            self.running.pop()


def run_once(arguments: Sequence[str], environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Run one `python -m ...` to its end and return the JSON document that it printed. Ctrl-C ends it too."""
    process: subprocess.Popen[bytes] | None = None
    try:
        with held_back():
            process = subprocess.Popen(  # noqa: S603 - our own modules with our own arguments
                [sys.executable, "-m", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(environment or {}),
                start_new_session=True,
            )
        out, err = process.communicate()
    finally:
        if process is not None:
            with held_back():
                _end(process)
    if process.returncode != 0:
        said = err.decode(errors="replace").strip()
        raise CliError(f"`{' '.join(arguments[:3])}` ended with {process.returncode}: {said[-_LOG_TAIL:]}", FAILED)
    document: dict[str, Any] = json.loads(out)
    return document


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process to end, and make it if it does not; nothing happens to one that has ended."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _environment(extra: dict[str, str]) -> dict[str, str]:
    """Ours, without settings of another installation: the demo must not touch a real one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CALIBR_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **extra}


def _await_ready(process: "subprocess.Popen[bytes]", name: str, log: Path) -> dict[str, Any]:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    line = b""
    with selectors.DefaultSelector() as selector:
        stdout = process.stdout
        if stdout is None:
            raise CliError(f"the {name} has no standard output", FAILED)
        selector.register(stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n") and time.monotonic() < deadline:
            if not selector.select(timeout=0.5):
                continue
            chunk = os.read(stdout.fileno(), 1 << 16)
            if not chunk:
                break
            line += chunk
    with suppress(ValueError):
        ready = json.loads(line)
        if isinstance(ready, dict) and ready.get("event") == "ready":
            return ready
    said = log.read_text(errors="replace").strip() or line.decode(errors="replace")
    refused = _ended(process) == REFUSED
    told = said[-_LOG_TAIL:].removeprefix("error: ")
    raise CliError(f"the {name} did not start: {told}", REFUSED if refused else FAILED)


def _ended(process: "subprocess.Popen[bytes]") -> int | None:
    """The exit code of a process that is about to end; None for one that stays."""
    try:
        return process.wait(_LAST_WORDS_S)
    except subprocess.TimeoutExpired:
        return None
