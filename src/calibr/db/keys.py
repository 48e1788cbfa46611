"""What is derived from the master key: the passwords of the database roles and the key that signs a tenant context.

HMAC-SHA256 with one label per purpose, so that no derived secret says anything about another or about the master key.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field

from calibr.core.errors import Invalid

MASTER_KEY_BYTES = 32
_BLOCK = 64  # of SHA-256, in bytes


@dataclass(frozen=True, slots=True)
class Keys:
    """The derived secrets of one installation. Holds the master key: never printed, never stored."""

    master: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a key that is too short to be one."""
        if len(self.master) < MASTER_KEY_BYTES:
            rule = f"must have at least {MASTER_KEY_BYTES} bytes"
            raise Invalid("settings.master_key", f"The master key {rule}; this one has {len(self.master)}.")

    def role_password(self, role: str) -> str:
        """Return the password of a database role."""
        return base64.urlsafe_b64encode(derive(self.master, f"calibr/v1/role/{role}")).decode().rstrip("=")

    def context_key(self) -> bytes:
        """Return the key of the MAC that signs the tenant context."""
        return derive(self.master, "calibr/v1/tenant-context")


def derive(master: bytes, label: str) -> bytes:
    """Return the 32 bytes that belong to a label."""
    return hmac.new(master, label.encode(), hashlib.sha256).digest()


def padded(key: bytes) -> tuple[bytes, bytes]:
    """Return the inner and outer padded key of HMAC (RFC 2104), as `sec.key` holds them."""
    block = key.ljust(_BLOCK, b"\0")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)
