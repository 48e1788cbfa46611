"""Golden cases of the rule language: every one through both back ends, the SQL one over the real tables."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from calibr.db import Context, Database

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("CALIBR_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
OWN = sorted((Path(__file__).parent / "golden").glob("*.jsonl"))
FILES = [*OWN, SHARED / "rules" / "golden.jsonl"]


@pytest.fixture(scope="module")
def golden() -> ModuleType:
    """The tool that `make golden` runs."""
    spec = importlib.util.spec_from_file_location("golden_tool", REPOSITORY / "tools" / "golden.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["golden_tool"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def cases(request: pytest.FixtureRequest, golden: ModuleType) -> object:
    path: Path = request.param
    if not path.is_file():
        pytest.skip(f"{path.name}: the shared test data is not here")
    return golden.read_cases(path)


def test_python_answers_every_case(golden: ModuleType, cases: list[object]) -> None:
    report = golden.run_python(cases)

    assert report.differences == []
    assert report.passed == len(cases) > 0


def test_sql_answers_every_case(golden: ModuleType, cases: list[object], database: Database, tenant: Context) -> None:
    report, statements = golden.run_sql(cases, database, tenant)

    assert report.differences == []
    assert report.passed == len(cases)
    assert 0 < statements < len(cases)


def test_a_wrong_answer_is_reported(golden: ModuleType, tmp_path: Path) -> None:
    wrong = OWN[0].read_text("utf-8").splitlines()[2].replace('"unchanged"', '"changed"').replace("[2000]", "[2001]")
    file = tmp_path / "wrong.jsonl"
    file.write_text(wrong + "\n", "utf-8")

    report = golden.run_python(golden.read_cases(file))

    assert (report.passed, len(report.differences)) == (0, 1)
