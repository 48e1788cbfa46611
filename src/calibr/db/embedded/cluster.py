"""The files of one database cluster: made once, checked and configured before each start."""

import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from calibr.core.errors import Unavailable
from calibr.db.embedded.account import Account
from calibr.db.embedded.binaries import environment
from calibr.db.embedded.private_files import append_to, replace_file
from calibr.db.embedded.tuning import as_configuration

SUPERUSER = "postgres"
MAJOR_VERSION = "18"
_CONFIGURATION = "calibr.conf"
_HBA = """# Written by Calibr when the cluster was made.
local all all scram-sha-256
host  all all 127.0.0.1/32 scram-sha-256
host  all all ::1/128 scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster in the server's area. The caller holds the area's start lock."""

    area: Path
    account: Account
    programs: Path

    @property
    def data(self) -> Path:
        """The data directory of PostgreSQL."""
        return self.area / "pgdata"

    def create_if_missing(self) -> None:
        """Make the cluster when there is none. Raises Unavailable when that fails or its version is not ours."""
        if not self.data.exists():
            self._create()
        self._check_version()

    def configure(self, settings: dict[str, str]) -> None:
        """Write the settings of the next start."""
        replace_file(self.data / _CONFIGURATION, as_configuration(settings), self.account)

    def password(self) -> str:
        """Return the superuser's password, made on first use and kept in a file that only we can read."""
        path = self.area / "superuser.password"
        if path.exists():
            return path.read_text().strip()
        if self.data.exists():
            raise Unavailable("db.password", f"{path} is missing: the database cannot be managed without it.")
        value = secrets.token_urlsafe(32)
        replace_file(path, value)
        return value

    def _create(self) -> None:
        """Run initdb in a folder beside the final one: an interrupted run leaves nothing that looks like a cluster."""
        fresh = self.area / "pgdata.new"
        password_file = self.area / "pgdata.password"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self.account.own(fresh)
        replace_file(password_file, self.password(), self.account)
        try:
            self._initialize(fresh, password_file)
        finally:
            password_file.unlink()
        replace_file(fresh / "pg_hba.conf", _HBA, self.account)
        append_to(fresh / "postgresql.conf", f"\ninclude_if_exists = '{_CONFIGURATION}'\n")
        fresh.rename(self.data)

    def _initialize(self, fresh: Path, password_file: Path) -> None:
        """The built-in locale sorts by code point and does not depend on the machine's C library."""
        command = [
            str(self.programs / "initdb"), f"--pgdata={fresh}", f"--username={SUPERUSER}", f"--pwfile={password_file}",
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            "--locale=C",
        ]  # fmt: skip
        done = subprocess.run(  # noqa: S603 - our own program with our own paths
            command, check=False, capture_output=True, text=True, cwd=fresh, env=environment(), **self.account.popen()
        )
        if done.returncode != 0:
            raise Unavailable("db.initdb", f"The database could not be made in {self.area}: {done.stderr.strip()}")

    def _check_version(self) -> None:
        path = self.data / "PG_VERSION"
        version = path.read_text().strip() if path.exists() else "unknown"
        if version != MAJOR_VERSION:
            raise Unavailable(
                "db.version",
                f"The database in {self.data} was made by PostgreSQL {version}, but this is PostgreSQL {MAJOR_VERSION}."
                " Dump it with the old version and restore it, or use another data directory.",
            )
