"""The demo's directory: gone with its run, removed by the next when its run was killed, kept while one is alive."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from calibr.cli.demo.workspace import workspace

KEEPS_ONE = """
import subprocess, sys, time
from calibr.cli.demo.workspace import workspace
with workspace() as place:
    sleeper = "import sys, time; time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", sleeper, str(place.root)], start_new_session=True)
    place.remember([child.pid])
    print(place.root, child.pid, flush=True)
    time.sleep(600)
"""

Start = Callable[[], tuple["subprocess.Popen[str]", Path, int]]


@pytest.fixture(autouse=True)
def own_temporary_directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("tempfile.tempdir", None)
    base = Path(f"/tmp/calibr-demo-test-{os.getpid()}")  # noqa: S108 - root's database account cannot enter pytest's folders
    base.mkdir(mode=0o755)
    monkeypatch.setenv("TMPDIR", str(base))
    yield
    monkeypatch.setattr("tempfile.tempdir", None)
    base.rmdir()


@pytest.fixture
def another_demo() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start() -> tuple["subprocess.Popen[str]", Path, int]:
        process = subprocess.Popen([sys.executable, "-c", KEEPS_ONE], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        root, pid = process.stdout.readline().split()
        return process, Path(root), int(pid)

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def is_running(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_the_directory_is_gone_with_its_run() -> None:
    with workspace() as place:
        root = place.root
        (root / "left").write_text("x")
        assert root.stat().st_mode & 0o777 == (0o711 if os.geteuid() == 0 else 0o700)

    assert not root.exists()


def test_an_error_removes_it_too() -> None:
    with pytest.raises(ValueError, match="stop"), workspace() as place:  # noqa: PT012 - the point is what follows
        root = place.root
        raise ValueError("stop")

    assert not root.exists()


def test_what_a_killed_run_left_is_removed_with_its_processes(another_demo: Start) -> None:
    process, root, child = another_demo()
    process.kill()
    process.wait()
    assert root.exists()
    assert is_running(child)

    with workspace():
        pass

    deadline = time.monotonic() + 10
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not root.exists()
    assert not is_running(child)


def test_a_run_that_is_alive_keeps_its_directory(another_demo: Start) -> None:
    process, root, child = another_demo()

    with workspace() as own:
        assert own.root != root
        assert root.exists()
        assert is_running(child)

    process.kill()
    process.wait()
    with workspace():
        pass


def test_a_pid_that_belongs_to_somebody_else_by_now_is_left_alone() -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with workspace() as place:
        abandoned = place.root.with_name(f"{place.root.name}x")
        abandoned.mkdir()
        (abandoned / "processes.json").write_text(f"[{bystander.pid}]")

    with workspace():
        assert not abandoned.exists()

    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()
