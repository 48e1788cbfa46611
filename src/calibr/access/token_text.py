"""The text of a token: `clbr_live_<tenant>_<token id>_<secret><checksum>`, all of base 62.

The tenant and the id are in the text so that a token is looked up inside its tenant's context; the checksum lets a
scanner of leaked secrets tell a token from noise without asking us. Only SHA-256 of the secret is stored: it has 256
random bits, so nothing slower is needed.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass
from typing import Final, Self
from uuid import UUID

from calibr.core.ids import TenantId, TokenId
from calibr.monitor import Secret

PREFIX: Final = "clbr_live_"
ID_LENGTH: Final = 22
SECRET_LENGTH: Final = 43
CHECK_LENGTH: Final = 6
SECRET_BYTES: Final = 32
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = {character: value for value, character in enumerate(_ALPHABET)}

TOKEN_PATTERN: Final = rf"clbr_live_[0-9A-Za-z]{{{ID_LENGTH}}}_[0-9A-Za-z]{{{ID_LENGTH}}}_[0-9A-Za-z]{{49}}"
"""For secret scanners."""
_TOKEN: Final = re.compile(
    rf"{PREFIX}(?P<tenant>[0-9A-Za-z]{{{ID_LENGTH}}})_(?P<id>[0-9A-Za-z]{{{ID_LENGTH}}})_"
    rf"(?P<secret>[0-9A-Za-z]{{{SECRET_LENGTH}}})(?P<check>[0-9A-Za-z]{{{CHECK_LENGTH}}})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class TokenText:
    """A token taken apart. `secret` shows itself only when asked."""

    tenant_id: TenantId
    token_id: TokenId
    secret: Secret

    @classmethod
    def new(cls, tenant_id: TenantId, token_id: TokenId) -> Self:
        """Make a token with a fresh secret."""
        value = int.from_bytes(secrets.token_bytes(SECRET_BYTES), "big")
        return cls(tenant_id, token_id, Secret(_encode(value, SECRET_LENGTH)))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Take a text apart; None if it has not the form of a token. Whether the token exists is not looked at."""
        match = _TOKEN.fullmatch(text)
        if match is None or not hmac.compare_digest(_check(text[:-CHECK_LENGTH]), match["check"]):
            return None
        tenant, token = _uuid(match["tenant"]), _uuid(match["id"])
        if tenant is None or token is None:
            return None
        return cls(TenantId(tenant), TokenId(token), Secret(match["secret"]))

    def reveal(self) -> str:
        """The whole text, shown once to its owner."""
        tenant, token = (_encode(part.int, ID_LENGTH) for part in (self.tenant_id, self.token_id))
        body = f"{PREFIX}{tenant}_{token}_{self.secret.reveal()}"
        return body + _check(body)

    def as_secret(self) -> Secret:
        """The whole text for a place that may hold it but must not show it."""
        return Secret(self.reveal())

    def secret_hash(self) -> bytes:
        """What is stored and compared."""
        return hashlib.sha256(self.secret.reveal().encode()).digest()


def _check(body: str) -> str:
    return _encode(zlib.crc32(body.encode()), CHECK_LENGTH)


def _encode(value: int, length: int) -> str:
    digits = []
    for _ in range(length):
        value, digit = divmod(value, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _uuid(text: str) -> UUID | None:
    value = 0
    for character in text:
        value = value * len(_ALPHABET) + _DIGITS[character]
    return UUID(int=value) if value < 1 << 128 else None
