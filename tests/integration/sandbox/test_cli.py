"""The command line: what it prints, and how it refuses bad input."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from calibr_sandbox.cli import run
from calibr_sandbox.client import SandboxClient
from calibr_sandbox.fault_file import PRESETS, read_rules


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("serve", "--plan", "gold"), "plan: 'gold' is unknown; known are standard, advanced, plus, enterprise"),
        (("serve", "--currency", "XYZ"), "currency: 'XYZ' is unknown"),
        (("serve", "--bulk-delay", "-1"), "bulk_delay_s: -1.0 is negative"),
        (("serve", "--token", ""), "tokens: at least one access token is needed"),
        (("serve", "--webhook-secret", ""), "webhook_secret: it may not be empty"),
        (("serve", "--client-secret", ""), "client_secret: it may not be empty"),
        (("serve", "--shop-domain", "shop.example.com"), "shop_domain: 'shop.example.com' is not like"),
        (("serve", "--scope", "everything"), "scope: 'everything' does not look like a scope"),
        (("serve", "--time-factor", "0"), "time_factor: 0.0 is not above 0"),
        (("serve", "--oldest-version", "2030-01"), "oldest_version: '2030-01' is not a version up to 2027-01"),
        (("serve", "--tls", "--proxy-port", "70000"), "port: 70000 is outside"),
        (("serve", "--faults", "absent.json"), "--faults absent.json: No such file or directory"),
        (("serve", "--port", "70000"), "port: 70000 is outside of 0 to 65535"),
        (("serve", "--products", "-5"), "variants: -5 is negative"),
        (("serve", "--markets", "EU:EUR"), "--markets: it needs --csv or --products"),
        (("serve", "--webhook-speed", "0"), "webhook_speed: 0.0 is no number above zero"),
        (("load", "--csv", "absent.csv"), "No such file or directory: 'absent.csv'"),
        (("generate", "--products", "-5"), "variants: -5 is negative"),
        (("generate", "--products", "5", "--currency", "XYZ"), "currency: 'XYZ' is unknown"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    status = run([*arguments, "--db", str(tmp_path / "shop.db")])

    printed = capsys.readouterr()
    assert (status, printed.out) == (2, "")
    assert printed.err.startswith("error: ")
    assert message in printed.err


def test_a_file_and_a_seed_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(["serve", "--db", str(tmp_path / "shop.db"), "--csv", "a.csv", "--products", "5"])

    assert "not allowed with argument --csv" in capsys.readouterr().err


def test_a_file_that_is_no_shop_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "shop.db"
    path.write_text("this is a text file, long enough that nobody takes it for an empty database" * 20)

    assert run(["generate", "--products", "5", "--db", str(path)]) == 2
    assert capsys.readouterr().err == "error: file is not a database\n"


def test_load_prints_counts_and_what_it_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csv = tmp_path / "products.csv"
    csv.write_text("Handle,Title,Variant Price\na,A,1\nb,B,x\n", encoding="utf-8")

    assert run(["load", "--csv", str(csv), "--db", str(tmp_path / "shop.db")]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "products": 1,
        "variants": 1,
        "skipped": [{"line": 3, "reason": "Variant Price: 'x' is not a decimal number"}],
    }


def test_generate_prints_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["generate", "--products", "500", "--seed", "3", "--db", str(tmp_path / "shop.db")]) == 0

    assert json.loads(capsys.readouterr().out)["variants"] == 500


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "is no JSON: "),
        ('[{"kind": "throttle"}, {"kind": "throttle", "rate": 2}]', "rule 1: rate: 2 is not between 0 and 1"),
        ('{"webhooks": {"duplicate_webhooks": -1}}', "webhooks: duplicate_webhooks: rate: -1 is not between 0 and 1"),
    ],
)
def test_a_bad_fault_file_ends_the_start_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    path = tmp_path / "faults.json"
    path.write_text(content)

    assert run(["serve", "--db", str(tmp_path / "shop.db"), "--faults", str(path)]) == 2

    said = capsys.readouterr().err
    assert said.startswith(f"error: --faults {path}: ")
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "shop.db").exists()


def test_the_faults_of_a_file_are_in_force_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text('{"faults": [{"kind": "server_error", "count": 1}], "webhooks": {"reorder_webhooks": 0.5}}')
    command = [
        sys.executable,
        "-m",
        "calibr_sandbox",
        "serve",
        "--db",
        str(tmp_path / "shop.db"),
        "--faults",
        str(path),
    ]

    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            with SandboxClient(json.loads(process.stdout.readline())["url"]) as client:
                statuses = [client.graphql("{ shop { id } }").status for _ in range(2)]
                listed = client.request("GET", "/sandbox/faults").body["faults"]
        finally:
            process.kill()

    assert statuses == [503, 200]
    assert [rule["kind"] for rule in listed] == ["server_error", "reorder_webhooks"]


@pytest.mark.parametrize("arguments", [("faults",), ("faults", "default")])
def test_a_named_set_of_faults_is_printed_as_a_fault_file(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert run(arguments) == 0

    assert read_rules(json.loads(capsys.readouterr().out)) == list(PRESETS["default"])


def test_the_journal_of_a_shop_that_nobody_serves_is_readable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["generate", "--products", "5", "--db", str(tmp_path / "shop.db")]) == 0
    capsys.readouterr()

    assert run(["journal", "--db", str(tmp_path / "shop.db")]) == 0
    assert capsys.readouterr().out == ""


def test_calibrs_own_command_passes_faults_on_and_ends_as_the_sandbox_does(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text('[{"kind": "sabotage"}]')
    command = [sys.executable, "-m", "calibr", "sandbox", "serve", "--db", str(tmp_path / "shop.db")]

    done = subprocess.run([*command, "--faults", str(path)], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 2
    assert f"error: --faults {path}: rule 0: kind: 'sabotage' is not one of throttle" in done.stderr
    assert done.stdout == ""


def test_a_generated_shop_has_the_markets_that_were_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--products", "200", "--seed", "3", "--markets", "EU:EUR:5,UK:GBP:-2.5,JP:JPY"]
    for name in ("a.db", "b.db"):
        assert run(["generate", "--db", str(tmp_path / name), *arguments]) == 0

    told = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (told["variants"], told["markets"]) == (200, 3)
    tables = ("market", "market_region", "catalog", "catalog_context", "price_list", "fixed_price")
    for table in tables:
        left, right = (_rows(tmp_path / name, table) for name in ("a.db", "b.db"))
        assert left == right
    lists = [row[1:] for row in _rows(tmp_path / "a.db", "price_list")]
    assert lists == [
        ("EU", "EUR", "PERCENTAGE_INCREASE", "5", "ADJUSTED"),
        ("UK", "GBP", "PERCENTAGE_DECREASE", "2.5", "ADJUSTED"),
        ("JP", "JPY", "PERCENTAGE_INCREASE", "0", "ADJUSTED"),
    ]
    fixed = _rows(tmp_path / "a.db", "fixed_price")
    assert len(fixed) == 60
    assert all("." not in row[2] for row in fixed[40:])


@pytest.mark.parametrize(
    ("markets", "named"),
    [
        ("EU", "'EU'"),
        ("EU:XYZ", "'XYZ'"),
        ("Narnia:EUR", "'Narnia:EUR'"),
        ("EU:EUR:x", "'x'"),
        ("EU:EUR:-101", "-101"),
        ("EU:EUR,", "''"),
    ],
)
def test_markets_that_cannot_be_made_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], markets: str, named: str
) -> None:
    status = run(["generate", "--db", str(tmp_path / "a.db"), "--products", "5", "--markets", markets])

    printed = capsys.readouterr()
    assert (status, printed.out) == (2, "")
    assert named in printed.err
    assert not (tmp_path / "a.db").exists()


def _rows(db: Path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(db)) as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
