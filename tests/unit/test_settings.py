import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from calibr.core.errors import Invalid
from calibr.settings import Settings, default_data_dir, master_key, prepare_data_dir


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("CALIBR_"):
            monkeypatch.delenv(name)


def test_defaults_need_no_environment() -> None:
    settings = Settings.load()

    assert settings.database_url is None
    assert settings.host == "127.0.0.1"
    assert settings.data_dir == default_data_dir()


def test_environment_is_read_with_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALIBR_PORT", "9999")
    monkeypatch.setenv("CALIBR_LOG_LEVEL", "DEBUG")

    settings = Settings.load()

    assert (settings.port, settings.log_level) == (9999, "debug")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("CALIBR_PORT", "abc", "CALIBR_PORT=abc: Input should be a valid integer"),
        ("CALIBR_PORT", "70000", "CALIBR_PORT=70000: Input should be less than or equal to 65535"),
        ("CALIBR_LOG_LEVEL", "loud", "CALIBR_LOG_LEVEL=loud: Input should be 'debug'"),
        ("CALIBR_WORKER_LEASE_S", "nan", "CALIBR_WORKER_LEASE_S=nan: Input should be a finite number"),
        ("CALIBR_SECRET_KEY", "short", "CALIBR_SECRET_KEY: must have at least 32 characters"),
        ("CALIBR_DATABASE_URL", "mysql://h/d", "CALIBR_DATABASE_URL: must look like postgresql://"),
        ("CALIBR_DATABASE_URL", "nonsense", "CALIBR_DATABASE_URL: must look like postgresql://"),
    ],
)
def test_bad_value_gives_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(Invalid) as refused:
        Settings.load()

    assert refused.value.message.startswith(said)
    assert "\n" not in refused.value.message


def test_secret_values_are_not_in_the_message_or_the_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALIBR_DATABASE_URL", "mysql://joe:canary-password@h/d")
    with pytest.raises(Invalid) as refused:
        Settings.load()
    monkeypatch.setenv("CALIBR_DATABASE_URL", "postgresql://joe:canary-password@h/d")

    assert "canary" not in refused.value.message
    assert "canary" not in repr(refused.value.faults)
    assert "canary" not in repr(Settings.load())


def test_generated_key_is_private_and_stays_the_same(tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path / "data")

    first, second = master_key(settings), master_key(settings)

    path = tmp_path / "data" / "secret.key"
    assert first == second
    assert len(first) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["secret.key"]


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path / "data")

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: master_key(settings), range(32)))

    assert len(keys) == 1


def test_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path)
    master_key(settings)
    (tmp_path / "secret.key").chmod(0o644)

    with pytest.raises(Invalid, match="chmod 600"):
        master_key(settings)


def test_data_dir_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")

    with pytest.raises(Invalid, match=r"CALIBR_DATA_DIR=.*is not a directory"):
        prepare_data_dir(Settings.load(data_dir=tmp_path / "data"))


def test_existing_directories_keep_their_permissions(tmp_path: Path) -> None:
    parent = tmp_path / "home"
    parent.mkdir(mode=0o700)

    prepare_data_dir(Settings.load(data_dir=parent / "data"))

    assert stat.S_IMODE(parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((parent / "data").stat().st_mode) & 0o066 == 0


@pytest.mark.parametrize(
    "url", ["https://calibr.example.com", "https://calibr.example.com:8443/", "http://10.0.0.7:8484"]
)
def test_the_public_address_is_an_origin(url: str) -> None:
    assert Settings.load(public_url=url).public_url == url


@pytest.mark.parametrize(
    "url",
    ["calibr.example.com", "ftp://calibr.example.com", "https://", "https://a/b", "https://a?x=1", "https://u@a", ""],
)
def test_any_other_public_address_is_refused_by_name(url: str) -> None:
    with pytest.raises(Invalid, match="CALIBR_PUBLIC_URL") as caught:
        Settings.load(public_url=url)

    assert "without a path" in caught.value.message
