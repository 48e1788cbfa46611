"""The tutorial: its commands, taken from the page and run in their order, do what the page says.

A fence says how its commands are run: `sh` in turn, `sh background` as a process that keeps running, `sh refused` must
end with exit code 2, and `sh setup` is what `make test` did already.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial" / "first-price-change.md"
FENCE = re.compile(r"^```sh ?(?P<how>\w*)\n(?P<commands>.*?)^```$", re.MULTILINE | re.DOTALL)
READY_S = 120
TOTAL_S = 400


@dataclass(frozen=True)
class Block:
    """One fenced block of commands."""

    how: str
    commands: str


def blocks(text: str) -> list[Block]:
    """The fences of a page, in their order."""
    return [Block(found["how"], found["commands"]) for found in FENCE.finditer(text)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def hear_ctrl_c() -> None:
    """Undo what a shell does to its background jobs: they, and all that they start, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for the tutorial's data that the database's account can enter (pytest's own are private to root)."""
    made = Path(tempfile.mkdtemp(prefix="calibr-tutorial-"))
    made.chmod(0o711 if os.geteuid() == 0 else 0o700)
    yield made
    shutil.rmtree(made)


@contextmanager
def running(command: str, environment: dict[str, str], log: Path) -> Iterator[None]:
    """A command that keeps running, ended with the signal of Ctrl-C. Returns once it said that it is ready."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            shlex.split(command),
            env=environment,
            cwd=ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - no other thread runs here
        )
    try:
        deadline = time.monotonic() + READY_S
        while "Ctrl-C ends it" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()


def script_of(page: list[Block], signs: Path) -> str:
    """One shell script of all blocks; where a background block stands, it asks for that process and waits for it."""
    lines = ["set -eu"]
    number = 0
    for block in page:
        if block.how == "background":
            lines.append(f"touch {signs}/wanted.{number}; until [ -e {signs}/ready.{number} ]; do sleep 0.1; done")
            number += 1
        elif block.how == "refused":
            lines.append(f"code=0\n{block.commands.strip()} || code=$?\ntest $code = 2")
        elif block.how != "setup":
            lines.append(block.commands)
    return "\n".join(lines)


def told(page: list[Block], environment: dict[str, str], place: Path) -> "subprocess.CompletedProcess[str]":
    """Run the script, and each background command from the moment that the script has come to it."""
    background = [block.commands.strip() for block in page if block.how == "background"]
    with (place / "out").open("w") as out, (place / "err").open("w") as err, ExitStack() as processes:
        script = subprocess.Popen(
            ["bash", "-c", script_of(page, place)],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        processes.callback(script.wait)
        processes.callback(script.kill)
        for number, command in enumerate(background):
            deadline = time.monotonic() + READY_S
            while not (place / f"wanted.{number}").exists():
                assert script.poll() is None, (place / "err").read_text()
                assert time.monotonic() < deadline, "the script does not come to its background command"
                time.sleep(0.1)
            processes.enter_context(running(command, environment, place / f"{number}.log"))
            (place / f"ready.{number}").touch()
        code = script.wait(TOTAL_S)
    return subprocess.CompletedProcess("tutorial", code, (place / "out").read_text(), (place / "err").read_text())


def exported(text: str, name: str) -> str:
    """The value that the page gives a variable."""
    found = re.search(rf"^export {name}=(.+)$", text, re.MULTILINE)
    assert found is not None, f"the page does not export {name}"
    return found[1]


@pytest.mark.slow
def test_the_tutorial_does_what_it_says(place: Path) -> None:
    ports = {"8484": str(free_port()), "8485": str(free_port())}
    text = PAGE.read_text()
    for number, port in ports.items():
        text = text.replace(number, port)
    page = blocks(text.replace("/tmp/calibr-tutorial", f"{place}/data"))  # noqa: S108 - the page's own example
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CALIBR_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PWD": str(ROOT),
        "CALIBR_DATA_DIR": f"{place}/data",
        # The reader exports it in every terminal; ours for background commands have what stands here.
        "CALIBR_ALLOW_LOOPBACK_STORES": exported(text, "CALIBR_ALLOW_LOOPBACK_STORES"),
        "CALIBR_PORT": ports["8484"],
        "CALIBR_URL": f"http://127.0.0.1:{ports['8484']}",
        "CALIBR_PROFILE": f"{place}/profile.json",
    }

    done = told(page, environment, place)

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Traceback" not in done.stdout + done.stderr
    assert "changes:approve" in done.stderr, "the author's approval is refused for want of a right"
    assert re.search(r"\b1 drifted\b", done.stdout), "the rollback leaves the edited price alone"


def test_every_fence_of_the_tutorial_is_run() -> None:
    text = PAGE.read_text()

    assert text.count("\n```sh") == len(blocks(text))
    assert {block.how for block in blocks(text)} == {"", "setup", "background", "refused"}
