"""The kept token: private to its owner, and sent to its own server only."""

import stat
from pathlib import Path

import pytest

from calibr.cli.failures import CliError
from calibr.cli.profile import Profile, load_profile, profile_path, remove_profile, save_profile
from calibr.cli.session import Cli

KEPT = Profile("http://127.0.0.1:9", "clbr_live_x")


@pytest.fixture(autouse=True)
def own_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config" / "profile.json"
    monkeypatch.setenv("CALIBR_PROFILE", str(path))
    return path


def test_a_profile_is_read_back_and_private() -> None:
    path = save_profile(KEPT)

    assert load_profile() == KEPT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "clbr_live_x" not in repr(KEPT)


def test_a_profile_that_others_can_read_is_refused(own_profile: Path) -> None:
    save_profile(KEPT)
    own_profile.chmod(0o644)

    with pytest.raises(CliError, match="chmod 600"):
        load_profile()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": "x"}'])
def test_a_damaged_profile_is_named(own_profile: Path, text: str) -> None:
    own_profile.parent.mkdir()
    own_profile.write_text(text)
    own_profile.chmod(0o600)

    with pytest.raises(CliError, match="is not a profile"):
        load_profile()


def test_without_a_profile_there_is_none() -> None:
    assert load_profile() is None
    assert not remove_profile()


def test_the_profile_stands_in_the_configuration_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CALIBR_PROFILE")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    assert profile_path() == tmp_path / "calibr" / "profile.json"


def test_the_kept_token_goes_to_its_own_server_only() -> None:
    save_profile(KEPT)

    own, same, other = Cli(), Cli(url="http://127.0.0.1:9/"), Cli(url="http://127.0.0.1:10")

    assert (own.api.url, own.api.token) == ("http://127.0.0.1:9", "clbr_live_x")
    assert same.api.token == "clbr_live_x"
    assert other.api.token is None
    for cli in (own, same, other):
        cli.close()


def test_a_given_token_wins() -> None:
    save_profile(KEPT)

    cli = Cli(token="other")

    assert cli.api.token == "other"
    cli.close()
