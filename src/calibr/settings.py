"""Settings from the environment (prefix `CALIBR_`), the data directory and the master key.

A composition root: only `app`, `cli` and scripts read settings; everything else gets the values that it needs.
"""

import os
import secrets
import stat
import sys
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from calibr.core.errors import Fault, Invalid

PREFIX = "CALIBR_"
MASTER_KEY_MIN_LENGTH = 32
KEY_FILE = "secret.key"


def default_data_dir() -> Path:
    """`/var/lib/calibr` for root, else the XDG data home: nothing private of a person stands above the former."""
    if os.geteuid() == 0:
        return Path("/var/lib/calibr")
    data_home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data_home).expanduser() / "calibr"


class Settings(BaseSettings):
    """What can be set, with its bounds. `Settings.load()` reads the environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True)

    database_url: SecretStr | None = None
    """Any PostgreSQL >= 18, `postgresql://user:password@host/database`; absent: the embedded server."""
    data_dir: Path = Field(default_factory=default_data_dir)
    secret_key: SecretStr | None = None
    """The master key, at least 32 characters; absent: generated once into `<data_dir>/secret.key`."""

    host: str = Field(default="127.0.0.1", min_length=1)
    port: Annotated[int, Field(ge=0, le=65535)] = 8484
    """0 takes a free port."""

    public_url: str | None = None
    """Where browsers of other people reach this server, such as `https://calibr.example.com`: a store sends its owner's
    browser there, and its webhooks. Absent: browsers where the caller reached it, and no webhooks are asked for: drift
    is then found by syncs and samples."""

    log_format: Literal["auto", "json", "console"] = "auto"
    """`auto`: console on a terminal, else JSON."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    allow_loopback_stores: bool = False
    """Whether a connection may lead to this machine, which only sandbox stores need. Keep it off where tenants are not
    yourself: their connections could reach whatever else listens here."""

    worker_enabled: bool = True
    """Whether `serve` also runs a worker; switch it off where workers run as processes of their own."""
    worker_lease_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 120.0
    """How long an apply run stays with a worker that went silent. What counts of it (three quarters, since a lease is
    renewed four times in its life) must exceed `store_call_s`, `store_delay_s` and `lease_margin_s` together, or the
    start is refused: a request of a dead worker could still reach the store when another one has taken over."""
    store_call_s: Annotated[float, Field(ge=0.4, le=600, allow_inf_nan=False)] = 80.0
    """No call of a connector is in flight for longer."""
    store_delay_s: Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)] = 5.0
    """How long a store may still work on a request after we gave up waiting for its answer."""
    lease_margin_s: Annotated[float, Field(ge=0.05, le=60, allow_inf_nan=False)] = 3.0
    """Kept free at the end of every lease."""
    worker_batch: Annotated[int, Field(ge=1, le=2000)] = 250
    """Items that an apply run claims at a time."""
    worker_concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    """Jobs at a time in one worker; they mostly wait for a store."""
    poll_s: Annotated[float, Field(ge=0.02, le=60, allow_inf_nan=False)] = 1.0
    """How often a worker looks for work when nothing hints at any."""

    delivery_lease_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 60.0
    """How long lanes of events stay with a worker that went silent."""
    delivery_call_s: Annotated[float, Field(ge=0.2, le=60, allow_inf_nan=False)] = 15.0
    """No delivery to a subscriber takes longer."""
    allow_loopback_webhooks: bool = False
    """Whether a webhook may lead to this machine, which only tests and rehearsals need."""
    webhooks_check_s: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)] = 600.0
    """How often it is looked whether a store still sends its webhooks; what is missing is asked for again."""
    reread_every_s: Annotated[float, Field(ge=1, le=2_592_000, allow_inf_nan=False)] = 86_400.0
    """How often a sample of a store's prices is read."""
    reread_share_bp: Annotated[int, Field(ge=0, le=10_000)] = 100
    """The share of its listings in that sample, in basis points: 100 is one percent, 0 reads none."""
    price_lists_every_s: Annotated[float, Field(ge=0, le=2_592_000, allow_inf_nan=False)] = 1_800.0
    """How often price lists and markets are read, of which stores tell nothing by themselves; 0 never reads them."""

    nats_url: SecretStr | None = None
    """The NATS server with JetStream that subscriptions of kind `jetstream` publish to; absent: there is none."""

    @classmethod
    def load(cls, **overrides: object) -> Self:
        """Read the environment; `overrides` (by field name) win.

        Raises:
            Invalid: one line that names the variable, the value (unless it may be secret) and the rule.
        """
        try:
            return cls(**overrides)  # type: ignore[arg-type]
        except ValidationError as error:
            raise _readable(error) from None

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < MASTER_KEY_MIN_LENGTH:
            raise ValueError(f"must have at least {MASTER_KEY_MIN_LENGTH} characters")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        rule = "must look like postgresql://user:password@host:port/database"
        try:
            url = make_url(value.get_secret_value())
        except (ArgumentError, ValueError):
            raise ValueError(rule) from None
        if url.get_backend_name() not in {"postgresql", "postgres"} or not url.database:
            raise ValueError(rule)
        return value

    @field_validator("public_url")
    @classmethod
    def _is_origin(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        is_plain = not (parts.query or parts.fragment or parts.username) and parts.path.strip("/") == ""
        if value is not None and not (parts.scheme in {"http", "https"} and parts.hostname and is_plain):
            raise ValueError("must look like https://calibr.example.com, without a path")
        return value

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value


SECRET_FIELDS = frozenset({"database_url", "nats_url", "secret_key"})


def _readable(error: ValidationError) -> Invalid:
    """One sentence for all faults, each with its variable. Values of secret settings are never shown."""
    faults = []
    for item in error.errors(include_url=False, include_context=False):
        field = str(item["loc"][0]) if item["loc"] else "settings"
        variable = PREFIX + field.upper()
        value = None if field in SECRET_FIELDS else os.environ.get(variable, repr(item.get("input")))
        rule = item["msg"].removeprefix("Value error, ")
        faults.append(Fault(path=variable, value=value, rule=rule, code="settings.invalid"))
    message = "; ".join(f"{f.path}{'' if f.value is None else f'={f.value}'}: {f.rule}" for f in faults)
    return Invalid("settings.invalid", message, faults=tuple(faults))


def prepare_data_dir(settings: Settings) -> Path:
    """Make the data directory if it is missing and return it. Permissions of existing directories stay as they are.

    As root the embedded server runs under an account of its own and has to pass through (0711); the files inside that
    are private have their own modes. For anybody else it is 0700.
    """
    path = settings.data_dir
    try:
        path.mkdir(parents=True, exist_ok=False, mode=0o711 if os.geteuid() == 0 else 0o700)
    except FileExistsError:
        if not path.is_dir():
            raise Invalid("settings.data_dir", f"CALIBR_DATA_DIR={path}: is not a directory") from None
    except OSError as error:
        raise Invalid("settings.data_dir", f"CALIBR_DATA_DIR={path}: cannot be made ({error.strerror})") from error
    return path


def master_key(settings: Settings) -> bytes:
    """The key that all others are derived from; generated once when it is not set.

    Two processes that start at the same moment agree on one key: the file appears complete or not at all, and the
    first one to link it wins.
    """
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    path = prepare_data_dir(settings) / KEY_FILE
    if not path.exists():
        _generate(path)
    _refuse_open_key(path)
    key = path.read_bytes().strip()
    if len(key) < MASTER_KEY_MIN_LENGTH:
        raise Invalid("settings.secret_key", f"{path} must hold at least {MASTER_KEY_MIN_LENGTH} characters")
    return key


def _generate(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return
    finally:
        draft.unlink()


def _refuse_open_key(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise Invalid(
            "settings.secret_key", f"{path} has mode {mode:04o} and can be read by others; run: chmod 600 {path}"
        )


def wants_console_logs(settings: Settings) -> bool:
    """Whether logs are for a person: chosen, or standard error is a terminal."""
    return settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
