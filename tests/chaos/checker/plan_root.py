"""The Merkle root (RFC 6962) of the rows of a text, as the howto on plan roots tells it."""

import hashlib


def root_of(text: bytes) -> str:
    """Hash each row with 0x00, pairs with 0x01; an odd node moves up as it is."""
    level = [hashlib.sha256(b"\0" + row).digest() for row in text.split(b"\n")[:-1]]
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [hashlib.sha256(b"\1" + left + right).digest() for left, right in pairs] + odd
    return level[0].hex() if level else hashlib.sha256(b"").hexdigest()
