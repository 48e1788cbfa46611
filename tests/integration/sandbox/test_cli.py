"""The command line: what it prints, and how it refuses bad input."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calibr_sandbox.cli import app


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("serve", "--plan", "gold"), "plan: 'gold' is unknown; known are standard, advanced, plus, enterprise"),
        (("serve", "--currency", "XYZ"), "currency: 'XYZ' is unknown"),
        (("serve", "--bulk-delay", "-1"), "bulk_delay_s: -1.0 is negative"),
        (("serve", "--token", ""), "tokens: at least one access token is needed"),
        (("serve", "--products", "-5"), "variants: -5 is negative"),
        (("load", "--csv", "absent.csv"), "No such file or directory: 'absent.csv'"),
        (("generate", "--products", "-5"), "variants: -5 is negative"),
        (("generate", "--products", "5", "--currency", "XYZ"), "currency: 'XYZ' is unknown"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = CliRunner().invoke(app, [*arguments, "--db", str(tmp_path / "shop.db")])

    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert message in done.stderr


def test_a_file_that_is_no_shop_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    path.write_text("this is a text file, long enough that nobody takes it for an empty database" * 20)

    done = CliRunner().invoke(app, ["generate", "--products", "5", "--db", str(path)])

    assert (done.exit_code, done.stderr) == (2, "error: file is not a database\n")


def test_load_prints_counts_and_what_it_skipped(tmp_path: Path) -> None:
    csv = tmp_path / "products.csv"
    csv.write_text("Handle,Title,Variant Price\na,A,1\nb,B,x\n", encoding="utf-8")

    done = CliRunner().invoke(app, ["load", "--csv", str(csv), "--db", str(tmp_path / "shop.db")])

    assert json.loads(done.stdout) == {
        "products": 1,
        "variants": 1,
        "skipped": [{"line": 3, "reason": "Variant Price: 'x' is not a decimal number"}],
    }


def test_generate_prints_counts(tmp_path: Path) -> None:
    arguments = ["generate", "--products", "500", "--seed", "3", "--db", str(tmp_path / "shop.db")]

    done = CliRunner().invoke(app, arguments)

    assert json.loads(done.stdout)["variants"] == 500
