"""The hand-made bugs still apply, and a few of them are planted here; `make chaos-mutants` plants all."""

import subprocess
import sys
from pathlib import Path

import pytest

RUNNER = Path(__file__).parent / "mutants" / "run.py"


def test_every_patch_applies_to_this_tree() -> None:
    done = subprocess.run([sys.executable, str(RUNNER), "--list"], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout
    assert int(done.stdout.split()[0]) >= 12


@pytest.mark.slow
def test_planted_bugs_are_caught() -> None:
    wanted = ["retry-without-reading", "before-not-compared", "effect-before-inbox"]
    done = subprocess.run([sys.executable, str(RUNNER), *wanted], check=False, capture_output=True, text=True)

    assert "3 of 3 mutants were caught" in done.stdout, done.stdout + done.stderr
