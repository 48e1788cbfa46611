"""Where a store is and with which credential it is reached: parsed once, nothing is contacted."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from calibr.connectors.port import WritePath
from calibr.connectors.shopify.metafields import CONFIG_FIELDS, NO_METAFIELDS, Metafields, parse_metafields
from calibr.connectors.shopify.methods import AppAuth, AuthMethod, parse_auth
from calibr.core.errors import Fault, Invalid

API_VERSIONS: Final = ("2026-07", "2026-10")
"""Versions whose schema our documents are validated against."""

DEFAULT_API_VERSION: Final = "2026-10"

_STORE_HOST: Final = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com")
WRITE_PATHS: Final = ("auto", *WritePath)
"""How prices are written: as the cost model says, or always in one way."""

_CONFIG_FIELDS: Final = frozenset({"shop_url", "api_version", "write_path", "auth"}) | CONFIG_FIELDS


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """A validated connection: `access_token` is one that was pasted, `app` what to ask for one. Neither is shown."""

    shop_url: str
    api_version: str
    is_loopback: bool
    access_token: str | None = field(default=None, repr=False)
    write_path: WritePath | None = None
    """None: as the cost model says."""
    app: AppAuth | None = None
    metafields: Metafields = NO_METAFIELDS

    @property
    def method(self) -> AuthMethod:
        """How this connection comes by its token."""
        return AuthMethod.TOKEN if self.app is None else self.app.method

    @property
    def caller(self) -> str:
        """Whom the store counts points for, an app in a shop, as a digest: a pasted token does not say which app's."""
        app = f"token {self.access_token}" if self.app is None else f"app {self.app.client_id}"
        return sha256(f"{self.shop_url} {app}".encode()).hexdigest()

    @property
    def endpoint(self) -> str:
        """URL of the Admin GraphQL API."""
        return f"{self.shop_url}/admin/api/{self.api_version}/graphql.json"


def parse_config(config: Mapping[str, object], secrets: Mapping[str, str]) -> StoreConfig:
    """Read a connection's settings. Raises `Invalid` with one fault for each field that is wrong."""
    faults: list[Fault] = []
    faults += _unknown(config, _CONFIG_FIELDS, "config")
    origin = _parse_origin(config.get("shop_url"), faults)
    version = config.get("api_version", DEFAULT_API_VERSION)
    if version not in API_VERSIONS:
        faults.append(Fault("$.config.api_version", _shown(version), f"must be one of {', '.join(API_VERSIONS)}"))
    path = config.get("write_path", "auto")
    if path not in WRITE_PATHS:
        faults.append(Fault("$.config.write_path", _shown(path), f"must be one of {', '.join(WRITE_PATHS)}"))
    metafields = parse_metafields(config, faults)
    auth = parse_auth(config.get("auth"), secrets, faults)
    if faults or origin is None or not isinstance(version, str) or auth is None:
        sentence = "; ".join(f"{fault.path.rpartition('.')[2]} {fault.rule}" for fault in faults)
        raise Invalid("connection.config", f"The Shopify connection is not valid: {sentence}.", faults=tuple(faults))
    forced = None if path == "auto" else WritePath(str(path))
    return StoreConfig(origin.url, version, origin.is_loopback, auth.token, forced, auth.app, metafields)


@dataclass(frozen=True, slots=True)
class _Origin:
    url: str
    is_loopback: bool


def _parse_origin(value: object, faults: list[Fault]) -> _Origin | None:
    rule = "must be https://<name>.myshopify.com, or http://127.0.0.1:<port> for a sandbox store, without a path"
    parts = _split(value)
    if parts is None or parts.username is not None or parts.query or parts.fragment or parts.path not in {"", "/"}:
        faults.append(Fault("$.config.shop_url", _shown(_without_userinfo(value)), rule))
        return None
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "https" and _STORE_HOST.fullmatch(host) and port in {None, 443}:
        return _Origin(f"https://{host}", is_loopback=False)
    if parts.scheme == "http" and is_loopback(host):
        shown = f"[{host}]" if ":" in host else host
        return _Origin(f"http://{shown}:{port or 80}", is_loopback=True)
    faults.append(Fault("$.config.shop_url", _shown(value), rule))
    return None


def is_loopback(host: str) -> bool:
    """Whether a host name can only mean this machine (a name that a resolver could send elsewhere does not count)."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _split(value: object) -> SplitResult | None:
    if not isinstance(value, str) or not value.isascii() or any(c.isspace() for c in value):
        return None
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - a port that is no number raises only when it is asked for
    except ValueError:
        return None
    return parts


def _without_userinfo(value: object) -> object:
    return re.sub(r"//[^/@]*@", "//***@", value) if isinstance(value, str) else value


def _shown(value: object) -> str | None:
    return None if value is None else str(value)[:200]


def _unknown(given: Mapping[str, object], known: frozenset[str], where: str) -> list[Fault]:
    rule = f"is not known; {', '.join(sorted(known))} are"
    return [Fault(f"$.{where}.{name}", None, rule) for name in sorted(given.keys() - known)]
