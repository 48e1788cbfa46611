"""Session tokens (ID tokens): what the admin gives an embedded app about its user, signed with the client secret."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any, Final

import orjson

LIFE_S: Final = 60
LEEWAY_S: Final = 10
_PARTS: Final = 3


class BadSessionTokenError(ValueError):
    """A session token that proves nothing, with the reason."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom a token is for: the app, the secret that it shares with Shopify, and the shop."""

    client_id: str
    secret: str
    shop_domain: str


def make_session_token(audience: Audience, user: int, now: float) -> str:
    """Sign a token that is good for a minute."""
    claims = {
        "iss": f"https://{audience.shop_domain}/admin",
        "dest": f"https://{audience.shop_domain}",
        "aud": audience.client_id,
        "sub": str(user),
        "exp": int(now) + LIFE_S,
        "nbf": int(now),
        "iat": int(now),
        "jti": secrets.token_hex(16),
        "sid": secrets.token_hex(16),
    }
    signed = f"{_encode(orjson.dumps({'alg': 'HS256', 'typ': 'JWT'}))}.{_encode(orjson.dumps(claims))}"
    return f"{signed}.{_encode(_sign(signed, audience.secret))}"


def read_session_token(token: str, audience: Audience, now: float) -> dict[str, Any]:
    """Return the claims of a token. Raises BadSessionTokenError for one that is forged, foreign or out of time."""
    parts = token.split(".")
    if len(parts) != _PARTS:
        raise BadSessionTokenError("it has no three parts")
    header, claims, signature = (_decode(part) for part in parts)
    if _object(header).get("alg") != "HS256":
        raise BadSessionTokenError("it is not signed with HS256")
    if not hmac.compare_digest(_sign(f"{parts[0]}.{parts[1]}", audience.secret), signature):
        raise BadSessionTokenError("its signature is wrong")
    found = _object(claims)
    if found.get("aud") != audience.client_id or found.get("dest") != f"https://{audience.shop_domain}":
        raise BadSessionTokenError("it is for another app or shop")
    begins, ends = found.get("nbf"), found.get("exp")
    if not isinstance(begins, int | float) or not isinstance(ends, int | float):
        raise BadSessionTokenError("it has no times")
    if not begins - LEEWAY_S <= now < ends + LEEWAY_S:
        raise BadSessionTokenError("it is out of its time")
    return found


def _sign(text: str, secret: str) -> bytes:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise BadSessionTokenError("it is not base64url") from error


def _object(content: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise BadSessionTokenError("it holds no JSON") from error
    if not isinstance(parsed, dict):
        raise BadSessionTokenError("it holds no JSON object")
    return parsed
