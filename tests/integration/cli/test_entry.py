"""How a command ends: one document, one line, one exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import Terminal


@pytest.fixture
def rule_file(tmp_path: Path) -> Path:
    file = tmp_path / "rule.json"
    transform = {"price": [{"op": "percent", "by": "-10"}]}
    file.write_text(json.dumps({"selector": {"all": []}, "transform": transform, "guardrails": []}))
    return file


def test_a_result_is_one_json_document(calibr: Terminal, rule_file: Path) -> None:
    done = calibr("rules", "check", str(rule_file), "--json")

    assert done.code == 0
    assert json.loads(done.out)["valid"] is True
    assert done.err == ""


def test_a_bad_rule_names_field_value_and_rule(calibr: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "rule.json"
    selector = {"all": [{"field": "product.colour", "op": "eq", "value": "red"}]}
    file.write_text(json.dumps({"selector": selector, "transform": {"price": []}}))

    done = calibr("rules", "check", str(file))

    assert done.code == 2
    assert done.out == ""
    first = done.err.splitlines()[0]
    assert first.startswith("error: selector.all[0].field: ")
    assert "product.colour" in first


def test_a_refusal_is_a_document_too(calibr: Terminal, tmp_path: Path) -> None:
    done = calibr("rules", "check", str(tmp_path / "none.json"), "--json")

    assert done.code == 2
    assert "No such file" in json.loads(done.out)["error"]["detail"]
    assert done.err.startswith("error: ")
    assert len(done.err.splitlines()) == 1


def test_an_amount_is_judged_in_a_currency(calibr: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "rule.json"
    rail = {"id": "f", "rule": "floor", "amount": "1.50"}
    file.write_text(json.dumps({"selector": {"all": []}, "transform": {"price": []}, "guardrails": [rail]}))

    assert calibr("rules", "check", str(file), "--currency", "USD").code == 0
    refused = calibr("rules", "check", str(file), "--currency", "JPY")

    assert refused.code == 2
    assert refused.err.startswith("error: guardrails[0].amount: ")


def test_nobody_there_is_said_in_one_line(calibr: Terminal) -> None:
    done = calibr("change", "list", "--url", "http://127.0.0.1:9", "--token", "x")

    assert done.code == 1
    assert done.err == "error: cannot reach http://127.0.0.1:9 — is `calibr serve` running?\n"


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
        (["demo", "--plan", "gold"], "'gold' is not one of 'standard'"),
        (["demo", "--catalog", "/nonexistent.csv"], "there is no file /nonexistent.csv"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(calibr: Terminal, arguments: list[str], said: str) -> None:
    done = calibr(*arguments)

    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert "Traceback" not in done.err


def test_nothing_is_colored_in_a_pipe(calibr: Terminal, rule_file: Path) -> None:
    assert "\x1b" not in calibr("rules", "check", str(rule_file)).out


def test_a_reader_that_leaves_is_no_error(rule_file: Path) -> None:
    command = f"{sys.executable} -m calibr rules check {rule_file} --json | head -c 1; exit ${{PIPESTATUS[0]}}"

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)

    assert done.returncode in {0, 141}
    assert done.stderr == ""


def test_the_help_lists_the_life_of_a_change(calibr: Terminal) -> None:
    done = calibr("change", "--help")

    assert done.code == 0
    for name in ("new", "preview", "approve", "apply", "rollback", "explain", "items", "plan"):
        assert f" {name} " in done.out


def test_the_program_can_be_started_both_ways() -> None:
    beside = Path(sys.executable).with_name("calibr")

    for command in ([sys.executable, "-m", "calibr"], [str(beside)]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout.startswith("calibr ")


def test_an_unexpected_error_shows_no_stack_trace(calibr: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calibr.cli.commands.rules.read_rule", lambda _: 1 / 0)

    done = calibr("rules", "check", "x")

    assert done.code == 1
    assert done.err.startswith("error: unexpected ZeroDivisionError: ")
    assert len(done.err.splitlines()) == 1
