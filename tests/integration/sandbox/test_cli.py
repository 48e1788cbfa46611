"""The command line: what it prints, and how it refuses bad input."""

import json
from pathlib import Path

import pytest

from calibr_sandbox.cli import run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("serve", "--plan", "gold"), "plan: 'gold' is unknown; known are standard, advanced, plus, enterprise"),
        (("serve", "--currency", "XYZ"), "currency: 'XYZ' is unknown"),
        (("serve", "--bulk-delay", "-1"), "bulk_delay_s: -1.0 is negative"),
        (("serve", "--token", ""), "tokens: at least one access token is needed"),
        (("serve", "--port", "70000"), "port: 70000 is outside of 0 to 65535"),
        (("serve", "--products", "-5"), "variants: -5 is negative"),
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
