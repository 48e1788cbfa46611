"""The profile: the server and token that `calibr login` keeps in a file that only its owner can read."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from calibr.cli.failures import CliError

DEFAULT_URL = "http://127.0.0.1:8484"


@dataclass(frozen=True, slots=True)
class Profile:
    """A server and the token for it."""

    url: str
    token: str = field(repr=False)


def profile_path() -> Path:
    """Where the profile is kept: CALIBR_PROFILE, else `calibr/profile.json` in the XDG configuration directory."""
    chosen = os.environ.get("CALIBR_PROFILE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "calibr" / "profile.json"


def load_profile() -> Profile | None:
    """Read the profile; None if there is none. A file that others can read is refused, since it holds a token."""
    path = profile_path()
    try:
        mode, text = path.stat().st_mode, path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{path}: cannot be read ({error})") from error
    if mode & 0o077:
        raise CliError(f"{path}: others can read it, and it holds a token; run: chmod 600 {path}")
    try:
        kept = json.loads(text)
        return Profile(url=str(kept["url"]), token=str(kept["token"]))
    except (ValueError, KeyError, TypeError):
        raise CliError(f"{path}: is not a profile; remove it and run `calibr login` again") from None


def save_profile(profile: Profile) -> Path:
    """Write the profile so that it is complete or not there, with mode 0600 from the first byte."""
    path = profile_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"url": profile.url, "token": profile.token}, file)
    draft.replace(path)
    return path


def remove_profile() -> bool:
    """Remove the profile; False if there was none."""
    try:
        profile_path().unlink()
    except FileNotFoundError:
        return False
    return True
