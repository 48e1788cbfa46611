"""Speaks with a store's authorization endpoints: asks for tokens, builds the address of consent, judges the way back.

A request is sent once. Secrets and tokens stand in no message.
"""

import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import httpx2
import orjson

from calibr.connectors.port.credentials import Issued
from calibr.connectors.shopify.answers import readable
from calibr.connectors.shopify.config import StoreConfig
from calibr.connectors.shopify.errors import PROTOCOL, THROTTLED, UNAUTHORIZED, UNAVAILABLE, UNREACHABLE, CallError
from calibr.connectors.shopify.methods import AppAuth
from calibr.connectors.shopify.scopes import REQUIRED_SCOPES
from calibr.core.errors import Fault, Invalid

MAX_ANSWER_BYTES: Final = 64 * 1024
TIMEOUT: Final = httpx2.Timeout(10.0, connect=5.0)
ANSWER_S: Final = 20.0
"""Others wait for the same token meanwhile."""
SHOP_HOST: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]*\.myshopify\.com")
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,2048}")
_CODE: Final = re.compile(r"[\x21-\x7e]{1,512}")
_LONGEST_S: Final = 10 * 365 * 86_400
_OK, _SLOW_DOWN, _SERVER_ERRORS = 200, 429, 500


class OAuth:
    """The authorization endpoints of one store for one app. Thread-safe."""

    def __init__(self, config: StoreConfig, app: AppAuth, *, transport: httpx2.BaseTransport | None = None) -> None:
        self._config = config
        self._app = app
        self._transport = transport

    @property
    def token_url(self) -> str:
        """Where tokens are given out: the store's own address, so that a sandbox store has its own."""
        return f"{self._config.shop_url}/admin/oauth/access_token"

    def by_credentials(self) -> Issued:
        """A new token for our own organization's store. Raises `CallError`."""
        return self._ask({"grant_type": "client_credentials"})

    def by_refresh(self, refresh_token: str) -> Issued:
        """A new pair. The old refresh token stays good until the new pair is used. Raises `CallError`."""
        return self._ask({"grant_type": "refresh_token", "refresh_token": refresh_token})

    def by_code(self, code: str) -> Issued:
        """The first pair, for a code that the owner's browser brought. Raises `CallError`."""
        return self._ask({"code": code, "expiring": "1"})

    def consent_url(self, redirect_uri: str, state: str) -> str:
        """The page on which the owner agrees."""
        scopes = ",".join(REQUIRED_SCOPES)
        wanted = {"client_id": self._app.client_id, "scope": scopes, "redirect_uri": redirect_uri, "state": state}
        return f"{self._config.shop_url}/admin/oauth/authorize?{urlencode(wanted)}"

    def verify_return(self, query: Mapping[str, str]) -> str:
        """Judge what came back and return the code. Raises Invalid `connection.return`; asks nobody."""
        if "error" in query and "code" not in query:
            raise _bad_return("error", "says that the owner of the store did not agree", readable(query["error"]))
        given = query.get("hmac", "")
        expected = sign(query, self._app.client_secret)
        # compare_digest takes ASCII only; what is not cannot be a signature.
        if not given.isascii() or not hmac.compare_digest(given.encode(), expected.encode()):
            raise _bad_return("hmac", "must be the signature of the other parameters")
        shop = query.get("shop", "")
        if not SHOP_HOST.fullmatch(shop):
            raise _bad_return("shop", "must be <name>.myshopify.com", shop)
        own = urlsplit(self._config.shop_url).hostname
        if not self._config.is_loopback and shop.lower() != own:
            raise _bad_return("shop", f"must be {own}, the store of this connection", shop)
        code = query.get("code", "")
        if not _CODE.fullmatch(code):
            raise _bad_return("code", "must be given")
        return code

    def _ask(self, wanted: Mapping[str, str]) -> Issued:
        body = {"client_id": self._app.client_id, "client_secret": self._app.client_secret, **wanted}
        headers = {"User-Agent": "calibr", "Accept": "application/json"}
        ways: dict[str, Any] = {"timeout": TIMEOUT, "trust_env": not self._config.is_loopback}
        until = time.monotonic() + ANSWER_S
        try:
            with (
                httpx2.Client(transport=self._transport, follow_redirects=False, **ways) as http,
                http.stream("POST", self.token_url, data=body, headers=headers) as response,
            ):
                content = bytearray()
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > MAX_ANSWER_BYTES or time.monotonic() > until:
                        raise CallError(PROTOCOL, "Shopify's answer about a token is too long.", retryable=True)
                return self._read(response.status_code, bytes(content), wanted)
        except (httpx2.TransportError, httpx2.DecodingError) as err:
            reason = type(err).__name__
            raise CallError(UNREACHABLE, f"Shopify gives no token: no answer ({reason}).", retryable=True) from err

    def _read(self, status: int, content: bytes, wanted: Mapping[str, str]) -> Issued:
        try:
            document = orjson.loads(content)
        except orjson.JSONDecodeError:
            document = None
        told = document if isinstance(document, dict) else {}
        if status != _OK:
            raise self._refusal(status, told, wanted)
        token = told.get("access_token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise CallError(PROTOCOL, "Shopify's answer about a token holds none.", retryable=True)
        refresh = told.get("refresh_token")
        if refresh is not None and not (isinstance(refresh, str) and _TOKEN.fullmatch(refresh)):
            raise CallError(PROTOCOL, "Shopify's answer holds a refresh token that is none.")
        scopes = tuple(sorted(filter(None, str(told.get("scope") or "").split(","))))
        lives, refresh_lives = _seconds(told.get("expires_in")), _seconds(told.get("refresh_token_expires_in"))
        return Issued(token, lives, scopes, refresh, refresh_lives)

    def _refusal(self, status: int, told: Mapping[str, object], wanted: Mapping[str, str]) -> CallError:
        if status == _SLOW_DOWN:
            return CallError(THROTTLED, "Shopify asks to slow down before it gives a token (HTTP 429).", retryable=True)
        if status >= _SERVER_ERRORS:
            return CallError(UNAVAILABLE, f"Shopify failed to give a token (HTTP {status}).", retryable=True)
        said = readable(": ".join(str(told[key]) for key in ("error", "error_description") if told.get(key)))
        for secret in (self._app.client_secret, *wanted.values()):
            said = said.replace(secret, "***") if len(secret) > len("refresh_token") else said
        reason = f": {said}" if said else "."
        return CallError(UNAUTHORIZED, f"Shopify refuses to give an access token (HTTP {status}){reason}")


def sign(query: Mapping[str, str], client_secret: str) -> str:
    """Shopify's signature of a query: all but `hmac`, sorted, as `k=v&...`, HMAC-SHA256 in hex.

    What parts the pairs is escaped inside of them: else two queries could have one signature.
    """
    pairs = (f"{_escaped(key).replace('=', '%3D')}={_escaped(value)}" for key, value in query.items() if key != "hmac")
    message = "&".join(sorted(pairs))
    return hmac.new(client_secret.encode(), message.encode(), hashlib.sha256).hexdigest()


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("&", "%26")


def _seconds(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LONGEST_S else None


def _bad_return(name: str, rule: str, value: str | None = None) -> Invalid:
    fault = Fault(f"query.{name}", None if value is None else value[:120], rule)
    return Invalid("connection.return", f"The answer of the store does not hold: {name} {rule}.", faults=(fault,))
