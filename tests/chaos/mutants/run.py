"""`make chaos-mutants`: plants each hand-made bug in a copy of the tree, and shows which check catches it.

A mutant that survives its checks, a patch that no longer applies, and a check that fails without any mutant are
failures. `--list` only asks whether all patches apply. Arguments are parts of names: only those mutants.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
COPIED = ("src", "tests", "schemas", "pyproject.toml", "README.md", "LICENSE")
LONGEST_S = 150
FAILED_TEST = re.compile(r"^FAILED (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Mutant:
    """One planted bug and the tests that must notice it."""

    path: Path
    what: str
    checks: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.path.stem


def read(path: Path) -> Mutant:
    what, checks, *_ = path.read_text(encoding="utf-8").splitlines()
    return Mutant(path, what, tuple(checks.removeprefix("Check: ").split()))


def applies(mutant: Mutant, tree: Path, *, really: bool) -> bool:
    command = ["git", "apply", *([] if really else ["--check"]), str(mutant.path)]
    return subprocess.run(command, cwd=tree, check=False, capture_output=True).returncode == 0


def copy_tree(into: Path) -> None:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, into / name, ignore=shutil.ignore_patterns("__pycache__", "mutants"))
        else:
            shutil.copy2(source, into / name)


def first_failure(tree: Path, checks: tuple[str, ...]) -> str | None:
    """The first test that fails over this tree; None if all pass. The copy goes before the installed package."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider", *checks]
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, check=False, capture_output=True, text=True, timeout=LONGEST_S
        )
    except subprocess.TimeoutExpired:
        return f"a check that does not end within {LONGEST_S} s"
    if done.returncode == 0:
        return None
    found = FAILED_TEST.search(done.stdout)
    if found is None and "ERROR" not in done.stdout:
        raise SystemExit(f"the checks did not run:\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}")
    return found[1].rpartition("/")[2] if found else "a fixture of the tests"


def main() -> int:
    wanted = [a for a in sys.argv[1:] if not a.startswith("-")]
    mutants = [read(path) for path in sorted(HERE.glob("*.patch"))]
    stale = [m.name for m in mutants if not applies(m, ROOT, really=False)]
    if stale:
        print(f"these patches no longer apply: {', '.join(stale)}")
        return 1
    if "--list" in sys.argv:
        print(f"{len(mutants)} mutants apply")
        return 0
    chosen = [m for m in mutants if not wanted or any(part in m.name for part in wanted)]
    survived = 0
    for mutant in chosen:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="calibr-mutant-") as folder:
            tree = Path(folder)
            copy_tree(tree)
            applies(mutant, tree, really=True)
            caught = first_failure(tree, mutant.checks)
        survived += caught is None
        verdict = f"caught by {caught}" if caught else "SURVIVED"
        print(f"{mutant.name:<42} {verdict}  ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"{len(chosen) - survived} of {len(chosen)} mutants were caught")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
