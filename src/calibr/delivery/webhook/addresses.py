"""Which network addresses a tenant may make this program speak to."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

_REFUSED_V4: Final = (
    IPv4Network("168.63.129.16/32"),  # the agent of a virtual machine on Azure: a public number, never a public host
    IPv4Network("192.0.0.0/24"),  # protocol assignments, and the metadata of Oracle's cloud
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_REFUSED_V6: Final = (
    IPv6Network("2001::/23"),  # protocol assignments
    IPv6Network("2001:db8::/32"),  # documentation; older Pythons do not know the second range
    IPv6Network("3fff::/20"),
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_ISATAP: Final = frozenset({b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe"})


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What the operator permits beyond public addresses. `allow_loopback` is for tests and rehearsals."""

    allow_loopback: bool = False


def read_address(text: str) -> Address | None:
    """Read an address that is written in its one normal form or an equal IPv6 spelling; None for anything else."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return None if isinstance(address, IPv6Address) and address.scope_id is not None else address


def is_public(address: Address) -> bool:
    """Whether an address belongs to a host on the internet.

    An IPv4 address that is wrapped in an IPv6 one counts as what it leads to. Multicast and reserved ranges are
    refused although `is_global` lets some of them pass.
    """
    inner = list(_wrapped(address))
    if inner:
        return all(map(_is_public_v4, inner))
    if isinstance(address, IPv4Address):
        return _is_public_v4(address)
    inside = address in _GLOBAL_UNICAST and not any(address in network for network in _REFUSED_V6)
    return inside and address.is_global and not address.is_multicast


def _is_public_v4(address: IPv4Address) -> bool:
    odd = address.is_multicast or address.is_reserved or any(address in network for network in _REFUSED_V4)
    return address.is_global and not odd


def _wrapped(address: Address) -> Iterator[IPv4Address]:
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _NAT64 or address.packed[8:12] in _ISATAP:
        yield IPv4Address(address.packed[12:])
