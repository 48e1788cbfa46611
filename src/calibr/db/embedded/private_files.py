"""Writes files of the server's area without trusting the folders that they stand in.

Some of these folders belong to the server's account. A link that somebody planted there must not lead us, who may be
root, to a file elsewhere.
"""

import os
from contextlib import suppress
from pathlib import Path

from calibr.db.embedded.account import Account

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_PRIVATE = 0o600


def replace_file(path: Path, text: str, owner: Account | None = None) -> None:
    """Write a file that only its owner can read: us, or `owner`. It appears complete or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    with suppress(FileNotFoundError):
        partial.unlink()
    with os.fdopen(os.open(partial, _NEW, _PRIVATE), "w", encoding="utf-8") as file:
        if owner is not None and owner.foreign:
            os.fchown(file.fileno(), owner.uid, owner.gid)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def append_to(path: Path, text: str) -> None:
    """Append to a file that exists."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW), "w", encoding="utf-8") as file:
        file.write(text)


def overwrite(path: Path, text: str) -> None:
    """Replace the content of a file that exists; its owner and mode stay."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW), "w", encoding="utf-8") as file:
        file.write(text)
