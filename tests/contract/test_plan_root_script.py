"""The script that the howto gives to outsiders computes the same root as an independent Merkle library and as ours."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pymerkle import InmemoryTree

HOWTO = Path(__file__).resolve().parents[2] / "docs/howto/recompute-a-plan-root.md"


def script(folder: Path) -> Path:
    [source] = re.findall(r"```python\n(.*?)```", HOWTO.read_text("utf-8"), re.DOTALL)
    path = folder / "plan_root.py"
    path.write_text(source, "utf-8")
    return path


def root_by_script(folder: Path, rows: list[bytes]) -> str:
    (folder / "plan.txt").write_bytes(b"".join(row + b"\n" for row in rows))
    done = subprocess.run(
        [sys.executable, script(folder), folder / "plan.txt"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 100, 1001])
def test_the_script_agrees_with_an_independent_merkle_tree(tmp_path: Path, size: int) -> None:
    rows = [f"row|{n}|".encode() for n in range(size)]
    tree = InmemoryTree(algorithm="sha256")
    for row in rows:
        tree.append_entry(row)

    assert root_by_script(tmp_path, rows) == tree.get_root().hex()


def test_the_script_has_ten_lines_and_imports_nothing_of_ours(tmp_path: Path) -> None:
    lines = [line for line in script(tmp_path).read_text("utf-8").splitlines() if line.strip()]

    assert len(lines) <= 10
    assert not any("calibr" in line for line in lines)
