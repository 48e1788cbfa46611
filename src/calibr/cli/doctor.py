"""Looks for what is wrong with an installation, in plain words. Looks only: nothing is made, migrated or repaired."""

import os
import platform
import shutil
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from calibr.core.errors import CalibrError
from calibr.db import EmbeddedServer, ServerUrl
from calibr.db.embedded import can_host
from calibr.db.migrate import current_revision, head_revision
from calibr.settings import KEY_FILE, Settings, master_key

_GIB: Final = 1 << 30
_LEAST_FREE: Final = 1 * _GIB
_OLDEST_PYTHON: Final = (3, 11)
_DATABASE: Final = "calibr"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check. `remedy` says what to do where `ok` is false."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Wrong(Exception):
    """A check found something wrong."""

    found: str
    remedy: str


def examine() -> list[Finding]:
    """Run all checks. Later ones are left out when the settings cannot even be read."""
    findings = [_judge("python", _python)]
    try:
        settings = Settings.load()
    except CalibrError as error:
        return [*findings, Finding("settings", ok=False, found=str(error), remedy="correct or unset that variable")]
    checks: dict[str, Callable[[Settings], str]] = {
        "data directory": _data_directory,
        "disk space": _disk_space,
        "master key": _master_key,
        "database": _database,
    }
    return findings + [_judge(name, lambda check=check: check(settings)) for name, check in checks.items()]  # type: ignore[misc]


def _judge(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, ok=True, found=check())
    except Wrong as wrong:
        return Finding(name, ok=False, found=wrong.found, remedy=wrong.remedy)
    except CalibrError as error:
        return Finding(name, ok=False, found=str(error))
    except OSError as error:
        return Finding(name, ok=False, found=str(error))


def _python() -> str:
    found = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    if sys.version_info < _OLDEST_PYTHON:
        raise Wrong(found, "Calibr needs Python 3.11 or newer")
    return found


def _data_directory(settings: Settings) -> str:
    path = settings.data_dir
    if not path.exists():
        parent = _existing(path)
        if not os.access(parent, os.W_OK | os.X_OK):
            raise Wrong(
                f"{path} cannot be made: {parent} is not writable", "set CALIBR_DATA_DIR to a place of your own"
            )
        return f"{path} is not there yet; `calibr serve` makes it"
    if not path.is_dir():
        raise Wrong(f"{path} is not a directory", "move it away, or set CALIBR_DATA_DIR")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise Wrong(f"{path} cannot be read and written by this user", "run as its owner, or correct its permissions")
    if path.stat().st_mode & stat.S_IWOTH:
        raise Wrong(f"{path} can be written by everybody", f"chmod o-w {path}")
    if settings.database_url is None and not can_host(path / "postgres"):
        raise Wrong(
            f"as root the database runs as another user, who cannot enter {path}: a folder above is private",
            "set CALIBR_DATA_DIR to a place such as /var/lib/calibr",
        )
    return str(path)


def _disk_space(settings: Settings) -> str:
    free = shutil.disk_usage(_existing(settings.data_dir)).free
    found = f"{free / _GIB:,.1f} GiB free"
    if free < _LEAST_FREE:
        raise Wrong(found, "a million products with their plans need several GiB; make room")
    return found


def _master_key(settings: Settings) -> str:
    if settings.secret_key is not None:
        return "from CALIBR_SECRET_KEY"
    path = settings.data_dir / KEY_FILE
    if path.exists():
        master_key(settings)
        return str(path)
    if settings.database_url is not None or (settings.data_dir / "postgres").exists():
        raise Wrong(f"{path} is missing, but there is a database", "restore the file, or set CALIBR_SECRET_KEY")
    return f"{path} is not there yet; `calibr serve` makes it"


def _database(settings: Settings) -> str:
    if settings.database_url is not None:
        return _at_head(ServerUrl.parse(settings.database_url.get_secret_value()), settings, "PostgreSQL")
    area = settings.data_dir / "postgres"
    if not area.exists():
        return "embedded, not there yet; `calibr serve` makes it"
    with EmbeddedServer(area) as server:
        return _at_head(server.url.on(_DATABASE), settings, "embedded PostgreSQL")


def _at_head(admin: ServerUrl, settings: Settings, kind: str) -> str:
    if settings.secret_key is None and not (settings.data_dir / KEY_FILE).exists():
        raise Wrong("cannot be judged without the master key", "see above")
    revision, head = current_revision(admin, master_key(settings)), head_revision()
    if revision is None:
        raise Wrong(f"{kind} answers, but has no tables of Calibr", "run `calibr migrate` or `calibr serve`")
    if revision != head:
        raise Wrong(f"{kind} is at migration {revision}, this program needs {head}", "run `calibr migrate`")
    return f"{kind} as {admin.user}, migration {revision}"


def _existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())
