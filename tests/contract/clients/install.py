"""Installs clients of others into `.clients/`, each into a place of its own, at the versions pinned beside this file.

What does not install is said, and its tests are skipped with that reason. Nothing of it becomes a requirement of ours.
"""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLACE = HERE.parents[2] / ".clients"
PYTHON_CLIENTS = ("official", "lib-shopify-graphql", "tap-shopify")
NODE_CLIENT = "node"
_TIMEOUT_S = 600


def main() -> int:
    """Install what is missing; the exit status is 1 if a client is not there in the end."""
    PLACE.mkdir(exist_ok=True)
    failed = [name for name in (*PYTHON_CLIENTS, NODE_CLIENT) if not _is_there(name) and not _install(name)]
    for name in failed:
        sys.stderr.write(f"{name} is not there: {missing(name)}\n")
    return 1 if failed else 0


def missing(name: str) -> str | None:
    """Why a client is not there; None when it is."""
    if _is_there(name):
        return None
    why = _why_not(name)
    return why.read_text(encoding="utf-8") if why.is_file() else "run `make clients` to install it"


def python_of(name: str) -> Path:
    """The interpreter that a Python client is installed for."""
    return PLACE / name / "bin" / "python"


def _is_there(name: str) -> bool:
    """Whether it was installed whole from the present lock, whose copy is written last."""
    stamp = PLACE / name / "installed.lock"
    return stamp.is_file() and stamp.read_bytes() == _lock(name).read_bytes()


def _install(name: str) -> bool:
    sys.stderr.write(f"Installing {name} into {PLACE.name}/ ...\n")
    shutil.rmtree(PLACE / name, ignore_errors=True)
    _why_not(name).unlink(missing_ok=True)
    try:
        for command in _node_steps() if name == NODE_CLIENT else _python_steps(name):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.CalledProcessError as error:
        _why_not(name).write_text(_reason(error.stderr or error.stdout), encoding="utf-8")
        return False
    except (OSError, subprocess.TimeoutExpired) as error:
        _why_not(name).write_text(str(error), encoding="utf-8")
        return False
    (PLACE / name / "installed.lock").write_bytes(_lock(name).read_bytes())
    return True


def _python_steps(name: str) -> list[list[str]]:
    """Make an environment and fill it. What its packages are built with is pinned too, hence no isolation."""
    venv.create(PLACE / name, with_pip=True, symlinks=True)
    pip = [str(python_of(name)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--retries", "1", "--timeout", "20", "--require-hashes"]
    build = str(HERE / "requirements-build.txt")
    return [[*pip, "-r", build], [*pip, "--no-build-isolation", "-r", str(_lock(name))]]


def _node_steps() -> list[list[str]]:
    folder = PLACE / NODE_CLIENT
    shutil.copytree(HERE / NODE_CLIENT, folder)
    npm = shutil.which("npm") or "npm"
    return [[npm, "ci", "--ignore-scripts", "--prefix", os.fspath(folder), "--fetch-retries", "1"]]


def _lock(name: str) -> Path:
    return HERE / NODE_CLIENT / "package-lock.json" if name == NODE_CLIENT else HERE / f"requirements-{name}.txt"


def _why_not(name: str) -> Path:
    return PLACE / f"{name}.why-not.txt"


def _reason(output: str) -> str:
    """The first line that speaks of an error, or the last one of all."""
    lines = [line.strip() for line in output.splitlines() if line.strip() and "WARN" not in line.upper()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines[-1:] or ["the installer gave no reason"])[0]


if __name__ == "__main__":
    sys.exit(main())
