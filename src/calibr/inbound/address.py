"""Where a connection's webhooks arrive: `<tenant><connection><mac>` in base 62, which nobody can guess or forge.

The tenant is known from the address and never from a body. The address only finds the connection: who may deliver is
decided by the signature of the store's app.
"""

import hmac
import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from calibr.core.ids import ConnectionId, TenantId
from calibr.vault import Vault

PURPOSE: Final = "webhook address"
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = {character: value for value, character in enumerate(_ALPHABET)}
_LENGTH: Final = 22
_BITS: Final = 128
_ADDRESS: Final = re.compile(rf"[0-9A-Za-z]{{{3 * _LENGTH}}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class HookAddress:
    """The connection that an address stands for."""

    tenant_id: TenantId
    connection_id: ConnectionId

    def text(self, vault: Vault) -> str:
        """The last part of the path. It is the same every time."""
        parts = (self.tenant_id.int, self.connection_id.int, self._mac(vault))
        return "".join(_encode(part) for part in parts)

    @classmethod
    def parse(cls, text: str, vault: Vault) -> "HookAddress | None":
        """Take an address apart; None for anything that this installation did not make. No I/O."""
        if not _ADDRESS.fullmatch(text):
            return None
        tenant, connection, mac = (_decode(text[start : start + _LENGTH]) for start in range(0, 3 * _LENGTH, _LENGTH))
        if max(tenant, connection, mac) >> _BITS:
            return None
        address = cls(TenantId(UUID(int=tenant)), ConnectionId(UUID(int=connection)))
        given, right = (number.to_bytes(_BITS // 8, "big") for number in (mac, address._mac(vault)))
        return address if hmac.compare_digest(given, right) else None

    def _mac(self, vault: Vault) -> int:
        message = self.tenant_id.bytes + self.connection_id.bytes
        return int(vault.sign(PURPOSE, message.hex())[: _BITS // 4], 16)


def _encode(value: int) -> str:
    digits = []
    for _ in range(_LENGTH):
        value, digit = divmod(value, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _decode(text: str) -> int:
    value = 0
    for character in text:
        value = value * len(_ALPHABET) + _DIGITS[character]
    return value
