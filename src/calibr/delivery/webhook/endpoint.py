"""The URL of a webhook, read strictly: what is not plainly a public https address is refused before it is stored."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final, NoReturn

from calibr.core.errors import Fault, Invalid
from calibr.delivery.webhook.addresses import AddressPolicy, is_public, read_address

MAX_URL_LENGTH: Final = 2048

_HTTPS_PORTS: Final = frozenset({443, 8443})
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_MAX_PORT: Final = 65535
_MAX_HOST_LENGTH: Final = 253

# One grammar instead of a lenient parser: two programs that read a URL differently are how a filter is passed by.
_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)"
    r"(?P<path>(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?)"
    r"(?P<query>(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?)"
)
_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOCAL_SUFFIXES: Final = ("localhost", "local", "internal", "intranet", "lan", "home.arpa", "onion")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where webhooks go. `host` is a lower-case name or an address without brackets; `target` is path and query.

    `is_loopback` says that the URL names this machine by its address, the only case in which an address that is not
    public may be connected to.
    """

    scheme: str
    host: str
    port: int
    target: str
    is_loopback: bool = False

    @property
    def authority(self) -> str:
        """Host and port as a URL and the Host header spell them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL in its normal form. Its path or query may hold a secret of the receiver."""
        return f"{self.scheme}://{self.authority}{self.target}"


def parse_endpoint(url: str, policy: AddressPolicy) -> Endpoint:
    """Read the URL of a subscription; nothing is resolved or contacted.

    Raises `Invalid` with a fault on `$.config.url`. The fault names a part of the URL at most, since the whole may
    hold a secret.
    """
    if len(url) > MAX_URL_LENGTH:
        _refuse(None, f"must be at most {MAX_URL_LENGTH} characters long")
    if "#" in url:
        _refuse(None, "must not have a fragment (#...)")
    parts = _URL.fullmatch(url)
    if parts is None:
        _refuse(None, "must be a URL like https://hooks.example.com/path, in ASCII, other characters percent-encoded")
    scheme = parts["scheme"].lower()
    if scheme not in _DEFAULT_PORTS:
        _refuse(scheme, "must begin with https://")
    host, port = _read_authority(parts["authority"], scheme)
    target = (parts["path"] or "/") + parts["query"]
    address = read_address(host)
    if address is not None and address.is_loopback and policy.allow_loopback:
        return Endpoint(scheme, str(address), port, target, is_loopback=True)
    if scheme != "https":
        _refuse(scheme, "must begin with https://")
    if address is None:
        _check_name(host)
    elif not is_public(address):
        _refuse(host, "must not be an address of a private, local or reserved network")
    if port not in _HTTPS_PORTS:
        _refuse(str(port), "must use port 443 or 8443")
    return Endpoint(scheme, host if address is None else str(address), port, target)


def _read_authority(authority: str, scheme: str) -> tuple[str, int]:
    if "@" in authority:
        _refuse(None, "must not have a user name or password")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        _refuse(
            authority, "must have a host of letters, digits, dots and hyphens (a name like bücher as xn--bcher-kva)"
        )
    port = int(parts["port"] or _DEFAULT_PORTS[scheme])
    if not 0 < port <= _MAX_PORT:
        _refuse(str(port), f"must have a port from 1 to {_MAX_PORT}")
    host = parts["host"].lower()
    if host.startswith("["):
        host = host[1:-1]
        if not isinstance(read_address(host), IPv6Address):
            _refuse(host, "must have an IPv6 address between the brackets")
    return host, port


def _check_name(host: str) -> None:
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]) or (labels[-1] == "" and _NUMBER.fullmatch(labels[-2])):
        _refuse(host, "must spell an IPv4 address as four decimal numbers (93.184.216.34)")
    if len(host) > _MAX_HOST_LENGTH or not all(map(_LABEL.fullmatch, labels)):
        _refuse(host, "must have a valid host name, without a dot at the end")
    if len(labels) == 1 or any(host == suffix or host.endswith(f".{suffix}") for suffix in _LOCAL_SUFFIXES):
        _refuse(host, "must have a full host name of the public internet")


def _refuse(value: str | None, rule: str) -> NoReturn:
    shown = None if value is None else value[:200]
    given = "" if shown is None else f", given {shown!r}"
    fault = Fault("$.config.url", shown, rule, "subscription.url")
    raise Invalid("subscription.url", f"The webhook URL {rule}{given}.", faults=(fault,))
