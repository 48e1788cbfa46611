"""Who runs the server: ourselves, or, since PostgreSQL refuses to run as root, an account without rights.

Such an account exists on every machine; none is made, and no permission outside the server's area changes.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from calibr.core.errors import Unavailable

_CANDIDATES = ("postgres", "nobody")


class PopenOptions(TypedDict, total=False):
    """The arguments of `subprocess` that drop privileges."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine. `foreign` when it is not the one that we run as."""

    uid: int
    gid: int
    name: str
    foreign: bool

    def popen(self) -> PopenOptions:
        """Return what `subprocess` needs to run a program as this account."""
        if not self.foreign:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Hand a file or folder of the server's area to this account."""
        if self.foreign:
            os.chown(path, self.uid, self.gid)

    def blocked_by(self, path: Path) -> Path | None:
        """Return the topmost folder above `path` that this account may not pass, or None when it can reach the path."""
        resolved = path.resolve()
        return next((each for each in reversed(resolved.parents) if each.exists() and not self._passes(each)), None)

    def _passes(self, folder: Path) -> bool:
        status = folder.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def server_account(owner_uid: int | None) -> Account:
    """Return the account that runs the server; `owner_uid` owns the cluster when there is one already.

    Raises Unavailable `db.account` when that cannot be.
    """
    if os.geteuid() != 0:
        if owner_uid is not None and owner_uid != os.geteuid():
            owner, own = _name(owner_uid), _name(os.geteuid())
            raise Unavailable("db.account", f"The database belongs to user {owner}, but this runs as {own}.")
        return Account(os.geteuid(), os.getegid(), _name(os.geteuid()), foreign=False)
    if owner_uid is not None:
        entry = pwd.getpwuid(owner_uid)
        return Account(entry.pw_uid, entry.pw_gid, entry.pw_name, foreign=True)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, entry.pw_name, foreign=True)
    rule = f"PostgreSQL does not run as root, and there is none of the accounts {', '.join(_CANDIDATES)}"
    raise Unavailable("db.account", f"{rule}. Run as an ordinary user, or set CALIBR_DATABASE_URL.")


def can_host(data_dir: Path) -> bool:
    """Say whether a server started by this process could reach `data_dir`.

    As root it cannot when a private folder stands above it, such as root's home.
    """
    account = server_account(None)
    return not account.foreign or account.blocked_by(data_dir) is None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
