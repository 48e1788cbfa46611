"""How a command ends: one document, one line, one exit code."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from calibr.cli import run


@dataclass(frozen=True)
class Ended:
    """What a command printed and how it ended."""

    returncode: int
    stdout: str
    stderr: str


Calibr = Callable[..., Ended]


@pytest.fixture
def calibr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Calibr]:
    """Run a command in this process; signals mean afterwards what they meant before."""
    for name in [name for name in os.environ if name.startswith("CALIBR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CALIBR_PROFILE", "/nonexistent/profile.json")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run_command(*arguments: str) -> Ended:
        code = run(arguments)
        told = capsys.readouterr()
        return Ended(code, told.out, told.err)

    yield run_command
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def rule_file(tmp_path: Path) -> Path:
    file = tmp_path / "rule.json"
    transform = {"price": [{"op": "percent", "by": "-10"}]}
    file.write_text(json.dumps({"selector": {"all": []}, "transform": transform, "guardrails": []}))
    return file


def test_a_result_is_one_json_document(calibr: Calibr, rule_file: Path) -> None:
    done = calibr("rules", "check", str(rule_file), "--json")

    assert done.returncode == 0
    assert json.loads(done.stdout)["valid"] is True
    assert done.stderr == ""


def test_a_bad_rule_names_field_value_and_rule(calibr: Calibr, tmp_path: Path) -> None:
    file = tmp_path / "rule.json"
    selector = {"all": [{"field": "product.colour", "op": "eq", "value": "red"}]}
    file.write_text(json.dumps({"selector": selector, "transform": {"price": []}}))

    done = calibr("rules", "check", str(file))

    assert done.returncode == 2
    assert done.stdout == ""
    first = done.stderr.splitlines()[0]
    assert first.startswith("error: selector.all[0].field: ")
    assert "product.colour" in first


def test_a_refusal_is_a_document_too(calibr: Calibr, tmp_path: Path) -> None:
    done = calibr("rules", "check", str(tmp_path / "none.json"), "--json")

    assert done.returncode == 2
    assert "No such file" in json.loads(done.stdout)["error"]["detail"]
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_an_amount_is_judged_in_a_currency(calibr: Calibr, tmp_path: Path) -> None:
    file = tmp_path / "rule.json"
    rail = {"id": "f", "rule": "floor", "amount": "1.50"}
    file.write_text(json.dumps({"selector": {"all": []}, "transform": {"price": []}, "guardrails": [rail]}))

    assert calibr("rules", "check", str(file), "--currency", "USD").returncode == 0
    refused = calibr("rules", "check", str(file), "--currency", "JPY")

    assert refused.returncode == 2
    assert refused.stderr.startswith("error: guardrails[0].amount: ")


def test_nobody_there_is_said_in_one_line(calibr: Calibr) -> None:
    done = calibr("change", "list", "--url", "http://127.0.0.1:9", "--token", "x")

    assert done.returncode == 1
    assert done.stderr == "error: cannot reach http://127.0.0.1:9 — is `calibr serve` running?\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["change", "lst"], "no such command 'lst'"),
        (["change", "show"], "missing argument"),
        (["change", "list", "--limit", "x"], "valid integer"),
        (["change", "list", "--nope"], "no such option"),
        (["change", "list", "--url", "nowhere"], "is not an address"),
        (["audit", "list", "--id", "7"], "--id needs --entity"),
        (["connect", "shopify", "--name", "a", "--shop-url", "b"], "--token-stdin or --token-env"),
        (["change", "new", "x", "--percent", "-10"], "say which products"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(calibr: Calibr, arguments: list[str], said: str) -> None:
    done = calibr(*arguments)

    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_nothing_is_colored_in_a_pipe(calibr: Calibr, rule_file: Path) -> None:
    assert "\x1b" not in calibr("rules", "check", str(rule_file)).stdout


def test_a_reader_that_leaves_is_no_error(rule_file: Path) -> None:
    command = f"{sys.executable} -m calibr rules check {rule_file} --json | head -c 1; exit ${{PIPESTATUS[0]}}"

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)

    assert done.returncode in {0, 141}
    assert done.stderr == ""


def test_the_help_lists_the_life_of_a_change(calibr: Calibr) -> None:
    done = calibr("change", "--help")

    assert done.returncode == 0
    for name in ("new", "preview", "approve", "apply", "rollback", "explain", "items", "plan"):
        assert f" {name} " in done.stdout


def test_the_program_can_be_started_both_ways() -> None:
    beside = Path(sys.executable).with_name("calibr")

    for command in ([sys.executable, "-m", "calibr"], [str(beside)]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout.startswith("calibr ")


def test_an_unexpected_error_shows_no_stack_trace(calibr: Calibr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calibr.cli.commands.rules.read_rule", lambda _: 1 / 0)

    done = calibr("rules", "check", "x")

    assert done.returncode == 1
    assert done.stderr.startswith("error: unexpected ZeroDivisionError: ")
    assert len(done.stderr.splitlines()) == 1
