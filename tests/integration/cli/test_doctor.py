"""What doctor says of installations that have something wrong, and that it repairs and makes nothing."""

from pathlib import Path
from typing import Any

import pytest
from terminal import Terminal


def findings(calibr: Terminal) -> tuple[int, dict[str, dict[str, Any]]]:
    done = calibr("doctor", "--json")
    return done.code, {check["name"]: check for check in done.document["checks"]}


@pytest.fixture
def data_dir(server_area: Path, monkeypatch: pytest.MonkeyPatch, calibr: Terminal) -> Path:
    del calibr  # it clears the environment first
    server_area.mkdir(mode=0o711)
    monkeypatch.setenv("CALIBR_DATA_DIR", str(server_area))
    return server_area


def test_a_fresh_machine_is_well_and_stays_untouched(calibr: Terminal, data_dir: Path) -> None:
    before = sorted(data_dir.rglob("*"))

    code, found = findings(calibr)

    assert code == 0
    assert "`calibr serve` makes it" in found["database"]["found"]
    assert sorted(data_dir.rglob("*")) == before


def test_a_key_that_others_can_read_is_found(calibr: Terminal, data_dir: Path) -> None:
    key = data_dir / "secret.key"
    key.write_text("k" * 64)
    key.chmod(0o644)

    code, found = findings(calibr)

    assert code == 1
    assert "chmod 600" in found["master key"]["found"]


def test_a_database_without_its_key_is_found(calibr: Terminal, data_dir: Path) -> None:
    (data_dir / "postgres").mkdir()

    code, found = findings(calibr)

    assert code == 1
    assert "is missing, but there is a database" in found["master key"]["found"]
    assert not (data_dir / "secret.key").exists()


def test_a_database_that_does_not_answer_is_found(
    calibr: Terminal, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data_dir / "secret.key").touch(mode=0o600)
    (data_dir / "secret.key").write_text("k" * 64)
    monkeypatch.setenv("CALIBR_DATABASE_URL", "postgresql://somebody:hush@127.0.0.1:9/calibr")

    code, found = findings(calibr)

    assert code == 1
    assert "cannot be reached" in found["database"]["found"]
    assert "hush" not in found["database"]["found"]


def test_a_setting_that_cannot_be_read_is_named(calibr: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALIBR_PORT", "many")

    code, found = findings(calibr)

    assert code == 1
    assert "CALIBR_PORT=many" in found["settings"]["found"]


def test_people_read_marks_and_what_to_do(calibr: Terminal, data_dir: Path) -> None:
    (data_dir / "postgres").mkdir()

    done = calibr("doctor")

    assert done.code == 1
    assert "✗ master key" in done.out
    assert "restore the file, or set CALIBR_SECRET_KEY" in done.out
    assert "checks failed" in done.out
