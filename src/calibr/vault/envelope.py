"""AES-256-GCM envelopes: a sealed secret opens only in the tenant, thing and field that it was sealed for.

Every tenant has its own key, derived from the master key, so that the number of messages under one key stays far from
the bound of random nonces. Nothing here logs, and no error shows a value.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from calibr.core.errors import Invalid, Unavailable
from calibr.core.ids import TenantId
from calibr.monitor import Secret

VERSION: Final = "v1"
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
FIELD: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """Where a secret belongs; it is authenticated with the value, so that a copied row does not open elsewhere."""

    tenant_id: TenantId
    owner_id: UUID
    """The connection or subscription whose secret it is."""
    field: str

    def __post_init__(self) -> None:
        if not FIELD.fullmatch(self.field):
            rule = "a lower-case name of letters, digits and underscores, at most 63"
            raise Invalid("vault.field", f"{self.field[:80]!r} is not the name of a secret: {rule}")


class Vault:
    """Seals and opens; format `v1.<key id>.<base64url of nonce, ciphertext and tag>`. Thread-safe."""

    __slots__ = ("_master", "key_id")

    def __init__(self, master_key: bytes) -> None:
        self._master = master_key
        self.key_id = hashlib.sha256(b"calibr/vault/key-id/v1|" + master_key).hexdigest()[:12]

    def __repr__(self) -> str:
        return f"Vault(key_id={self.key_id!r})"

    def seal(self, place: SecretPlace, value: str) -> str:
        """Return the text to store. Sealing a value twice gives two different texts."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + self._cipher(place.tenant_id).encrypt(nonce, value.encode(), self._bound(place))
        return f"{VERSION}.{self.key_id}.{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, place: SecretPlace, sealed: str) -> Secret:
        """Return the secret.

        Raises:
            Unavailable: `vault.other_key` if it was sealed under another master key, `vault.damaged` if the text was
                changed, or belongs to another tenant, thing or field.
        """
        version, _, rest = sealed.partition(".")
        key_id, _, body = rest.partition(".")
        where = f"secret {place.field!r} of {place.owner_id}"
        if version == VERSION and key_id != self.key_id:
            raise Unavailable("vault.other_key", f"The {where} was sealed under master key {key_id[:12]}, not this one")
        raw = _decode(body)
        if version != VERSION or raw is None:
            raise _damaged(where)
        try:
            opened = self._cipher(place.tenant_id).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], self._bound(place))
        except InvalidTag:
            raise _damaged(where) from None
        return Secret(opened.decode())

    def sign(self, purpose: str, text: str) -> str:
        """A signature of ours in hex: whoever brings `text` back with it got it from us, for this purpose."""
        info = b"calibr/vault/signing-key/v1|" + purpose.encode()
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self._master)
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def _cipher(self, tenant_id: TenantId) -> AESGCM:
        info = b"calibr/vault/tenant-key/v1|" + tenant_id.bytes
        return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self._master))

    def _bound(self, place: SecretPlace) -> bytes:
        return f"calibr/v1|{place.tenant_id}|{place.owner_id}|{place.field}|{self.key_id}".encode()


def _decode(body: str) -> bytes | None:
    """None unless `body` is exactly how we write it: base64 has several spellings of some values."""
    try:
        raw = base64.urlsafe_b64decode(body.encode("ascii"))
    except (binascii.Error, ValueError):
        return None
    exact = base64.urlsafe_b64encode(raw).decode() == body
    return raw if exact and len(raw) >= NONCE_BYTES + TAG_BYTES else None


def _damaged(where: str) -> Unavailable:
    return Unavailable("vault.damaged", f"The {where} cannot be opened: it was changed or moved")
