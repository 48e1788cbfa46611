"""The benchmark of a large store, small: bounded memory, and exactly what was edited is told."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "store_sync.py"


@pytest.mark.slow
def test_two_syncs_of_a_store_with_fifty_edits_each_tell_these_fifty_in_bounded_memory() -> None:
    done = subprocess.run(
        [sys.executable, BENCHMARK, "--variants", "20000"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "all bounds met"
    assert done.stdout.count("must be 50  ok") == 4
