"""Where webhooks may go: what Shopify accepts as an address, and what of it lies on this machine.

The sandbox sends to this machine only. Shopify takes no `http://` address at all; the sandbox takes one of this
machine, so that tests can receive.
"""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

MAX_LENGTH: Final = 65_536
_SCHEME: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
_PROJECT: Final = re.compile(r"pubsub://[a-z][a-z0-9.:-]{4,60}:")
_PUBSUB: Final = re.compile(_PROJECT.pattern + r"[A-Za-z][\w.~+%-]{2,254}")
_EVENT_BRIDGE: Final = re.compile(r"arn:aws[a-z-]*:events:[a-z0-9-]+:\d*:event-source/aws\.partner/shopify\.com.*")
_INTERNAL: Final = ("localhost", "local", "internal", "localdomain")
_SHOPIFY: Final = ("shopify.com", "myshopify.com", "shopifycloud.com", "shopify.io", "myshopify.io", "shopifysvc.com")
INVALID_ADDRESS: Final = "Address is invalid"


def refusal_of(address: str) -> str | None:
    """Say, in Shopify's words, why webhooks cannot go to an address; None when they can."""
    if not address:
        return "Address can't be blank"
    if len(address) > MAX_LENGTH:
        return "Address is too big (maximum is 64 KB)"
    if _EVENT_BRIDGE.fullmatch(address) or _PUBSUB.fullmatch(address) or is_near(address):
        return None
    found = _SCHEME.match(address)
    scheme = found[1].lower() if found else "pubsub"
    if scheme == "https":
        return _refusal_of_host(address)
    return INVALID_ADDRESS if scheme == "pubsub" else f"Address protocol {scheme}:// is not supported"


def has_good_project(address: str) -> bool:
    """Whether an address of Pub/Sub names a project that can be."""
    return _PROJECT.match(address) is not None


def is_near(url: str) -> bool:
    """Whether an address is a plain `http` one of this machine."""
    if not url.isascii() or not all("!" <= character <= "~" for character in url):
        return False
    try:
        parts = urlsplit(url)
        is_plain = parts.scheme == "http" and "@" not in parts.netloc and parts.port != 0
        return is_plain and (parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback)
    except ValueError:
        return False


def near(url: str) -> SplitResult | None:
    """Split an address of this machine; None for any other."""
    return urlsplit(url)._replace(fragment="") if is_near(url) else None


def _refusal_of_host(address: str) -> str | None:
    try:
        host, _ = (urlsplit(address).hostname or "").rstrip("."), urlsplit(address).port
    except ValueError:
        return INVALID_ADDRESS
    if not host or any(character.isspace() for character in address):
        return INVALID_ADDRESS
    if _is_internal(host) or any(host == name or host.endswith(f".{name}") for name in _SHOPIFY):
        return "Address cannot be a Shopify or an internal domain"
    return None


def _is_internal(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.rpartition(".")[2] in _INTERNAL
