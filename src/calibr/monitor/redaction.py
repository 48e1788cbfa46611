"""Secrets that cannot be printed, and the log processor that removes those that got into a log line anyway."""

import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

REDACTED: Final = "***"
MAX_DEPTH: Final = 8

SECRET_KEYS: Final = frozenset({
    "api_key", "authorization", "client_secret", "cookie", "database_url", "dsn", "key_material", "master_key",
    "passwd", "password", "private_key", "proxy_authorization", "secret", "secret_key", "secrets", "set_cookie",
    "token", "tokens", "x_shopify_access_token",
})  # fmt: skip
SECRET_SUFFIXES: Final = ("_token", "_secret", "_password")

SECRET_SHAPES: Final = (
    re.compile(r"clbr_[a-z]+_[0-9A-Za-z_]{8,}"),
    re.compile(r"shp(?:at|ca|pa|rt|ss|ua)_[0-9A-Za-z]{4,}"),
    re.compile(r"(?<=[Bb]earer )[^\s'\",]+"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
)
"""Our tokens, a Shopify store's tokens, bearer credentials, user and password of a URL."""


class Secret:
    """A text that shows itself only through `reveal()`: not by repr, str, format, logging or JSON."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself; call it where it leaves for the place that needs it, never earlier."""
        return self._value

    def __repr__(self) -> str:
        return REDACTED

    def __format__(self, spec: str) -> str:
        return REDACTED

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


def is_secret_key(key: str) -> bool:
    """Whether a value under this name may be a secret (`token_id` is not one, `access_token` is)."""
    name = key.lower().replace("-", "_")
    return name in SECRET_KEYS or name.endswith(SECRET_SUFFIXES)


def scrub(text: str) -> str:
    """The text without anything that has the shape of a credential."""
    for shape in SECRET_SHAPES:
        text = shape.sub(REDACTED, text)
    return text


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401
    """The structlog processor: values under secret names and texts of secret shape, at any depth."""
    for key, value in event.items():
        event[key] = REDACTED if is_secret_key(key) else _clean(value, depth=0)
    return event


def _clean(value: object, *, depth: int) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return REDACTED if depth >= MAX_DEPTH else _clean_container(value, depth=depth + 1)
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return scrub(str(value))


def _clean_container(value: Mapping[object, object] | Iterable[object], *, depth: int) -> object:
    if isinstance(value, Mapping):
        return {str(k): REDACTED if is_secret_key(str(k)) else _clean(v, depth=depth) for k, v in value.items()}
    return [_clean(v, depth=depth) for v in value]
