"""The demo as a person runs it: a process of its own, with real processes below it, gone without a trace afterwards."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("CALIBR_SHARED_DATA", ROOT.parent / "shared" / "data"))
CATALOGS = SHARED / "catalogs" / "shopify-product-csvs"
TOTAL_S = 400

pytestmark = pytest.mark.slow
Demo = Callable[..., "subprocess.Popen[str]"]


def hear_ctrl_c() -> None:
    """Undo what a shell does to its background jobs: they, and all that they start, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def base() -> Iterator[Path]:
    """The directory for temporary files of one test: whatever a demo leaves behind is seen in it."""
    made = Path(tempfile.mkdtemp(prefix="calibr-e2e-"))
    made.chmod(0o711 if os.geteuid() == 0 else 0o700)
    yield made
    assert list(made.iterdir()) == []
    made.rmdir()


@pytest.fixture
def demo(base: Path) -> Iterator[Demo]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "calibr", "demo", *arguments],
            env={**os.environ, "TMPDIR": str(base), "COLUMNS": "120"},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - no other thread runs here
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def left_running(base: Path) -> list[str]:
    """Processes whose command line names the directory."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = command.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(base) in text:
            found.append(text)
    return found


def measured(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """The object that a good run prints as the last thing on standard output."""
    out, err = process.communicate(timeout=TOTAL_S)
    assert process.returncode == 0, out + err[-3000:]
    assert "Traceback" not in err
    told: dict[str, Any] = json.loads(out)
    return told


def test_a_small_demo_measures_what_it_promises(demo: Demo, base: Path) -> None:
    told = measured(demo("--exit", "--json", "--products", "300"))

    assert told["ingested"] == 300
    assert told["author_approval_refused"] is True
    assert told["store_matches_plan"] is True
    assert told["rolled_back"]["diverged"] == 3
    assert told["rolled_back"]["restored"] == told["applied"] - 3
    assert told["unaudited_changes"] == 0
    assert told["applied"] > 3
    assert told["events"] > 2 * told["applied"]
    plan = told["previewed"]
    assert set(plan) == {"selected", "up", "down", "unchanged", "clamped", "blocked"}
    assert plan["selected"] >= told["applied"]
    assert told["seconds"]["total"] > 0
    assert left_running(base) == []


@pytest.mark.parametrize("name", ["apparel.csv", "home-and-garden.csv"])
def test_a_merchants_file_goes_through(demo: Demo, name: str) -> None:
    if not (CATALOGS / name).exists():
        pytest.skip(f"the sample catalogs are not here: {CATALOGS / name}")

    process = demo("--exit", "--catalog", str(CATALOGS / name))
    out, err = process.communicate(timeout=TOTAL_S)

    assert process.returncode == 0, out[-2000:] + err[-2000:]
    assert "skipped" in out
    assert "✗ variant" not in out


def test_broken_rows_are_named_with_their_line(demo: Demo, tmp_path: Path) -> None:
    file = tmp_path / "shop.csv"
    header = "Handle,Title,Vendor,Type,Tags,Option1 Name,Option1 Value,Variant SKU,Variant Price,Cost per item"
    rows = ["hat,Hat,A,Hats,,Title,Default Title,H-1,20.00,5", "cap,Cap,A,Hats,,Title,Default Title,C-1,abc,"]
    file.write_text("\n".join([header, *rows]) + "\n")

    process = demo("--exit", "--catalog", str(file))
    out, err = process.communicate(timeout=TOTAL_S)

    assert process.returncode == 0, out[-2000:] + err[-2000:]
    assert "1 row of the file skipped" in out
    assert any(line.strip().startswith("3 ") and "Variant Price" in line for line in out.splitlines())
    assert "No product has a tag" in out
    assert "1 diverged" in out


@pytest.mark.parametrize(
    ("text", "said"),
    [("Name,Price\nHat,20\n", "has no column"), ("Handle,Title,Variant Price\n", "holds no product")],
    ids=["no catalog", "empty catalog"],
)
def test_a_file_without_products_is_refused(demo: Demo, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "shop.csv"
    file.write_text(text)

    process = demo("--exit", "--json", "--catalog", str(file))
    out, _ = process.communicate(timeout=TOTAL_S)

    assert process.returncode == 2
    assert said in json.loads(out)["error"]["detail"]


@pytest.mark.parametrize(
    ("how", "section"),
    [(signal.SIGINT, "1. "), (signal.SIGINT, "3. "), (signal.SIGINT, "8. "), (signal.SIGTERM, "2. ")],
)
def test_an_interrupted_demo_leaves_nothing_behind(demo: Demo, base: Path, how: signal.Signals, section: str) -> None:
    process = demo("--exit", "--products", "3000")
    await_line(process, section)
    process.send_signal(how)
    _, err = process.communicate(timeout=90)

    assert process.returncode == (130 if how == signal.SIGINT else 143)
    assert left_running(base) == []
    assert "Traceback" not in err


def test_it_stays_until_ctrl_c_and_its_commands_work(demo: Demo, base: Path) -> None:
    process = demo("--products", "60")
    lines = await_line(process, "Ctrl-C ends everything")
    program = (".venv/bin/calibr ", "calibr ", f"{Path(sys.executable).parent}/calibr ")
    pasted = [line for line in lines if line.startswith(("export CALIBR_URL", *program))]
    root = (
        "--plan-root $(calibr change plan summer --root)"  # in place of the question, since nobody is there to answer
    )
    script = "\n".join(f"{line} {root}" if line.endswith("approve summer") else line for line in pasted)

    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert len(pasted) == 7, lines[-20:]
    assert done.returncode == 0, done.stderr
    assert "summer  partially applied" in done.stdout, "three prices were edited by hand, so three have drifted"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=90)
    assert process.returncode == 0
    assert left_running(base) == []


def await_line(process: "subprocess.Popen[str]", start: str) -> list[str]:
    """Read until a line begins with `start`; returns the lines so far."""
    assert process.stdout is not None
    lines: list[str] = []
    deadline = time.monotonic() + TOTAL_S
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith(start):
            return lines
        assert time.monotonic() < deadline
    pytest.fail(f"no line begins with {start!r}:\n" + "\n".join(lines[-20:]))
